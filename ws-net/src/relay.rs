//! Receivers of messages to many that sleep while one driver writes for all of them.
//!
//! Whoever broadcasts puts the frame into the log of each relay, once for all its members, whose
//! locks nobody takes for that. What is in the log is behind everything that a member has queued
//! itself. As soon as somebody takes the lock of a member, it leaves its relay and queues what it has
//! not got of the log, so that nothing else can come before it; the next broadcast takes it in again
//! if it sleeps.
//!
//! Locks are taken in the order roster, connection, relay.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ws_proto::{FrameFormat, Prepared};

use crate::waiters::lock;

pub(crate) mod pass;
pub(crate) mod seats;

/// So many connections, one of which is woken: that costs several times what writing to another does
/// outside the system. A turn should stay short all the same.
pub(crate) const MOST: usize = Bits::BITS as usize;

/// A set of seats of one relay.
pub(crate) type Bits = u64;

/// What is longer is copied for so long that waking its task makes no difference, but writing it for
/// many would: they would wait, and what runs beside them.
pub(crate) const SHORT: usize = 32 << 10;

/// Who can be a member of a relay. Until it is taken in, and from when it leaves, it is nothing to
/// the relay but the one who has a seat there.
pub(crate) trait Member: Clone {
    /// Leaves, if it is a member.
    fn leave(&self);

    /// The same, and if it sleeps it is to be woken from now on. Answers whether it slept.
    fn summon(&self) -> bool;
}

/// Connections on one runtime that may share what is written to them.
pub(crate) struct Relay<T> {
    home: u32,
    /// `None` when the frames of its members differ: then each queues its own.
    format: Option<FrameFormat>,
    /// Who has yet to get `State::flight`, a bit for each seat. It is cleared only under the lock of
    /// the connection in the seat, so that either its driver writes or the leader.
    flying: AtomicU64,
    state: Mutex<State<T>>,
}

struct State<T> {
    seated: Seated<T>,
    /// Members that get what is in the log, a bit for each seat.
    present: Bits,
    /// Members that have something queued themselves, which the leader writes.
    due: Bits,
    /// A driver has this as an errand, or will have it.
    led: bool,
    /// Frames that nobody has got.
    log: Vec<u8>,
    /// So long was the last log: the next one is probably as long, and need not grow to that.
    usual: u16,
    /// The same, for those who leave, until there is more.
    copy: Bytes,
    /// Where the part of each member begins in it.
    from: [u16; MOST],
    /// What the leader is writing.
    flight: Bytes,
    flight_from: [u16; MOST],
    /// At most so much has a member queued itself, and so much more before the leader set out.
    queued: usize,
    before: usize,
}

/// Connections, each in its seat, up to the last that was taken.
type Seated<T> = Arc<Vec<Option<T>>>;

/// A connection that sleeps and has something queued.
pub(crate) struct Sleeper {
    /// Its runtime.
    pub(crate) home: u32,
    pub(crate) format: Option<FrameFormat>,
    /// So many bytes.
    pub(crate) queued: usize,
}

/// What such a connection is to a relay in which it has a seat.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    /// Its driver is to be woken, and writes for the others.
    Leads,
    /// It sleeps on, and the leader writes what is queued.
    Follows,
    /// The same, and it gets what is in the log from now on.
    Joins,
}

impl<T: Member> Relay<T> {
    fn new(home: u32, format: Option<FrameFormat>) -> Self {
        Self { home, format, flying: AtomicU64::new(0), state: Mutex::default() }
    }

    /// Whether it is for connections on this runtime with this format.
    fn is_for(&self, home: u32, format: Option<FrameFormat>) -> bool {
        (self.home, self.format) == (home, format)
    }

    /// Appends a message for all members, if none of them could have too much queued then for `high`
    /// or for one turn. Answers who gets it, and whether somebody writes it.
    fn push(&self, message: &Prepared, high: usize) -> (Bits, bool) {
        let state = &mut *lock(&self.state);
        let waits = state.log.len() + state.queued + state.before;
        let got = match self.format {
            Some(format) if state.present != 0 && waits < high.min(SHORT) => {
                if state.log.capacity() == 0 {
                    state.log.reserve_exact(usize::from(state.usual));
                }
                let pushed = message.append_to(&mut state.log, format, SHORT - waits);
                if pushed {
                    state.present
                } else {
                    // Nothing is held where nothing waits.
                    state.forget_room();
                    0
                }
            }
            _ => 0,
        };
        (got, state.led)
    }

