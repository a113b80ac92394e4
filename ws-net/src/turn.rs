use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use bytes::Buf;
use ws_proto::{Event, Instant, Message, RecvBuf, State};

use crate::Connection;
use crate::backlog::Freed;
use crate::burst;
use crate::log;
use crate::outbox::Outbox;
use crate::pool;
use crate::shared::{Activity, Attached, Common, Inner, Owner, Reader, Shared, Wants};
use crate::streaming::{Reading, Writing};
use crate::waiters::Spare;

/// How much one poll does before other tasks get their turn: this many messages and polls of the
/// handler, or 16 reads, or 8 wide ones.
pub(crate) const BUDGET: usize = 1024;

/// What a usual read costs of that.
pub(crate) const COST_OF_READ: usize = BUDGET / 16;

/// The longest header of a frame (RFC 6455 section 5.2).
const HEADER_MAX: usize = 14;

/// A read of more has filled the usual chunk.
const LONG: usize = RecvBuf::DEFAULT_CAPACITY - HEADER_MAX;

/// What the driver does next. It is decided under the connection's lock and done without it.
pub(crate) enum Work {
    /// Tell an event.
    Event(Event),
    /// Give a message to the listeners.
    Message(Message),
    /// Poll the handler.
    Handler,
    /// Write, and read if a chunk was lent.
    Transfer,
    /// The same, and sleep as below if that left nothing to look at: the connection counts as
    /// asleep already.
    TransferAndSleep(Option<Instant>),
    /// Sleep until something happens, or until this deadline.
    Sleep(Option<Instant>),
}

/// One poll of the driver: what it knows and the connection's lock does not guard.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Turn {
    pub(crate) now: Instant,
    /// What is left of [`BUDGET`].
    pub(crate) budget: usize,
    /// Where the next bytes are read to, when the connection has lent it.
    pub(crate) input: Option<Box<RecvBuf>>,
    pub(crate) outbox: Outbox,
    /// Bytes that were written and not yet reported.
    pub(crate) written: usize,
    /// The last read filled the usual chunk, so that the next one takes a wider one.
    pub(crate) wide: bool,
    /// How the stream ended, until that is reported.
    pub(crate) end: Option<StreamEnd>,
    /// What the socket cannot do now; its readiness wakes the task.
    pub(crate) blocked: Blocked,
    /// The handler may have been woken, or something happened that it may wait for.
    pub(crate) handler_due: bool,
    /// The socket was asked for bytes, or there is nothing to ask for.
    pub(crate) asked: bool,
    /// The deadline was looked at.
    pub(crate) judged: bool,
    /// The connection counts as asleep, and the driver goes on.
    pub(crate) goes_on: bool,
    /// Whether the task is another one than in the last turn; `None` until the first look.
    pub(crate) moved: Option<bool>,
    /// The connection's own listeners, for the event or the message at hand.
    pub(crate) listeners: Option<Arc<Attached>>,
    /// What has to be woken and let go when the lock is free.
    pub(crate) freed: Freed,
}

/// What is kept from one turn to the next. An idle connection keeps nothing.
#[derive(Default)]
pub(crate) struct Rest {
    /// What lies in the middle of a message.
    input: Option<Box<RecvBuf>>,
    /// What the socket did not take.
    outbox: Option<Box<Outbox>>,
    /// The connection was waiting for bytes and nothing else can come first: the next turn may
    /// read before it looks.
    reads_first: bool,
    /// Reads fill the usual chunk.
    wide: bool,
    /// Nobody has looked at the connection yet.
    fresh: bool,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StreamEnd {
    /// The socket takes nothing more; what the peer sent before can still be read.
    Unwritable,
    /// The peer sends nothing more.
    Eof,
    /// The socket failed, or it is gone.
    Lost,
}

/// Directions in which the socket has to be waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blocked {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Whether a step into this state need not be told: it concerns nobody, and nothing is done then.
/// It is asked under the lock, so it runs no code of users.
pub(crate) type Passes<'a> = &'a dyn Fn(State) -> bool;

impl Rest {
    /// For a connection that has received nothing yet.
    pub(crate) fn new() -> Self {
        Self { reads_first: true, fresh: true, ..Self::default() }
    }

    /// Whether the connection was waiting for bytes and for nothing else.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.reads_first
            && !self.wide
            && !self.fresh
            && self.input.is_none()
            && self.outbox.is_none()
    }

    /// From now on a turn looks at the connection before it reads.
    pub(crate) fn look_first(&mut self) {
        self.reads_first = false;
    }

    /// Whether this is the first look at the connection, which does not know the task's waker then.
    pub(crate) fn begins(&mut self) -> bool {
        mem::take(&mut self.fresh)
    }
}

impl Turn {
    /// A new turn: the socket may be ready, and the handler may have been woken.
    pub(crate) fn begin(rest: &mut Rest, now: Instant) -> Self {
        Self {
            now,
            budget: BUDGET,
            input: rest.input.take().map(pool::complete),
            outbox: rest.outbox.take().map(|outbox| *outbox).unwrap_or_default(),
            written: 0,
            wide: rest.wide,
            end: None,
            blocked: Blocked::default(),
            handler_due: true,
            asked: false,
            judged: false,
            goes_on: false,
            moved: None,
            listeners: None,
            freed: Freed::default(),
        }
    }

    /// Whether to read before anything else; there is room for it then. Who was `summoned` has
    /// something to write, and reads behind it.
    pub(crate) fn reads_first(&mut self, rest: &mut Rest, summoned: bool) -> bool {
        let wide = self.wide;
        mem::take(&mut rest.reads_first)
            && !summoned
            && self.input.get_or_insert_with(|| pool::take(wide)).has_room()
    }

