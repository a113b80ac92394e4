use std::fmt;
use std::sync::Arc;

use ws_proto::{ClientRequest, Config, Instant};

mod ask;
pub(crate) mod builder;
mod deadline;
mod dial;
mod entropy;
pub(crate) mod error;
mod open;
pub(crate) mod proxy;
pub(crate) mod reconnect;
pub(crate) mod redirect;
#[cfg(feature = "tls")]
mod secure;

use ask::Ask;
use deadline::Deadline;
use error::{ConnectError, Stage};
use open::open;
use proxy::Proxy;
use proxy::target::Target;
use redirect::RedirectError;

use crate::Connection;
use crate::alarm::Alarms;
use crate::runtime::{Address, Runtime, Transport};

/// Connects to WebSocket servers.
///
/// Cheap to clone; every clone has the same options, and every method may be called from any task
/// at the same time. The connections know nothing of each other.
///
/// A [`Connection`] that a client made is driven by a task of its own, as a server's is. What is
/// different:
/// * It is closed with code 1000 when its last handle is dropped. A program that ends then cuts
///   that off: [close](Connection::close) it and wait for [`closed`](Connection::closed) before.
/// * It is alone: [`broadcast`](Connection::broadcast) reaches nobody, and
///   [`send_all`](Connection::send_all) its server only.
/// * [`request`](Connection::request) and [`storage`](Connection::storage) are `None`, and
///   [`response`](Connection::response) is what the server answered.
/// * [`peer_addr`](Connection::peer_addr) is the address of the server, or of the proxy.
pub struct Client<R: Runtime> {
    parts: Arc<Parts<R>>,
}

/// The options, checked.
struct Parts<R> {
    runtime: R,
    config: Arc<Config>,
    /// The same for streams over TLS.
    secure_config: Arc<Config>,
    /// For all of its connections.
    alarms: Arc<Alarms>,
    ask: Ask,
    max_redirects: usize,
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    trust: secure::Trust,
}

impl<R> Parts<R> {
    /// The default options, but for `config`, which is checked already.
    fn new(runtime: R, config: Config) -> Self {
        let secure = config.clone().into_builder().secure(true).build();
        Self {
            runtime,
            // Being secure makes no option wrong.
            secure_config: Arc::new(secure.unwrap_or_else(|_| config.clone())),
            config: Arc::new(config),
            alarms: Arc::default(),
            ask: Ask::default(),
            max_redirects: 0,
            proxy: None,
            #[cfg(feature = "tls")]
            trust: secure::Trust::default(),
        }
    }
}

impl<R: Runtime> Client<R> {
    /// A client with the default options on `runtime`.
    pub fn new(runtime: R) -> Self {
        Self { parts: Arc::new(Parts::new(runtime, Config::default())) }
    }

    /// Connects to a `ws://` or `wss://` URL and shakes hands.
    ///
    /// Waits at most [`Timeouts::handshake`](crate::Timeouts::handshake), by default 10 s, for all
    /// of it: looking the name up beside the runtime's own work, connecting (up to eight
    /// addresses, each with a head start of 250 ms, RFC 8305), the proxy, TLS, the handshake and
    /// redirects. Dropping the future gives up at once and leaves nothing behind, but for a lookup
    /// that the system cannot stop: its answer is thrown away.
    ///
    /// # Errors
    /// [`ConnectError`] names who is at fault and which part.
    pub async fn connect(&self, url: &str) -> Result<Connection, ConnectError> {
        let started = self.parts.runtime.now();
        let Parts { ask, max_redirects, .. } = &*self.parts;
        let mut request = ask.request(url)?;
        let mut credentials = true;
        let mut followed = 0;
        loop {
            let deadline = self.deadline(&request, started);
            let (stream, peer) = self.dial(&deadline, &request).await?;
            let mut error = match self.shake_hands(&deadline, &request, stream, peer).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let ConnectError::Redirect { location, problem, .. } = &mut error else {
                return Err(error);
            };
            let hop = match *max_redirects {
                0 => Err(RedirectError::NotFollowed),
                max if followed < max => redirect::follow(&request, location),
                max => Err(RedirectError::TooMany(max)),
            };
            let hop = match hop {
                Ok(hop) => hop,
                Err(reason) => {
                    *problem = reason;
                    return Err(error);
                }
            };
            followed += 1;
            credentials &= hop.same_origin;
            request = ask.for_hop(&hop.url, credentials)?;
        }
    }

