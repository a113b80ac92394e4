use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use tracing::error;
use ws_proto::Instant;

use crate::contain::{catch, contain, wake};
use crate::queue::{Key, Queue};
use crate::runtime::{Runtime, Sleep};
use crate::waiters::lock;

/// The deadlines of the connections of one server. On each of its runtimes one task sleeps for all
/// of them, since the timer of a runtime would be a tenth of what an idle connection costs. One
/// task for several runtimes would keep no deadline while its own runtime stands still.
#[derive(Default)]
pub(crate) struct Alarms {
    /// Alarms know theirs by its place, so that it keeps that while it is in use.
    tables: Mutex<Vec<Table>>,
    /// How often a table was given to a runtime.
    given: AtomicU32,
    /// Counts the tasks that were dropped before their end, with all that they should have woken.
    losses: AtomicU32,
}

/// The alarms of one runtime.
#[derive(Default)]
struct Table {
    /// See [`Runtime::key`].
    runtime: u64,
    /// Of all runtimes that ever had a table only this one has this number, which is not 0.
    home: u32,
    /// Whom to wake at what time.
    queue: Queue<Waker>,
    /// What the task sleeps for; `None` when there is no task.
    sleeping: Option<Sleeping>,
    /// How many tasks in a row were dropped before they were polled.
    unborn: u8,
    /// The runtime has no timers.
    broken: bool,
}

/// Where an alarm was put.
struct Place {
    table: u32,
    /// See [`Table::home`].
    home: u32,
    /// The task of the table has to be started.
    starts: bool,
}

struct Sleeping {
    until: Instant,
    /// `None` until its first poll.
    task: Option<Waker>,
}

/// From so many tasks on that were dropped before they were polled, nobody is woken to start
/// another one: that would go on for ever.
const TRIES: u8 = 3;

/// The alarm of one connection, which is moved only when a deadline comes nearer: one that comes
/// too early is set again then.
#[derive(Default)]
pub(crate) struct Alarm {
    set: Option<Instant>,
    /// The table that it is in.
    table: u32,
    /// The losses that were known when it was set.
    losses: u32,
}

impl Alarm {
    /// Wakes the task of `cx` at `deadline` or before. Ready when `deadline` has come already. An
    /// alarm that is set anew tells its runtime by `moved`: each has a number of its own.
    pub(crate) fn poll_set<R: Runtime>(
        &mut self,
        alarms: &Arc<Alarms>,
        serial: u64,
        deadline: Option<Instant>,
        (runtime, now): (&R, Instant),
        cx: &mut Context<'_>,
        moved: impl FnOnce(u32),
    ) -> Poll<()> {
        // One whose time has come has rung, or will do so without harm.
        self.set = self.set.filter(|at| *at > now);
        let Some(deadline) = deadline else { return Poll::Pending };
        if deadline <= now {
            return Poll::Ready(());
        }
        let losses = alarms.losses.load(Ordering::Acquire);
        let kept = self.set.is_some_and(|at| at <= deadline);
        if kept && self.losses == losses {
            return Poll::Pending;
        }
        let at = self.set.filter(|_| kept).unwrap_or(deadline);
        let old = self.set.take().map(|old| (self.table, (old, serial)));
        self.losses = losses;
        if let Some(place) = alarms.set(old, (at, serial), runtime.key(), cx.waker()) {
            (self.set, self.table) = (Some(at), place.table);
            if place.starts {
                start(runtime, alarms, place.table);
            }
            moved(place.home);
        }
        Poll::Pending
    }

    /// The task is another one than before: the next call that sets an alarm sets it anew.
    pub(crate) fn renew(&mut self, alarms: &Alarms) {
        // As if it had been lost.
        self.losses = alarms.losses.load(Ordering::Acquire).wrapping_sub(1);
    }

    /// Takes the alarm out.
    pub(crate) fn cancel(&mut self, alarms: &Alarms, serial: u64) {
        if let Some(at) = self.set.take() {
            alarms.cancel(self.table, (at, serial));
        }
    }
}

/// Starts the task of a table.
fn start<R: Runtime>(runtime: &R, alarms: &Arc<Alarms>, table: u32) {
    let post = Post { alarms: Arc::clone(alarms), table, polled: false, done: false };
    contain("starting the task of the deadlines", || {
        runtime.spawn(Ticker { post, runtime: runtime.clone(), sleep: None });
    });
}

