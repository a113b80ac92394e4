use std::fmt;
#[cfg(feature = "tls")]
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "deflate")]
use ws_proto::Deflate;
use ws_proto::{Config, Limits, Timeouts, Version};

use super::ask::Ask;
use super::error::{ConnectError, InvalidOption};
use super::proxy::Proxy;
#[cfg(feature = "tls")]
use super::secure::Trust;
use super::{Client, Parts};
use crate::Connection;
use crate::runtime::Runtime;
#[cfg(feature = "tls")]
use crate::tls::error::TlsError;

impl<R: Runtime + Default> Client<R> {
    /// The options, to be changed before [`ClientBuilder::build`] or [`ClientBuilder::connect`].
    pub fn builder() -> ClientBuilder<R> {
        ClientBuilder::new(R::default())
    }
}

/// The options of a [`Client`].
#[must_use]
pub struct ClientBuilder<R: Runtime> {
    runtime: R,
    limits: Limits,
    timeouts: Timeouts,
    ask: Ask,
    max_redirects: usize,
    proxy: Option<Proxy>,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
    #[cfg(feature = "tls")]
    trust: Trust,
}

impl<R: Runtime> ClientBuilder<R> {
    /// Starts from the defaults, on `runtime`.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            ask: Ask::default(),
            max_redirects: 0,
            proxy: None,
            #[cfg(feature = "deflate")]
            deflate: None,
            #[cfg(feature = "tls")]
            trust: Trust::default(),
        }
    }

    /// The version to speak. Default: [`Version::Rfc6455`]. A server that does not know it
    /// refuses; no other one is tried.
    pub fn version(mut self, version: Version) -> Self {
        self.ask.version = version;
        self
    }

    /// The web page in whose name the client connects, as `scheme://host[:port]`, or `null`.
    /// Default: none; draft75 and draft76, which must name one, name the server's.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.ask.origin = Some(origin.into());
        self
    }

    /// Offers a subprotocol, behind those offered before. draft75 and draft76 can offer one: the
    /// first. Default: none. [`Connection::protocol`] says what the server chose.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.ask.subprotocols.push(name.into());
        self
    }

    /// Adds a header to the request, such as `Authorization`, `Cookie` or `User-Agent`. Default:
    /// none beside those of the handshake.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.ask.headers.push((name.into(), value.into()));
        self
    }

    /// What the server may make this side hold or do. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long to wait for what. Default: [`Timeouts::default`]. The one for the handshake covers
    /// everything until the connection is open, see [`Client::connect`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Offers permessage-deflate (RFC 7692), when RFC 6455 is spoken. Default: `None`, nothing is
    /// compressed. [`Connection::deflate`] says what the server made of the offer; an answer that
    /// was not offered fails the connection.
    #[cfg(feature = "deflate")]
    pub fn deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.deflate = deflate.into();
        self
    }

    /// How many redirects (301, 302, 303, 307, 308) are followed before a connection is given up.
    /// Default 0: RFC 6455 section 4.1 allows not to follow, and a WebSocket that moves is rare.
    ///
    /// `http://` and `https://` stand for `ws://` and `wss://`. The way from TLS to a plain
    /// connection is never taken. On the way to another scheme, host or port the headers
    /// `Authorization`, `Cookie`, `Cookie2`, `Proxy-Authorization` and `WWW-Authenticate` are left
    /// out, and stay out.
    pub fn max_redirects(mut self, max: usize) -> Self {
        self.max_redirects = max;
        self
    }

    /// Connects through this proxy. Default: none; variables of the environment are not read.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Believes servers of `wss://` URLs whose certificate one of the authorities in the PEM file
    /// `roots` has signed, and no others. Default: the authorities of the operating system, whose
    /// files are read once, by the first connection that needs them and can read them.
    ///
    /// Reads a file, which may take a moment.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    #[cfg(feature = "tls")]
    pub fn tls_roots(mut self, roots: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.trust = Trust::roots(roots.as_ref())?;
        Ok(self)
    }

    /// Uses this configuration of rustls for `wss://` URLs, for instance one with a certificate of
    /// the client. Its protocols of ALPN become HTTP/1.1, for nothing else is spoken. The name of
    /// the server is sent (SNI) as the configuration says.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.trust = Trust::from(Arc::unwrap_or_clone(config.into()));
        self
    }

    /// Checks the options and makes the client. Does not wait.
    ///
    /// # Errors
    /// [`InvalidOption`] names the first option that makes no sense.
    pub fn build(self) -> Result<Client<R>, InvalidOption> {
        let config = Config::builder().limits(self.limits).timeouts(self.timeouts);
        #[cfg(feature = "deflate")]
        let config = config.deflate(self.deflate);
        let config = config.build()?;
        self.ask.check()?;
        let parts = Parts {
            ask: self.ask,
            max_redirects: self.max_redirects,
            proxy: self.proxy,
            #[cfg(feature = "tls")]
            trust: self.trust,
            ..Parts::new(self.runtime, config)
        };
        Ok(Client { parts: Arc::new(parts) })
    }

    /// Builds a client for one connection, see [`Client::connect`].
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`Client::connect`].
    pub async fn connect(self, url: &str) -> Result<Connection, ConnectError> {
        self.build()?.connect(url).await
    }
}

/// Everything but the values of headers, which may be secrets.
impl<R: Runtime> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("version", &self.ask.version)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("max_redirects", &self.max_redirects)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}
