use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use ws_proto::Instant;

use crate::runtime::{Runtime, Sleep};
use crate::waiters::lock;

/// The deadlines of the connections of one server. One task sleeps for all of them, since the
/// timer of a runtime would be a tenth of what an idle connection costs.
#[derive(Default)]
pub(crate) struct Alarms {
    table: Mutex<Table>,
    /// Counts the tasks that were dropped before their end, with all that they should have woken.
    losses: AtomicU32,
}

#[derive(Default)]
struct Table {
    /// Whom to wake at what time; serial numbers tell those of the same time apart.
    queue: BTreeMap<Key, Waker>,
    /// What the task sleeps for; `None` when there is no task.
    sleeping: Option<Sleeping>,
}

type Key = (Instant, u64);

struct Sleeping {
    until: Instant,
    /// `None` until its first poll.
    task: Option<Waker>,
}

/// The alarm of one connection, which is moved only when a deadline comes nearer: one that comes
/// too early is set again then.
#[derive(Default)]
pub(crate) struct Alarm {
    set: Option<Instant>,
    /// The losses that were known when it was set.
    losses: u32,
}

impl Alarm {
    /// Wakes the task of `cx` at `deadline` or before. Ready when `deadline` has come already.
    ///
    /// `moved` says that the task is another one than in the last call.
    pub(crate) fn poll_set<R: Runtime>(
        &mut self,
        alarms: &Arc<Alarms>,
        serial: u64,
        deadline: Option<Instant>,
        (runtime, now): (&R, Instant),
        moved: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // One whose time has come has rung, or will do so without harm.
        self.set = self.set.filter(|at| *at > now);
        let Some(deadline) = deadline else { return Poll::Pending };
        if deadline <= now {
            return Poll::Ready(());
        }
        let losses = alarms.losses.load(Ordering::Acquire);
        let kept = self.set.is_some_and(|at| at <= deadline);
        if kept && !moved && self.losses == losses {
            return Poll::Pending;
        }
        let at = self.set.filter(|_| kept).unwrap_or(deadline);
        let old = self.set.replace(at).map(|old| (old, serial));
        self.losses = losses;
        if alarms.set(old, (at, serial), cx.waker()) {
            runtime.spawn(Ticker::new(runtime.clone(), Arc::clone(alarms)));
        }
        Poll::Pending
    }

    /// Takes the alarm out.
    pub(crate) fn cancel(&mut self, alarms: &Alarms, serial: u64) {
        if let Some(at) = self.set.take() {
            alarms.cancel((at, serial));
        }
    }
}

impl Alarms {
    /// Puts an alarm in the place of another. Answers whether a task has to be started.
    fn set(&self, old: Option<Key>, new: Key, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut table = lock(&self.table);
        let old = old.and_then(|old| table.queue.remove(&old));
        table.queue.insert(new, waker);
        let (starts, task) = match &mut table.sleeping {
            Some(sleeping) if new.0 < sleeping.until => (false, sleeping.task.take()),
            Some(_) => (false, None),
            none => {
                *none = Some(Sleeping { until: new.0, task: None });
                (true, None)
            }
        };
        drop(table);
        drop(old);
        task.into_iter().for_each(Waker::wake);
        starts
    }

    /// The task ends with the last alarm.
    fn cancel(&self, key: Key) {
        let mut table = lock(&self.table);
        let old = table.queue.remove(&key);
        let last = table.queue.is_empty();
        let task =
            table.sleeping.as_mut().filter(|_| last).and_then(|sleeping| sleeping.task.take());
        drop(table);
        drop(old);
        task.into_iter().for_each(Waker::wake);
    }

    /// Takes out whom to wake now, and notes that the task of `cx` sleeps until the time that it
    /// answers. `None` when nothing is left to sleep for.
    fn tick(&self, now: Instant, due: &mut Vec<Waker>, cx: &mut Context<'_>) -> Option<Instant> {
        let mut table = lock(&self.table);
        while let Some(first) = table.queue.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        let until = table.queue.first_key_value().map(|(key, _)| key.0);
        let task = Some(cx.waker().clone());
        let old = mem::replace(&mut table.sleeping, until.map(|until| Sleeping { until, task }));
        drop(table);
        drop(old);
        until
    }

    /// The runtime of the task ends, and maybe not that of every connection.
    fn lose(&self) {
        let mut table = lock(&self.table);
        // Under the lock: whoever reads the new count finds the new table.
        self.losses.fetch_add(1, Ordering::Release);
        let lost = mem::take(&mut *table);
        drop(table);
        lost.queue.into_values().for_each(Waker::wake);
    }
}

