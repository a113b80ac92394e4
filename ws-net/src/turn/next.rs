//! What a driver does next, decided under the lock of its connection.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use bytes::Buf;
use ws_proto::{Event, Instant, State};

use super::{Passes, Rest, StreamEnd, Turn, Work};
use crate::backlog::Freed;
use crate::burst;
use crate::pool;
use crate::shared::{Activity, Common, Inner, Owner, Reader, Shared, Wants};
use crate::streaming::{Reading, Writing};
use crate::waiters::Spare;

impl Inner {
    /// What to do next. Everything received is used up before anything is written, so that the
    /// replies to all messages of one read leave in one write. A receiver that is slow to take them
    /// holds its own sending back as soon as the handler waits for room.
    pub(crate) fn next_work(
        &mut self,
        shared: &Shared,
        turn: &mut Turn,
        rest: &mut Rest,
        passes: Passes<'_>,
    ) -> Work {
        let common = &shared.common;
        if mem::take(&mut turn.goes_on) {
            self.driver = Activity::Running;
        }
        let mut closed = false;
        loop {
            self.report(common, turn);
            if let Some(work) = self.next_news(shared, turn, passes) {
                return work;
            }
            if turn.handler_due && !self.says_goodbye(turn) {
                return self.next_poll(shared, turn);
            }
            while !turn.outbox.has_bytes() {
                let Some(transmit) = self.core.poll_transmit() else { break };
                if let Some(unsent) = turn.outbox.put(transmit, self.core.ends_next()) {
                    self.core.handle_transmitted(unsent.remaining());
                    turn.freed.put_unsent(Some(unsent));
                }
            }
            let writes = !turn.blocked.write && !turn.outbox.is_idle();
            let reads = self.lend_input(common, turn);
            if reads && writes && self.may_settle(turn) {
                return Work::TransferAndSleep(self.fall_asleep(false, turn.now, rest));
            }
            if reads || writes {
                return Work::Transfer;
            }
            if turn.handler_due {
                // There was nothing to say any more.
                return self.next_poll(shared, turn);
            }
            // A socket that takes nothing was given the end, or all that can be done before the
            // deadline is judged is done. Judging it may leave something to write.
            let over = self.core.state() == State::Closed && !mem::replace(&mut closed, true);
            if !over && turn.judged {
                break;
            }
            turn.asked = true;
        }
        let blocked = self.is_blocked(common);
        // What is left unparsed stays where `recv` finds it.
        turn.input = self.input.take_if(|input| !blocked || input.is_empty());
        Work::Sleep(self.fall_asleep(blocked, turn.now, rest))
    }

    /// What has to be told, if there is something.
    fn next_news(&mut self, shared: &Shared, turn: &mut Turn, passes: Passes<'_>) -> Option<Work> {
        let common = &shared.common;
        let work = loop {
            if let Some(work) = self.next_event(common, turn, passes) {
                break work;
            }
            if !self.judge_deadline(common, turn) {
                return None;
            }
        };
        if let Some(own) = &self.listeners {
            turn.listeners = Some(Arc::clone(own));
        }
        if matches!(work, Work::Message(_)) {
            burst::begin(shared);
            self.lend(shared);
        }
        Some(work)
    }

    fn next_poll(&mut self, shared: &Shared, turn: &mut Turn) -> Work {
        turn.handler_due = false;
        self.lend_to_handler(shared);
        Work::Handler
    }

    /// Whether the last bytes, and the end of the stream behind them, come before anything else: the
    /// handler has nothing to add to them, and most connections are over then, which it waits for.
    fn says_goodbye(&self, turn: &Turn) -> bool {
        let says = self.core.buffered_amount() > 0 || self.core.ends_next();
        says && self.core.state() == State::Closing && !turn.blocked.write
    }

    /// Whether the next transfer may be the last of the turn, with nothing to look at behind it.
    fn may_settle(&self, turn: &Turn) -> bool {
        let idle = turn.input.as_ref().is_some_and(|input| input.is_idle());
        idle && turn.judged && self.is_plain()
    }

    /// Whether nobody waits for what is being written, so that the lock need not be taken once more
    /// to say that it was.
    fn is_plain(&self) -> bool {
        self.core.state() == State::Connected
            && !self.room_wanted
            && self.backlog.is_none()
            && !self.streaming.is_writing()
            && self.streaming.reading() == Reading::Whole
    }

