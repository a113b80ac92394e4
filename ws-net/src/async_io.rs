use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::Transport;

/// A stream with the traits of `futures-io` for [`Server::handshake`](crate::Server::handshake) and
/// [`Server::upgrade`](crate::Server::upgrade): a socket of smol or async-std, TLS, a pipe in memory.
///
/// `poll_close` ends the outgoing direction. That of a `TcpStream` of async-std does nothing: its peer
/// learns of the end when the socket is dropped, up to a second later.
#[derive(Debug)]
pub struct AsyncIo<T>(pub T);

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for AsyncIo<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
