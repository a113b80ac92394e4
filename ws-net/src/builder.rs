use std::fmt;
use std::future::Future;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;

use ws_proto::{
    Accept, Config, ConfigBuilder, ConfigError, Limits, OriginPolicy, Reject, SubprotocolPolicy,
    Timeouts, UnknownVersion, Versions,
};

use crate::bind::Bind;
use crate::candidate::{Authorize, Candidate};
use crate::delivery::{SlowOptions, SlowReceivers};
use crate::endpoint::{Endpoint, Http};
use crate::errands::Errands;
use crate::gate::Gate;
use crate::link::{Link, Security};
use crate::positive::positive;
use crate::roster::Roster;
use crate::runtime::Runtime;
use crate::server::Server;
use crate::shared::Common;
use crate::shares::{Share, Shares};
use crate::sites::Sites;
use crate::storage::choice::StorageChoice;
use crate::tally::Faults;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::topics::{TopicLimits, Topics};

/// Connections for which the lists of a server keep room.
const FEW: usize = 32;

impl<R: Runtime + Default> Server<R> {
    /// A server with the default options, bound to `address`; port 0 is any free port, see
    /// [`local_addr`](Self::local_addr).
    ///
    /// A name is looked up here and blocks the thread for as long as the system takes, whatever the
    /// runtime. A [`SocketAddr`](std::net::SocketAddr), or a text that is one, such as
    /// `"127.0.0.1:9001"`, is not looked up.
    ///
    /// # Errors
    /// What the system says, with the address: `AddrInUse`, `PermissionDenied` and others.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(address).await
    }

    /// The options, to be changed before [`Builder::bind`].
    pub fn builder() -> Builder<R> {
        Builder::new(R::default())
    }
}

/// The options of a [`Server`].
#[must_use]
pub struct Builder<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) http: Http<Link<R::Stream>>,
    security: Security,
    config: ConfigBuilder,
    max_connections: usize,
    max_handshakes: usize,
    max_connections_per_ip: Option<usize>,
    max_handshakes_per_ip: Option<usize>,
    storage: StorageChoice,
    authorize: Option<Box<Authorize>>,
    topics: TopicLimits,
    slow: SlowOptions,
    #[cfg(feature = "debug")]
    pub(crate) debug: bool,
}

