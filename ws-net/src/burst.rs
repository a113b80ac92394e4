//! What code of users takes and sends while the driver runs it, without the connection's lock.
//!
//! The lock costs as much as framing a message. So the driver lends its thread a burst before it
//! polls the handler or tells a message: what has arrived already, and a [`Batch`] that parses it
//! and takes answers. Both lie with the thread, so they need no lock, and go back as soon as somebody
//! takes it: on this thread by settling first, on another by saying so, after which this thread
//! takes the lock, too. What one task says before another is therefore sent before it.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use ws_proto::{Batch, Instant, Message, RecvBuf, SendBuf};

use crate::loan::Loan;
use crate::outbox::Outbox;
use crate::shared::{Activity, Inner, Reader, Shared};
use crate::streaming::Reading;

/// Bytes that a batch takes, beside what others queue meanwhile.
const BYTES: usize = 32 << 10;

thread_local! {
    static BURST: Burst = const { Burst::new() };
}

/// The burst of a thread, which is for one connection at a time.
struct Burst {
    /// The connection whose code of users runs on this thread, by its serial number, since an
    /// address may be another's by the time it is compared; 0 for none.
    runs: Cell<u64>,
    /// The connection that has lent what it has; 0 for none.
    lender: Cell<u64>,
    /// Who finds no more messages may wait: the driver finds whatever comes behind them.
    drained: Cell<bool>,
    /// The waker of the driver.
    waker: Cell<(*const (), *const ())>,
    /// Nothing that is the users' is done while it is borrowed.
    lent: RefCell<Lent>,
}

/// What a connection lends.
struct Lent {
    /// The message that the driver put aside.
    slot: Option<Message>,
    /// What was received behind it.
    input: Option<Box<RecvBuf>>,
    batch: Batch,
    /// The time of the driver's turn.
    now: Instant,
}

impl Lent {
    const fn new() -> Self {
        Self { slot: None, input: None, batch: Batch::new(), now: Instant::from_nanos(0) }
    }

    #[inline]
    fn next(&mut self) -> Option<Message> {
        if self.slot.is_some() {
            return self.slot.take();
        }
        self.batch.poll_message(self.input.as_mut()?, self.now)
    }
}

impl Burst {
    const fn new() -> Self {
        Self {
            runs: Cell::new(0),
            lender: Cell::new(0),
            drained: Cell::new(false),
            waker: Cell::new((ptr::null(), ptr::null())),
            lent: RefCell::new(Lent::new()),
        }
    }

    /// Whether this connection has lent, and nobody else has used it since.
    #[inline]
    fn is_of(&self, shared: &Shared) -> bool {
        self.lender.get() == shared.serial && !shared.contested.load(Ordering::Acquire)
    }

    fn lend(&self, shared: &Shared, inner: &mut Inner) {
        if self.lender.get() != 0
            || self.runs.get() != shared.serial
            || inner.streaming.reading() != Reading::Whole
            || inner.streaming.is_writing()
        {
            return;
        }
        self.begin_loan(shared, inner);
        let drained = inner.lend_to(&mut self.lent.borrow_mut());
        self.drained.set(drained);
        inner.loan.drained |= drained && !inner.paused;
    }

    #[inline]
    fn begin_loan(&self, shared: &Shared, inner: &mut Inner) {
        self.lender.set(shared.serial);
        inner.loan.lent = true;
        shared.contested.store(false, Ordering::Relaxed);
        let waker = inner.waker.as_ref().map(identity);
        self.waker.set(waker.unwrap_or((ptr::null(), ptr::null())));
    }

    fn settle(&self, inner: &mut Inner) {
        self.lender.set(0);
        inner.loan = Loan { lent: false, settled: true, ..inner.loan };
        inner.take_back(&mut self.lent.borrow_mut());
    }
}

/// From now on code of users of this connection runs on this thread.
pub(crate) fn begin(shared: &Shared) {
    let _ = BURST.try_with(|burst| {
        if burst.runs.get() == 0 {
            burst.runs.set(shared.serial);
        }
    });
}

