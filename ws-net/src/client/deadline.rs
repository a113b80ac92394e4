use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ws_proto::Instant;

use super::error::{ConnectError, Stage};
use crate::runtime::Runtime;

/// The end of the time that a client has to become connected.
pub(super) struct Deadline<'a, R> {
    pub(super) runtime: &'a R,
    /// When it began.
    pub(super) started: Instant,
    pub(super) limit: Duration,
    /// Who is being connected to, for errors.
    pub(super) host: String,
}

impl<R: Runtime> Deadline<'_, R> {
    /// What `work` comes to, or an error that names its `stage` when the time is over first.
    /// Dropping the future drops `work`.
    pub(super) async fn keep<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let mut work = pin!(work);
        let mut timer = pin!(self.runtime.sleep_until(self.started + self.limit));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending => timer.as_mut().poll(cx).map(|()| Err(self.passed(stage))),
            done @ Poll::Ready(_) => done,
        })
        .await
    }

    /// The error for a deadline that passed in this `stage`.
    pub(super) fn passed(&self, stage: Stage) -> ConnectError {
        ConnectError::Timeout { host: self.host.clone(), stage, limit: self.limit }
    }
}