    /// Connects to the Unix socket at `path`, where a server for `url` listens: `url` says what is
    /// asked for, and whether TLS is spoken. Otherwise as [`connect_over`](Self::connect_over).
    ///
    /// # Errors
    /// [`ConnectError`] names who is at fault and which part.
    #[cfg(unix)]
    pub async fn connect_unix(
        &self,
        path: impl Into<std::path::PathBuf>,
        url: &str,
    ) -> Result<Connection, ConnectError> {
        let path = path.into();
        let request = self.parts.ask.request(url)?;
        check_tls(&request)?;
        let deadline = self.deadline(&request, self.parts.runtime.now());
        let connect = async {
            let connected = self.parts.runtime.connect_unix(path.clone()).await;
            connected.map_err(|error| ConnectError::Unix { path: path.clone(), error })
        };
        let stream = deadline.keep(Stage::Connect, connect).await?;
        self.shake_hands_over_given(&deadline, &request, stream).await
    }

    /// Shakes hands for `url` over a stream that is connected already, such as a tunnel or a pipe;
    /// over TLS when it is a `wss://` URL. The proxy is not used, and redirects are an error.
    /// `url` says what is asked for, and the stream whom.
    ///
    /// Waits as [`connect`](Self::connect). Dropping the future ends the stream.
    ///
    /// # Errors
    /// [`ConnectError`] names who is at fault and which part.
    pub async fn connect_over<S: Transport>(
        &self,
        stream: S,
        url: &str,
    ) -> Result<Connection, ConnectError> {
        let request = self.parts.ask.request(url)?;
        check_tls(&request)?;
        let deadline = self.deadline(&request, self.parts.runtime.now());
        self.shake_hands_over_given(&deadline, &request, stream).await
    }

    fn runtime(&self) -> &R {
        &self.parts.runtime
    }

    /// A stream to the server of `request`, through the proxy if there is one.
    async fn dial(
        &self,
        deadline: &Deadline<'_, R>,
        request: &ClientRequest,
    ) -> Result<(R::Stream, Address), ConnectError> {
        check_tls(request)?;
        let target = Target { host: request.host(), port: request.port() };
        let Some(proxy) = &self.parts.proxy else {
            let (stream, address) = dial::dial(deadline, target.host, target.port).await?;
            return Ok((stream, address.into()));
        };
        let Target { host, port } = proxy.address();
        let (mut stream, address) = dial::dial(deadline, host, port).await?;
        let talk = async {
            let passed = proxy.pass_on(&mut stream, target).await;
            let proxy = || proxy.address().to_string();
            passed.map_err(|problem| ConnectError::Proxy { proxy: proxy(), problem })
        };
        deadline.keep(Stage::Proxy, talk).await?;
        Ok((stream, address.into()))
    }

    /// Shakes hands over a stream that the caller gave: it leads to one server only.
    async fn shake_hands_over_given<S: Transport>(
        &self,
        deadline: &Deadline<'_, R>,
        request: &ClientRequest,
        stream: S,
    ) -> Result<Connection, ConnectError> {
        let mut shaken = self.shake_hands(deadline, request, stream, Address::Unnamed).await;
        if let Err(ConnectError::Redirect { problem, .. }) = &mut shaken {
            *problem = RedirectError::GivenStream;
        }
        shaken
    }

    /// TLS if the URL asks for it, then the WebSocket handshake.
    async fn shake_hands<S: Transport>(
        &self,
        deadline: &Deadline<'_, R>,
        request: &ClientRequest,
        stream: S,
        peer: Address,
    ) -> Result<Connection, ConnectError> {
        let Parts { config, secure_config, alarms, .. } = &*self.parts;
        #[cfg(feature = "tls")]
        if request.is_secure() {
            let host = request.host();
            let secured = async {
                let secured = secure::secure(stream, &self.parts.trust, host).await;
                secured.map_err(|error| ConnectError::Tls { host: host.to_owned(), error })
            };
            let stream = deadline.keep(Stage::Tls, secured).await?;
            return open(deadline, secure_config, alarms, request, stream, peer).await;
        }
        let config = if stream.is_secure() { secure_config } else { config };
        open(deadline, config, alarms, request, stream, peer).await
    }

    fn deadline(&self, request: &ClientRequest, started: Instant) -> Deadline<'_, R> {
        let target = Target { host: request.host(), port: request.port() };
        Deadline {
            runtime: &self.parts.runtime,
            started,
            limit: self.parts.config.timeouts().handshake,
            host: target.to_string(),
        }
    }
}

/// `wss://` without TLS is noticed before anybody is bothered.
fn check_tls(request: &ClientRequest) -> Result<(), ConnectError> {
    let missing = cfg!(not(feature = "tls")) && request.is_secure();
    if missing { Err(ConnectError::NoTls(request.url())) } else { Ok(()) }
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self { parts: Arc::clone(&self.parts) }
    }
}

impl<R: Runtime + Default> Default for Client<R> {
    fn default() -> Self {
        Self::new(R::default())
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.parts.ask.version)
            .field("max_redirects", &self.parts.max_redirects)
            .field("proxy", &self.parts.proxy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
