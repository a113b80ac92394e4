//! `WebSocket`s in the routes of axum 0.8.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::Response;
use http::request::Parts;
use ws_net::http::Request;
use ws_net::{Address, Connection};

use crate::Server;

/// An extractor for handlers of GET routes. It takes every request; whether that asks for a
/// WebSocket well is judged by [`on`](Self::on).
///
/// ```no_run
/// use axum::{Router, extract::State, response::Response, routing::get};
/// use ws_tokio::{Server, axum::Upgrade};
///
/// async fn chat(State(server): State<Server>, upgrade: Upgrade) -> Response {
///     let handler = |connection: ws_tokio::Connection| async move {
///         connection.send("welcome").await.ok();
///     };
///     upgrade.on(&server, handler).await
/// }
///
/// # fn example() -> Result<Router, ws_tokio::ConfigError> {
/// let server = Server::builder().build()?;
/// let routes = Router::new().route("/chat", get(chat)).with_state(server);
/// # Ok(routes)
/// # }
/// ```
pub struct Upgrade {
    request: Request<()>,
    peer: Address,
}

impl Upgrade {
    /// Says who is at the other end, as axum's `ConnectInfo` knows. Default:
    /// [`Address::Unnamed`].
    pub fn peer(mut self, peer: impl Into<Address>) -> Self {
        self.peer = peer.into();
        self
    }

    /// Lets the connection in and runs `handler` when it is open, or refuses it; answers what axum
    /// is to send. See [`Server::upgrade_http`](ws_net::Server::upgrade_http).
    pub async fn on<F, H>(mut self, server: &Server, handler: F) -> Response
    where
        F: FnOnce(Connection) -> H + Send + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        let answer = match server.upgrade_http(&mut self.request) {
            Ok(upgrade) => upgrade.peer(self.peer).serve(handler).await,
            Err(refusal) => refusal,
        };
        answer.map(Body::from)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers.clone();
        // Among them is hyper's promise of the stream.
        *request.extensions_mut() = parts.extensions.clone();
        Ok(Self { request, peer: Address::Unnamed })
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("uri", self.request.uri()).finish_non_exhaustive()
    }
}
