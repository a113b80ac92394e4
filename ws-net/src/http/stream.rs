use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::runtime::Transport;

/// How much is read at a time: heads and small bodies; hyper asks again for more.
const CHUNK: usize = 8 << 10;

/// A stream as hyper wants it, for a hyper server of yours whose port `WebSocket`s share; see
/// [`Server::upgrade_http`](crate::Server::upgrade_http). Any [`Transport`] fits: with `AsyncIo`
/// around it, any stream with the traits of the runtime.
///
/// ```no_run
/// # use std::convert::Infallible;
/// # use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
/// # use ws_net::{Runtime, Transport};
/// use ws_net::http::{HyperIo, HyperTimer};
///
/// # async fn route(_: Request<Incoming>) -> Result<Response<String>, Infallible> { Ok(Response::new("a page".into())) }
/// # async fn f<R: Runtime, S: Transport>(runtime: R, stream: S) -> hyper::Result<()> {
/// http1::Builder::new()
///     .timer(HyperTimer(runtime))
///     .serve_connection(HyperIo(stream), service_fn(route))
///     .with_upgrades()
///     .await
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperIo<S>(pub S);

/// Reads what is there, or the end of the stream.
pub(super) fn read_chunk<S: Transport>(
    stream: &mut S,
    cx: &mut Context<'_>,
    mut buf: ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    let mut chunk = [0; CHUNK];
    let room = buf.remaining().min(CHUNK);
    let (spare, _) = chunk.split_at_mut(room);
    stream.poll_read(cx, spare).map_ok(|n| {
        let (filled, _) = spare.split_at(n.min(room));
        buf.put_slice(filled);
    })
}

impl<S: Transport> Read for HyperIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        read_chunk(&mut self.get_mut().0, cx, buf)
    }
}

impl<S: Transport> Write for HyperIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.get_mut().0.poll_write_vectored(cx, bufs)
    }
}
