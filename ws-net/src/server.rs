use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;
use std::time::Duration;

use tracing::info;
use ws_proto::{Close, Config, Message, SendError, SendErrorKind, State};

mod listeners;
mod sockets;

use sockets::Sockets;

use crate::acceptor::{Bound, accept_all};
use crate::contain::contain;
use crate::door::{Door, IncomingQueue, Listen, Queued, Serve};
use crate::endpoint::{BoxFuture, Endpoint};
use crate::gate::Phase;
use crate::link::Security;
use crate::local::LocalAddress;
use crate::log;
use crate::runtime::Runtime;
use crate::waiters::{Watched, lock};
use crate::{Connection, ConnectionId, Incoming, Load, Manager, Outcome};

/// A WebSocket server.
///
/// Cheap to clone; every clone means the same server, and every method may be called from any
/// task at the same time. When the last clone is dropped the server stops accepting; connections
/// go on. A listener that holds a clone keeps the server, so let listeners hold its
/// [`Manager`] instead.
///
/// There are three ways to take its connections: [`serve`](Self::serve) with one asynchronous
/// function per connection, [`accept`](Self::accept) one by one with a look at each request, or
/// [`run`](Self::run) with listeners.
pub struct Server<R: Runtime> {
    parts: Arc<Parts<R>>,
}

struct Parts<R: Runtime> {
    runtime: R,
    endpoint: Arc<Endpoint>,
    /// For sockets that are not expressly plain.
    security: Security,
    manager: Manager,
    sockets: Mutex<Sockets<R::Listener>>,
    queue: Arc<Watched<IncomingQueue>>,
}

/// What [`Server::shutdown`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Shutdown {
    /// Connections that ended within the time they were given.
    pub closed: usize,
    /// Connections that had to be aborted.
    pub aborted: usize,
}