    /// What happens with the news that the connection is open. A handler that was started owns it
    /// from now on.
    pub(crate) fn announce(&mut self, started: bool, shared: &Shared, freed: &mut Freed) {
        self.announced = State::Connected;
        self.waiters.take(|wants| wants == Wants::Open, freed);
        if started {
            self.pass_to(Owner::Handler, shared, freed);
        }
    }

    /// From now on it is the `owner` who keeps the connection.
    pub(crate) fn pass_to(&mut self, owner: Owner, shared: &Shared, freed: &mut Freed) {
        self.owner = owner;
        if shared.handles.load(Ordering::Acquire) == 1 {
            self.abandon(&shared.common, freed);
        }
    }

    /// The turn was long enough. The task wakes itself.
    pub(crate) fn interrupt(&mut self, common: &Common, turn: &mut Turn) {
        self.report(common, turn);
        turn.input = self.input.take_if(|input| input.is_empty());
        self.driver = Activity::Woken;
    }

    /// The driver's task was woken. `false` when it is another one than before, and `spare` has no
    /// clone of its waker: make one without the lock, and call again.
    pub(crate) fn wake_up(
        &mut self,
        shared: &Shared,
        turn: &mut Turn,
        waker: &Waker,
        spare: &mut Spare,
    ) -> bool {
        let known = self.waker.as_ref().is_some_and(|known| known.will_wake(waker));
        if !known && !spare.put(&mut self.waker) {
            return false;
        }
        self.driver = Activity::Running;
        shared.summoned.store(false, Ordering::Relaxed);
        self.now = turn.now;
        turn.moved = Some(!known);
        true
    }

    /// Judges the deadline once in a turn, by the clock and not by the timer, which may be late,
    /// and after the bytes that came before it: a busy thread must not blame its peers. Answers
    /// whether something may follow from it.
    fn judge_deadline(&mut self, common: &Common, turn: &mut Turn) -> bool {
        let due = self.core.poll_timeout().is_some_and(|deadline| deadline <= turn.now);
        if due && !turn.asked {
            return false;
        }
        if mem::replace(&mut turn.judged, true) || !due {
            return false;
        }
        self.pass_deadline(common, turn);
        true
    }

    #[cold]
    fn pass_deadline(&mut self, common: &Common, turn: &mut Turn) {
        if self.is_blocked(common) {
            // Nobody is silent who is not listened to.
            self.core.set_paused(true, turn.now);
        }
        if self.core.has_lived(turn.now) {
            // The core closes, as a close of this side does.
            self.push_backlog(&mut turn.freed);
        }
        self.core.handle_timeout(turn.now);
    }

    /// Tells the core what became of the sockets, and the waiting what became of the core.
    fn report(&mut self, common: &Common, turn: &mut Turn) {
        let goes_on = |turn: &Turn| {
            let unseen = turn.input.as_ref().is_some_and(|input| !input.is_empty());
            turn.wide || turn.written > 0 && unseen
        };
        if self.core.state() == State::Closing && goes_on(turn) {
            self.core.linger();
        }
        if turn.written > 0 {
            self.core.handle_transmitted(mem::take(&mut turn.written));
        }
        if let Some(input) = turn.input.take() {
            self.input = Some(input);
        }
        match turn.end.take() {
            None => {}
            Some(StreamEnd::Unwritable) => self.core.handle_write_failure(self.now),
            Some(StreamEnd::Eof) => self.core.handle_eof(self.now),
            Some(StreamEnd::Lost) => self.core.handle_reset(self.now),
        }
        if self.room_wanted
            || self.backlog.is_some()
            || self.streaming.writing() == Writing::Waiting
        {
            self.use_room(common, turn);
        }
        if self.is_given_back() {
            self.waiters.take(|wants| wants == Wants::Message, &mut turn.freed);
        }
        if self.is_missed_by_pause() {
            turn.handler_due = true;
        }
    }

    /// Moves what waits into the outbound buffer, and tells those who wait for room.
    fn use_room(&mut self, common: &Common, turn: &mut Turn) {
        let low = self.core.buffered_amount() <= common.config.limits().outbound_low;
        if self.is_open() && !low {
            return;
        }
        if self.streaming.writing() == Writing::Waiting {
            self.streaming.set_writing(Writing::Begun);
            turn.handler_due = true;
            self.waiters.take(|wants| wants == Wants::Piece, &mut turn.freed);
        }
        if self.streaming.writing() != Writing::No && self.is_open() {
            // The others wait for the end of that message.
            return;
        }
        self.move_backlog(&mut turn.freed);
        if self.room_wanted && self.backlog.is_none() {
            self.room_wanted = false;
            turn.handler_due = true;
            self.waiters.take(|wants| wants == Wants::Room, &mut turn.freed);
        }
    }