/// It runs no more. What is lent still goes back when the lock is taken next, which the driver
/// does before anything else.
#[inline]
pub(crate) fn end(shared: &Shared) {
    let _ = BURST.try_with(|burst| {
        if burst.runs.get() == shared.serial {
            burst.runs.set(0);
        }
    });
}

/// Ends the burst of a connection whose driver is left by a panic; forget it otherwise. What is
/// lent is dropped, since the driver may be, too, on a thread that cannot settle it.
pub(crate) struct Watch(u64);

impl Watch {
    pub(crate) fn over(shared: &Shared) -> Self {
        Self(shared.serial)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let lost = BURST.try_with(|burst| {
            if burst.runs.get() == self.0 {
                burst.runs.set(0);
            }
            let lent = burst.lender.get() == self.0;
            lent.then(|| {
                burst.lender.set(0);
                burst.lent.replace(Lent::new())
            })
        });
        // Nothing is borrowed here: owners of payloads may be code of users.
        drop(lost);
    }
}

/// Whether no burst goes on on this thread.
#[cfg(test)]
pub(crate) fn is_over() -> bool {
    BURST.with(|burst| (burst.runs.get(), burst.lender.get()) == (0, 0))
}

/// A message that was lent to this thread.
pub(crate) fn next(shared: &Shared) -> Option<Message> {
    let next = |burst: &Burst| {
        if burst.is_of(shared) { burst.lent.borrow_mut().next() } else { None }
    };
    BURST.try_with(next).ok().flatten()
}

/// The next message for the task of `cx`, or that it has to wait; `None` when the lock is needed to
/// tell.
#[inline]
pub(crate) fn poll_next(shared: &Shared, cx: &Context<'_>) -> Option<Poll<Message>> {
    let next = |burst: &Burst| {
        if !burst.is_of(shared) {
            return None;
        }
        if let Some(message) = burst.lent.borrow_mut().next() {
            return Some(Poll::Ready(message));
        }
        // The driver polls its handler whenever there is something to wait for.
        let waits = burst.drained.get() && burst.waker.get() == identity(cx.waker());
        waits.then_some(Poll::Pending)
    };
    BURST.try_with(next).ok().flatten()
}

/// Sends a message with the batch of this thread. `false` when the lock is needed; otherwise what
/// is left of it may be dropped.
#[inline]
pub(crate) fn send(shared: &Shared, message: &mut Message) -> bool {
    let send = |burst: &Burst| burst.is_of(shared) && burst.lent.borrow_mut().batch.take(message);
    BURST.try_with(send).unwrap_or(false)
}

/// Keeps the memory of what was sent for the next batch.
#[inline]
pub(crate) fn recycle(sent: SendBuf) {
    let _ = BURST.try_with(|burst| burst.lent.borrow_mut().batch.recycle(sent));
}

/// The memory that is kept for the next batch.
pub(crate) fn spare() -> SendBuf {
    let spare = |burst: &Burst| burst.lent.borrow_mut().batch.take_spare();
    BURST.try_with(spare).unwrap_or_default()
}

fn identity(waker: &Waker) -> (*const (), *const ()) {
    (waker.data(), ptr::from_ref(waker.vtable()).cast())
}

impl Shared {
    /// Somebody has taken the lock of a connection that has lent.
    #[cold]
    pub(crate) fn call_in(&self, inner: &mut Inner) {
        let settled = BURST.try_with(|burst| {
            let own = burst.lender.get() == self.serial;
            if own {
                burst.settle(inner);
            }
            own
        });
        if settled != Ok(true) {
            self.contested.store(true, Ordering::Release);
        }
    }
}

impl Inner {
    /// Lends to the code of users that runs on this thread, if there is some.
    pub(crate) fn lend(&mut self, shared: &Shared) {
        let _ = BURST.try_with(|burst| burst.lend(shared, self));
    }

    /// The same for the handler that is about to be polled.
    pub(crate) fn lend_to_handler(&mut self, shared: &Shared) {
        if self.loan.handler_takes {
            begin(shared);
            self.lend(shared);
        }
    }

