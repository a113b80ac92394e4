use std::any::Any;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ws_proto::{Answer, Instant, OriginPolicy, Request};

use crate::boxed::BoxStream;
use crate::candidate::Authorize;
use crate::listeners::Listeners;
use crate::log;
use crate::shared::{Common, Peer};
use crate::{ConnectionId, Load, Rejected, ServerError};

/// A future of which only the end matters.
pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who serves the ordinary HTTP requests on the port, if anybody.
pub(crate) type Http<S> = Option<Arc<dyn TakeOver<S>>>;

/// What the drivers of one server share: what the handles share, and the functions of users, which
/// may hold handles and so must not be held by them.
pub(crate) struct Endpoint {
    pub(crate) common: Arc<Common>,
    pub(crate) listeners: Listeners,
    /// An `Arc<dyn TakeOver<S>>`, where `S` is what the server listens for. Here, since otherwise
    /// the task of each connection would have room for it.
    http: Option<Box<dyn Any + Send + Sync>>,
    /// Judges origins by code of users, which no lock may be held for: so the core does not ask it.
    pub(crate) origin: Option<OriginPolicy>,
    /// Decides about requests.
    pub(crate) authorize: Option<Box<Authorize>>,
}

impl Endpoint {
    pub(crate) fn new<S: 'static>(
        common: Arc<Common>,
        origin: Option<OriginPolicy>,
        authorize: Option<Box<Authorize>>,
        http: Http<S>,
    ) -> Self {
        let http = http.map(|http| Box::new(http) as Box<dyn Any + Send + Sync>);
        Self { common, listeners: Listeners::default(), http, origin, authorize }
    }

    /// Who serves the ordinary HTTP requests that come on such streams.
    pub(crate) fn http<S: 'static>(&self) -> Http<S> {
        self.http.as_ref()?.downcast_ref().cloned()
    }

    /// Tells of a request that broke a rule, and came where an HTTP server has read it.
    pub(crate) fn refuse(&self, refused: &Rejected) {
        self.common.gate.count_refused();
        log::refused(refused, &self.common);
        self.listeners.tell_rejected(refused);
    }

    /// Tells that a client has found no place, if it is time to.
    pub(crate) fn tell_full(&self, now: Instant) {
        if let Some(Load { connections, handshakes, .. }) = self.common.gate.note_full(now) {
            self.tell_error(&ServerError::Full { connections, handshakes });
        }
    }

    /// Tells what concerns no single connection.
    pub(crate) fn tell_error(&self, error: &ServerError) {
        log::fault(error);
        self.listeners.tell_error(error);
    }
}

/// Takes over streams whose clients speak ordinary HTTP.
pub(crate) trait TakeOver<S>: Send + Sync {
    /// Serves the stream to its end. `received` was read from it already.
    fn take_over(&self, stream: S, received: Bytes, client: HttpClient) -> BoxFuture;
}

/// Who speaks HTTP.
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server that reads it is off"))]
pub(crate) struct HttpClient {
    pub(crate) id: ConnectionId,
    pub(crate) peer: Peer,
    pub(crate) common: Arc<Common>,
    pub(crate) entrance: Box<dyn Entrance>,
}

/// The way from HTTP to the door of the server that a connection came to.
pub(crate) trait Entrance: Send {
    /// Starts a WebSocket that was asked for on this connection, or refuses it when the server is
    /// closed.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only hyper leads here"))]
    fn enter(&self, request: Request, promise: Box<dyn Promise<BoxStream>>);

    /// Says that a request for a WebSocket was refused on this connection.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only hyper leads here"))]
    fn refuse(&self, refused: &Rejected);
}

/// An HTTP server that writes the answer to a request, and lets the stream go behind it.
pub(crate) trait Promise<S>: Send {
    /// Takes the answer, once. Without one, dropping this means that there will be none.
    fn answer(&mut self, answer: Answer);

    /// The stream, when an answer that accepts was written; an error when that cannot happen any
    /// more.
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<S>>;
}
