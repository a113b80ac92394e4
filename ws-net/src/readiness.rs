use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

#[cfg(unix)]
use bytes::buf::Limit;
#[cfg(unix)]
use rustix::{
    buffer::spare_capacity,
    net::{RecvFlags, recv},
};
use socket2::Socket;
#[cfg(unix)]
use ws_proto::RecvBuf;

use crate::runtime::{Address, Listener, Transport};

/// A non-blocking socket, internet or Unix, and the reactor that tells when it is ready.
///
/// For runtimes whose reactor knows nothing but readiness: [`ReadyStream`] and [`ReadyListener`]
/// do the rest.
pub trait Readiness: Send + Sized + Unpin + 'static {
    /// Registers a socket.
    ///
    /// # Errors
    /// When the reactor refuses it.
    fn register(socket: Socket) -> io::Result<Self>;

    /// The socket.
    fn socket(&self) -> &Socket;

    /// Waits until the socket became readable after the last call.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits until the socket became writable after the last call.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A connected stream over a [`Readiness`].
#[derive(Debug)]
pub struct ReadyStream<T> {
    socket: T,
    /// The last read left nothing behind: the next one waits for the reactor.
    drained: bool,
}

impl<T: Readiness> ReadyStream<T> {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// When the reactor refuses it.
    pub fn new(socket: impl Into<Socket>) -> io::Result<Self> {
        // Clients speak first and at once, so something may be there already.
        Ok(Self { socket: T::register(socket.into())?, drained: false })
    }

    /// Reads with `read` as soon as there is something, where there is `room` for so many bytes.
    fn poll_read_with(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        mut read: impl FnMut(&Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.drained {
                ready!(self.socket.poll_readable(cx))?;
            }
            let read = read(self.socket.socket());
            self.drained = !matches!(read, Ok(n) if n == room);
            if !blocks(&read) {
                return Poll::Ready(read);
            }
        }
    }
}

impl<T: Readiness> Transport for ReadyStream<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, buf.len(), |mut socket| socket.read(buf))
    }

    #[cfg(unix)]
    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        // No vector promises that it has no more room than was asked for.
        let exact = |message: &Limit<&mut Vec<u8>>| {
            message.get_ref().capacity() - message.get_ref().len() == message.limit()
        };
        let Some(mut message) = input.message_mut().filter(exact) else {
            return self.poll_fill_slice(cx, input);
        };
        let n = ready!(self.poll_read_with(cx, message.limit(), |socket| {
            let buf = spare_capacity(message.get_mut());
            Ok(recv(socket, buf, RecvFlags::empty())?.0)
        }))?;
        input.filled(n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut socket = self.socket.socket();
            let written = match bufs {
                [buf] => socket.write(buf),
                _ => socket.write_vectored(bufs),
            };
            if !blocks(&written) {
                return Poll::Ready(written);
            }
            ready!(self.socket.poll_writable(cx))?;
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket.socket().shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}

/// A listening socket over a [`Readiness`].
#[derive(Debug)]
pub struct ReadyListener<T> {
    socket: T,
    /// Nobody is left to be accepted: the next call waits for the reactor.
    drained: bool,
}

impl<T: Readiness> ReadyListener<T> {
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// When the reactor refuses it.
    pub fn new(socket: impl Into<Socket>) -> io::Result<Self> {
        Ok(Self { socket: T::register(socket.into())?, drained: false })
    }
}

impl<T: Readiness> Listener for ReadyListener<T> {
    type Stream = ReadyStream<T>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(ReadyStream<T>, Address)>> {
        let (stream, peer) = loop {
            if self.drained {
                ready!(self.socket.poll_readable(cx))?;
            }
            let accepted = self.socket.socket().accept();
            self.drained = blocks(&accepted);
            if !self.drained {
                break accepted?;
            }
        };
        let Some(peer) = peer.as_socket() else {
            return Poll::Ready(Ok((ReadyStream::new(stream)?, Address::Unnamed)));
        };
        // Linux hands the setting of the listening socket on.
        if cfg!(not(target_os = "linux")) {
            stream.set_tcp_nodelay(true)?;
        }
        Poll::Ready(Ok((ReadyStream::new(stream)?, Address::Tcp(peer))))
    }

    fn ends_when_dropped(&self) -> bool {
        true
    }
}

fn blocks<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}