impl<R: Runtime> Server<R> {
    pub(crate) fn new(runtime: R, endpoint: Endpoint, security: Security) -> Self {
        let manager = Manager::new(Arc::clone(&endpoint.common));
        let parts = Parts {
            runtime,
            endpoint: Arc::new(endpoint),
            security,
            manager,
            sockets: Mutex::default(),
            queue: Arc::default(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// Runs `handler` once for every connection, in the task of that connection, and waits until
    /// the server is [closed](Self::close).
    ///
    /// The connection is closed with code 1000 when the handler returns. A handler that panics, or
    /// answers an [`Err`](Outcome), ends its own connection (1011) and nothing else. Messages that
    /// no handle is left for are discarded.
    ///
    /// Dropping the future stops accepting and closes the sockets; connections go on.
    ///
    /// # Errors
    /// When no address is bound that is not yet served. To be closed already is none.
    pub async fn serve<F, H>(&self, handler: F) -> io::Result<()>
    where
        F: Fn(Connection) -> H + Send + Sync + 'static,
        H: Future<Output: Outcome> + Send + 'static,
    {
        self.open(None, Serve(Arc::new(handler))).await
    }

    /// The next client that asks for a WebSocket.
    ///
    /// Waits for one; cancel-safe. From the first call on, clients are accepted in the background
    /// until the server is closed, and those that nobody takes here in time run into the deadline
    /// of their handshake.
    ///
    /// # Errors
    /// When no address is bound, or [`serve`](Self::serve) or [`run`](Self::run) has taken them
    /// all, or the runtime has ended on which this was called first; and from the moment the server
    /// is [closed](Self::close).
    pub async fn accept(&self) -> io::Result<Incoming> {
        let taken = lock(&self.parts.sockets).take_aside();
        self.accept_aside(taken);
        let Parts { queue, sockets, .. } = &*self.parts;
        loop {
            let next = queue.wait(|queue| match queue.pop() {
                Some(incoming) => Some(Ok(incoming)),
                None if queue.closed || !lock(sockets).is_aside() => {
                    Some(Err(if self.is_open() { unbound() } else { closed() }))
                }
                None => None,
            });
            let incoming = next.await?;
            if !incoming.has_ended() {
                return Ok(incoming);
            }
        }
    }

    /// Accepts every client that passes the checks, tells the listeners what happens, and waits
    /// until the server is [closed](Self::close). Connections live until somebody closes them.
    ///
    /// Dropping the future stops accepting and closes the sockets; connections go on.
    ///
    /// # Errors
    /// When no address is bound that is not yet served. To be closed already is none.
    pub async fn run(&self) -> io::Result<()> {
        self.open(None, Listen).await
    }

    /// Sends a message to the connection with this id, as [`Connection::send`] does: waits while its
    /// outbound buffer is full, and is cancel-safe.
    ///
    /// # Errors
    /// The message comes back as there; with `SendErrorKind::NotConnected(State::Closed)` when no
    /// open connection of this server has this id (any more).
    pub fn send<M: Into<Message>>(
        &self,
        id: ConnectionId,
        message: M,
    ) -> impl Future<Output = Result<(), SendError<Message>>> + Send + use<R, M> {
        let connection = self.manager().find(id);
        let message = message.into();
        async move {
            match connection {
                Some(connection) => connection.send(message).await,
                None => {
                    Err(SendError { message, kind: SendErrorKind::NotConnected(State::Closed) })
                }
            }
        }
    }

    /// Stops accepting and closes the sockets. Does not wait; connections go on, but those of
    /// ordinary HTTP end behind the request at hand, and requests that wait in
    /// [`accept`](Self::accept) are rejected with 503.
    pub fn close(&self) {
        self.parts.close();
    }

    /// Stops accepting, closes every connection with `close`, waits at most `grace` for them to
    /// end, and aborts the rest.
    ///
    /// Requests that wait for an answer get 503, of which [`on_rejected`](Self::on_rejected) hears
    /// with [`Cause::Unavailable`](crate::Cause::Unavailable).
    ///
    /// A connection has ended when its closing handshake is over and its handler has returned.
    /// Handlers of aborted connections are not stopped; they see the end in `recv`.
    ///
    /// Dropping the future leaves out what it has not done yet.
    pub fn shutdown(
        &self,
        close: impl Into<Close>,
        grace: Duration,
    ) -> impl Future<Output = Shutdown> + Send {
        self.shut_down(close.into(), grace)
    }

    /// The open connections.
    pub fn manager(&self) -> &Manager {
        &self.parts.manager
    }

    /// The protocol options, with which requests that are read elsewhere are to be judged, see
    /// [`upgrade`](Self::upgrade). Of an origin policy with a predicate they know nothing: it is
    /// asked later, in the task of the connection.
    pub fn config(&self) -> &Config {
        &self.parts.endpoint.common.config
    }

    /// What the connections of this server have in common, and the runtime.
    pub(crate) fn insides(&self) -> (&R, &Arc<Endpoint>) {
        (&self.parts.runtime, &self.parts.endpoint)
    }

    /// How many places are taken, and how many clients were refused so far. Does not wait.
    pub fn load(&self) -> Load {
        self.parts.endpoint.common.gate.load()
    }

    /// Where this server listens, in the order in which the places were added. Those that nobody
    /// accepts from any more are left out, since [`serve`](Self::serve) or [`run`](Self::run) has
    /// ended, or the runtime on which [`accept`](Self::accept) was called, or the server was
    /// [closed](Self::close).
    pub fn local_addrs(&self) -> Vec<LocalAddress> {
        lock(&self.parts.sockets).addresses().to_vec()
    }

    pub(crate) fn runtime(&self) -> &R {
        &self.parts.runtime
    }

    /// What is spoken where nothing else is said.
    pub(crate) fn security(&self) -> &Security {
        &self.parts.security
    }

    /// Accepts from `bound` when the server runs, or at once when it [accepts](Self::accept).
    pub(crate) fn take(&self, bound: Bound<R::Listener>) -> io::Result<()> {
        let accepted = {
            let mut sockets = lock(&self.parts.sockets);
            if !self.is_open() {
                return Err(closed());
            }
            if sockets.is_late() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, LATE));
            }
            sockets.add(bound)
        };
        self.accept_aside(accepted);
        Ok(())
    }

