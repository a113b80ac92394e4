use std::io;
use std::mem;
use std::sync::Arc;
use std::task::Poll;

use ws_proto::{Event, Instant, Message, RecvBuf, State};

use crate::Connection;
use crate::backlog::Freed;
use crate::burst;
use crate::log;
use crate::outbox::Outbox;
use crate::pool;
use crate::shared::Attached;

mod expected;
mod next;

use expected::Expected;

/// How much one poll does before other tasks get their turn: this many messages and polls of the
/// handler, or 16 reads, or 8 wide ones.
pub(crate) const BUDGET: usize = 1024;

/// What a usual read costs of that.
pub(crate) const COST_OF_READ: usize = BUDGET / 16;

/// The longest header of a frame (RFC 6455 section 5.2).
const HEADER_MAX: usize = 14;

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
    /// All about the connection was told, and nothing is left to be received.
    pub(crate) finished: bool,
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
    /// How long messages are that come alone.
    pub(crate) expected: Expected,
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
            finished: false,
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

    /// Notes that a read took `n` bytes: as much as a chunk of this `capacity` has room for, or the
    /// usual one if that is less, beside the beginning of a header that may have been left in it, or
    /// fewer. One that went straight into a message speaks against a wide chunk, since the next
    /// message is probably as long, and what comes of it in the chunk is copied.
    fn has_read(&mut self, n: usize, capacity: usize, direct: bool) {
        let most = if capacity < pool::WIDE { capacity } else { RecvBuf::DEFAULT_CAPACITY };
        self.wide = !direct && !Self::is_short(n, most);
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
        let capacity = self.input.as_ref().map_or(0, |input| input.capacity());
        match result {
            Poll::Ready(Ok(0)) => self.end = Some(StreamEnd::Eof),
            Poll::Ready(Ok(n)) => self.has_read(n, capacity, direct),
            Poll::Ready(Err(error)) => {
                log::socket_failed(connection, &error, "read from");
                self.end = Some(StreamEnd::Lost);
                self.outbox = Outbox::default();
            }
            Poll::Pending => self.blocked.read = true,
        }
    }

    /// Whether a read took something, and less than a chunk of this `capacity` has room for beside
    /// the beginning of a header.
    #[inline]
    pub(crate) fn is_short(n: usize, capacity: usize) -> bool {
        n > 0 && n <= capacity.saturating_sub(HEADER_MAX)
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
