use std::time::Duration;
use std::{fmt, mem};

use tracing::debug;
use ws_proto::Instant;

use super::error::ConnectError;
use super::{Client, entropy};
use crate::Connection;
use crate::runtime::Runtime;

impl<R: Runtime> Client<R> {
    /// Connections to `url` one after the other, with pauses that grow while they fail.
    pub fn reconnect(&self, url: impl Into<String>) -> Reconnect<R> {
        Reconnect {
            client: self.clone(),
            url: url.into(),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(60),
            settled_after: Duration::from_secs(60),
            max_failures: Some(20),
            step: 0,
            failures: 0,
            tried: false,
            opened: None,
            asked: Duration::ZERO,
            due: None,
        }
    }
}

/// Connects again and again, to one URL until another is [set](Self::set_url): a loop around
/// [`connect`](Self::connect) has a connection whenever there can be one.
///
/// The first attempt is made at once. Before each further one it pauses for a random time between
/// nothing and a bound, which begins with [`first_pause`](Self::first_pause) and doubles up to
/// [`longest_pause`](Self::longest_pause), so that a server that comes back is not run over by all
/// its clients at the same moment (RFC 6455 section 7.2.3). The bound is small again after a
/// connection that lasted. What a server [asks for](ConnectError::retry_after) comes in front of the
/// random time, up to the longest pause.
///
/// ```no_run
/// # async fn example<R: ws_net::Runtime>(client: ws_net::Client<R>) -> Result<(), ws_net::ConnectError> {
/// let mut news = client.reconnect("ws://example.com/news");
/// loop {
///     let connection = news.connect().await?;
///     while let Some(Ok(message)) = connection.recv().await {
///         println!("{message:?}");
///     }
/// }
/// # }
/// ```
pub struct Reconnect<R: Runtime> {
    client: Client<R>,
    url: String,
    first_pause: Duration,
    longest_pause: Duration,
    settled_after: Duration,
    max_failures: Option<u32>,
    /// How often the bound was doubled.
    step: u32,
    /// Attempts without a connection since the last one.
    failures: u32,
    /// There was an attempt, so the next one comes after a pause.
    tried: bool,
    /// When the last connection opened, until it is judged.
    opened: Option<Instant>,
    /// What the server asked to wait when it refused the last attempt.
    asked: Duration,
    /// The end of the pause.
    due: Option<Instant>,
}

impl<R: Runtime> Reconnect<R> {
    /// The bound of the first pause. Default 5 s, as RFC 6455 section 7.2.3 proposes.
    #[must_use]
    pub fn first_pause(self, pause: Duration) -> Self {
        Self { first_pause: pause, ..self }
    }

    /// The bound of all pauses, and of what a server can ask for in addition. Default 60 s: a server
    /// is found again within a minute.
    #[must_use]
    pub fn longest_pause(self, pause: Duration) -> Self {
        Self { longest_pause: pause, ..self }
    }

    /// How long a connection has to last until the next pause is a first one again. Default 60 s:
    /// a server that accepts and closes at once gets no more attempts than one that refuses.
    #[must_use]
    pub fn settled_after(self, time: Duration) -> Self {
        Self { settled_after: time, ..self }
    }

    /// How many attempts may fail in a row before [`connect`](Self::connect) gives up; `None` for
    /// no limit. Default 20, with pauses of eight minutes on average and of sixteen at most between
    /// them in all, and what servers ask for in addition.
    #[must_use]
    pub fn max_failures(self, max: impl Into<Option<u32>>) -> Self {
        Self { max_failures: max.into(), ..self }
    }

    /// Connects with this client from the next attempt on: with a fresh token in its headers, where
    /// the last one was refused. Pauses and counts stay as they are; the clock that they go by is
    /// that of the runtime, which has to be the same.
    pub fn set_client(&mut self, client: Client<R>) {
        self.client = client;
    }

    /// Connects to this URL from the next attempt on. Pauses and counts stay as they are.
    pub fn set_url(&mut self, url: impl Into<String>) {
        self.url = url.into();
    }

