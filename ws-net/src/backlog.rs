use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ws_proto::{Prepared, SendBuf};

use crate::contain::wake;
use crate::delivery::SlowOptions;
use crate::waiters::{Spare, lock};

/// Messages to many that wait until the outbound buffer of a connection has room.
///
/// Those that somebody [waits for](Ticket) keep their place in the order and are never thrown
/// away; there are as many as futures wait. The others are bounded by [`SlowOptions`].
#[derive(Default)]
pub(crate) struct Backlog {
    queue: VecDeque<Entry>,
    /// Bytes of all payloads.
    bytes: usize,
    /// How many may be thrown away, and the bytes of their payloads.
    loose: usize,
    loose_bytes: usize,
}

/// A message that waits.
pub(crate) struct Entry {
    pub(crate) message: Prepared,
    pub(crate) ticket: Option<Arc<Ticket>>,
}

/// What to let go when no lock is held any more: it may run code of users. Mostly there is nothing,
/// so it is no more than a pointer then.
#[derive(Default)]
pub(crate) struct Freed(Option<Box<Parts>>);

#[derive(Default)]
struct Parts {
    wakers: Vec<Waker>,
    messages: Vec<Prepared>,
    unsent: Vec<SendBuf>,
}

/// Counts for one message to many the receivers that have yet to take it.
#[derive(Default)]
pub(crate) struct Ticket(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    left: usize,
    taken: usize,
    lost: usize,
    waker: Option<Waker>,
}

impl Backlog {
    /// Appends a message that somebody waits for.
    pub(crate) fn push_awaited(&mut self, message: Prepared, ticket: Arc<Ticket>) {
        ticket.add();
        self.bytes += message.message().len();
        self.queue.push_back(Entry { message, ticket: Some(ticket) });
    }

    /// Appends a message; the oldest make room for it. One that is larger than the limit has it
    /// for itself. Answers how many were thrown away.
    pub(crate) fn push(
        &mut self,
        message: Prepared,
        limits: &SlowOptions,
        freed: &mut Freed,
    ) -> usize {
        let len = message.message().len();
        let mut dropped = 0;
        while self.loose > 0
            && (self.loose >= limits.max_messages || self.loose_bytes + len > limits.max_bytes)
        {
            dropped += self.drop_oldest(freed);
        }
        self.bytes += len;
        self.loose += 1;
        self.loose_bytes += len;
        self.queue.push_back(Entry { message, ticket: None });
        dropped
    }

    /// Appends a message in place of all others. Answers how many were thrown away.
    pub(crate) fn replace(
        &mut self,
        message: Prepared,
        limits: &SlowOptions,
        freed: &mut Freed,
    ) -> usize {
        let mut dropped = 0;
        while self.loose > 0 {
            dropped += self.drop_oldest(freed);
        }
        dropped + self.push(message, limits, freed)
    }

    /// Takes the next message out.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.queue.pop_front()?;
        self.count_out(&entry);
        Some(entry)
    }

    /// Takes out what nobody waits for any more.
    pub(crate) fn forget(&mut self, ticket: &Arc<Ticket>, freed: &mut Freed) {
        let of_ticket =
            |entry: &Entry| entry.ticket.as_ref().is_some_and(|own| Arc::ptr_eq(own, ticket));
        while let Some(at) = self.queue.iter().position(of_ticket)
            && let Some(entry) = self.queue.remove(at)
        {
            self.count_out(&entry);
            freed.put_message(entry.message);
        }
    }

    /// The next message.
    pub(crate) fn front(&self) -> Option<&Prepared> {
        self.queue.front().map(|entry| &entry.message)
    }

    /// Bytes of all payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn drop_oldest(&mut self, freed: &mut Freed) -> usize {
        let oldest = self.queue.iter().position(|entry| entry.ticket.is_none());
        let Some(entry) = oldest.and_then(|at| self.queue.remove(at)) else {
            self.loose = 0;
            return 0;
        };
        self.count_out(&entry);
        freed.put_message(entry.message);
        1
    }

    fn count_out(&mut self, entry: &Entry) {
        let len = entry.message.message().len();
        self.bytes -= len;
        if entry.ticket.is_none() {
            self.loose -= 1;
            self.loose_bytes -= len;
        }
    }
}

impl Entry {
    /// Says what became of the message.
    pub(crate) fn settle(self, taken: bool, freed: &mut Freed) {
        freed.put_message(self.message);
        freed.extend(self.ticket.and_then(|ticket| ticket.settle(taken)));
    }
}

impl Freed {
    pub(crate) fn put_message(&mut self, message: Prepared) {
        self.0.get_or_insert_default().messages.push(message);
    }

    /// Takes what was queued and will not be sent.
    pub(crate) fn put_unsent(&mut self, unsent: Option<SendBuf>) {
        if let Some(unsent) = unsent {
            self.0.get_or_insert_default().unsent.push(unsent);
        }
    }

