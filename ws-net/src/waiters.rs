use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::contain::wake;

/// Locks; a panic elsewhere does not spread, since no value is left half-changed by one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tasks that wait for something, each under a key of its own and for one kind of change.
///
/// It lies behind the same lock as what is waited for, so it neither clones nor drops wakers: they
/// are code of users. A future that is dropped takes its entry out with [`forget`](Self::forget),
/// so the list is never longer than the futures that wait.
pub(crate) struct Waiters<K>(Option<Box<List<K>>>);

/// In no order. It stays when somebody has waited once.
struct List<K> {
    entries: Vec<(Key, K, Waker)>,
    last: Key,
}

/// Zero is no key. None comes twice.
pub(crate) type Key = u64;

/// Wakers that wait for a lock to be free: one that was cloned before, and one that was taken out
/// and is to be dropped after. Make it before the lock is taken.
#[derive(Default)]
pub(crate) struct Spare {
    new: Option<Waker>,
    old: Option<Waker>,
}

impl Spare {
    /// Has a clone of `waker` for the next look. No lock is held.
    pub(crate) fn renew(&mut self, waker: &Waker) {
        self.new = Some(waker.clone());
    }

    /// Puts the clone in the place of another waker. `false` when there is none.
    pub(crate) fn put(&mut self, slot: &mut Option<Waker>) -> bool {
        let there = self.new.is_some();
        if there {
            self.old = mem::replace(slot, self.new.take());
        }
        there
    }
}

impl<K: Copy> Waiters<K> {
    /// Puts the task of `waker` in, or renews its entry. `false` when that takes a clone, which is
    /// not in `spare`: make one without the lock, and look again.
    #[must_use]
    pub(crate) fn wait(
        &mut self,
        key: &mut Key,
        kind: K,
        waker: &Waker,
        spare: &mut Spare,
    ) -> bool {
        let List { entries, last } =
            &mut **self.0.get_or_insert_with(|| Box::new(List { entries: Vec::new(), last: 0 }));
        let own = entries.iter_mut().find(|entry| entry.0 == *key).map(|entry| &mut entry.2);
        if own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            return true;
        }
        let Some(new) = spare.new.take() else { return false };
        if let Some(own) = own {
            spare.old = Some(mem::replace(own, new));
            return true;
        }
        if *key == 0 {
            *last += 1;
            *key = *last;
        }
        entries.push((*key, kind, new));
        true
    }

    /// Takes out the entry of a future that waits no more.
    pub(crate) fn forget(&mut self, key: Key, spare: &mut Spare) {
        let Some(list) = &mut self.0 else { return };
        if let Some(at) = list.entries.iter().position(|entry| entry.0 == key) {
            spare.old = Some(list.entries.swap_remove(at).2);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.entries.len())
    }

    /// Takes out the tasks that wait for a kind that `concerns`; wake them outside of the lock.
    pub(crate) fn take(&mut self, concerns: impl Fn(K) -> bool, out: &mut impl Extend<Waker>) {
        let Some(list) = &mut self.0 else { return };
        out.extend(list.entries.extract_if(.., |entry| concerns(entry.1)).map(|entry| entry.2));
    }
}

impl<K> Default for Waiters<K> {
    fn default() -> Self {
        Self(None)
    }
}

/// A value behind a lock, and the tasks that wait for it to change.
#[derive(Default)]
pub(crate) struct Watched<T> {
    state: Mutex<(T, Waiters<()>)>,
}

impl<T> Watched<T> {
    /// Looks at the value.
    pub(crate) fn read<V>(&self, f: impl FnOnce(&T) -> V) -> V {
        f(&lock(&self.state).0)
    }

    /// Changes the value in a way that nobody waits for.
    pub(crate) fn change<V>(&self, f: impl FnOnce(&mut T) -> V) -> V {
        f(&mut lock(&self.state).0)
    }

