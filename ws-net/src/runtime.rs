use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use ws_proto::{Instant, RecvBuf};

use crate::Descriptor;

/// What a runtime has to offer; everything else is the same on all of them.
///
/// A value of this type is cheap to clone and every clone means the same runtime.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected stream socket.
    type Stream: Transport;
    /// A socket that accepts such streams.
    type Listener: Listener<Stream = Self::Stream>;
    /// A timer.
    type Sleep: Sleep;

    /// The time, counted from the same start for the life of the process. Never goes back.
    fn now(&self) -> Instant;

    /// A timer that completes at `deadline`, at once when that has passed.
    fn sleep_until(&self, deadline: Instant) -> Self::Sleep;

    /// Runs `future` to its end beside the caller, also when nobody waits for it.
    ///
    /// No future given to this function panics: the driver catches what handlers throw. The wakers
    /// that it is polled with may be cloned while a lock is held, so that must not poll, wake or
    /// drop tasks.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);

    /// Which runtime of this kind the caller runs on, where a process may have several of them that
    /// stand still or end on their own. It is asked in tasks that were [spawned](Self::spawn).
    ///
    /// One task for each keeps the deadlines of all connections of a server, or of a client, that
    /// run on it. Those that answer the same share that task, so their deadlines wait while the one
    /// that happens to run it stands still.
    fn key(&self) -> u64 {
        0
    }

    /// Takes over a listening socket, which is in non-blocking mode.
    ///
    /// # Errors
    /// When the runtime cannot register the socket.
    fn listen(&self, socket: std::net::TcpListener) -> io::Result<Self::Listener>;

    /// Takes over a listening Unix socket, which is in non-blocking mode.
    ///
    /// # Errors
    /// When the runtime cannot register the socket.
    #[cfg(unix)]
    fn listen_unix(&self, socket: UnixListener) -> io::Result<Self::Listener>;

    /// Connects to the Unix socket at `path`. Dropping the future gives up.
    ///
    /// # Errors
    /// What the system says, as when nobody listens there.
    #[cfg(unix)]
    fn connect_unix(&self, path: PathBuf) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The addresses of `host`, each with `port`. Asking the system may block for seconds, so it
    /// is done beside the tasks of the runtime. Dropping the future throws the answer away.
    ///
    /// # Errors
    /// What the system says, as when there is no such name.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to `address` and turns Nagle's algorithm off. Dropping the future gives up.
    ///
    /// # Errors
    /// What the system says, as when nobody listens there or the network has no way to it.
    fn connect(&self, address: SocketAddr)
    -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A socket that accepts streams.
pub trait Listener: Send + Unpin + 'static {
    /// What is accepted.
    type Stream: Transport;

    /// The next stream, with Nagle's algorithm off, and the address of its other end, which the
    /// system tells here for free and later only for a system call.
    ///
    /// An error concerns this call alone; the next one may succeed.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Address)>>;

    /// Whether dropping such a stream ends it as well as [`Transport::poll_shutdown`] does, and
    /// loses nothing that was written. Sockets of the system are so: then a connection is over with
    /// its closing handshake, and need not wait for the peer to end the stream, too.
    fn ends_when_dropped(&self) -> bool {
        false
    }
}

/// A byte stream in both directions. Only one task uses it, those aside that write to its
/// [`descriptor`](Self::descriptor).
///
/// `Pending` means that the task of `cx` is woken when it is worth trying again; nothing was read
/// or written then.
pub trait Transport: Send + Unpin + 'static {
    /// Reads what is there, at most `buf.len()` bytes; 0 is the end of the stream.
    ///
    /// After a read that did not fill its buffer the next call should register for readiness
    /// without asking the system again: the driver calls once more before it sleeps, and most
    /// messages arrive alone. A level-triggered reactor, or one that clears its own note after a
    /// short read, does this by itself; the others remember it.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Reads what is there to where `input` wants it, and reports it there: what
    /// [`poll_read`](Self::poll_read) does for [`RecvBuf::spare_mut`]. `input` has room.
    ///
    /// A stream that can append to memory that is not initialised does so with
    /// [`RecvBuf::message_mut`], which saves a pass over large messages, and reads. One that
    /// initialises what it is lent must not: it may be lent a whole message for every byte.
    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        self.poll_fill_slice(cx, input)
    }

    /// The same by way of a slice, for a [`poll_fill`](Self::poll_fill) that cannot append just now.
    /// There is no reason to write another.
    #[inline]
    fn poll_fill_slice(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut RecvBuf,
    ) -> Poll<io::Result<usize>> {
        let n = ready!(self.poll_read(cx, input.spare_mut()))?;
        input.filled(n);
        Poll::Ready(Ok(n))
    }

    /// Writes some of `bufs`, in order, and answers how many bytes it took. `bufs` holds at least
    /// one byte.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Sends what the transport itself holds back, such as TLS records. A socket holds nothing.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the outgoing direction; reading goes on. Called after the last write was flushed.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The descriptor of the socket, for transports that own one and hold nothing back. A message
    /// to many, up to 32 KiB, is then written by the task of one receiver for up to 63 others, too,
    /// whose own tasks sleep. Otherwise each task writes for itself. Small writes go to it as well
    /// before [`poll_write_vectored`](Self::poll_write_vectored) is asked, and what the end of the
    /// stream follows, so that the system can send both in one packet.
    fn descriptor(&self) -> Option<Descriptor<Self>>
    where
        Self: Sized,
    {
        None
    }

    /// What the other end has proved about itself, known once something was read. A bare socket
    /// proves nothing.
    fn peer_certificates(&self) -> Option<Certificates> {
        None
    }

    /// Whether nobody between the two ends can read along. A bare socket cannot know, so it says
    /// no.
    fn is_secure(&self) -> bool {
        false
    }
}

/// A chain of X.509 certificates in DER, the owner's first.
pub type Certificates = Arc<[Bytes]>;

/// A timer that can be moved.
pub trait Sleep: Future<Output = ()> + Send + Sync + 'static {
    /// Moves the deadline, whether the timer has completed or not. The next poll registers.
    ///
    /// A timer must not complete before [`Runtime::now`] has reached its deadline.
    fn reset(self: Pin<&mut Self>, deadline: Instant);
}

/// The other end of a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Address {
    /// An internet socket.
    Tcp(SocketAddr),
    /// A stream whose other end has no address: a pipe in memory, the client of a Unix socket.
    Unnamed,
}

impl Address {
    /// The IP address, if there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unnamed => None,
        }
    }

    /// The port, if there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unnamed => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unnamed => f.pad("unnamed"),
        }
    }
}
