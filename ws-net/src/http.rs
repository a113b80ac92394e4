//! Ordinary HTTP on the same port, served by hyper in the task of the connection.
//!
//! Without [`Builder::on_request`] such requests are answered with 426 and a hint.
//!
//! Some names are here, at the root of the crate, and in the crates that this is used with:
//!
//! | name | at the root | here | elsewhere |
//! |---|---|---|---|
//! | `Request` | [asks for a WebSocket](crate::Request), as the core read it | [the crate `http`'s](Request), which hyper and axum use | `axum::extract::Request`: the same with axum's body |
//! | `Response` | [let a client of ours in](crate::Response), or not | [the crate `http`'s](Response) | `axum::response::Response`: the same with axum's body |
//! | `Upgrade` | [a stream](crate::Upgrade) that the server takes over | [`HttpUpgrade`]: one whose request hyper has read | `ws_tokio::axum::Upgrade`: the extractor that makes such a one |
//! | `Incoming` | [a request](crate::Incoming) that waits to be accepted or rejected | | `hyper::body::Incoming`: the body of a request, which [`RequestBody`] is here |

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use tracing::debug;
use ws_proto::{Answer, HandshakeError, Reject};

pub use hyper::body::Body;
pub use hyper::http::uri::Scheme;
pub use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};

use crate::Builder;
use crate::boxed::{BoxStream, Prefixed};
use crate::endpoint::{BoxFuture, HttpClient, TakeOver};
use crate::gate::Phase;
use crate::link::Link;
use crate::runtime::{Certificates, Runtime, Transport};

mod body;
mod handoff;
mod page;
mod stream;
mod timer;
mod upgrade;

pub use body::{BodyError, RequestBody};
pub use stream::HyperIo;
pub use timer::HyperTimer;
pub use upgrade::HttpUpgrade;

use handoff::{asks_for_websocket, check_host, handoff, judge, rejected, response, whatever};
use page::Page;
use stream::read_chunk;

/// hyper adds the time for a head to the present, which may not overflow: this is as good as none.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl<R: Runtime> Builder<R> {
    /// Calls `handler` with every request on this port that asks for no WebSocket. Bodies are
    /// streams in both directions; connections are kept alive. A head has to come within the
    /// handshake timeout, also the next one on a connection that is kept alive. A client that
    /// stops in the middle of its body, or takes nothing of an answer, is waited for as long as
    /// [`Timeouts::stall`](crate::Timeouts) says.
    ///
    /// The extensions of a request hold the [`Address`](crate::Address) of the client, or of the
    /// proxy in front of this server; the [`Scheme`], which is `https` when it came over TLS; and the
    /// client's [`PeerCertificates`] if it has shown some.
    ///
    /// One that does not name its host, once, is answered with 400 (RFC 9112 section 3.2); HTTP/1.0
    /// may leave it out.
    ///
    /// Default: such requests are answered with 426.
    pub fn on_request<F, H, B>(mut self, handler: F) -> Self
    where
        F: Fn(Request<RequestBody>) -> H + Send + Sync + 'static,
        H: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let runtime = self.runtime.clone();
        self.http = Some(Arc::new(Service { runtime, handler: Arc::new(handler) }));
        self
    }
}

/// The certificates of a client that has shown some, in the extensions of its requests; see
/// [`Connection::peer_certificates`](crate::Connection::peer_certificates).
#[derive(Clone, Debug)]
pub struct PeerCertificates(pub Certificates);

struct Service<R, F> {
    runtime: R,
    handler: Arc<F>,
}

impl<R, F, H, B> TakeOver<Link<R::Stream>> for Service<R, F>
where
    R: Runtime,
    F: Fn(Request<RequestBody>) -> H + Send + Sync + 'static,
    H: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn take_over(&self, stream: Link<R::Stream>, received: Bytes, client: HttpClient) -> BoxFuture {
        let handler = Arc::clone(&self.handler);
        let (common, id, peer) = (Arc::clone(&client.common), client.id, client.peer.address);
        let scheme = if client.peer.secure { Scheme::HTTPS } else { Scheme::HTTP };
        let certificates = stream.peer_certificates();
        let runtime = self.runtime.clone();
        let stall = common.config.timeouts().stall;
        let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            let ours = answer_of_ours::<R, _>(&mut request, &client);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(scheme.clone());
            if let Some(chain) = &certificates {
                request.extensions_mut().insert(PeerCertificates(Arc::clone(chain)));
            }
            let timer = HyperTimer(runtime.clone());
            let response = ours
                .is_none()
                .then(|| handler(request.map(|body| RequestBody::new(body, timer, stall))));
            async move {
                Ok::<_, Infallible>(match (response, ours) {
                    (Some(response), _) => response.await.map(|body| Page::Theirs { body }),
                    (None, Some(answer)) => answer.await.map(|text| Page::Ours { text }),
                    (None, None) => Response::new(Page::Ours { text: Bytes::new() }),
                })
            }
        });
        let limits = common.config.limits();
        let connection = http1::Builder::new()
            .timer(HyperTimer(self.runtime.clone()))
            .header_read_timeout(common.config.timeouts().handshake.min(LONGEST))
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_head.max(MIN_BUF))
            .serve_connection(Io::new(self.runtime.clone(), stream, received, stall), service)
            .with_upgrades();
        Box::pin(async move {
            let mut connection = pin!(connection);
            let mut known = Phase::Open;
            let mut later = pin!(common.gate.beyond(Phase::Open));
            let mut last = pin!(common.gate.beyond(Phase::Stopping));
            let end = poll_fn(|cx| {
                if known == Phase::Open && later.as_mut().poll(cx).is_ready() {
                    known = Phase::Stopping;
                    // hyper has to have seen a request that is there, or it would end without.
                    if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                        return Poll::Ready(end);
                    }
                    connection.as_mut().graceful_shutdown();
                }
                // The second wait begins only when the first is over: one entry each.
                if known == Phase::Stopping && last.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                connection.as_mut().poll(cx)
            });
            if let Err(error) = end.await {
                debug!(target: "ws::server", %id, %peer, "an HTTP connection failed: {error}");
            }
        })
    }
}