impl Alarms {
    /// Puts an alarm in the place of another. `None` when the runtime has no timers.
    fn set(&self, old: Option<(u32, Key)>, new: Key, runtime: u64, waker: &Waker) -> Option<Place> {
        let waker = waker.clone();
        // Dropped when the lock is free.
        let replaced;
        let mut tables = lock(&self.tables);
        replaced = old.and_then(|(table, key)| tables.get_mut(table as usize)?.queue.remove(key));
        let at = self.place_of(&mut tables, runtime);
        let table = tables.get_mut(at).filter(|table| !table.broken)?;
        table.queue.insert(new, waker);
        let (starts, task) = match &mut table.sleeping {
            Some(sleeping) if new.0 < sleeping.until => (false, sleeping.task.take()),
            Some(_) => (false, None),
            none => {
                *none = Some(Sleeping { until: new.0, task: None });
                (true, None)
            }
        };
        let home = table.home;
        drop(tables);
        drop(replaced);
        task.into_iter().for_each(wake);
        Some(Place { table: u32::try_from(at).ok()?, home, starts })
    }

    /// Where the alarms of this runtime are, from now on.
    fn place_of(&self, tables: &mut Vec<Table>, runtime: u64) -> usize {
        if let Some(own) = tables.iter().position(|table| table.runtime == runtime) {
            return own;
        }
        let free =
            |table: &Table| table.queue.is_empty() && table.sleeping.is_none() && !table.broken;
        let at = tables.iter().position(free).unwrap_or(tables.len());
        if at == tables.len() {
            tables.push(Table::default());
        }
        if let Some(table) = tables.get_mut(at) {
            table.runtime = runtime;
            table.home = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        }
        at
    }

    /// The task ends with the last alarm.
    fn cancel(&self, table: u32, key: Key) {
        let mut tables = lock(&self.tables);
        let Some(table) = tables.get_mut(table as usize) else { return };
        let _old = table.queue.remove(key);
        let last = table.queue.is_empty();
        let task =
            table.sleeping.as_mut().filter(|_| last).and_then(|sleeping| sleeping.task.take());
        drop(tables);
        task.into_iter().for_each(wake);
    }

    /// Takes out whom to wake now, and notes that the task of `waker` sleeps until the time that it
    /// answers. `None` when nothing is left to sleep for.
    fn tick(
        &self,
        table: u32,
        now: Instant,
        due: &mut Vec<Waker>,
        waker: Waker,
    ) -> Option<Instant> {
        let mut waker = Some(waker);
        let mut tables = lock(&self.tables);
        let table = tables.get_mut(table as usize)?;
        table.unborn = 0;
        while let Some(first) = table.queue.pop(now) {
            due.push(first);
        }
        let until = table.queue.first();
        let sleeping = until.map(|until| Sleeping { until, task: waker.take() });
        let old = mem::replace(&mut table.sleeping, sleeping);
        drop(tables);
        drop(old);
        until
    }

    /// The task of a table has come to an untimely end. Mostly its runtime ends, and maybe not
    /// that of every connection.
    fn lose(&self, table: u32, cause: Loss) {
        let mut tables = lock(&self.tables);
        let Some(table) = tables.get_mut(table as usize) else { return };
        // Under the lock: whoever reads the new count finds the new table.
        self.losses.fetch_add(1, Ordering::Release);
        let (lost, task) = (mem::take(&mut table.queue), table.sleeping.take());
        table.unborn = if cause == Loss::Unborn { table.unborn.saturating_add(1) } else { 0 };
        table.broken = cause == Loss::Panicked;
        let (unborn, broken) = (table.unborn, table.broken);
        drop(tables);
        drop(task);
        if unborn == TRIES {
            error!(target: "ws::server", "the runtime takes no tasks: no deadline is kept on it");
        }
        if unborn < TRIES && !broken {
            lost.into_values().for_each(wake);
        }
    }
}

/// How a task of a table ended.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    /// It was dropped.
    Dropped,
    /// It was dropped and never polled.
    Unborn,
    /// Its timer panicked.
    Panicked,
}

/// A task's duty to keep the alarms of a table. It is handed back when it is dropped.
struct Post {
    alarms: Arc<Alarms>,
    table: u32,
    polled: bool,
    done: bool,
}

impl Drop for Post {
    fn drop(&mut self) {
        if !self.done {
            self.alarms.lose(self.table, if self.polled { Loss::Dropped } else { Loss::Unborn });
        }
    }
}

pin_project! {
    /// The task that sleeps.
    #[project = TickerProjection]
    struct Ticker<R: Runtime> {
        post: Post,
        runtime: R,
        #[pin]
        sleep: Option<R::Sleep>,
    }
}

impl<R: Runtime> Future for Ticker<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        this.post.polled = true;
        let report = |text: &str| {
            error!(
                target: "ws::server",
                "the runtime has no timers, so that no deadline is kept on it: {text}",
            );
        };
        let tick = catch(|| this.tick(cx), report);
        if tick == Some(Poll::Pending) {
            return Poll::Pending;
        }
        this.post.done = true;
        if tick.is_none() {
            this.post.alarms.lose(this.post.table, Loss::Panicked);
        }
        Poll::Ready(())
    }
}