    /// A connection in a seat sleeps and has something queued, under whose lock this is called. It
    /// becomes a member if its frames are like those of the others, unless it has to write for them.
    fn take_in(&self, seat: u8, sleeper: &Sleeper) -> Part {
        let state = &mut *lock(&self.state);
        if !mem::replace(&mut state.led, true) {
            return Part::Leads;
        }
        let bit = 1 << seat;
        state.due |= bit;
        state.queued = state.queued.max(sleeper.queued);
        if self.format.is_none() || self.format != sleeper.format {
            return Part::Follows;
        }
        state.present |= bit;
        if let Some(from) = state.from.get_mut(usize::from(seat)) {
            *from = state.log.len() as u16;
        }
        Part::Joins
    }

    /// Somebody who is to write for the others, if there is something to write and nobody does. It is
    /// summoned; who broadcasts, and has the roster, wakes it.
    fn find_leader(&self) -> Option<T> {
        loop {
            let (seat, member) = {
                let state = lock(&self.state);
                if state.led || !state.has_work() {
                    return None;
                }
                let seat = (state.present | state.due).trailing_zeros();
                (seat, state.seated.get(seat as usize).cloned().flatten())
            };
            let leader = member.filter(Member::summon);
            let mut state = lock(&self.state);
            state.present &= !(1 << seat);
            state.due &= !(1 << seat);
            state.led = leader.is_some();
            if leader.is_some() {
                return leader;
            }
        }
    }

    /// Nobody is to write for the others any more, if there is nothing to write. Otherwise it is the
    /// errand of who was to.
    fn dismiss(&self) -> bool {
        let mut state = lock(&self.state);
        state.led = state.has_work();
        !state.led
    }

    /// A connection leaves, under its lock. `queue` gets what it has not got. Answers whether there was
    /// something.
    pub(crate) fn leave(&self, seat: u8, mut queue: impl FnMut(&Bytes)) -> bool {
        let (bit, at) = (1 << seat, usize::from(seat));
        let state = &mut *lock(&self.state);
        let mut missed = false;
        if self.flying.fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
            let from = state.flight_from.get(at).copied().unwrap_or_default();
            queue(&state.flight.slice(usize::from(from)..));
            missed = true;
        }
        if state.present & bit != 0 {
            let from = state.from.get(at).copied().unwrap_or_default();
            let from = usize::from(from);
            if from < state.log.len() {
                // What is longer waits in memory once for all who leave.
                if state.copy.len() < state.log.len() {
                    state.copy = Bytes::copy_from_slice(&state.log);
                }
                queue(&state.copy.slice(from..));
                missed = true;
            }
            state.present &= !bit;
            if state.present == 0 {
                state.log = Vec::new();
                state.copy = Bytes::new();
            }
        }
        if missed {
            state.due |= bit;
        }
        missed
    }

    /// Who is in a seat.
    fn seated(&self, seat: u8) -> Option<T> {
        lock(&self.state).seated.get(usize::from(seat)).cloned().flatten()
    }

    /// Puts somebody into a seat, or nobody. Who was there must have left.
    fn seat(&self, seat: u8, connection: Option<T>) {
        let gone = {
            let state = &mut *lock(&self.state);
            debug_assert_eq!(state.present & (1 << seat), 0, "a member keeps its seat");
            state.due &= !(1 << seat);
            let seated = Arc::make_mut(&mut state.seated);
            if seated.len() <= usize::from(seat) {
                seated.resize(usize::from(seat) + 1, None);
            }
            seated.get_mut(usize::from(seat)).and_then(|place| mem::replace(place, connection))
        };
        drop(gone);
    }
}

impl<T> State<T> {
    fn has_work(&self) -> bool {
        self.due != 0 || self.present != 0 && !self.log.is_empty()
    }

    /// Takes the log for those who get it now.
    fn take_log(&mut self) -> Bytes {
        if !self.log.is_empty() {
            self.usual = self.log.len() as u16;
        }
        mem::take(&mut self.log).into()
    }

    fn forget_room(&mut self) {
        if self.log.is_empty() {
            self.log = Vec::new();
        }
    }

    /// Everybody has what was written.
    fn land(&mut self) {
        self.flight = Bytes::new();
        self.before = 0;
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            seated: Arc::default(),
            present: 0,
            due: 0,
            led: false,
            log: Vec::new(),
            usual: 0,
            copy: Bytes::new(),
            from: [0; MOST],
            flight: Bytes::new(),
            flight_from: [0; MOST],
            queued: 0,
            before: 0,
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