    /// Takes events until one has to be told, a message is put aside, or nothing is left.
    fn next_event(&mut self, common: &Common, turn: &mut Turn, passes: Passes<'_>) -> Option<Work> {
        if let Some(event) = self.stash.take() {
            if self.paused {
                // Only `recv` goes on behind it.
                self.tell_message(turn);
            }
            return Some(self.told(*event));
        }
        // Once the connection is over no message can come any more, only the news of it.
        while self.core.state() == State::Closed || !self.is_blocked(common) {
            if self.input.is_none() && !self.core.has_news() {
                return None;
            }
            let event = match self.poll_event() {
                Some(event) => event,
                None if self.streaming.reading() != Reading::Whole && self.pass_piece(turn) => {
                    continue;
                }
                None => return None,
            };
            match event {
                Event::Message(message) => match self.reader {
                    Reader::Listeners => return Some(Work::Message(message)),
                    Reader::Nobody => {}
                    Reader::Handles => {
                        self.slot = Some(message);
                        self.tell_message(turn);
                    }
                },
                Event::Writable => {}
                Event::State { to, .. } if self.listeners.is_none() && passes(to) => {}
                event => return Some(self.told(event)),
            }
        }
        None
    }

    /// An event that is about to be told. Behind the last steps the driver lets the socket go.
    fn told(&mut self, event: Event) -> Work {
        if matches!(event, Event::State { to: State::Closed, .. } | Event::Closed(_)) {
            self.direct = None;
        }
        Work::Event(event)
    }

    /// The next step of the state that has to be told, if there is one already.
    pub(crate) fn next_step(&mut self, turn: &mut Turn, passes: Passes<'_>) -> Option<Event> {
        // What was put aside comes first.
        while self.stash.is_none() && self.core.has_news() {
            match self.poll_event()? {
                Event::State { to, .. } if self.listeners.is_none() && passes(to) => {}
                event => {
                    turn.listeners.clone_from(&self.listeners);
                    return Some(event);
                }
            }
        }
        None
    }

    /// Tells that there is a piece; `true` when nobody wants it and it was discarded.
    #[cold]
    fn pass_piece(&mut self, turn: &mut Turn) -> bool {
        if self.streaming.reading() == Reading::Discarded || self.reader != Reader::Handles {
            return self.discard_piece();
        }
        if self.core.has_piece() {
            self.tell_message(turn);
        }
        false
    }

    /// Tells those who take messages that there may be one, or a part of one.
    fn tell_message(&mut self, turn: &mut Turn) {
        turn.handler_due = true;
        self.waiters.take(|wants| wants == Wants::Message, &mut turn.freed);
    }

    fn poll_event(&mut self) -> Option<Event> {
        let now = self.now;
        self.core.poll_event(self.input.get_or_insert_with(|| pool::take(false)), now)
    }

    /// Whether messages wait for their reader, or its answers for the socket. Nobody can hold back
    /// the steps that open a connection and those that close it.
    fn is_blocked(&self, common: &Common) -> bool {
        let held = match self.reader {
            Reader::Handles => {
                let takes = matches!(self.streaming.reading(), Reading::Pieces | Reading::Begun);
                self.slot.is_some() || (takes && self.core.has_piece())
            }
            Reader::Listeners => {
                (self.backlog.is_some() && self.streaming.writing() == Writing::No)
                    || self.core.buffered_amount() >= common.config.limits().outbound_high
            }
            Reader::Nobody => false,
        };
        (held || self.paused && self.announced == State::Connected) && self.is_open()
    }

    /// Lends the chunk to the driver if bytes are of use. It is used up then.
    fn lend_input(&mut self, common: &Common, turn: &mut Turn) -> bool {
        if turn.blocked.read || self.is_blocked(common) || !self.core.wants_input() {
            return false;
        }
        self.input = Some(match self.input.take() {
            Some(input) => pool::with_room(input, turn.wide),
            None => pool::take(turn.wide),
        });
        turn.input = self.input.take_if(|input| input.has_room());
        turn.input.is_some()
    }

    /// From now on whoever changes something wakes the task, or sees to it that all is written.
    /// Answers until when it may sleep.
    fn fall_asleep(&mut self, blocked: bool, now: Instant, rest: &mut Rest) -> Option<Instant> {
        self.core.set_paused(blocked, now);
        rest.reads_first = !blocked && self.core.wants_input();
        self.driver = Activity::Asleep;
        self.core.poll_timeout()
    }
}
