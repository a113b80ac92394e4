use std::io::IoSlice;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use bytes::{Buf, Bytes};
use tracing::error;
use ws_proto::{SendBuf, State};

use super::{Bits, MOST, Member, Part, SHORT, Seated, Sleeper};
use crate::contain::{catch, wake};
use crate::descriptor::Descriptor;
use crate::outbox::{self, PIECES};
use crate::pool;
use crate::shared::{Activity, Inner, Shared};
use crate::streaming::Writing;
use crate::waiters::lock;

type Relay = super::Relay<Arc<Shared>>;

/// How often a driver goes round in one turn, when there is always something new.
const ROUNDS: usize = 4;

/// Those who are to write for their relays, in one broadcast.
#[derive(Default)]
pub(crate) struct Leaders(Vec<(Arc<Shared>, Arc<Relay>)>);

/// What a leader is about to write.
struct Pass<'a> {
    relay: &'a Relay,
    seated: Seated<Arc<Shared>>,
    /// Whom to visit, a bit for each seat.
    todo: Bits,
    flight: Bytes,
    from: [u16; MOST],
    done: bool,
}

/// What was copied into one piece last, so that the next receiver of the same is spared that.
#[derive(Default)]
struct Last {
    copy: Vec<u8>,
    /// What `copy` is of, if that was written as a whole: it keeps the payloads alive by which twins
    /// are known.
    sent: Option<SendBuf>,
    /// The last write was of `copy`.
    used: bool,
}

/// What to do when a connection was visited, without its lock.
#[derive(Default)]
struct Left {
    waker: Option<Waker>,
    /// Their payloads may have owners, which are code of users.
    gone: [Option<SendBuf>; 2],
}

impl Leaders {
    /// One more. It was summoned.
    pub(crate) fn add(&mut self, leader: Arc<Shared>, relay: &Arc<Relay>) {
        self.0.push((leader, Arc::clone(relay)));
    }

    /// Gives them their errands, and answers whom to wake. No lock is held.
    pub(crate) fn hand_over(&mut self, wakers: &mut impl Extend<Waker>) {
        while let Some((leader, relay)) = self.0.pop() {
            if !relay.dismiss() {
                leader.common.errands.put(leader.serial, relay);
                leader.errand.store(true, Ordering::Release);
            }
            // A driver that goes on elsewhere by now finds the errand, or has put its new waker there.
            let waker = leader.lock().waker.clone();
            if waker.is_none() {
                wakers.extend(give_up(&leader));
            }
            wakers.extend(waker);
        }
    }
}

/// Nobody told them, since something panicked: everybody writes for themselves.
impl Drop for Leaders {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        for (leader, relay) in self.0.drain(..) {
            relay.dissolve(&mut wakers);
            wakers.extend(leader.lock().waker.clone());
        }
        wakers.into_iter().for_each(wake);
    }
}

/// Does what the driver of `leader` was woken for, if there is something. Answers whether it has to
/// come again.
#[inline]
pub(crate) fn run(leader: &Shared) -> bool {
    leader.errand.load(Ordering::Acquire) && write_for_others(leader)
}

/// What others have sent may have owners, whose panic is not that of this connection.
#[inline(never)]
fn write_for_others(leader: &Shared) -> bool {
    let report = |text: &str| {
        error!(
            target: "ws::server",
            "the end of a payload that was sent to many panicked: {text:?}; the server goes on",
        );
    };
    catch(|| write_for_all(leader), report).unwrap_or(true)
}

fn write_for_all(leader: &Shared) -> bool {
    let mut rounds = ROUNDS;
    while rounds > 0 && leader.errand.swap(false, Ordering::AcqRel) {
        rounds -= 1;
        let others = Others(leader);
        while let Some(relay) = leader.common.errands.take(leader.serial) {
            Pass::begin(&relay).run();
            if !relay.dismiss() {
                leader.common.errands.put(leader.serial, relay);
                leader.errand.store(true, Ordering::Release);
                break;
            }
        }
        mem::forget(others);
    }
    leader.errand.load(Ordering::Acquire)
}

/// Errands that are left after a panic: whoever gives up finds them.
struct Others<'a>(&'a Shared);

impl Drop for Others<'_> {
    fn drop(&mut self) {
        self.0.errand.store(true, Ordering::Release);
    }
}