    /// Notes that a read took `n` bytes: as much as the usual chunk has room for, beside the
    /// beginning of a header that may have been left in it, or less. One that went straight into a
    /// message speaks against a wide chunk, since the next message is probably as long, and what
    /// comes of it in the chunk is copied.
    fn has_read(&mut self, n: usize, direct: bool) {
        self.wide = !direct && n > LONG;
    }

    /// Notes what became of a write. `false` when that is told before whatever the next read brings.
    pub(crate) fn note_write(
        &mut self,
        connection: &Connection,
        result: Poll<io::Result<()>>,
    ) -> bool {
        match result {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                // The peer may have sent its last words before it went.
                log::socket_failed(connection, &error, "write to");
                self.freed.put_unsent(Some(self.outbox.break_off()));
                self.end = Some(StreamEnd::Unwritable);
                return false;
            }
            Poll::Pending => self.blocked.write = true,
        }
        true
    }

    /// Notes what became of a read, which went straight into a message if it was `direct`.
    pub(crate) fn note_read(
        &mut self,
        connection: &Connection,
        result: Poll<io::Result<usize>>,
        direct: bool,
    ) {
        self.asked = true;
        match result {
            Poll::Ready(Ok(0)) => self.end = Some(StreamEnd::Eof),
            Poll::Ready(Ok(n)) => self.has_read(n, direct),
            Poll::Ready(Err(error)) => {
                log::socket_failed(connection, &error, "read from");
                self.end = Some(StreamEnd::Lost);
                self.outbox = Outbox::default();
            }
            Poll::Pending => self.blocked.read = true,
        }
    }

    /// Whether a read took something, and less than a usual chunk has room for.
    pub(crate) fn is_short(n: usize) -> bool {
        (1..=LONG).contains(&n)
    }

    /// What reading and writing costs of [`BUDGET`]. A read straight into a message costs no more
    /// than a usual one: a turn that is cut short there leaves a large message unfinished in memory.
    pub(crate) fn cost_of_transfer(&self) -> usize {
        let into_chunk = self.input.as_ref().is_some_and(|input| !input.is_lent());
        if self.wide && into_chunk { 2 * COST_OF_READ } else { COST_OF_READ }
    }

    /// Whether a transfer has left nothing to look at but how much was written.
    pub(crate) fn has_settled(&self) -> bool {
        self.blocked.read && !self.blocked.write && self.end.is_none() && self.outbox.is_idle()
    }

    /// The connection counts as asleep, and there is something to look at.
    pub(crate) fn go_on(&mut self, rest: &mut Rest) {
        self.goes_on = true;
        rest.look_first();
    }

    /// Keeps what has to be kept. The chunk goes back to the thread.
    pub(crate) fn end(self, rest: &mut Rest) {
        if self.outbox.is_forgettable() {
            burst::recycle(self.outbox.into_sent());
        } else {
            rest.outbox = Some(Box::new(self.outbox));
        }
        rest.wide = self.wide;
        rest.input = self.input.and_then(pool::give_back);
    }
}

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
        self.report(common, turn);
        if let Some(work) = self.next_news(shared, turn, passes) {
            return work;
        }
        if mem::take(&mut turn.handler_due) {
            self.lend_to_handler(shared);
            return Work::Handler;
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
        if self.core.state() == State::Closed || !turn.judged {
            // A socket that takes nothing was given the end, or all that can be done before the
            // deadline is judged is done.
            let judges = !turn.judged;
            turn.asked = true;
            if let Some(work) = self.next_news(shared, turn, passes) {
                return work;
            }
            if judges {
                // It may have left something to write.
                return self.next_work(shared, turn, rest, passes);
            }
        }
        let blocked = self.is_blocked(common);
        // What is left unparsed stays where `recv` finds it.
        turn.input = self.input.take_if(|input| !blocked || input.is_empty());
        Work::Sleep(self.fall_asleep(blocked, turn.now, rest))
    }

    /// What has to be told, if there is something.
    fn next_news(&mut self, shared: &Shared, turn: &mut Turn, passes: Passes<'_>) -> Option<Work> {
        let common = &shared.common;
        let work = self
            .next_event(common, turn, passes)
            .or_else(|| self.judge_deadline(common, turn, passes))?;
        turn.listeners.clone_from(&self.listeners);
        if matches!(work, Work::Message(_)) {
            burst::begin(shared);
            self.lend(shared);
        }
        Some(work)
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
    /// and after the bytes that came before it: a busy thread must not blame its peers.
    fn judge_deadline(
        &mut self,
        common: &Common,
        turn: &mut Turn,
        passes: Passes<'_>,
    ) -> Option<Work> {
        let due = self.core.poll_timeout().is_some_and(|deadline| deadline <= turn.now);
        if due && !turn.asked {
            return None;
        }
        if mem::replace(&mut turn.judged, true) || !due {
            return None;
        }
        if self.is_blocked(common) {
            // Nobody is silent who is not listened to.
            self.core.set_paused(true, turn.now);
        }
        if self.core.has_lived(turn.now) {
            // The core closes, as a close of this side does.
            self.push_backlog(&mut turn.freed);
        }
        self.core.handle_timeout(turn.now);
        self.next_event(common, turn, passes)
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
            return Some(Work::Event(*event));
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
                event => return Some(Work::Event(event)),
            }
        }
        None
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