    /// Begins a burst for the handler or the listeners of a connection on which there is nothing but
    /// the messages in `input`. They come back when this thread is in another burst.
    #[inline]
    pub(crate) fn lend_straight(
        &mut self,
        shared: &Shared,
        input: Box<RecvBuf>,
        now: Instant,
    ) -> Result<(), Box<RecvBuf>> {
        let mut input = Some(input);
        let _ = BURST.try_with(|burst| {
            if burst.runs.get() != 0 || burst.lender.get() != 0 {
                return;
            }
            burst.runs.set(shared.serial);
            burst.begin_loan(shared, self);
            burst.drained.set(true);
            self.loan.drained = true;
            let mut lent = burst.lent.borrow_mut();
            self.core.begin_batch(&mut lent.batch, BYTES);
            lent.now = now;
            lent.input = input.take();
        });
        input.map_or(Ok(()), Err)
    }

    /// Ends it, if all messages were taken, puts what is to be written in `outbox`, and answers the
    /// buffer of the input, without a chunk if that became a message. Otherwise nothing was done.
    #[inline]
    pub(crate) fn settle_straight(
        &mut self,
        shared: &Shared,
        outbox: &mut Outbox,
    ) -> Option<Box<RecvBuf>> {
        let settle = |burst: &Burst| {
            let (input, transmit);
            if burst.lender.get() == shared.serial {
                let mut lent = burst.lent.borrow_mut();
                if lent.slot.is_some() {
                    return None;
                }
                input = lent.input.take_if(|input| input.is_idle())?;
                burst.lender.set(0);
                transmit = self.core.transmit_batch(&mut lent.batch);
            } else {
                // Somebody has taken the lock meanwhile, and with it what was lent.
                let given = self.input.take_if(|input| !self.loan.lent && input.is_idle());
                input = given?;
                transmit = self.core.poll_transmit();
            }
            burst.runs.set(0);
            self.loan = Loan { handler_takes: self.loan.handler_takes, ..Loan::default() };
            if let Some(transmit) = transmit {
                outbox.put(transmit, false);
            }
            Some(input)
        };
        BURST.try_with(settle).ok().flatten()
    }

    /// The driver is gone, and with it what was lent.
    pub(crate) fn end_loan(&mut self) {
        self.loan = Loan::default();
    }

    /// Whether a thread has what was received.
    pub(crate) fn is_lent(&self) -> bool {
        self.loan.lent
    }

    /// Notes who takes messages.
    pub(crate) fn taken_by_handler(&mut self, handler: bool) {
        self.loan.handler_takes = handler;
    }

    /// A thread has what was received, and somebody else wants a message.
    pub(crate) fn want_back(&mut self) {
        self.loan.wanted = true;
    }

    /// Whether to tell those who wait for messages.
    pub(crate) fn is_given_back(&mut self) -> bool {
        let given = mem::take(&mut self.loan.settled);
        let wanted = mem::take(&mut self.loan.wanted);
        given && (wanted || self.slot.is_some())
    }

    /// Whether the handler may wait for what the driver does not look for: a pause has begun, and
    /// only `recv` goes on in it.
    pub(crate) fn is_missed_by_pause(&mut self) -> bool {
        mem::take(&mut self.loan.drained) && self.paused
    }

    /// Lends what was received, and answers whether the driver finds what comes behind the messages
    /// in it, if anything does.
    fn lend_to(&mut self, lent: &mut Lent) -> bool {
        debug_assert_eq!(self.driver, Activity::Running);
        let waits = self.room_wanted || self.backlog.is_some();
        self.core.begin_batch(&mut lent.batch, if waits { 0 } else { BYTES });
        lent.now = self.now;
        lent.slot = self.slot.take();
        if self.stash.is_some() || self.end.is_some() || self.reader == Reader::Nobody {
            return false;
        }
        lent.input = self.input.take();
        // During a pause only `recv` looks for it.
        lent.input.is_none() || !self.paused
    }

    fn take_back(&mut self, lent: &mut Lent) {
        self.core.end_batch(&mut lent.batch);
        if let Some(input) = lent.input.take() {
            debug_assert!(self.input.is_none());
            self.input = Some(input);
        }
        let slot = lent.slot.take();
        if self.reader == Reader::Handles {
            self.slot = slot;
        }
    }
}