/// The driver of `leader` is gone: everybody writes for themselves. Answers whom to wake.
#[must_use]
pub(crate) fn give_up(leader: &Shared) -> Vec<Waker> {
    let mut wakers = Vec::new();
    while leader.errand.swap(false, Ordering::AcqRel) {
        while let Some(relay) = leader.common.errands.take(leader.serial) {
            relay.dissolve(&mut wakers);
        }
    }
    wakers
}

impl Relay {
    /// Nobody writes for others any more: all who have something queued are to be woken. Each round
    /// takes a broadcast that came during the last one.
    fn dissolve(&self, wakers: &mut Vec<Waker>) {
        loop {
            let (seated, mut todo) = {
                let mut state = lock(&self.state);
                let present = if state.log.is_empty() { 0 } else { state.present };
                let todo = present | mem::take(&mut state.due);
                let todo = todo | self.flying.load(Ordering::Acquire);
                if todo == 0 {
                    state.land();
                    state.led = false;
                    return;
                }
                (Arc::clone(&state.seated), todo)
            };
            while let Some((_, member)) = next(&seated, &mut todo) {
                wakers.extend(call(member));
            }
        }
    }
}

/// Makes a member leave, and answers its waker if it sleeps.
fn call(member: &Shared) -> Option<Waker> {
    let mut inner = member.lock();
    inner.called = true;
    inner.called_driver(member)
}

/// The next connection of `todo`, and its seat.
fn next<'a>(seated: &'a Seated<Arc<Shared>>, todo: &mut Bits) -> Option<(u32, &'a Arc<Shared>)> {
    while *todo != 0 {
        let seat = todo.trailing_zeros();
        *todo &= *todo - 1;
        if let Some(Some(member)) = seated.get(seat as usize) {
            return Some((seat, member));
        }
    }
    None
}

impl<'a> Pass<'a> {
    /// Takes what is in the log, and whoever has something queued.
    fn begin(relay: &'a Relay) -> Self {
        let state = &mut *lock(&relay.state);
        let flying = if state.log.is_empty() { 0 } else { state.present };
        let flight = state.take_log();
        state.copy = Bytes::new();
        state.flight = flight.clone();
        state.flight_from = mem::replace(&mut state.from, [0; MOST]);
        state.before = mem::take(&mut state.queued) + flight.len();
        relay.flying.store(flying, Ordering::Release);
        Self {
            relay,
            seated: Arc::clone(&state.seated),
            todo: flying | mem::take(&mut state.due),
            flight,
            from: state.flight_from,
            done: false,
        }
    }

    /// Writes for all.
    fn run(mut self) {
        let mut last = Last { copy: pool::take_gathered(), ..Last::default() };
        while let Some((seat, member)) = next(&self.seated, &mut self.todo) {
            let bit = 1 << seat;
            let mut inner = member.lock_as_leader();
            let flies = self.relay.flying.fetch_and(!bit, Ordering::AcqRel) & bit != 0;
            let left = match self.from.get(seat as usize) {
                Some(0) if flies => inner.write_frames(member, &self.flight, &mut last),
                Some(from) if flies => {
                    let frames = self.flight.slice(usize::from(*from)..);
                    inner.write_frames(member, &frames, &mut last)
                }
                _ => inner.write_queued(member, &mut last),
            };
            drop(inner);
            if let Some(waker) = left.waker {
                waker.wake();
            }
            drop(left.gone);
        }
        let Last { copy, sent, .. } = last;
        drop(sent);
        pool::keep_gathered(copy);
        lock(&self.relay.state).land();
        self.done = true;
    }
}

/// A panic leaves the others to themselves.
impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut wakers = Vec::new();
        while let Some((_, member)) = next(&self.seated, &mut self.todo) {
            wakers.extend(call(member));
        }
        self.relay.dissolve(&mut wakers);
        wakers.into_iter().for_each(wake);
    }
}

impl Last {
    /// Writes, and answers how many bytes were written. The driver meets what went wrong.
    fn write(&mut self, bytes: &SendBuf, socket: &Descriptor<()>) -> usize {
        let first = bytes.chunk();
        if first.len() == bytes.remaining() {
            return socket.write(&[IoSlice::new(first)]).unwrap_or(0);
        }
        if !self.sent.as_ref().is_some_and(|sent| bytes.is_twin_of(sent)) {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = bytes.chunks_vectored(&mut pieces);
            let pieces = pieces.get(..count).unwrap_or_default();
            if !outbox::are_small(pieces) {
                return socket.write(pieces).unwrap_or(0);
            }
            pool::copy(pieces, &mut self.copy);
        }
        self.used = true;
        socket.write(&[IoSlice::new(&self.copy)]).unwrap_or(0)
    }