/// The answer to a request that the handler does not get: one for a WebSocket, or one that does not
/// say for which host it is.
fn answer_of_ours<R: Runtime, B>(
    request: &mut Request<B>,
    client: &HttpClient,
) -> Option<OurAnswer> {
    if asks_for_websocket(request) {
        return Some(let_in::<R, B>(request, client));
    }
    let config = &client.common.config;
    let error = check_host(request, config).err()?;
    let answer = Answer::refuse(&error, config);
    Some(Box::pin(ready(refuse(client, error, &answer))))
}

type OurAnswer = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// A request for a WebSocket on a connection that is kept alive: it goes through the door that a
/// first request would go through. (The first request of a connection never comes here: the core
/// has told it apart.)
///
/// draft75 and draft76 are answered with 421 (RFC 9110 section 15.5.20): hyper cannot write their
/// answers. Nothing behind such a request is read, nor behind any that is refused: draft76 sends
/// eight bytes there, which would be the beginning of the next request.
fn let_in<R: Runtime, B>(request: &mut Request<B>, client: &HttpClient) -> OurAnswer {
    let config = &client.common.config;
    let asked = match judge(request, config) {
        Ok(asked) if asked.version().has_frames() => asked,
        Ok(asked) => {
            let version = asked.version();
            let body = format!("{version} needs a connection of its own: open another one\n");
            let answer = Answer::reject(&Reject::new(421).body(body));
            let error = HandshakeError::UnsupportedVersion(version.name().into());
            return Box::pin(ready(refuse(client, error, &answer)));
        }
        Err(error) => {
            let answer = Answer::refuse(&error, config);
            return Box::pin(ready(refuse(client, error, &answer)));
        }
    };
    let (promise, answered) = handoff(hyper::upgrade::on(request), reclaim::<R>);
    client.entrance.enter(asked, promise);
    Box::pin(answered)
}

/// Tells of a request that is refused.
fn refuse(client: &HttpClient, error: HandshakeError, answer: &Answer) -> Response<Bytes> {
    client.entrance.refuse(&rejected(client.id, client.peer, error, answer));
    response(answer)
}

/// Takes the stream back from hyper, with what was read and not used.
fn reclaim<R: Runtime>(upgraded: Upgraded) -> BoxStream {
    match upgraded.downcast::<Io<R>>() {
        Ok(parts) => {
            let Io { stream, received, .. } = parts.io;
            let first = match (parts.read_buf, received) {
                (first, rest) if rest.is_empty() => first,
                (first, rest) => [first, rest].concat().into(),
            };
            Prefixed::boxed(first, stream)
        }
        Err(upgraded) => whatever(upgraded),
    }
}

/// The least that hyper takes.
const MIN_BUF: usize = 8 << 10;

/// A stream as hyper wants it, with what was read from it before in front.
struct Io<R: Runtime> {
    runtime: R,
    stream: Link<R::Stream>,
    received: Bytes,
    /// How long the client may take no byte of an answer.
    limit: Duration,
    /// Runs while the client takes no bytes.
    stall: Option<Pin<Box<R::Sleep>>>,
}

impl<R: Runtime> Io<R> {
    fn new(runtime: R, stream: Link<R::Stream>, received: Bytes, limit: Duration) -> Self {
        Self { runtime, stream, received, limit, stall: None }
    }

    /// Passes on what became of a write, unless the client has taken nothing for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stall = None;
            return write;
        }
        let (runtime, limit) = (&self.runtime, self.limit);
        let start = || Box::pin(runtime.sleep_until(runtime.now() + limit));
        match self.stall.get_or_insert_with(start).as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<R: Runtime> Unpin for Io<R> {}

impl<R: Runtime> hyper::rt::Read for Io<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.received.has_remaining() {
            let n = this.received.len().min(buf.remaining());
            buf.put_slice(&this.received.split_to(n));
            return Poll::Ready(Ok(()));
        }
        read_chunk(&mut this.stream, cx, buf)
    }
}

impl<R: Runtime> hyper::rt::Write for Io<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.stream.poll_shutdown(cx);
        self.watch(cx, ended)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let written = self.stream.poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }
}

#[cfg(test)]
mod tests;