    /// Accepts from `own` and from all sockets that wait, until the server is closed.
    pub(crate) async fn open<D: Door>(
        &self,
        own: Option<Bound<R::Listener>>,
        door: D,
    ) -> io::Result<()> {
        let sockets = {
            let mut sockets = lock(&self.parts.sockets);
            if !self.is_open() {
                // Closed before it began: there is nothing to wait for.
                return Ok(());
            }
            sockets.begin(own)
        };
        if sockets.is_empty() {
            return Err(unbound());
        }
        let places = sockets.iter().map(|socket| socket.address.clone()).collect();
        let _serving = Serving { parts: &self.parts, places };
        let accept = |socket| -> BoxFuture { Box::pin(self.accept_from(socket, door.clone())) };
        let mut loops: Vec<_> = sockets.into_iter().map(accept).collect();
        poll_fn(|cx| {
            loops.retain_mut(|accepting| accepting.as_mut().poll(cx).is_pending());
            if loops.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.parts.endpoint.common.gate.is_open()
    }

    async fn shut_down(&self, close: Close, grace: Duration) -> Shutdown {
        let gate = &self.parts.endpoint.common.gate;
        let before = gate.connections();
        self.close();
        for connection in self.everybody() {
            // Whoever waits for an answer is refused, which is told as such.
            connection.turn_away_or_close(close.clone());
        }
        let deadline = self.parts.runtime.now() + grace;
        let mut emptied = pin!(gate.emptied());
        let mut timer = pin!(self.parts.runtime.sleep_until(deadline));
        poll_fn(|cx| {
            let over = emptied.as_mut().poll(cx).is_ready() || timer.as_mut().poll(cx).is_ready();
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let aborted = gate.connections();
        gate.advance(Phase::Killed);
        for connection in self.everybody() {
            connection.abort();
        }
        let shutdown = Shutdown { closed: before.saturating_sub(aborted), aborted };
        info!(target: "ws::server", closed = shutdown.closed, aborted, "shut down");
        shutdown
    }

    /// Queues the clients of these sockets for [`accept`](Self::accept).
    fn accept_aside(&self, sockets: impl IntoIterator<Item = Bound<R::Listener>>) {
        let accept = |socket: Bound<R::Listener>| {
            let aside = Aside { parts: Arc::downgrade(&self.parts), place: socket.address.clone() };
            let accepting = self.accept_from(socket, Queued(Arc::clone(&self.parts.queue)));
            async move {
                let _aside = aside;
                accepting.await;
            }
        };
        // Made before any runs: where the runtime takes no task, none is left counted.
        let loops: Vec<_> = sockets.into_iter().map(accept).collect();
        for accepting in loops {
            self.parts.runtime.spawn(accepting);
        }
    }

    /// Hands the streams of one socket to `door`, and tells that it will.
    fn accept_from<D: Door>(
        &self,
        socket: Bound<R::Listener>,
        door: D,
    ) -> impl Future<Output = ()> + use<R, D> {
        let Parts { runtime, endpoint, .. } = &*self.parts;
        log::listening(&socket.address, socket.security.is_secure());
        endpoint.listeners.tell_listening(&socket.address);
        accept_all(runtime.clone(), Arc::clone(endpoint), socket, door)
    }

    /// Every connection, in its handshake or open. One that opens meanwhile is seen, too.
    fn everybody(&self) -> Vec<Connection> {
        let common = &self.parts.endpoint.common;
        let mut everybody = Vec::new();
        common.opening.each(|_, one| everybody.push(Connection::new(Arc::clone(one))));
        common.members.each(|_, one| everybody.push(Connection::new(Arc::clone(one))));
        everybody
    }
}

impl<R: Runtime> Parts<R> {
    fn close(&self) {
        let first = self.endpoint.common.gate.advance(Phase::Stopping);
        let unanswered = self.queue.update(|queue| {
            queue.closed = true;
            mem::take(&mut queue.incoming)
        });
        let sockets = lock(&self.sockets).close();
        contain("the end of a listening socket", || drop(sockets));
        unanswered.into_iter().for_each(Incoming::turn_away);
        if first {
            self.endpoint.listeners.tell_shutdown();
        }
    }
}

impl<R: Runtime> Drop for Parts<R> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<R: Runtime> Clone for Server<R> {
    fn clone(&self) -> Self {
        Self { parts: Arc::clone(&self.parts) }
    }
}

impl<R: Runtime> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.local_addrs())
            .field("connections", &self.manager().len())
            .finish_non_exhaustive()
    }
}

/// One of the futures of `serve` and `run`, and where it accepts.
struct Serving<'a, R: Runtime> {
    parts: &'a Parts<R>,
    places: Vec<LocalAddress>,
}

impl<R: Runtime> Drop for Serving<'_, R> {
    fn drop(&mut self) {
        lock(&self.parts.sockets).end(&self.places);
    }
}

/// A socket that is accepted from in the background, which keeps no server alive.
struct Aside<R: Runtime> {
    parts: Weak<Parts<R>>,
    place: LocalAddress,
}

impl<R: Runtime> Drop for Aside<R> {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.upgrade() {
            lock(&parts.sockets).end_aside(&self.place);
            // Whoever waits looks whether there is another.
            parts.queue.update(|_| ());
        }
    }
}

const LATE: &str = "the server runs already: add sockets before, or use `serve_on` or `run_on`";

fn closed() -> io::Error {
    io::Error::other("the server is closed")
}

fn unbound() -> io::Error {
    let text = "no address to serve: bind one first, and serve each once and in one way";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests;