impl<R: Runtime> TickerProjection<'_, R> {
    /// Wakes those whose time has come, and sleeps. Ready when nothing is left to sleep for.
    fn tick(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Post { alarms, table, .. } = self.post;
        let mut due = Vec::new();
        loop {
            let until = alarms.tick(*table, self.runtime.now(), &mut due, cx.waker().clone());
            due.drain(..).for_each(wake);
            let Some(until) = until else { return Poll::Ready(()) };
            match self.sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.reset(until),
                None => self.sleep.set(Some(self.runtime.sleep_until(until))),
            }
            let sleeps =
                self.sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_pending());
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
            alarm.poll_set(alarms, serial, Some(to), (toy, toy.now()), &mut cx, |_| {}).is_ready();
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
        assert_eq!((toy.tasks(), lock(&alarms.tables)[0].queue.is_empty()), (0, true));
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

    #[test]
    fn a_runtime_that_stands_still_holds_up_no_other() {
        let (still, runs, alarms) = (Toy::default(), Toy::default(), Arc::new(Alarms::default()));
        let counts: [Arc<Count>; 2] = Default::default();
        let mut own: [Alarm; 2] = Default::default();
        assert!(!set(&still, &alarms, &mut own[0], 0, at(5), &counts[0]));
        assert!(!set(&runs, &alarms, &mut own[1], 1, at(5), &counts[1]));
        runs.advance(Duration::from_secs(5));
        assert_eq!(counts.each_ref().map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
        // The place of a runtime without alarms goes to the next one.
        let (next, mut alarm, count) = (Toy::default(), Alarm::default(), Arc::default());
        assert!(!set(&next, &alarms, &mut alarm, 2, at(6), &count));
        assert_eq!(lock(&alarms.tables).len(), 2);
        next.advance(Duration::from_secs(6));
        own[0].cancel(&alarms, 0);
        still.settle();
        assert_eq!((still.tasks(), count.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn a_runtime_without_timers_is_asked_once() {
        let (toy, alarms) = (Toy::default(), Arc::new(Alarms::default()));
        let (mut alarm, count) = (Alarm::default(), Arc::default());
        toy.break_timers();
        for _ in 0..3 {
            assert!(!set(&toy, &alarms, &mut alarm, 1, at(5), &count));
            assert_eq!(toy.tasks(), 0);
        }
        assert_eq!((toy.timers_broken(), count.0.load(Ordering::Relaxed)), (1, 0));
        let (sound, mut other) = (Toy::default(), Alarm::default());
        assert!(!set(&sound, &alarms, &mut other, 2, at(5), &count));
        sound.advance(Duration::from_secs(5));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_runtime_that_takes_no_tasks_is_not_asked_for_ever() {
        let (toy, alarms) = (Toy::default(), Arc::new(Alarms::default()));
        let (mut alarm, count) = (Alarm::default(), Arc::default());
        toy.refuse_tasks();
        for _ in 0..10 {
            assert!(!set(&toy, &alarms, &mut alarm, 1, at(5), &count));
        }
        assert_eq!(count.0.load(Ordering::Relaxed), usize::from(TRIES) - 1);
    }

    #[test]
    fn a_waker_that_panics_takes_no_other_with_it() {
        struct Rude;
        impl Wake for Rude {
            fn wake(self: Arc<Self>) {
                panic!("not now");
            }
        }
        let (toy, alarms) = (Toy::default(), Arc::new(Alarms::default()));
        let (mut rude, mut late, count) = (Alarm::default(), Alarm::default(), Arc::default());
        let waker = Waker::from(Arc::new(Rude));
        let mut cx = Context::from_waker(&waker);
        assert!(
            rude.poll_set(&alarms, 1, Some(at(5)), (&toy, toy.now()), &mut cx, |_| {}).is_pending()
        );
        assert!(!set(&toy, &alarms, &mut late, 2, at(5), &count));
        toy.advance(Duration::from_secs(5));
        assert_eq!((toy.tasks(), count.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn another_task_is_woken_from_then_on() {
        let (toy, alarms) = (Toy::default(), Arc::new(Alarms::default()));
        let (mut alarm, counts): (_, [Arc<Count>; 2]) = (Alarm::default(), Default::default());
        assert!(!set(&toy, &alarms, &mut alarm, 1, at(5), &counts[0]));
        alarm.renew(&alarms);
        let mut cx = Context::from_waker(Waker::noop());
        // There was no deadline when the task was noticed.
        assert!(alarm.poll_set(&alarms, 1, None, (&toy, toy.now()), &mut cx, |_| {}).is_pending());
        assert!(!set(&toy, &alarms, &mut alarm, 1, at(5), &counts[1]));
        toy.advance(Duration::from_secs(5));
        assert_eq!(counts.each_ref().map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
        assert!(size_of::<Alarm>() <= 24, "every idle connection holds one");
    }
}
