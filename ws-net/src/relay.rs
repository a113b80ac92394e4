use std::io::IoSlice;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::vec;

use bytes::Buf;
use ws_proto::{SendBuf, State};

use crate::descriptor::Descriptor;
use crate::outbox::{self, PIECES};
use crate::pool;
use crate::shared::{Activity, Inner, Shared};
use crate::streaming::Writing;

/// So many receivers beside the one whose driver writes to them: waking a task costs several times
/// what writing does outside the system, and a turn should stay short.
const MOST: usize = 32;

/// What is longer is copied for so long that waking its task makes no difference, but writing it for
/// many would: they would wait, and what runs beside them.
const SHORT: usize = 32 << 10;

/// When there are so many, there are probably all.
const FEW: usize = 4;

/// Receivers of a message to many that sleep, and the one of them whose task is woken for all.
pub(crate) struct Relay {
    leader: Arc<Shared>,
    home: u32,
    receivers: Vec<Arc<Shared>>,
}

/// What a driver has to be called for.
pub(crate) enum Call {
    /// Nothing: it is awake, or somebody will write.
    Nobody,
    /// To do all itself.
    Wake(Waker),
    /// Others can write what is queued.
    Relay,
}

/// The relays of one message on its way.
#[derive(Default)]
pub(crate) struct Relays {
    /// One for each runtime.
    open: Vec<Relay>,
    full: Vec<Relay>,
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

impl Relays {
    /// Calls for `member`: makes it the leader or a receiver of a relay, or answers whom to wake.
    pub(crate) fn call(&mut self, inner: &mut Inner, member: &Arc<Shared>) -> Option<Waker> {
        match inner.call(member) {
            Call::Nobody => return None,
            Call::Wake(waker) => return Some(waker),
            Call::Relay => {}
        }
        let home = member.home.load(Ordering::Relaxed);
        let Some(at) = self.open.iter().position(|relay| relay.home == home) else {
            inner.summon(member);
            self.open.push(Relay { leader: Arc::clone(member), home, receivers: Vec::new() });
            return None;
        };
        inner.driver = Activity::Relayed;
        let relay = &mut self.open[at];
        if relay.receivers.len() == FEW {
            relay.receivers.reserve_exact(MOST - FEW);
        }
        relay.receivers.push(Arc::clone(member));
        if relay.receivers.len() == MOST {
            self.full.push(self.open.swap_remove(at));
        }
        None
    }

    /// Gives the leaders their errands, and answers whom to wake.
    pub(crate) fn hand_over(&mut self, wakers: &mut impl Extend<Waker>) {
        for Relay { leader, receivers, .. } in self.full.drain(..).chain(self.open.drain(..)) {
            if !receivers.is_empty() {
                leader.common.errands.put(leader.serial, receivers);
                leader.errand.store(true, Ordering::Release);
            }
            // A driver that goes on elsewhere by now finds the errand, or has put its new waker there.
            let waker = leader.lock().waker.clone();
            if waker.is_none() {
                give_up(&leader);
            }
            wakers.extend(waker);
        }
    }
}

/// Those of an errand that are left. Dropped, it leaves them to themselves.
struct Receivers(vec::IntoIter<Arc<Shared>>);

impl Drop for Receivers {
    fn drop(&mut self) {
        for receiver in self.0.by_ref() {
            receiver.visit(|inner| inner.called = true);
        }
    }
}

/// Does what the driver of `leader` was woken for, if there is something.
#[inline]
pub(crate) fn run(leader: &Shared) {
    if leader.errand.load(Ordering::Acquire) {
        take_all(leader, write_to);
    }
}

/// The driver of `leader` is gone: everybody writes for themselves.
pub(crate) fn give_up(leader: &Shared) {
    if leader.errand.load(Ordering::Acquire) {
        take_all(leader, drop);
    }
}

fn take_all(leader: &Shared, mut f: impl FnMut(Receivers)) {
    while leader.errand.swap(false, Ordering::AcqRel) {
        while let Some(receivers) = leader.common.errands.take(leader.serial) {
            f(Receivers(receivers.into_iter()));
        }
    }
}

#[inline(never)]
fn write_to(mut receivers: Receivers) {
    let mut last = Last { copy: pool::take_gathered(), ..Last::default() };
    for receiver in receivers.0.by_ref() {
        let mut inner = receiver.lock();
        let (waker, gone) = inner.write_through(&receiver, &mut last);
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        // Their payloads may have owners, which are code of users.
        drop(gone);
    }
    pool::keep_gathered(last.copy);
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

impl Inner {
    /// Whom to call, now that something is queued.
    fn call(&mut self, shared: &Shared) -> Call {
        if !mem::take(&mut self.called) || !self.driver.is_asleep() {
            return Call::Nobody;
        }
        if !self.takes_relays() {
            return self.wake(shared).map_or(Call::Nobody, Call::Wake);
        }
        if self.driver == Activity::Relayed { Call::Nobody } else { Call::Relay }
    }

    /// Whether others may write what is queued: it is short, and nobody waits for that, or for the
    /// driver's next look.
    fn takes_relays(&self) -> bool {
        self.direct.is_some()
            && self.core.state() == State::Connected
            && self.core.buffered_amount() <= SHORT
            && !self.room_wanted
            && self.backlog.is_none()
            && self.streaming.writing() == Writing::No
    }

    /// Writes what is queued while the driver sleeps. The lock is held meanwhile, so that nobody
    /// else writes, and the socket is not closed; the system does not wait. Answers whom to
    /// wake, when something is left to do, and what is to be dropped without the lock.
    fn write_through(
        &mut self,
        shared: &Shared,
        last: &mut Last,
    ) -> (Option<Waker>, [Option<SendBuf>; 2]) {
        if !self.driver.is_asleep() {
            // It looks at everything before it sleeps.
            return (None, [None, None]);
        }
        self.driver = Activity::Asleep;
        let written = match &self.direct {
            Some(socket) if self.takes_relays() => {
                self.core.transmit_with(|bytes| last.write(bytes, socket))
            }
            _ => Err(SendBuf::default()),
        };
        let waker = if written.is_err() { self.wake(shared) } else { None };
        (waker, last.keep(written))
    }
}

#[cfg(all(test, unix))]
mod tests;