    /// Keeps what was written last if `copy` is of it. Answers what is to be dropped without a lock.
    fn keep(&mut self, written: Result<SendBuf, SendBuf>) -> [Option<SendBuf>; 2] {
        let used = mem::take(&mut self.used);
        match written {
            Ok(all) if used => [self.sent.replace(all), None],
            Err(part) if used => [self.sent.take(), Some(part)],
            Ok(gone) | Err(gone) => [Some(gone), None],
        }
    }
}

impl Member for Arc<Shared> {
    fn leave(&self) {
        drop(self.lock());
    }

    fn summon(&self) -> bool {
        let mut inner = self.lock();
        let asleep = inner.driver.is_asleep();
        if asleep {
            inner.summon(self);
        }
        asleep
    }
}

impl Inner {
    /// What the relays have to know of a connection that sleeps.
    pub(crate) fn sleeper(&self, shared: &Shared) -> Sleeper {
        Sleeper {
            home: shared.home.load(Ordering::Relaxed),
            format: self.core.frame_format(),
            queued: self.core.buffered_amount(),
        }
    }

    /// Takes its part in a relay where it has this seat.
    pub(crate) fn take_part(&mut self, part: Part, relay: &Arc<Relay>, seat: u8, shared: &Shared) {
        self.driver = Activity::Relayed;
        match part {
            Part::Leads => self.summon(shared),
            Part::Follows => {}
            Part::Joins => {
                shared.seat.store(seat, Ordering::Relaxed);
                self.relay = Some(Arc::clone(relay));
            }
        }
    }

    /// Leaves the relay, for somebody uses the connection: what it has not got is queued before
    /// anything else.
    #[cold]
    pub(crate) fn leave_relay(&mut self, shared: &Shared) {
        let Some(relay) = self.relay.take() else { return };
        let seat = shared.seat.load(Ordering::Relaxed);
        let missed = relay.leave(seat, |frames| self.core.queue_frames(frames));
        if missed && self.driver == Activity::Asleep {
            self.driver = Activity::Relayed;
        }
    }

    /// Wakes the driver if others were to write what is queued.
    pub(crate) fn call_if_relayed(&mut self) {
        self.called |= self.driver == Activity::Relayed;
    }

    /// Whether others may write what is queued: it is short, and nobody waits for that, or for the
    /// driver's next look.
    pub(crate) fn takes_relays(&self) -> bool {
        self.direct.is_some()
            && self.core.state() == State::Connected
            && self.core.buffered_amount() <= SHORT
            && !self.room_wanted
            && self.backlog.is_none()
            && self.streaming.writing() == Writing::No
    }

    /// Writes what is queued while the driver sleeps. The lock is held meanwhile, so that nobody
    /// else writes, and the socket is not closed; the system does not wait.
    fn write_queued(&mut self, shared: &Shared, last: &mut Last) -> Left {
        if !self.driver.is_asleep() {
            // It looks at everything before it sleeps.
            return Left::default();
        }
        self.driver = Activity::Asleep;
        let written = match &self.direct {
            Some(socket) if self.takes_relays() => {
                self.core.transmit_with(|bytes| last.write(bytes, socket))
            }
            _ => Err(SendBuf::default()),
        };
        let waker = if written.is_err() { self.leave_and_wake(shared) } else { None };
        Left { waker, gone: last.keep(written) }
    }

    /// The same with frames of the relay behind what is queued.
    fn write_frames(&mut self, shared: &Shared, frames: &Bytes, last: &mut Last) -> Left {
        if let Some(socket) = &self.direct
            && self.core.buffered_amount() == 0
            && self.takes_relays()
        {
            self.driver = Activity::Asleep;
            let write = |frames: &[u8]| socket.write(&[IoSlice::new(frames)]).unwrap_or(0);
            if self.core.transmit_frames(frames, write) {
                return Left::default();
            }
            return Left { waker: self.leave_and_wake(shared), ..Left::default() };
        }
        self.core.queue_frames(frames);
        self.write_queued(shared, last)
    }

    /// Something is left, which is the driver's.
    fn leave_and_wake(&mut self, shared: &Shared) -> Option<Waker> {
        self.leave_relay(shared);
        self.wake(shared)
    }
}
