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

/// Receivers of a message to many that sleep, and the one of them whose task is woken for all.
pub(crate) struct Relay {
    leader: Arc<Shared>,
    home: u16,
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
pub(crate) struct Relays(Vec<Relay>);

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
    /// Calls for `member`: makes it a receiver of a relay, or answers whom to wake.
    pub(crate) fn call(&mut self, inner: &mut Inner, member: &Arc<Shared>) -> Option<Waker> {
        match inner.call(member) {
            Call::Nobody => None,
            Call::Wake(waker) => Some(waker),
            Call::Relay => {
                let home = member.home.load(Ordering::Relaxed);
                let open = |relay: &&mut Relay| relay.home == home && relay.receivers.len() < MOST;
                // The newest come last, and there are few runtimes.
                if let Some(relay) = self.0.iter_mut().rev().take(8).find(open) {
                    inner.driver = Activity::Relayed;
                    relay.receivers.push(Arc::clone(member));
                    return None;
                }
                let leader = Arc::clone(member);
                self.0.push(Relay { leader, home, receivers: Vec::new() });
                inner.wake(member)
            }
        }
    }

    /// Gives the leaders, who are woken next, their errands.
    pub(crate) fn hand_over(&mut self) {
        for relay in self.0.drain(..).filter(|relay| !relay.receivers.is_empty()) {
            let Relay { leader, receivers, .. } = relay;
            leader.common.errands.put(leader.serial, receivers);
            if leader.lock().waker.is_none() {
                // Its driver is gone, and may have looked before.
                give_up(&leader);
            }
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
    while let Some(receivers) = leader.common.errands.take(leader.serial) {
        write_to(Receivers(receivers.into_iter()));
    }
}

/// The driver of `leader` is gone: everybody writes for themselves.
pub(crate) fn give_up(leader: &Shared) {
    while let Some(receivers) = leader.common.errands.take(leader.serial) {
        drop(Receivers(receivers.into_iter()));
    }
}

#[inline(never)]
fn write_to(mut receivers: Receivers) {
    let mut last = Last { copy: pool::take_gathered(), ..Last::default() };
    for receiver in receivers.0.by_ref() {
        let mut inner = receiver.lock();
        let (before, waker) = inner.write_through(&receiver, &mut last);
        drop(inner);
        // Owners of payloads may be code of users.
        drop(before);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    pool::keep_gathered(last.copy);
}

impl Last {
    /// Writes, and answers how many bytes were written. The driver meets what went wrong.
    fn write(&mut self, bytes: &SendBuf, socket: &Descriptor) -> usize {
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

    /// Keeps what was written last, or nothing. Answers what is to be dropped without a lock.
    fn keep(&mut self, written: Option<SendBuf>) -> Option<SendBuf> {
        if mem::take(&mut self.used) { mem::replace(&mut self.sent, written) } else { written }
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

    /// Whether others may write what is queued: nobody waits for that, or for the driver's next
    /// look.
    fn takes_relays(&self) -> bool {
        self.direct.is_some()
            && self.core.state() == State::Connected
            && !self.room_wanted
            && self.backlog.is_none()
            && self.streaming.writing() == Writing::No
    }

    /// Writes what is queued while the driver sleeps. The lock is held meanwhile, so that nobody
    /// else writes, and the socket is not closed; the system does not wait. Answers what is to be
    /// dropped without the lock, and whom to wake, when something is left to do.
    fn write_through(
        &mut self,
        shared: &Shared,
        last: &mut Last,
    ) -> (Option<SendBuf>, Option<Waker>) {
        if !self.driver.is_asleep() {
            // It looks at everything before it sleeps.
            return (None, None);
        }
        self.driver = Activity::Asleep;
        let sent = match &self.direct {
            Some(socket) if self.takes_relays() => {
                self.core.transmit_with(|bytes| last.write(bytes, socket))
            }
            _ => None,
        };
        let waker = if sent.is_none() { self.wake(shared) } else { None };
        (last.keep(sent), waker)
    }
}

#[cfg(all(test, unix))]
mod tests;