    /// Wakes and drops. No lock is held.
    #[inline]
    pub(crate) fn release(&mut self) {
        if let Some(freed) = self.0.take() {
            freed.release();
        }
    }
}

impl Parts {
    /// Out of line, since mostly there is nothing.
    #[inline(never)]
    fn release(self) {
        self.wakers.into_iter().for_each(wake);
    }
}

/// Tasks to be woken.
impl Extend<Waker> for Freed {
    fn extend<T: IntoIterator<Item = Waker>>(&mut self, wakers: T) {
        for waker in wakers {
            self.0.get_or_insert_default().wakers.push(waker);
        }
    }
}

impl Ticket {
    /// How many receivers have taken the message and how many have ended, when none is left.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<(usize, usize)> {
        let mut spare = Spare::default();
        loop {
            let mut progress = lock(&self.0);
            if progress.left == 0 {
                return Poll::Ready((progress.taken, progress.lost));
            }
            let known = progress.waker.as_ref().is_some_and(|own| own.will_wake(cx.waker()));
            if known || spare.put(&mut progress.waker) {
                return Poll::Pending;
            }
            drop(progress);
            spare.renew(cx.waker());
        }
    }

    /// Whether receivers are left.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.0).left > 0
    }

    fn add(&self) {
        lock(&self.0).left += 1;
    }

    /// Answers whom to wake.
    fn settle(&self, taken: bool) -> Option<Waker> {
        let mut progress = lock(&self.0);
        *if taken { &mut progress.taken } else { &mut progress.lost } += 1;
        progress.left -= 1;
        if progress.left == 0 { progress.waker.take() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(backlog: &mut Backlog) -> Vec<usize> {
        std::iter::from_fn(|| backlog.pop()).map(|entry| entry.message.message().len()).collect()
    }

    fn limits(max_messages: usize, max_bytes: usize) -> SlowOptions {
        SlowOptions { max_messages, max_bytes, ..SlowOptions::default() }
    }

    impl Freed {
        /// Tasks and messages.
        fn count(&self) -> (usize, usize) {
            self.0.as_ref().map_or((0, 0), |freed| (freed.wakers.len(), freed.messages.len()))
        }
    }

    fn message(len: usize) -> Prepared {
        Prepared::new(vec![0; len])
    }

    #[test]
    fn the_oldest_make_room() {
        let (mut backlog, mut freed) = (Backlog::default(), Freed::default());
        let limits = limits(3, 100);
        let dropped = [10, 20, 30, 40, 31, 100, 101, 1]
            .map(|len| backlog.push(message(len), &limits, &mut freed));
        assert_eq!(dropped, [0, 0, 0, 1, 2, 2, 1, 1]);
        assert_eq!((backlog.bytes(), freed.count()), (1, (0, 7)));
        assert_eq!((drain(&mut backlog), backlog.bytes()), (vec![1], 0));
        assert!(size_of::<Entry>() <= 24, "the table of memory says so");
    }

    #[test]
    fn what_is_awaited_keeps_its_place() {
        let (mut backlog, mut freed) = (Backlog::default(), Freed::default());
        let limits = limits(1, 100);
        let tickets = [(); 2].map(|()| Arc::new(Ticket::default()));
        backlog.push_awaited(message(200), Arc::clone(&tickets[0]));
        assert_eq!(backlog.push(message(1), &limits, &mut freed), 0);
        backlog.push_awaited(message(201), Arc::clone(&tickets[1]));
        backlog.push_awaited(message(202), Arc::clone(&tickets[0]));
        assert_eq!(backlog.push(message(2), &limits, &mut freed), 1);
        assert_eq!(backlog.replace(message(3), &limits, &mut freed), 1);
        assert_eq!(backlog.bytes(), 606);
        backlog.forget(&tickets[1], &mut freed);
        assert_eq!(backlog.bytes(), 405);
        assert_eq!(drain(&mut backlog), [200, 202, 3]);
    }

    #[test]
    fn a_ticket_tells_when_nobody_is_left() {
        let (mut backlog, mut freed) = (Backlog::default(), Freed::default());
        let ticket = Arc::new(Ticket::default());
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(ticket.poll(&mut cx), Poll::Ready((0, 0)));
        for _ in 0..3 {
            backlog.push_awaited(message(1), Arc::clone(&ticket));
        }
        for (left, taken) in [(2, true), (1, false), (0, true)] {
            assert!(ticket.is_open() && ticket.poll(&mut cx).is_pending());
            assert_eq!(freed.count().0, 0);
            backlog.pop().unwrap().settle(taken, &mut freed);
            assert_eq!(ticket.is_open(), left > 0);
        }
        assert_eq!(freed.count(), (1, 3));
        assert_eq!(ticket.poll(&mut cx), Poll::Ready((2, 1)));
    }
}
