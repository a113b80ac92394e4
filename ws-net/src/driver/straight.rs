//! The turn of a connection on which nothing happens but messages, and answers to them.
//!
//! [`work`](DriverProjection::work) looks at everything before each step that it takes. Where one
//! message comes at a time, that is most of what it costs outside of the system. So this looks once
//! whether there is anything to look at, before the messages and once more behind them, and leaves
//! whatever is unusual to that, from there on where it stands.

use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use ws_proto::{CloseCode, Instant, RecvBuf, State};

use super::{DriverProjection, Socket};
use crate::burst;
use crate::door::Door;
use crate::outbox::Outbox;
use crate::pool;
use crate::runtime::{Runtime, Transport};
use crate::shared::{Activity, Inner, Reader, Shared};
use crate::turn::{BUDGET, COST_OF_READ, Turn};

#[cfg(test)]
thread_local! {
    /// Turns that were done in this way, for tests that want to know.
    pub(super) static DONE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl<R: Runtime, S: Transport, D: Door> DriverProjection<'_, R, S, D> {
    /// Whether what comes next is probably messages.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        let summoned = self.membership.connection.shared().summoned.load(Ordering::Relaxed);
        let taken = self.handler.is_some() || D::READER == Reader::Listeners;
        !summoned && taken && self.rest.is_calm() && self.verdict.is_none()
    }

    /// Does all of a turn that is calm, and answers until when to sleep. The connection counts as
    /// asleep whenever the socket is read.
    ///
    /// # Errors
    /// Something is unusual: the turn, from where it stands.
    #[inline]
    pub(super) fn go_straight(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<Option<Instant>, Turn> {
        if self.rest.expected.is_some() {
            self.go_expecting(now, cx)
        } else {
            self.go::<false>(now, cx)
        }
    }

    /// The same where it is known how long the message will be.
    #[inline(never)]
    fn go_expecting(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<Option<Instant>, Turn> {
        self.go::<true>(now, cx)
    }

    #[inline]
    fn go<const EXPECTS: bool>(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<Option<Instant>, Turn> {
        let mut input = if EXPECTS {
            pool::take_for_message(self.rest.expected.room())
        } else {
            pool::take_usual()
        };
        let (mut sleeps, mut budget) = (None, BUDGET);
        while budget >= 2 * COST_OF_READ {
            budget -= COST_OF_READ;
            let Socket::Open(socket) = self.socket else {
                return Err(self.leave(Some(input), (now, budget)));
            };
            let result = socket.poll_fill(cx, &mut input);
            let first = EXPECTS && sleeps.is_none();
            if first && input.has_room() && !input.appends() {
                // All of it was initialised.
                self.rest.expected.give_up();
            }
            match (&result, sleeps) {
                (Poll::Ready(Ok(n)), _)
                    if Turn::is_short(*n, input.capacity())
                        && input.first().is_some_and(may_be_message) => {}
                (Poll::Pending, Some(deadline)) => {
                    pool::keep_usual(input);
                    #[cfg(test)]
                    DONE.set(DONE.get() + 1);
                    return Ok(deadline);
                }
                _ => return Err(self.leave_at_read(result, input, (now, budget))),
            }
            let deadline;
            (input, deadline) = self.answer(input, (now, &mut budget), cx)?;
            if first {
                if input.has_room() && self.rest.expected.is_some() {
                    // What counted as one message was none: several texts of the drafts.
                    self.rest.expected.give_up();
                }
                pool::keep_empty(input);
                input = pool::take_usual();
            }
            sleeps = Some(deadline);
        }
        // Others have their turns.
        pool::keep_usual(input);
        cx.waker().wake_by_ref();
        Ok(sleeps.flatten())
    }

    /// Gives what was read to the handler or to the listeners, and writes what they answer.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it has two callers, and the way is to be straight")]
    fn answer(
        &mut self,
        input: Box<RecvBuf>,
        (now, budget): (Instant, &mut usize),
        cx: &mut Context<'_>,
    ) -> Result<(Box<RecvBuf>, Option<Instant>), Turn> {
        let shared = self.membership.connection.shared();
        match shared.begin_straight(D::READER, input, now, cx.waker()) {
            Ok(alone) => self.rest.expected.note(alone),
            Err(input) => {
                let read = Poll::Ready(Ok(input.len()));
                return Err(self.leave_at_read(read, input, (now, *budget)));
            }
        }
        let returned = if D::READER == Reader::Listeners {
            self.tell_messages(None, None, now, budget);
            None
        } else {
            self.poll_handler(now, cx)
        };
        let shared = self.membership.connection.shared();
        let mut outbox = Outbox::default();
        let mut end = || shared.end_straight(D::READER, &mut outbox);
        let answered = if returned.is_none() { end() } else { None };
        let Some((input, deadline)) = answered else {
            return Err(self.leave_at_handler(returned, (now, *budget)));
        };
        let mut written = 0;
        let result = match self.socket {
            Socket::Open(socket) => outbox.poll_write(socket, cx, &mut written),
            _ => Poll::Pending,
        };
        if matches!(result, Poll::Ready(Ok(()))) && shared.note_written(written) {
            burst::recycle(outbox.into_sent());
            return Ok((input, deadline));
        }
        let mut turn = self.leave(Some(input), (now, *budget));
        turn.outbox = outbox;
        turn.written = written;
        turn.note_write(&self.membership.connection, result);
        Err(turn)
    }

    #[inline(never)]
    fn leave_at_read(
        &mut self,
        result: Poll<io::Result<usize>>,
        input: Box<RecvBuf>,
        rest: (Instant, usize),
    ) -> Turn {
        if result.is_ready() {
            self.rest.expected.note(0);
        }
        let mut turn = self.leave(Some(input), rest);
        turn.note_read(&self.membership.connection, result, false);
        turn
    }

    #[inline(never)]
    fn leave_at_handler(&mut self, returned: Option<CloseCode>, rest: (Instant, usize)) -> Turn {
        burst::end(self.membership.connection.shared());
        self.rest.expected.note(0);
        let mut turn = self.leave(None, rest);
        turn.handler_due = false;
        if returned.is_some() {
            self.end_handler(returned, &mut turn);
        }
        turn
    }

    /// What is left of a turn that has read.
    fn leave(&mut self, input: Option<Box<RecvBuf>>, (now, budget): (Instant, usize)) -> Turn {
        let mut turn = Turn::begin(self.rest, now);
        turn.input = input;
        turn.budget = budget;
        turn.asked = true;
        self.rest.look_first();
        turn
    }
}

/// Whether what begins like this is no control frame, which no lock need be taken to see.
#[inline]
fn may_be_message(first: u8) -> bool {
    const FIN_OF_CONTROL: u8 = 0x88;
    first & FIN_OF_CONTROL != FIN_OF_CONTROL
}

impl Shared {
    /// Begins a turn whose read brought messages for this `reader`, and lends it these. Answers the
    /// length of the message, with its framing, if it is only one, and 0 otherwise.
    ///
    /// # Errors
    /// There is something else to look at: nothing was done.
    #[inline]
    fn begin_straight(
        &self,
        reader: Reader,
        input: Box<RecvBuf>,
        now: Instant,
        waker: &Waker,
    ) -> Result<usize, Box<RecvBuf>> {
        let mut inner = self.lock_as_leader();
        let known = inner.waker.as_ref().is_some_and(|known| known.will_wake(waker));
        let due = inner.core.poll_timeout().is_some_and(|deadline| deadline <= now);
        let ready = known && !due && inner.is_calm(reader);
        let takes = reader == Reader::Listeners || inner.loan.handler_takes;
        let first = inner.core.whole_len(&input);
        if !ready || !takes || first.is_none() || inner.input.is_some() || inner.is_lent() {
            return Err(input);
        }
        let alone = if first == Some(input.len()) { input.len() } else { 0 };
        inner.lend_straight(self, input, now)?;
        inner.driver = Activity::Running;
        inner.now = now;
        self.summoned.store(false, Ordering::Relaxed);
        Ok(alone)
    }

    /// Ends it when all messages were taken and nothing else has happened. `None`, and nothing was
    /// done, otherwise.
    #[inline]
    fn end_straight(
        &self,
        reader: Reader,
        outbox: &mut Outbox,
    ) -> Option<(Box<RecvBuf>, Option<Instant>)> {
        let mut inner = self.lock_as_leader();
        if !inner.is_calm(reader) || inner.loan.wanted {
            return None;
        }
        let input = inner.settle_straight(self, outbox)?;
        inner.driver = Activity::Asleep;
        Some((input, inner.core.poll_timeout()))
    }
}

impl Inner {
    /// Whether there is nothing but messages for this `reader` to look at. Listeners of one
    /// connection alone are unusual, and listeners are told nothing while the buffer is full.
    #[inline]
    fn is_calm(&self, reader: Reader) -> bool {
        let tells = || {
            let high = self.core.config().limits().outbound_high;
            self.listeners.is_none() && self.core.buffered_amount() < high
        };
        self.core.state() == State::Connected
            && self.reader == reader
            && (reader == Reader::Handles || tells())
            && !self.core.has_news()
            && self.slot.is_none()
            && self.stash.is_none()
            && self.backlog.is_none()
            && self.relay.is_none()
            && !self.room_wanted
            && !self.paused
            && self.streaming.is_idle()
    }
}
