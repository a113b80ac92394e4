//! `WebSocket`s in the routes of axum 0.8.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::Response;
use http::request::Parts;
use ws_net::http::{HttpUpgrade, Request};
use ws_net::{Accept, Address, Bytes, Connection, Incoming, Outcome};

use crate::{Server, Tokio};

/// An extractor for handlers of GET routes. It takes every request; whether that asks for a
/// WebSocket well is judged by [`on`](Self::on), [`run`](Self::run) and
/// [`incoming`](Self::incoming).
///
/// axum leaves Nagle's algorithm on, which keeps small messages back: its `ListenerExt::tap_io` is
/// where to call `set_nodelay`. `axum::serve` has no deadline for the head of a request, and those
/// of [`Server`] begin behind it: put a proxy in front that has one, or serve the routes with hyper,
/// as the example `axum` says.
///
/// A WebSocket comes over HTTP/1.1 alone. With axum's feature `http2`, `axum::serve` announces that
/// it takes them over HTTP/2, too (RFC 8441), and browsers that are connected in that way ask there:
/// a route by `get` answers 405, this extractor 505. So leave the feature off, or let TLS negotiate
/// nothing but `http/1.1`. To have pages over HTTP/2 all the same, serve the routes with hyper and
/// without `enable_connect_protocol`: then browsers open a connection of HTTP/1.1 for each
/// WebSocket.
///
/// ```no_run
/// use std::net::SocketAddr;
///
/// use axum::extract::{ConnectInfo, State};
/// use axum::serve::ListenerExt;
/// use axum::{Router, response::Response, routing::get};
/// use ws_tokio::{Server, axum::Upgrade};
///
/// async fn chat(
///     State(server): State<Server>,
///     ConnectInfo(peer): ConnectInfo<SocketAddr>,
///     upgrade: Upgrade,
/// ) -> Response {
///     let handler = |connection: ws_tokio::Connection| async move {
///         connection.send("welcome").await.ok();
///     };
///     upgrade.peer(peer).on(&server, handler).await
/// }
///
/// # async fn f(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().build()?;
/// let routes = Router::new().route("/chat", get(chat)).with_state(server);
/// let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
/// axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Upgrade {
    request: Request<()>,
    secure: bool,
    accept: Option<Accept>,
}

impl Upgrade {
    /// Says who is at the other end, as axum's `ConnectInfo` knows: without it the client is
    /// [`Address::Unnamed`] and has no share, which the log says once, see
    /// [`HttpUpgrade::peer`].
    pub fn peer(mut self, peer: impl Into<Address>) -> Self {
        self.request.extensions_mut().insert(peer.into());
        self
    }

    /// Says whether the client came over TLS, see [`ws_net::http::HttpUpgrade::secure`].
    /// Default: no.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Says how the request is accepted: with which subprotocol, and with which headers, see
    /// [`Upgrade::accept_with`](ws_net::Upgrade::accept_with).
    pub fn accept_with(mut self, accept: Accept) -> Self {
        self.accept = Some(accept);
        self
    }

    /// Lets the connection in and runs `handler` when it is open, or refuses it; answers what axum
    /// is to send. See [`Server::upgrade_http`](ws_net::Server::upgrade_http).
    pub async fn on<F, H>(self, server: &Server, handler: F) -> Response
    where
        F: FnOnce(Connection) -> H + Send + 'static,
        H: Future<Output: Outcome> + Send + 'static,
    {
        let answer = match self.judge(server) {
            Ok(upgrade) => upgrade.serve(handler).await,
            Err(refusal) => refusal,
        };
        answer.map(Body::from)
    }

    /// The same, and leaves the connection to the listeners of `server`, see
    /// [`HttpUpgrade::run`].
    pub async fn run(self, server: &Server) -> Response {
        let answer = match self.judge(server) {
            Ok(upgrade) => upgrade.run().await,
            Err(refusal) => refusal,
        };
        answer.map(Body::from)
    }

    /// Leaves the decision to the caller. Answers the request for a WebSocket, to be accepted or
    /// rejected in a task of its own, and what axum is to send then, see
    /// [`HttpUpgrade::incoming`].
    ///
    /// # Errors
    /// The answer when the request is refused before it comes to the caller.
    pub async fn incoming(
        self,
        server: &Server,
    ) -> Result<(Incoming, impl Future<Output = Response> + Send + 'static), Response> {
        let judged = self.judge(server).map_err(|refusal| refusal.map(Body::from));
        match judged?.incoming().await {
            Ok((incoming, answer)) => Ok((incoming, async { answer.await.map(Body::from) })),
            Err(refusal) => Err(refusal.map(Body::from)),
        }
    }

    #[expect(clippy::result_large_err, reason = "both are answers, made once in a connection")]
    fn judge(
        mut self,
        server: &Server,
    ) -> Result<HttpUpgrade<Tokio>, ws_net::http::Response<Bytes>> {
        let upgrade = server.upgrade_http(&mut self.request)?.secure(self.secure);
        Ok(match self.accept {
            Some(accept) => upgrade.accept_with(accept),
            None => upgrade,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Among its extensions is hyper's promise of the stream.
        let request = Request::from_parts(parts.clone(), ());
        Ok(Self { request, secure: false, accept: None })
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("uri", self.request.uri()).finish_non_exhaustive()
    }
}