pin_project! {
    /// The task that sleeps.
    struct Ticker<R: Runtime> {
        runtime: R,
        alarms: Arc<Alarms>,
        #[pin]
        sleep: Option<R::Sleep>,
        done: bool,
    }

    impl<R: Runtime> PinnedDrop for Ticker<R> {
        fn drop(this: Pin<&mut Self>) {
            if !this.done {
                this.alarms.lose();
            }
        }
    }
}

impl<R: Runtime> Ticker<R> {
    fn new(runtime: R, alarms: Arc<Alarms>) -> Self {
        Self { runtime, alarms, sleep: None, done: false }
    }
}

impl<R: Runtime> Future for Ticker<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let mut due = Vec::new();
        loop {
            let until = this.alarms.tick(this.runtime.now(), &mut due, cx);
            due.drain(..).for_each(Waker::wake);
            let Some(until) = until else {
                *this.done = true;
                return Poll::Ready(());
            };
            match this.sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.reset(until),
                None => this.sleep.set(Some(this.runtime.sleep_until(until))),
            }
            let sleeps =
                this.sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_pending());
            if sleeps {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::toy::Toy;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from(Duration::from_secs(seconds))
    }

    /// Sets an alarm; answers whether its time has come already.
    fn set(
        toy: &Toy,
        alarms: &Arc<Alarms>,
        alarm: &mut Alarm,
        serial: u64,
        to: Instant,
        count: &Arc<Count>,
    ) -> bool {
        let waker = Waker::from(Arc::clone(count));
        let mut cx = Context::from_waker(&waker);
        let ready =
            alarm.poll_set(alarms, serial, Some(to), (toy, toy.now()), false, &mut cx).is_ready();
        toy.settle();
        ready
    }

    #[test]
    fn one_task_wakes_each_in_its_time_and_ends_with_the_last() {
        let (toy, alarms) = (Toy::default(), Arc::new(Alarms::default()));
        let counts: [Arc<Count>; 3] = Default::default();
        let woken = || counts.each_ref().map(|count| count.0.load(Ordering::Relaxed));
        let mut own: [Alarm; 3] = Default::default();
        for (serial, seconds) in [(0, 5), (1, 9), (2, 3)] {
            let (alarm, count) = (&mut own[serial as usize], &counts[serial as usize]);
            assert!(!set(&toy, &alarms, alarm, serial, at(seconds), count));
        }
        assert!(
            !set(&toy, &alarms, &mut own[0], 0, at(7), &counts[0]),
            "a later one moves nothing"
        );
        assert!(!set(&toy, &alarms, &mut own[1], 1, at(4), &counts[1]), "a nearer one moves it");
        assert_eq!((toy.tasks(), woken()), (1, [0, 0, 0]));
        toy.advance(Duration::from_secs(3));
        assert_eq!(woken(), [0, 0, 1]);
        toy.advance(Duration::from_secs(1));
        assert_eq!(woken(), [0, 1, 1]);
        toy.advance(Duration::from_millis(999));
        assert_eq!((toy.tasks(), woken()), (1, [0, 1, 1]));
        toy.advance(Duration::from_millis(1));
        assert_eq!((toy.tasks(), woken()), (0, [1, 1, 1]));
        assert!(set(&toy, &alarms, &mut own[0], 0, at(5), &counts[0]), "its time has come");
        assert!(!set(&toy, &alarms, &mut own[0], 0, at(6), &counts[0]));
        assert_eq!(toy.tasks(), 1);
        own[0].cancel(&alarms, 0);
        toy.settle();
        assert_eq!((toy.tasks(), lock(&alarms.table).queue.len()), (0, 0));
    }

    #[test]
    fn a_task_that_is_lost_is_replaced() {
        let (toy, alarms) = (Toy::default(), Arc::new(Alarms::default()));
        let (mut alarm, count) = (Alarm::default(), Arc::default());
        assert!(!set(&toy, &alarms, &mut alarm, 1, at(5), &count));
        toy.drop_tasks();
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "so that it sets its alarm again");
        assert!(!set(&toy, &alarms, &mut alarm, 1, at(5), &count));
        assert_eq!(toy.tasks(), 1);
        toy.advance(Duration::from_secs(5));
        assert_eq!((toy.tasks(), count.0.load(Ordering::Relaxed)), (0, 2));
    }
}