    /// The next connection.
    ///
    /// Waits for the pause and then for the attempt, and goes on until one succeeds. Cancel-safe:
    /// a pause that was begun goes on in the next call, and an attempt that was dropped is
    /// followed by a pause.
    ///
    /// # Errors
    /// That of the last attempt, when it is not
    /// [transient](ConnectError::is_transient) or is one failure too many. A further call begins
    /// to count from zero, and pauses before it tries; what has to change first, as after a 401, is
    /// set with [`set_client`](Self::set_client) and [`set_url`](Self::set_url).
    pub async fn connect(&mut self) -> Result<Connection, ConnectError> {
        loop {
            self.pause().await?;
            let error = match self.client.connect(&self.url).await {
                Ok(connection) => {
                    self.failures = 0;
                    self.opened = Some(self.client.runtime().now());
                    return Ok(connection);
                }
                Err(error) => error,
            };
            self.asked = error.retry_after().unwrap_or_default();
            self.failures = self.failures.saturating_add(1);
            if !error.is_transient() || self.max_failures.is_some_and(|max| self.failures >= max) {
                self.failures = 0;
                return Err(error);
            }
            debug!(target: "ws::client", "attempt {} failed: {error}", self.failures);
        }
    }

    /// Waits until the next attempt is due.
    async fn pause(&mut self) -> Result<(), ConnectError> {
        if !self.tried {
            self.tried = true;
            return Ok(());
        }
        let due = match self.due {
            Some(due) => due,
            None => self.begin_pause()?,
        };
        self.client.runtime().sleep_until(due).await;
        self.due = None;
        Ok(())
    }

    fn begin_pause(&mut self) -> Result<Instant, ConnectError> {
        let now = self.client.runtime().now();
        let opened = self.opened.take();
        if opened.is_some_and(|at| now.saturating_duration_since(at) >= self.settled_after) {
            self.step = 0;
        }
        let bound = bound(self.first_pause, self.longest_pause, self.step);
        self.step = self.step.saturating_add(1);
        let random = entropy::random().map_err(ConnectError::Entropy)?;
        let asked = mem::take(&mut self.asked).min(self.longest_pause);
        let due = now + asked + share(bound, random);
        self.due = Some(due);
        Ok(due)
    }
}

/// The bound of a pause behind `step` others.
fn bound(first: Duration, longest: Duration, step: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(step).unwrap_or(u32::MAX)).min(longest)
}

/// A part of `bound` as large as `random` is of all numbers.
fn share(bound: Duration, random: u64) -> Duration {
    let nanos = bound.as_nanos().saturating_mul(u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl<R: Runtime> fmt::Debug for Reconnect<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("url", &self.url)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::toy::Toy;

    #[test]
    fn a_pause_that_was_dropped_goes_on() {
        let toy = Toy::default();
        let mut reconnect = Client::new(toy.clone()).reconnect("ws://10.0.0.1:1/");
        let poll_and_drop = |reconnect: &mut Reconnect<Toy>| {
            let attempt = pin!(reconnect.connect());
            assert!(attempt.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            toy.attempts().len()
        };
        assert_eq!(poll_and_drop(&mut reconnect), 1);
        let due = reconnect.due.expect("it pauses");
        reconnect.set_client(Client::new(toy.clone()));
        reconnect.set_url("ws://10.0.0.1:1/elsewhere");
        while toy.now() < due {
            assert_eq!(poll_and_drop(&mut reconnect), 0);
            assert_eq!(reconnect.due, Some(due));
            toy.advance(Duration::from_millis(100));
        }
        assert_eq!(poll_and_drop(&mut reconnect), 1);
        assert!(reconnect.due.is_some_and(|next| next != due));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds = Duration::from_secs;
        let bounds =
            [0, 1, 2, 3, 4, 31, 32, u32::MAX].map(|step| bound(seconds(5), seconds(60), step));
        assert_eq!(bounds, [5, 10, 20, 40, 60, 60, 60, 60].map(seconds));
        assert_eq!(bound(seconds(5), seconds(1), 0), seconds(1));
        assert_eq!(bound(Duration::ZERO, seconds(1), 9), Duration::ZERO);
    }

    #[test]
    fn a_share_is_even() {
        let bound = Duration::from_secs(8);
        assert_eq!(share(bound, 0), Duration::ZERO);
        assert_eq!(share(bound, 1 << 63), Duration::from_secs(4));
        assert!(share(bound, u64::MAX) < bound);
        assert!(share(Duration::MAX, u64::MAX) > bound);
    }
}
