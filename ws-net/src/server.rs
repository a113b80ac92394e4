use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tracing::info;
use ws_proto::{Close, Message, SendError, SendErrorKind, State};

use crate::acceptor::accept_all;
use crate::door::{Accept, Door, Listen, Queue, Serve};
use crate::endpoint::{BoxFuture, Endpoint, Http};
use crate::gate::Phase;
use crate::runtime::Runtime;
use crate::waiters::{Watched, lock};
use crate::{Connection, ConnectionId, Incoming, Manager};

mod events;

/// How many clients the system queues until they are accepted, unless it is set to fewer.
const BACKLOG: i32 = 4096;

/// A WebSocket server.
///
/// Cheap to clone; every clone means the same server, and every method may be called from any
/// task at the same time. When the last clone is dropped the server stops accepting; connections
/// go on.
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
    http: Http<R::Stream>,
    manager: Manager,
    /// Sockets that nobody accepts from yet.
    sockets: Mutex<Vec<(R::Listener, SocketAddr)>>,
    addresses: Mutex<Vec<SocketAddr>>,
    queue: Arc<Watched<Queue>>,
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
    pub(crate) fn new(runtime: R, endpoint: Endpoint, http: Http<R::Stream>) -> Self {
        let manager = Manager::new(Arc::clone(&endpoint.common));
        let parts = Parts {
            runtime,
            endpoint: Arc::new(endpoint),
            http,
            manager,
            sockets: Mutex::default(),
            addresses: Mutex::default(),
            queue: Arc::default(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// Runs `handler` once for every connection, in the task of that connection, and waits until
    /// the server is [closed](Self::close).
    ///
    /// The connection is closed with code 1000 when the handler returns. A handler that panics
    /// ends its own connection (1011) and nothing else. Messages that no handle is left for are
    /// discarded.
    ///
    /// Dropping the future stops accepting and closes the sockets; connections go on.
    ///
    /// # Errors
    /// When no address is bound that is not yet served.
    pub async fn serve<F, H>(&self, handler: F) -> io::Result<()>
    where
        F: Fn(Connection) -> H + Send + Sync + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        self.open(Serve(Arc::new(handler))).await
    }

    /// The next client that asks for a WebSocket.
    ///
    /// Waits for one; cancel-safe. From the first call on, clients are accepted in the background
    /// until the server is closed, and those that nobody takes here in time run into the deadline
    /// of their handshake.
    ///
    /// # Errors
    /// When no address is bound, and from the moment the server is [closed](Self::close).
    pub async fn accept(&self) -> io::Result<Incoming> {
        let Parts { runtime, queue, .. } = &*self.parts;
        if lock(&self.parts.addresses).is_empty() {
            return Err(unbound());
        }
        for socket in self.take_sockets() {
            runtime.spawn(self.accept_from(socket, Accept(Arc::clone(queue))));
        }
        let next = queue.wait(|queue| match queue.pop() {
            Some(incoming) => Some(Ok(incoming)),
            None => queue.closed.then(|| Err(io::Error::other("the server is closed"))),
        });
        next.await
    }

    /// Accepts every client that passes the checks, tells the listeners what happens, and waits
    /// until the server is [closed](Self::close). Connections live until somebody closes them.
    ///
    /// Dropping the future stops accepting and closes the sockets; connections go on.
    ///
    /// # Errors
    /// When no address is bound that is not yet served.
    pub async fn run(&self) -> io::Result<()> {
        self.open(Listen).await
    }

    /// Binds `address`, too, and [runs](Self::run).
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.add_address(address)?;
        self.run().await
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

    /// Adds a listening socket that was made elsewhere. Call it before the server runs.
    ///
    /// # Errors
    /// When the system or the runtime refuses the socket.
    pub fn adopt(&self, socket: TcpListener) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let socket = self.parts.runtime.listen(socket)?;
        lock(&self.parts.sockets).push((socket, address));
        lock(&self.parts.addresses).push(address);
        info!(target: "ws::server", %address, "listening");
        Ok(())
    }

    /// Stops accepting and closes the sockets. Does not wait; connections go on, requests that
    /// wait in [`accept`](Self::accept) are rejected with 503.
    pub fn close(&self) {
        self.parts.close();
    }

    /// Stops accepting, closes every connection with `close`, waits at most `grace` for them to
    /// end, and aborts the rest.
    ///
    /// A connection has ended when its closing handshake is over and its handler has returned.
    /// Handlers of aborted connections are not stopped; they see the end in `recv`.
    ///
    /// Dropping the future leaves out what it has not done yet.
    pub async fn shutdown(&self, close: Close, grace: Duration) -> Shutdown {
        let gate = &self.parts.endpoint.common.gate;
        let before = gate.connections();
        self.close();
        for connection in self.everybody() {
            connection.close(close.clone());
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

    /// The open connections.
    pub fn manager(&self) -> &Manager {
        &self.parts.manager
    }

    /// How many clients were refused so far since their address had its share, see
    /// [`Builder::max_connections_per_ip`](crate::Builder::max_connections_per_ip).
    pub fn refused(&self) -> u64 {
        self.parts.endpoint.common.gate.refused()
    }

    /// The first address that was bound, with the port that the system chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        lock(&self.parts.addresses).first().copied()
    }

    /// Binds the first of the addresses that can be bound.
    pub(crate) fn add_address(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        let mut failure = None;
        for address in address.to_socket_addrs()? {
            match listen(address) {
                Ok(socket) => return self.adopt(socket),
                Err(error) => {
                    let text = format!("cannot listen on {address}: {error}");
                    failure = Some(io::Error::new(error.kind(), text));
                }
            }
        }
        Err(failure.unwrap_or_else(|| io::Error::other("the name of the host has no address")))
    }

    /// Accepts from all sockets until the server is closed.
    async fn open<D: Door>(&self, door: D) -> io::Result<()> {
        let sockets = self.take_sockets();
        if sockets.is_empty() {
            return Err(unbound());
        }
        let accept = |socket| -> BoxFuture { Box::pin(self.accept_from(socket, door.clone())) };
        let mut loops: Vec<_> = sockets.into_iter().map(accept).collect();
        poll_fn(|cx| {
            loops.retain_mut(|accepting| accepting.as_mut().poll(cx).is_pending());
            if loops.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(())
    }

    /// The sockets that nobody accepts from yet; tells that somebody will.
    fn take_sockets(&self) -> Vec<R::Listener> {
        let sockets = mem::take(&mut *lock(&self.parts.sockets));
        let told = sockets.into_iter().map(|(socket, address)| {
            self.parts.endpoint.listeners.tell_listening(&address.into());
            socket
        });
        told.collect()
    }

    /// Hands the streams of one socket to `door`.
    fn accept_from<D: Door>(
        &self,
        socket: R::Listener,
        door: D,
    ) -> impl Future<Output = ()> + use<R, D> {
        let Parts { runtime, endpoint, http, .. } = &*self.parts;
        accept_all(runtime.clone(), Arc::clone(endpoint), http.clone(), socket, door)
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
        lock(&self.sockets).clear();
        let unanswered = self.queue.update(|queue| {
            queue.closed = true;
            mem::take(&mut queue.incoming)
        });
        // Dropping them is an answer.
        drop(unanswered);
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
            .field("addresses", &*lock(&self.parts.addresses))
            .field("connections", &self.manager().len())
            .finish_non_exhaustive()
    }
}

/// A listening socket. What it says about Nagle's algorithm holds for the streams that it accepts,
/// on Linux and the BSDs.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Elsewhere it would let two servers share a port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn unbound() -> io::Error {
    let text = "no address to serve: bind one first, and serve each once";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
