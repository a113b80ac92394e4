use std::io::{self, IoSlice};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
#[cfg(unix)]
use ws_net::Descriptor;
use ws_net::{Address, Listener, RecvBuf, Transport};

/// A stream socket of Tokio.
#[derive(Debug)]
pub enum TokioStream {
    /// An internet socket.
    Tcp(TcpStream),
    /// A Unix socket. Boxed, so that the task of each connection has no room for a tag.
    #[cfg(unix)]
    Unix(Box<UnixStream>),
}

/// Does the same with either kind of socket.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            TokioStream::Tcp($socket) => $call,
            #[cfg(unix)]
            TokioStream::Unix($socket) => $call,
        }
    };
}

impl TokioStream {
    /// Reads straight into a message.
    fn append(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        let Some(mut message) = input.message_mut() else { return self.poll_fill_slice(cx, input) };
        let n = ready!(either!(self, socket => pin!(socket.read_buf(&mut message)).poll(cx)))?;
        input.filled(n);
        Poll::Ready(Ok(n))
    }
}

impl Transport for TokioStream {
    // Tokio notes by itself that a short read left nothing behind.
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(either!(self, socket => Pin::new(socket).poll_read(cx, &mut buf)))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        if input.appends() { self.append(cx, input) } else { self.poll_fill_slice(cx, input) }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            [buf] => either!(self, socket => Pin::new(socket).poll_write(cx, buf)),
            _ => either!(self, socket => Pin::new(socket).poll_write_vectored(cx, bufs)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }

    #[cfg(unix)]
    #[expect(unsafe_code, reason = "it is a promise, and all of it in this crate")]
    fn descriptor(&self) -> Option<Descriptor<Self>> {
        let socket = either!(self, socket => socket.as_fd());
        // SAFETY: streams of Tokio close their sockets when they are dropped and not before, and
        // nothing that is done here with one puts another in its place.
        Some(unsafe { Descriptor::new(socket) })
    }
}

/// A listening socket of Tokio.
#[derive(Debug)]
pub enum TokioListener {
    /// An internet socket.
    Tcp(TcpListener),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TokioStream, Address)>> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = ready!(socket.poll_accept(cx))?;
                // Linux hands the setting of the listening socket on. On macOS it fails when the
                // peer has reset the stream already, which is no fault of the system.
                if cfg!(not(target_os = "linux")) {
                    let _ = stream.set_nodelay(true);
                }
                Poll::Ready(Ok((TokioStream::Tcp(stream), Address::Tcp(peer))))
            }
            #[cfg(unix)]
            Self::Unix(socket) => {
                let (stream, _) = ready!(socket.poll_accept(cx))?;
                Poll::Ready(Ok((TokioStream::Unix(Box::new(stream)), Address::Unnamed)))
            }
        }
    }

    fn ends_when_dropped(&self) -> bool {
        true
    }
}
