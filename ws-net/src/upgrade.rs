use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use ws_proto::{Accept, Request};

use crate::boxed::{BoxStream, Prefixed};
use crate::door::{Door, IncomingQueue, Listen, Queued, ServeOnce};
use crate::driver::{Driver, Socket};
use crate::endpoint::Endpoint;
#[cfg(feature = "http")]
use crate::gate::Gate;
use crate::incoming::AcceptError;
use crate::link::Link;
use crate::log;
use crate::runtime::{Address, Runtime, Transport};
use crate::server::Server;
use crate::shared::Peer;
use crate::waiters::Watched;
use crate::{Connection, Incoming, Outcome};

impl<R: Runtime> Server<R> {
    /// Takes over a stream on which something else has read the head of a request for a
    /// WebSocket, such as another server whose port it shares. This server needs no address for
    /// it: [`Builder::build`](crate::Builder::build) makes one without.
    ///
    /// `request` is made by [`Request::from_parts`] with the [configuration](Self::config) of this
    /// server, which judges it by all its rules. `leftover` are the bytes that were read behind
    /// the head. The answer is written to `stream` here, so every version is spoken, draft75 and
    /// draft76 too.
    ///
    /// Then choose who gets the connection: [`Upgrade::serve`], [`Upgrade::run`],
    /// [`Upgrade::incoming`] or [`Upgrade::accept`]. It is one of this server's in every respect:
    /// its manager finds it, its listeners hear of it, it counts against
    /// [`max_connections`](crate::Builder::max_connections), and
    /// [`shutdown`](Self::shutdown) ends it. Does not wait.
    pub fn upgrade(
        &self,
        request: Request,
        stream: impl Transport,
        leftover: impl Into<Bytes>,
    ) -> Upgrade<R> {
        let stream = Prefixed::boxed(leftover.into(), stream);
        Upgrade::new(self, Taken::Asked(request, Socket::Open(stream)))
    }

    /// Takes over a stream on which nothing was read yet, however it came about: TLS of another
    /// library, a tunnel, one end of a pipe in a test. The request is read here, under the same
    /// limits and deadline as on a socket of this server, which needs no address for it. The deadline
    /// begins here, so what comes before, such as TLS, needs one of its own. Ordinary HTTP is served,
    /// too, by [`Builder::on_request`](crate::Builder).
    ///
    /// Then choose who gets the connection, as with [`upgrade`](Self::upgrade), and say before who it
    /// is: [`Upgrade::peer`], and [`Upgrade::secure`] behind TLS that the stream does not tell of. Does
    /// not wait.
    ///
    /// ```no_run
    /// # use ws_net::{AcceptError, Runtime, Server, Transport};
    /// # fn f<R: Runtime>(server: Server<R>, stream: impl Transport) -> Result<(), AcceptError> {
    /// server.handshake(stream).serve(|connection| async move {
    ///     while let Some(Ok(message)) = connection.recv().await {
    ///         if connection.send(message).await.is_err() {
    ///             break;
    ///         }
    ///     }
    /// })
    /// # }
    /// ```
    pub fn handshake(&self, stream: impl Transport) -> Upgrade<R> {
        Upgrade::new(self, Taken::Fresh(Box::new(stream)))
    }
}

/// What was taken over.
pub(crate) enum Taken {
    /// The request was read elsewhere.
    Asked(Request, Socket<BoxStream>),
    /// Nothing was read.
    Fresh(BoxStream),
}

/// A stream that [`Server::upgrade`] or [`Server::handshake`] has taken over, until it is said who
/// gets the connection. Dropping it drops the stream without an answer.
///
/// When the server is full or closed, or the [peer](Self::peer)'s address has its share, each of the
/// methods answers a request with 503, and drops a stream whose request is still to be read.
/// [`on_rejected`](Server::on_rejected) hears of the former, with
/// [`Cause::Unavailable`](crate::Cause::Unavailable).
#[must_use = "dropping it drops the stream"]
pub struct Upgrade<R: Runtime> {
    runtime: R,
    endpoint: Arc<Endpoint>,
    taken: Taken,
    peer: Peer,
    choice: Option<Arc<Accept>>,
}

impl<R: Runtime> Upgrade<R> {
    pub(crate) fn new(server: &Server<R>, taken: Taken) -> Self {
        let (runtime, endpoint) = server.insides();
        Self {
            runtime: runtime.clone(),
            endpoint: Arc::clone(endpoint),
            taken,
            peer: Peer::new(Address::Unnamed),
            choice: None,
        }
    }

    /// Says who is at the other end: [`Connection::peer_addr`], the log and the connection's id tell
    /// it, and it counts in the [share](crate::Builder::max_connections_per_ip) of that address.
    /// Default: [`Address::Unnamed`], which has no share, so that one client may take every place.
    pub fn peer(mut self, peer: impl Into<Address>) -> Self {
        self.peer.address = peer.into();
        self
    }

    /// Says whether the client came over TLS: [`Connection::is_secure`] tells it, and the answers
    /// to draft75 and draft76 say it. Default: what [`Transport::is_secure`] says, and
    /// [`Builder::secure`](crate::Builder::secure); for streams of hyper only the latter.
    pub fn secure(mut self, secure: bool) -> Self {
        self.peer.secure = secure;
        self
    }

