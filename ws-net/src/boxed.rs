use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use ws_proto::RecvBuf;

use crate::runtime::{Certificates, Transport};

/// A stream of any type.
pub(crate) type BoxStream = Box<dyn Transport>;

impl Transport for BoxStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, buf)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        (**self).poll_fill(cx, input)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        (**self).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_shutdown(cx)
    }

    fn peer_certificates(&self) -> Option<Certificates> {
        (**self).peer_certificates()
    }

    fn is_secure(&self) -> bool {
        (**self).is_secure()
    }
}

/// A stream with bytes in front that were read from it before.
pub(crate) struct Prefixed<S> {
    first: Bytes,
    stream: S,
}

impl<S: Transport> Prefixed<S> {
    /// `stream` behind `first`.
    pub(crate) fn boxed(first: Bytes, stream: S) -> BoxStream {
        if first.is_empty() { Box::new(stream) } else { Box::new(Self { first, stream }) }
    }
}

impl<S: Transport> Transport for Prefixed<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.first.is_empty() {
            return self.stream.poll_read(cx, buf);
        }
        let n = buf.len().min(self.first.len());
        let (room, _) = buf.split_at_mut(n);
        self.first.copy_to_slice(room);
        if self.first.is_empty() {
            // It may be a part of something larger.
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(n))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        if self.first.is_empty() {
            return self.stream.poll_fill(cx, input);
        }
        self.poll_fill_slice(cx, input)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn peer_certificates(&self) -> Option<Certificates> {
        self.stream.peer_certificates()
    }

    fn is_secure(&self) -> bool {
        self.stream.is_secure()
    }
}
