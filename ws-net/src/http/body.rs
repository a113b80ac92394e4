use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::rt::{Sleep, Timer};

/// The body of a request, read as it comes.
///
/// While it is read, a client that sends nothing for [`Timeouts::stall`](crate::Timeouts) ends it
/// with [`BodyError::Stalled`]. Time in which nobody reads does not count. Dropping it, or the
/// future of a frame, loses nothing but what is left of the body.
pub struct RequestBody {
    body: hyper::body::Incoming,
    timer: Box<dyn Timer + Send + Sync>,
    limit: Duration,
    /// Runs while the client is waited for.
    stall: Option<Pin<Box<dyn Sleep>>>,
    stalled: bool,
}

impl RequestBody {
    pub(super) fn new(
        body: hyper::body::Incoming,
        timer: impl Timer + Send + Sync + 'static,
        limit: Duration,
    ) -> Self {
        Self { body, timer: Box::new(timer), limit, stall: None, stalled: false }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.stalled {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.stall = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Http)));
        }
        let (timer, limit) = (&this.timer, this.limit);
        let stall = this.stall.get_or_insert_with(|| timer.sleep(limit));
        if stall.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.stall = None;
        this.stalled = true;
        Poll::Ready(Some(Err(BodyError::Stalled(this.limit))))
    }

    fn is_end_stream(&self) -> bool {
        self.stalled || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body.fmt(f)
    }
}

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client broke a rule of HTTP or left.
    #[error(transparent)]
    Http(hyper::Error),
    /// The client sent nothing for so long. 408 is the answer to it.
    #[error("the client sent nothing of its body for {0:?}")]
    Stalled(Duration),
}
