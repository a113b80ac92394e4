use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{self, Duration};

use pin_project_lite::pin_project;

use crate::runtime::{Runtime, Sleep};

/// The timers of a runtime as hyper wants them, for a hyper server of yours; see
/// [`HyperIo`](crate::http::HyperIo).
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer<R>(pub R);

impl<R: Runtime> hyper::rt::Timer for HyperTimer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let sleep = self.0.sleep_until(self.0.now() + duration);
        Box::pin(Sleeping { sleep })
    }

    fn sleep_until(&self, deadline: time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(time::Instant::now()))
    }
}

pin_project! {
    struct Sleeping<S> {
        #[pin]
        sleep: S,
    }
}

impl<S: Future<Output = ()>> Future for Sleeping<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl<S: Sleep> hyper::rt::Sleep for Sleeping<S> {}
