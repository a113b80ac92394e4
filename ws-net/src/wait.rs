use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ws_proto::{Closed, State};

use crate::shared::{Activity, Common, Inner, Shared, Wants};
use crate::waiters::{Key, Spare};

/// A place among those who wait, which is left when it is dropped.
pub(crate) struct Place<'a> {
    pub(crate) shared: &'a Shared,
    key: Key,
}

impl Place<'_> {
    /// As [`Shared::poll_wait`].
    pub(crate) fn poll<T>(
        &mut self,
        wants: Wants,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&mut Inner, &Common) -> Poll<T>,
    ) -> Poll<T> {
        self.shared.poll_wait(&mut self.key, wants, cx, attempt)
    }
}

impl Drop for Place<'_> {
    #[inline]
    fn drop(&mut self) {
        self.shared.forget(self.key);
    }
}

/// The future of [`Shared::wait`]. Dropping it loses nothing.
pub(crate) struct Wait<'a, F> {
    place: Place<'a>,
    wants: Wants,
    attempt: F,
}

impl<T, F> Future for Wait<'_, F>
where
    F: FnMut(&mut Inner, &Common) -> Poll<T> + Unpin,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Self { place, wants, attempt } = &mut *self;
        place.poll(*wants, cx, attempt)
    }
}

impl Shared {
    /// Completes with what `attempt` answers, tried now and whenever what it `wants` may be there.
    pub(crate) fn wait<T, F>(&self, wants: Wants, attempt: F) -> Wait<'_, F>
    where
        F: FnMut(&mut Inner, &Common) -> Poll<T> + Unpin,
    {
        Wait { place: self.place(), wants, attempt }
    }

    /// A place for one future that may have to wait.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { shared: self, key: 0 }
    }

    /// One poll of such a wait, which goes by the name of `key`.
    pub(crate) fn poll_wait<T>(
        &self,
        key: &mut Key,
        wants: Wants,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Inner, &Common) -> Poll<T>,
    ) -> Poll<T> {
        let mut spare = Spare::default();
        loop {
            let (answer, noted) = self.visit(|inner| {
                let answer = attempt(inner, &self.common);
                let noted = inner.note(self, answer.is_pending(), (key, wants), cx, &mut spare);
                (answer, noted)
            });
            if noted {
                return answer;
            }
            // The task has to wait, which is the only time that the lock is taken twice.
            spare.renew(cx.waker());
        }
    }

    /// Ends the wait of this name, if there was one.
    #[inline]
    pub(crate) fn forget(&self, key: Key) {
        if key != 0 {
            self.leave(key);
        }
    }

    #[cold]
    fn leave(&self, key: Key) {
        let mut spare = Spare::default();
        self.lock().waiters.forget(key, &mut spare);
    }

    /// Waits until both sides have shaken hands, or until the connection ended before.
    pub(crate) async fn opened(&self) -> Result<(), Arc<Closed>> {
        let opened = self.wait(Wants::Open, |inner, _| match &inner.end {
            _ if inner.announced == State::Connected => Poll::Ready(Ok(())),
            Some(end) => Poll::Ready(Err(Arc::clone(end))),
            None => Poll::Pending,
        });
        opened.await
    }
}

impl Inner {
    /// Notes whether a task waits. `false` when that takes a clone of its waker, see
    /// [`Waiters::wait`].
    fn note(
        &mut self,
        shared: &Shared,
        pending: bool,
        (key, wants): (&mut Key, Wants),
        cx: &Context<'_>,
        spare: &mut Spare,
    ) -> bool {
        let in_turn = self.driver == Activity::Running
            && self.waker.as_ref().is_some_and(|driver| driver.will_wake(cx.waker()));
        if wants == Wants::Message {
            self.taken_by_handler(in_turn);
        }
        if in_turn && !pending {
            self.lend(shared);
        }
        if pending && !in_turn {
            return self.waiters.wait(key, wants, cx.waker(), spare);
        }
        if *key != 0 {
            // The driver polls its handler whenever there is something to wait for.
            self.waiters.forget(mem::take(key), spare);
        }
        true
    }
}
