use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use ws_net::{RecvBuf, Transport};

/// A stream with Tokio's traits for [`Server::upgrade`](ws_net::Server::upgrade): a socket, TLS, a
/// pipe in memory.
#[derive(Debug)]
pub struct AsyncIo<T>(pub T);

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for AsyncIo<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        poll_fill(&mut self.0, cx, input)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        if stream.is_write_vectored() {
            return stream.poll_write_vectored(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        stream.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Reads to where `input` wants it, without initialising the memory of a message before.
#[inline]
pub(crate) fn poll_fill(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    input: &mut RecvBuf,
) -> Poll<io::Result<usize>> {
    let n = if let Some(mut message) = input.message_mut() {
        ready!(pin!(stream.read_buf(&mut message)).poll(cx))?
    } else {
        let mut buf = ReadBuf::new(input.spare_mut());
        ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
        buf.filled().len()
    };
    input.filled(n);
    Poll::Ready(Ok(n))
}