    /// Changes the value, then wakes every task that waits.
    pub(crate) fn update<V>(&self, f: impl FnOnce(&mut T) -> V) -> V {
        let mut wakers = Vec::new();
        let value = {
            let mut state = lock(&self.state);
            state.1.take(|()| true, &mut wakers);
            f(&mut state.0)
        };
        wakers.into_iter().for_each(wake);
        value
    }

    /// Completes with what `attempt` answers, tried now and after every change.
    pub(crate) fn wait<V, F>(&self, attempt: F) -> Wait<'_, T, F>
    where
        F: FnMut(&mut T) -> Option<V> + Unpin,
    {
        Wait { watched: self, key: 0, attempt }
    }
}

/// The future of [`Watched::wait`]. Dropping it loses nothing.
pub(crate) struct Wait<'a, T, F> {
    watched: &'a Watched<T>,
    key: Key,
    attempt: F,
}

impl<T, V, F: FnMut(&mut T) -> Option<V> + Unpin> Future for Wait<'_, T, F> {
    type Output = V;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<V> {
        let this = &mut *self;
        let mut spare = Spare::default();
        loop {
            let mut state = lock(&this.watched.state);
            let (value, waiters) = &mut *state;
            if let Some(answer) = (this.attempt)(value) {
                waiters.forget(mem::take(&mut this.key), &mut spare);
                return Poll::Ready(answer);
            }
            if waiters.wait(&mut this.key, (), cx.waker(), &mut spare) {
                return Poll::Pending;
            }
            drop(state);
            spare.renew(cx.waker());
        }
    }
}

impl<T, F> Drop for Wait<'_, T, F> {
    fn drop(&mut self) {
        if self.key != 0 {
            let mut spare = Spare::default();
            lock(&self.watched.state).1.forget(self.key, &mut spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[test]
    fn waiting_ends_with_the_change_and_leaves_no_entry() {
        let watched = Watched::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = pin!(watched.wait(|n| (*n == 2).then_some("two")));
        {
            let mut dropped = pin!(watched.wait(|n| (*n == 9).then_some(())));
            assert!(first.as_mut().poll(&mut cx).is_pending());
            assert!(dropped.as_mut().poll(&mut cx).is_pending());
            assert_eq!(lock(&watched.state).1.len(), 2);
        }
        assert_eq!(lock(&watched.state).1.len(), 1);
        watched.update(|n| *n = 1);
        assert!(first.as_mut().poll(&mut cx).is_pending());
        watched.update(|n| *n = 2);
        assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready("two"));
        assert_eq!(lock(&watched.state).1.len(), 0);
    }

    #[test]
    fn only_those_concerned_are_taken() {
        struct Task;
        impl std::task::Wake for Task {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let mut waiters = Waiters::default();
        let (mut a, mut b, mut woken) = (0, 0, Vec::new());
        let task = &Waker::from(std::sync::Arc::new(Task));
        assert!(!waiters.wait(&mut a, 'a', task, &mut Spare::default()), "it takes a clone");
        for (key, kind) in [(&mut a, 'a'), (&mut b, 'b')] {
            let mut spare = Spare::default();
            spare.renew(task);
            assert!(waiters.wait(key, kind, task, &mut spare));
        }
        assert!(waiters.wait(&mut b, 'b', task, &mut Spare::default()), "it is there");
        waiters.take(|kind| kind == 'b', &mut woken);
        assert_eq!((woken.len(), waiters.len()), (1, 1));
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_asleep() {
        struct Explosive;
        impl std::task::Wake for Explosive {
            fn wake(self: std::sync::Arc<Self>) {
                panic!("not now");
            }
        }
        struct Task(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Task {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let watched = Watched::<u8>::default();
        let task = std::sync::Arc::new(Task(false.into()));
        let (bad, good) = (std::sync::Arc::new(Explosive).into(), task.clone().into());
        let wait = || Box::pin(watched.wait(|_| None::<()>));
        let mut waits = [wait(), wait()];
        for (wait, waker) in waits.iter_mut().zip([&bad, &good]) {
            assert!(wait.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        watched.update(|n| *n = 1);
        assert!(task.0.load(std::sync::atomic::Ordering::Relaxed));
    }
}
