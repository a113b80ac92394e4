use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use ws_proto::Instant;

use crate::runtime::{Runtime, Sleep};

pin_project! {
    /// The timer of one connection, which is touched only when a deadline comes nearer.
    ///
    /// Deadlines that move away leave it as it is: it fires early and is set again then.
    pub(crate) struct Alarm<S> {
        set: Option<Instant>,
        #[pin]
        sleep: Option<S>,
    }
}

impl<S: Sleep> Alarm<S> {
    pub(crate) fn new() -> Self {
        Self { set: None, sleep: None }
    }

    /// Wakes the task of `cx` at `deadline` or before. Ready when `deadline` has come already.
    ///
    /// `moved` says that the task is another one than in the last call.
    pub(crate) fn poll_set<R: Runtime<Sleep = S>>(
        self: Pin<&mut Self>,
        deadline: Option<Instant>,
        runtime: &R,
        now: Instant,
        moved: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut this = self.project();
        // One whose time has come has fired, whatever the timer itself says.
        let set = this.set.take().filter(|at| *at > now);
        let Some(deadline) = deadline else { return Poll::Pending };
        if let Some(at) = set.filter(|at| *at <= deadline) {
            *this.set = Some(at);
            if !moved {
                return Poll::Pending;
            }
        } else {
            *this.set = Some(deadline);
            match this.sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.reset(deadline),
                None => this.sleep.set(Some(runtime.sleep_until(deadline))),
            }
        }
        this.sleep.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}