impl<R: Runtime> Builder<R> {
    /// Starts from the defaults, on `runtime`.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            http: None,
            security: Security::Plain,
            config: Config::builder(),
            max_connections: 16_384,
            max_handshakes: 1_024,
            max_connections_per_ip: None,
            max_handshakes_per_ip: None,
            storage: StorageChoice::default(),
            authorize: None,
            topics: TopicLimits::default(),
            slow: SlowOptions::default(),
            #[cfg(feature = "debug")]
            debug: false,
        }
    }

    /// The versions that are spoken: [`Versions`], a [`Version`](crate::Version), or a text such
    /// as `"auto"`, `"draft75"` or `"draft76,rfc6455"`. A text that names another one is an error
    /// of [`build`](Self::build).
    ///
    /// Default: [`Versions::AUTO`], all of them, since to speak every version is what this project
    /// is for. What draft75 and draft76 cannot promise stands in SECURITY.md in the repository;
    /// [`Versions::RFC6455`] turns off every version but RFC 6455.
    pub fn versions(self, versions: impl TryInto<Versions, Error: Into<UnknownVersion>>) -> Self {
        self.change(|config| config.versions(versions))
    }

    /// Which origins may connect. Default: the host of the request, see
    /// [`OriginPolicy::same_host`].
    ///
    /// A predicate runs in the task of the connection, behind all other checks and before
    /// [`authorize`](Self::authorize). When it panics, the client gets 500 and nobody else notices.
    pub fn origin(self, origin: OriginPolicy) -> Self {
        self.change(|config| config.origin(origin))
    }

    /// Which subprotocols are spoken. Default: none.
    pub fn subprotocols(self, subprotocols: SubprotocolPolicy) -> Self {
        self.change(|config| config.subprotocols(subprotocols))
    }

    /// Whether and how messages are compressed (RFC 7692), with clients that agree to it.
    /// Default: `None`, they are not.
    #[cfg(feature = "deflate")]
    pub fn deflate(self, deflate: impl Into<Option<ws_proto::Deflate>>) -> Self {
        self.change(|config| config.deflate(deflate))
    }

    /// What a peer may make this side hold or do. Default: [`Limits::default`].
    pub fn limits(self, limits: Limits) -> Self {
        self.change(|config| config.limits(limits))
    }

    /// How long to wait for what. Default: [`Timeouts::default`].
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.change(|config| config.timeouts(timeouts))
    }

    /// Whether clients reach this server over TLS that a proxy ends, which the answers to draft75
    /// and draft76 clients must say, and [`Connection::is_secure`](crate::Connection::is_secure)
    /// tells. Default: no.
    pub fn secure(self, secure: bool) -> Self {
        self.change(|config| config.secure(secure))
    }

    /// Speaks TLS on every address and socket that is not expressly plain, so that clients connect
    /// with `wss://` and `https://`. Default: nothing is encrypted.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<Tls>) -> Self {
        self.security = Security::Tls(tls.into());
        self
    }

    /// All protocol options at once, in place of what was set before.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config.into_builder();
        self
    }

    /// How many connections may be open at a time, handshakes and HTTP included. Further clients
    /// wait in the system's queue, which [`ServerError::Full`](crate::ServerError::Full) tells.
    /// Default 16,384: beyond it the worst case of memory should be a decision. It is about 24 GiB,
    /// 16 of them in messages, see [`Limits::max_message`].
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max;
        self
    }

    /// How many connections may be in their handshake at a time, in all. Further clients wait in
    /// the system's queue. Default 1,024: clients that never finish hold back others no longer than
    /// the handshake timeout. Each costs its head, 16 KiB at most, and while somebody decides about
    /// it the 64 KiB chunk that it came in, if it sent more than the head.
    pub fn max_handshakes(mut self, max: usize) -> Self {
        self.max_handshakes = max;
        self
    }

    /// How many connections one IP address may have open at a time, handshakes and HTTP included.
    /// An IPv6 address counts as its /64 network; peers without an address are not counted.
    /// Further clients from there are refused at once: their stream ends without an answer, and
    /// [`Server::load`] counts them.
    ///
    /// Default: half of [`max_connections`](Self::max_connections), so that no address alone
    /// keeps out all others, while the many clients of one company or provider get in. By default
    /// addresses of this machine and of private networks are left out, since proxies have those. A
    /// number that is set holds for all addresses; `usize::MAX` is no limit.
    pub fn max_connections_per_ip(mut self, max: usize) -> Self {
        self.max_connections_per_ip = Some(max);
        self
    }

    /// How many connections of one IP address may be in their handshake at a time. Which addresses
    /// count, and what happens to further clients, is as with
    /// [`max_connections_per_ip`](Self::max_connections_per_ip). Default: half of
    /// [`max_handshakes`](Self::max_handshakes).
    pub fn max_handshakes_per_ip(mut self, max: usize) -> Self {
        self.max_handshakes_per_ip = Some(max);
        self
    }

    /// Decides about each request for a WebSocket, whatever its version and whichever way the
    /// server takes its connections: accept it, with a subprotocol and headers, or reject it, with
    /// a status, headers and a body. It may attach values to the connection, see
    /// [`Candidate::set_data`]. Default: every request that passes the checks is accepted.
    ///
    /// It runs in the task of the connection, after the checks of origin, subprotocol and limits
    /// and before anything is answered. The handshake timeout goes on: when it passes the client
    /// gets 503, and the future is dropped where it waits, as it is when the client leaves. That is
    /// this side's fault, so it is a warning in the log and told to
    /// [`on_rejected`](Server::on_rejected), with [`Expired::Decision`](crate::Expired::Decision). A
    /// panic in it is logged and answered with 500, and nobody else notices.
    ///
    /// With [`Server::accept`] it decides first, and what it accepts waits there.
    ///
    /// `?` answers an error with status 500. Its words are logged and never sent, see [`Reject`].
    ///
    /// ```
    /// # use ws_net::{Accept, Builder, Candidate, Reject, Runtime};
    /// struct Login(String);
    ///
    /// # async fn find(session: &str) -> std::io::Result<String> { Ok(session.to_owned()) }
    /// async fn authorize(candidate: Candidate) -> Result<Accept, Reject> {
    ///     let Some(session) = candidate.request().cookie("session") else {
    ///         return Err(Reject::new(401).because("no session"));
    ///     };
    ///     candidate.set_data(Login(find(session).await?));
    ///     Ok(Accept::new())
    /// }
    /// # fn with<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    /// builder.authorize(authorize)
    /// # }
    /// ```
    pub fn authorize<F, A>(mut self, authorize: F) -> Self
    where
        F: Fn(Candidate) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Accept, Reject>> + Send + 'static,
    {
        self.authorize = Some(Box::new(move |candidate| Box::pin(authorize(candidate))));
        self
    }

    /// Which store connections get, see [`Connection::storage`](crate::Connection::storage):
    /// `true` and `false`, limits, one store for all, or a factory. Default: one in memory each,
    /// made when it is first asked for.
    pub fn storage(mut self, storage: impl Into<StorageChoice>) -> Self {
        self.storage = storage.into();
        self
    }

    /// How many topics a connection may subscribe to, see
    /// [`Connection::subscribe`](crate::Connection::subscribe). Default 128: with names of the
    /// greatest length they cost about 76 KiB per connection.
    pub fn max_topics(mut self, max: usize) -> Self {
        self.topics.max_topics = max;
        self
    }

    /// How many bytes the name of a topic may have. Default 256: names are often made from what
    /// clients send.
    pub fn max_topic_name(mut self, max: usize) -> Self {
        self.topics.max_topic_name = max;
        self
    }

    /// What happens to receivers of messages to many that are too slow; single messages may be
    /// sent in [another way](crate::Audience::slow_receivers). Default: [`SlowReceivers::Skip`].
    pub fn slow_receivers(mut self, policy: SlowReceivers) -> Self {
        self.slow.policy = policy;
        self
    }

    /// How many messages to many may wait behind the outbound buffer of a connection, see
    /// [`SlowReceivers`]. Default 256: the newest screen or two of anything that people read.
    pub fn max_backlog_messages(mut self, max: usize) -> Self {
        self.slow.max_messages = max;
        self
    }

    /// How many bytes of payload may wait behind the outbound buffer of a connection, see
    /// [`SlowReceivers`]; a single message may have more. Default 128 KiB: with the low-water mark
    /// ([`Limits::outbound_low`]) it fits into the outbound buffer at once.
    pub fn max_backlog_bytes(mut self, max: usize) -> Self {
        self.slow.max_bytes = max;
        self
    }

    /// Whether [`build`](Self::build) lets the whole process print to stdout what servers, clients,
    /// connections, managers and the protocol do. A program that has installed a subscriber of
    /// `tracing` of its own keeps it, and sees the same under the targets `ws::server`,
    /// `ws::client`, `ws::connection`, `ws::manager` and `ws::protocol`. Default: no.
    #[cfg(feature = "debug")]
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = debug;
        self
    }

    /// Makes a server that is bound to no address yet, see [`Server::listen`] and
    /// [`Server::adopt`].
    ///
    /// # Errors
    /// [`ConfigError`] names the first option that makes no sense.
    pub fn build(self) -> Result<Server<R>, ConfigError> {
        let options = [
            ("max_connections", self.max_connections),
            ("max_handshakes", self.max_handshakes),
            ("max_connections_per_ip", self.max_connections_per_ip.unwrap_or(usize::MAX)),
            ("max_handshakes_per_ip", self.max_handshakes_per_ip.unwrap_or(usize::MAX)),
        ];
        positive(&options, "is zero: nobody could connect")?;
        self.storage.check()?;
        let shares = Shares {
            connections: Share::new(self.max_connections_per_ip, self.max_connections),
            handshakes: Share::new(self.max_handshakes_per_ip, self.max_handshakes),
        };
        self.topics.check()?;
        self.slow.check()?;
        #[cfg(feature = "debug")]
        if self.debug {
            crate::debug::install();
        }
        let hand_over = self.http.is_some();
        let config = self.config.hand_over_http(hand_over).build()?;
        let origin = Some(config.origin()).filter(|policy| policy.is_predicate()).cloned();
        let config = match &origin {
            Some(_) => config.into_builder().origin(OriginPolicy::any()).build()?,
            None => config,
        };
        let secure_config = config.clone().into_builder().secure(true).build()?;
        let runtime = self.runtime.clone();
        let common = Common {
            config: Arc::new(config),
            secure_config: Arc::new(secure_config),
            clock: Box::new(move || runtime.now()),
            alarms: Arc::default(),
            opening: Roster::keeping(FEW),
            members: Roster::keeping(FEW),
            gate: Arc::new(Gate::new(self.max_connections, self.max_handshakes, shares)),
            faults: Faults::default(),
            sites: Sites::default(),
            storage: self.storage,
            topics: Topics::new(self.topics),
            errands: Errands::default(),
            slow: self.slow,
        };
        let endpoint = Endpoint::new(Arc::new(common), origin, self.authorize, self.http);
        Ok(Server::new(self.runtime, endpoint, self.security))
    }

    /// Makes a server and binds it to `address`, as [`Server::bind`] does: a name is looked up here
    /// and blocks the thread, a [`SocketAddr`](std::net::SocketAddr) is not.
    ///
    /// # Errors
    /// An option that makes no sense is `InvalidInput` with a [`ConfigError`] inside; otherwise
    /// what the system says, with the address.
    #[expect(clippy::unused_async, reason = "a runtime must be running, and may have to wait")]
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server<R>> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let server = self.build().map_err(invalid)?;
        server.add(Bind::tcp(address))?;
        Ok(server)
    }

    fn change(self, f: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        Self { config: f(self.config), ..self }
    }
}

impl<R: Runtime> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("max_connections", &self.max_connections)
            .field("max_handshakes", &self.max_handshakes)
            .field("max_connections_per_ip", &self.max_connections_per_ip)
            .field("max_handshakes_per_ip", &self.max_handshakes_per_ip)
            .field("http", &self.http.is_some())
            .finish_non_exhaustive()
    }
}
