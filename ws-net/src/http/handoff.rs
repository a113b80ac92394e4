//! From a request that hyper has read to a WebSocket whose answer hyper writes.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::rt::{Read as _, ReadBuf, Write as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode, Version, header};
use ws_proto::{Answer, Cause, Config, HandshakeError, Reject};

use crate::boxed::BoxStream;
use crate::endpoint::Promise;
use crate::runtime::Transport;
use crate::shared::Peer;
use crate::waiters::Watched;
use crate::{ConnectionId, Rejected};

/// Whether a request asks for a WebSocket, well or badly: more than the core would take for one, and
/// like there none of HTTP/1.0 (RFC 9110 section 7.8).
pub(super) fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    if request.version() == Version::HTTP_10 {
        return false;
    }
    let mut upgrades = request.headers().get_all(header::UPGRADE).iter();
    let fields = request.headers().keys();
    upgrades.any(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"websocket"))
        || fields.into_iter().any(|name| name.as_str().starts_with("sec-websocket-"))
}

/// Judges a request by all the rules of the core.
pub(super) fn judge<B>(
    request: &Request<B>,
    config: &Config,
) -> Result<ws_proto::Request, HandshakeError> {
    let minor = match request.version() {
        Version::HTTP_11 => 1,
        Version::HTTP_10 => 0,
        Version::HTTP_2 => return Err(HandshakeError::HttpVersion { major: 2, minor: 0 }),
        _ => return Err(HandshakeError::HttpVersion { major: 3, minor: 0 }),
    };
    let target = request.uri().to_string();
    let fields = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    ws_proto::Request::from_parts(request.method().as_str(), &target, minor, fields, config)
}

/// Judges `Host` of a request that asks for no WebSocket, as the core judges that of the first
/// request of a connection (RFC 9112 section 3.2). Nothing else of it is the core's business.
pub(super) fn check_host<B>(request: &Request<B>, config: &Config) -> Result<(), HandshakeError> {
    let minor = u8::from(request.version() != Version::HTTP_10);
    let hosts = request.headers().get_all(header::HOST).iter();
    let fields = hosts.map(|host| ("Host", host.as_bytes()));
    match ws_proto::Request::from_parts("GET", "/", minor, fields, config) {
        Ok(_) | Err(HandshakeError::NoUpgrade) => Ok(()),
        Err(error) => Err(error),
    }
}

/// An answer of the core for hyper to write.
pub(super) fn response(answer: &Answer) -> Response<Bytes> {
    let mut response = Response::new(answer.body().clone());
    let status = StatusCode::from_u16(answer.status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers() {
        let field = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = field {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// What to tell of a request that broke a rule and got this answer.
pub(super) fn rejected(
    id: ConnectionId,
    peer: Peer,
    error: HandshakeError,
    answer: &Answer,
) -> Rejected {
    Rejected {
        id,
        peer: peer.address,
        secure: peer.secure,
        status: answer.status(),
        cause: Cause::Handshake(error),
        request: None,
    }
}

/// Where the answer of a driver waits for hyper.
type Slot = Watched<Option<Option<Answer>>>;

/// Two ends of the way from the driver to hyper. `open` takes hyper's stream apart.
pub(super) fn handoff(
    upgrade: OnUpgrade,
    open: fn(Upgraded) -> BoxStream,
) -> (Box<dyn Promise<BoxStream>>, impl Future<Output = Response<Bytes>> + Send + 'static) {
    let slot = Arc::new(Slot::default());
    let promise = Handoff { slot: Arc::clone(&slot), upgrade, open };
    let answered = async move {
        match slot.wait(Option::take).await {
            Some(answer) => response(&answer),
            // The server is closed, or the runtime has dropped the driver.
            None => response(&Answer::reject(&Reject::new(503))),
        }
    };
    (Box::new(promise), answered)
}

struct Handoff {
    slot: Arc<Slot>,
    upgrade: OnUpgrade,
    open: fn(Upgraded) -> BoxStream,
}

impl Promise<BoxStream> for Handoff {
    fn answer(&mut self, answer: Answer) {
        self.slot.update(|slot| *slot = Some(Some(answer)));
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoxStream>> {
        let upgraded = ready!(Pin::new(&mut self.upgrade).poll(cx));
        Poll::Ready(upgraded.map(self.open).map_err(|error| {
            // A request without what hyper puts into it, or a client that left.
            let kind =
                if error.is_user() { io::ErrorKind::InvalidInput } else { io::ErrorKind::Other };
            io::Error::new(kind, error)
        }))
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        self.slot.update(|slot| {
            slot.get_or_insert(None);
        });
    }
}

/// The stream that a hyper server has let go, of whatever type it is.
pub(super) fn whatever(upgraded: Upgraded) -> BoxStream {
    Box::new(HyperStream(upgraded))
}

struct HyperStream(Upgraded);

impl Transport for HyperStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, buf.unfilled()))?;
        Poll::Ready(Ok(buf.filled().len()))
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