    /// Says how it is accepted: with which subprotocol, and with which headers. It comes behind what
    /// [`Builder::authorize`](crate::Builder::authorize) decides, as [`Accept::then`] joins them, and
    /// before [`Incoming::accept`]. Default: `Accept::new()`.
    ///
    /// A subprotocol that the client did not offer is left out, since it was chosen before anybody
    /// could know: then `authorize` or the [policy](crate::SubprotocolPolicy) chooses, and the client
    /// connects without one if they choose none. (draft75 and draft76 clients that asked for one would
    /// give up: with [`serve`](Self::serve) and [`run`](Self::run) they get 400 in that case, otherwise
    /// see [`Incoming::accept`].)
    pub fn accept_with(mut self, accept: Accept) -> Self {
        self.choice = Some(Arc::new(accept));
        self
    }

    /// Accepts it and runs `handler` in a task of its own, as [`Server::serve`] does. Does not
    /// wait.
    ///
    /// # Errors
    /// [`AcceptError::Unavailable`] when the server is full or closed.
    ///
    /// # Panics
    /// When the runtime takes no task here, as Tokio outside of its own.
    pub fn serve<F, H>(self, handler: F) -> Result<(), AcceptError>
    where
        F: FnOnce(Connection) -> H + Send + 'static,
        H: Future<Output: Outcome> + Send + 'static,
    {
        self.start(ServeOnce::new(handler)).map(drop)
    }

    /// Accepts it and leaves it to the listeners, as [`Server::run`] does. Does not wait.
    ///
    /// # Errors
    /// [`AcceptError::Unavailable`] when the server is full or closed.
    ///
    /// # Panics
    /// When the runtime takes no task here, as Tokio outside of its own.
    pub fn run(self) -> Result<(), AcceptError> {
        self.start(Listen).map(drop)
    }

    /// Leaves the answer to the caller, as [`Server::accept`] does. Waits for a request that is
    /// still to be read, and for [`Builder::authorize`](crate::Builder::authorize); the deadline of
    /// the handshake begins. Dropping the future rejects the request with 503.
    ///
    /// # Errors
    /// [`AcceptError::Unavailable`] when the server is full or closed; [`AcceptError::Closed`]
    /// when the request was refused before it came to the caller, the client left, or it asked for
    /// ordinary HTTP: that is served, and a WebSocket behind it is rejected with 503.
    pub async fn incoming(self) -> Result<Incoming, AcceptError> {
        let waiting = Waiting(Arc::default());
        let connection = self.start(Queued(Arc::clone(&waiting.0)))?;
        let mut next = pin!(waiting.0.wait(IncomingQueue::pop));
        let mut closed = pin!(connection.closed());
        poll_fn(|cx| {
            // One that has ended is over, which is told below.
            if let Poll::Ready(incoming) = next.as_mut().poll(cx)
                && !incoming.has_ended()
            {
                return Poll::Ready(Ok(incoming));
            }
            closed.as_mut().poll(cx).map(|end| Err(AcceptError::Closed(end)))
        })
        .await
    }

    /// Opens the connection. Waits until both sides have shaken hands, which for draft76 takes the
    /// client's eight bytes. Dropping the future closes the connection.
    ///
    /// # Errors
    /// As [`incoming`](Self::incoming) and [`Incoming::accept`].
    pub async fn accept(self, accept: Accept) -> Result<Connection, AcceptError> {
        self.incoming().await?.accept(accept).await
    }

    /// The request: target and headers. `None` when it is still to be read.
    pub fn request(&self) -> Option<&Request> {
        match &self.taken {
            Taken::Asked(request, _) => Some(request),
            Taken::Fresh(_) => None,
        }
    }

    /// Where it asks for a place.
    #[cfg(feature = "http")]
    pub(crate) fn gate(&self) -> &Gate {
        &self.endpoint.common.gate
    }

    /// Starts the driver.
    fn start<D: Door>(self, door: D) -> Result<Connection, AcceptError> {
        let Self { runtime, endpoint, taken, peer, choice } = self;
        let gate = Arc::clone(&endpoint.common.gate);
        let now = runtime.now();
        let admitted = gate.try_admit(peer.address, now);
        match &admitted {
            Some(Ok(_)) => {}
            Some(Err(refused)) => log::has_its_share(refused, peer.address),
            None => {
                gate.count_refused_when_full();
                endpoint.tell_full(now);
            }
        }
        let (permit, full) = match admitted {
            Some(Ok(permit)) => (permit, false),
            // Who has sent no request yet is not worth a task that waits for it.
            _ if matches!(taken, Taken::Fresh(_)) => {
                gate.count_refused();
                return Err(AcceptError::Unavailable);
            }
            _ => (gate.admit_beyond(peer.address), true),
        };
        // The gate is looked at when the driver is made: a shutdown that begins from then on sees
        // the connection.
        match taken {
            Taken::Asked(request, socket) => {
                let driver =
                    Driver::upgraded(runtime, endpoint, door, permit, socket, peer, request);
                let refused = full || !gate.is_open();
                let connection = driver.launch(choice, refused);
                if refused { Err(AcceptError::Unavailable) } else { Ok(connection) }
            }
            Taken::Fresh(stream) => {
                let peer = Peer { secure: peer.secure || stream.is_secure(), ..peer };
                let socket = (Link::<R::Stream>::Other(stream), false);
                let driver = Driver::server(runtime, endpoint, door, permit, socket, peer, now);
                if gate.is_open() {
                    return Ok(driver.launch(choice, false));
                }
                gate.count_refused();
                Err(AcceptError::Unavailable)
            }
        }
    }
}

/// Where the one request comes to; nobody takes it any more when this is dropped.
struct Waiting(Arc<Watched<IncomingQueue>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let late = self.0.update(|queue| {
            queue.closed = true;
            queue.pop()
        });
        // Dropping it is an answer.
        drop(late);
    }
}

impl<R: Runtime> fmt::Debug for Upgrade<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("peer", &self.peer.address)
            .field("request", &self.request())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
