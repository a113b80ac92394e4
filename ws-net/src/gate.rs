use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use ws_proto::Instant;

use crate::Address;
use crate::load::Load;
use crate::shares::{Allowance, Shares, Source, Takings};
use crate::tally::Tally;
use crate::waiters::{Watched, lock};

/// Who may come in, and whether the server still runs.
pub(crate) struct Gate {
    phase: Watched<Phase>,
    /// The same in the lowest two bits, for those who look at it often. The others count changes.
    reached: AtomicU32,
    issued: Watched<Issued>,
    max_connections: usize,
    max_handshakes: usize,
    shares: Shares,
    /// From the first one on.
    refusals: Mutex<Option<Box<Refusals>>>,
}

/// The bits of a [`Phase`].
const PHASE: u32 = 3;

/// Where a server is in its life. It only goes forward.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub(crate) enum Phase {
    /// Connections are accepted.
    #[default]
    Open,
    /// No more of them; those that are open go on or are closed.
    Stopping,
    /// Everything has to end now.
    Killed,
}

/// The permits that are taken.
#[derive(Default)]
struct Issued {
    connections: usize,
    handshakes: usize,
    takings: Takings,
    /// Clients have found no permit since one last found one at once.
    full: bool,
    /// One came without an address where they have shares.
    #[cfg(feature = "http")]
    nameless: bool,
}

/// Who was sent away.
#[derive(Default)]
struct Refusals {
    all: u64,
    when_full: u64,
    for_share: Tally,
    /// How often it was told that there is no permit.
    full: Tally,
}

/// A client whose address has its share already.
#[derive(Debug)]
pub(crate) struct Refused {
    /// How many were refused since the last line of the log, when it is time for one.
    pub(crate) to_be_told: Option<u64>,
}

impl Issued {
    fn add(&mut self, allowance: Option<Allowance>) {
        self.connections += 1;
        self.handshakes += 1;
        if let Some(allowance) = allowance {
            self.takings.take(allowance.source);
        }
    }
}

impl Gate {
    pub(crate) fn new(max_connections: usize, max_handshakes: usize, shares: Shares) -> Self {
        Self {
            phase: Watched::default(),
            reached: AtomicU32::new(Phase::Open as u32),
            issued: Watched::default(),
            max_connections,
            max_handshakes,
            shares,
            refusals: Mutex::default(),
        }
    }

    /// Goes on to `phase`, unless the server is there already. Answers whether it was open.
    pub(crate) fn advance(&self, phase: Phase) -> bool {
        let before = self.phase.update(|current| {
            let before = *current;
            *current = before.max(phase);
            let changes = (self.reached.load(Ordering::Relaxed) | PHASE).wrapping_add(1);
            self.reached.store(changes | *current as u32, Ordering::Release);
            before
        });
        before == Phase::Open
    }

    /// Completes when the server is beyond `phase`. Costs next to nothing to poll again and again.
    /// Cancel-safe.
    pub(crate) fn beyond(&self, phase: Phase) -> impl Future<Output = ()> + Unpin + '_ {
        let mut wait = self.phase.wait(move |current| (*current > phase).then_some(()));
        let mut told: Option<(u32, Waker)> = None;
        poll_fn(move |cx| {
            let reached = self.reached.load(Ordering::Acquire);
            if reached & PHASE > phase as u32 {
                return Poll::Ready(());
            }
            // Whom a change has to wake stays noted until there is one.
            let noted = |(at, waker): &(u32, Waker)| *at == reached && waker.will_wake(cx.waker());
            if told.as_ref().is_some_and(noted) {
                return Poll::Pending;
            }
            told = Some((reached, cx.waker().clone()));
            Pin::new(&mut wait).poll(cx)
        })
    }

    /// Whether connections are accepted. Who has entered one into a list and finds the server open
    /// then is seen by those who go through that list after they closed it.
    pub(crate) fn is_open(&self) -> bool {
        self.reached.load(Ordering::Acquire) & PHASE == Phase::Open as u32
    }

    /// A permit for `peer`, as soon as there is one, or at once the news that its address has its
    /// share. `now` is for the log. Cancel-safe.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        peer: Address,
        now: Instant,
    ) -> Result<Permit, Refused> {
        let allowance = self.allowance(peer);
        if self.issued.wait(|issued| self.take(issued, allowance)).await {
            Ok(self.permit(allowance))
        } else {
            Err(self.refuse(now))
        }
    }

    /// The same without waiting: `None` when there is no permit now.
    pub(crate) fn try_admit(
        self: &Arc<Self>,
        peer: Address,
        now: Instant,
    ) -> Option<Result<Permit, Refused>> {
        let allowance = self.allowance(peer);
        let taken = self.issued.change(|issued| {
            let taken = self.take(issued, allowance);
            issued.full &= taken != Some(true);
            taken
        });
        Some(if taken? { Ok(self.permit(allowance)) } else { Err(self.refuse(now)) })
    }

    /// A client has found no permit. Answers the load when that is to be told: once until a client
    /// finds one at once, and seldom enough that it costs nothing.
    pub(crate) fn note_full(&self, now: Instant) -> Option<Load> {
        let tells = self.issued.change(|issued| {
            let tells = !issued.full && self.record(|refusals| refusals.full.count(now)).is_some();
            issued.full |= tells;
            tells
        });
        tells.then(|| self.load())
    }

    /// A client comes whose address nobody has said. Whether that is to be told: the first time,
    /// where addresses have shares.
    #[cfg(feature = "http")]
    pub(crate) fn note_nameless(&self) -> bool {
        self.shares.are_less_than(self.max_connections, self.max_handshakes)
            && !self.issued.change(|issued| std::mem::replace(&mut issued.nameless, true))
    }

    /// An upgrade has found no permit.
    pub(crate) fn count_refused_when_full(&self) {
        self.record(|refusals| refusals.when_full += 1);
    }

    /// A client was sent away, for whatever reason.
    pub(crate) fn count_refused(&self) {
        self.record(|refusals| refusals.all += 1);
    }

    /// How many there are, and were refused.
    pub(crate) fn load(&self) -> Load {
        let (connections, handshakes) =
            self.issued.read(|issued| (issued.connections, issued.handshakes));
        let full = self.is_used_up(connections, handshakes);
        let load = Load { connections, handshakes, full, ..Load::default() };
        match &*lock(&self.refusals) {
            Some(refusals) => Load {
                refused: refusals.all,
                refused_when_full: refusals.when_full,
                refused_for_share: refusals.for_share.total,
                ..load
            },
            None => load,
        }
    }

    /// A permit beyond the limits: for a client that has another and leaves it soon, for one that
    /// is only sent away, or for this side's own. It counts in the share of its address.
    pub(crate) fn admit_beyond(self: &Arc<Self>, peer: Address) -> Permit {
        let allowance = self.allowance(peer);
        self.issued.update(|issued| issued.add(allowance));
        self.permit(allowance)
    }

    /// Permits that are taken.
    pub(crate) fn connections(&self) -> usize {
        self.issued.read(|issued| issued.connections)
    }

    /// Completes when no permit is taken. Cancel-safe.
    pub(crate) async fn emptied(&self) {
        self.issued.wait(|issued| (issued.connections == 0).then_some(())).await;
    }

    fn allowance(&self, peer: Address) -> Option<Allowance> {
        peer.ip().and_then(|ip| self.shares.of(ip))
    }

    /// Counts one more; `false` when its address has its share, `None` when there is no permit.
    fn take(&self, issued: &mut Issued, allowance: Option<Allowance>) -> Option<bool> {
        if allowance.is_some_and(|allowance| issued.takings.is_used_up(&allowance)) {
            return Some(false);
        }
        if self.is_used_up(issued.connections, issued.handshakes) {
            return None;
        }
        issued.add(allowance);
        Some(true)
    }

    fn permit(self: &Arc<Self>, allowance: Option<Allowance>) -> Permit {
        let source = allowance.map(|allowance| allowance.source);
        Permit { gate: Arc::clone(self), source, purpose: Purpose::Handshake, listed: false }
    }

    fn refuse(&self, now: Instant) -> Refused {
        Refused { to_be_told: self.record(|refusals| refusals.for_share.count(now)) }
    }

    fn record<T>(&self, f: impl FnOnce(&mut Refusals) -> T) -> T {
        f(lock(&self.refusals).get_or_insert_default())
    }

    /// Whether the next one has to wait for a permit.
    fn is_used_up(&self, connections: usize, handshakes: usize) -> bool {
        connections >= self.max_connections || handshakes >= self.max_handshakes
    }
}

/// One connection's place in the limits, given back when it is dropped.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    /// In whose share it is counted.
    source: Option<Source>,
    purpose: Purpose,
    /// For [`Membership`](crate::membership::Membership): whether the connection is in the list for
    /// that purpose. It is here because there is room for it.
    pub(crate) listed: bool,
}

/// What a permit is taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A client that shakes hands, or did so in vain.
    Handshake,
    /// A WebSocket that is open, or was.
    WebSocket,
    /// Ordinary requests.
    Http,
}

impl Permit {
    /// The handshake is over; the connection goes on with `purpose`.
    pub(crate) fn settle(&mut self, purpose: Purpose) {
        if self.purpose == Purpose::Handshake {
            self.gate.issued.update(|issued| {
                issued.handshakes -= 1;
                if let Some(source) = self.source {
                    issued.takings.settle(source);
                }
            });
        }
        self.purpose = purpose;
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Counts a connection whose address is known only now in the share of that address. `now` is for
    /// the log.
    ///
    /// # Errors
    /// When the address has its share.
    pub(crate) fn charge(&mut self, peer: Address, now: Instant) -> Result<(), Refused> {
        debug_assert!(self.source.is_none(), "it is in one share already");
        let Some(allowance) = self.gate.allowance(peer) else { return Ok(()) };
        let has_room = self.gate.issued.change(|issued| {
            let has_room = !issued.takings.is_used_up(&allowance);
            if has_room {
                issued.takings.take(allowance.source);
            }
            has_room
        });
        if !has_room {
            return Err(self.gate.refuse(now));
        }
        self.source = Some(allowance.source);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.issued.update(|issued| {
            let in_handshake = self.purpose == Purpose::Handshake;
            issued.connections -= 1;
            issued.handshakes -= usize::from(in_handshake);
            if let Some(source) = self.source {
                issued.takings.give_back(source, in_handshake);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::shares::Share;

    fn gate(max_connections: usize, max_handshakes: usize, per_ip: Option<usize>) -> Arc<Gate> {
        let shares = Shares {
            connections: Share::new(per_ip, max_connections),
            handshakes: Share::new(None, max_handshakes),
        };
        Arc::new(Gate::new(max_connections, max_handshakes, shares))
    }

    fn ask(gate: &Arc<Gate>, peer: Address) -> Poll<Result<Permit, Refused>> {
        let now = Instant::from_nanos(0);
        pin!(gate.admit(peer, now)).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn try_admit(gate: &Arc<Gate>) -> Option<Permit> {
        match ask(gate, Address::Unnamed) {
            Poll::Ready(permit) => Some(permit.unwrap()),
            Poll::Pending => None,
        }
    }

    fn address(text: &str) -> Address {
        Address::Tcp(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_others_theirs() {
        let gate = gate(4, 4, Some(2));
        let [one, other] = ["127.0.0.1:1", "127.0.0.2:1"].map(address);
        let permits = [(); 2].map(|()| match ask(&gate, one) {
            Poll::Ready(Ok(permit)) => permit,
            _ => panic!("a free permit"),
        });
        let Poll::Ready(Err(refused)) = ask(&gate, one) else { panic!("it has its share") };
        assert_eq!((refused.to_be_told, gate.load().refused_for_share), (Some(1), 1));
        let Poll::Ready(Ok(third)) = ask(&gate, other) else { panic!("another address") };
        let fourth = try_admit(&gate).unwrap();
        assert!(gate.load().full);
        assert!(ask(&gate, other).is_pending(), "it has a share left, but no permit is free");
        assert!(matches!(ask(&gate, one), Poll::Ready(Err(_))), "no need to wait");
        drop(permits);
        let Poll::Ready(Ok(fifth)) = ask(&gate, one) else { panic!("its permits are free again") };
        drop((third, fourth, fifth));
        assert_eq!((gate.connections(), gate.load().refused_for_share), (0, 2));
        assert!(gate.issued.read(|issued| issued.takings.is_empty()));
    }

    #[test]
    fn handshakes_have_shares_of_their_own() {
        let gate = gate(100, 2, None);
        let peer = address("192.0.2.7:1");
        let mut permits = Vec::new();
        for purpose in [Purpose::WebSocket, Purpose::Http, Purpose::WebSocket] {
            let Poll::Ready(Ok(mut permit)) = ask(&gate, peer) else { panic!("a free permit") };
            assert!(matches!(ask(&gate, peer), Poll::Ready(Err(_))), "one shakes hands");
            permit.settle(purpose);
            permits.push(permit);
        }
        drop(permits);
        assert!(gate.issued.read(|issued| issued.takings.is_empty()));
    }

    #[test]
    fn handshakes_and_connections_are_limited_apart() {
        let gate = gate(3, 1, None);
        let mut first = try_admit(&gate).unwrap();
        assert!(try_admit(&gate).is_none());
        first.settle(Purpose::WebSocket);
        let mut second = try_admit(&gate).unwrap();
        second.settle(Purpose::Http);
        let third = try_admit(&gate).unwrap();
        assert!(gate.load().full);
        drop(third);
        assert!(!gate.load().full);
        drop((first, second));
        assert_eq!(gate.connections(), 0);
    }

    #[test]
    fn who_has_a_seat_already_is_never_held_back() {
        let gate = gate(1, 1, Some(1));
        let (peer, now) = (address("192.0.2.7:1"), Instant::from_nanos(0));
        let first = gate.try_admit(Address::Unnamed, now).unwrap().unwrap();
        assert!(gate.try_admit(peer, now).is_none());
        let beyond = gate.admit_beyond(peer);
        drop(first);
        assert!(gate.try_admit(Address::Unnamed, now).is_none() && gate.connections() == 1);
        assert!(matches!(gate.try_admit(peer, now), Some(Err(_))), "it has its share");
        assert_eq!(gate.load().refused_for_share, 1);
        drop(beyond);
        assert!(gate.issued.read(|issued| issued.takings.is_empty()));
        assert!(gate.try_admit(peer, now).is_some_and(|permit| permit.is_ok()));
    }

    #[test]
    fn phases_only_go_forward() {
        let gate = gate(1, 1, None);
        assert!(gate.advance(Phase::Killed));
        assert!(!gate.advance(Phase::Stopping));
        assert!(gate.phase.read(|phase| *phase == Phase::Killed) && !gate.is_open());
    }

    #[test]
    fn who_waits_for_a_phase_is_told_once_it_is_over() {
        struct Task(AtomicU32);
        impl std::task::Wake for Task {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (gate, task) = (gate(1, 1, None), Arc::new(Task(0.into())));
        let waker = Waker::from(Arc::clone(&task));
        let woken = || task.0.load(Ordering::Relaxed);
        let mut cx = Context::from_waker(&waker);
        let (mut stopped, mut killed) = (gate.beyond(Phase::Open), gate.beyond(Phase::Stopping));
        for _ in 0..3 {
            assert!(pin!(&mut stopped).poll(&mut cx).is_pending());
            assert!(pin!(&mut killed).poll(&mut cx).is_pending());
        }
        for wakes in [2, 3] {
            // The second time nothing changes but the list of those who wait.
            gate.advance(Phase::Stopping);
            assert_eq!(woken(), wakes);
            assert!(pin!(&mut killed).poll(&mut cx).is_pending());
        }
        assert!(pin!(&mut stopped).poll(&mut cx).is_ready());
        gate.advance(Phase::Killed);
        assert_eq!(woken(), 4);
        assert!(pin!(&mut killed).poll(&mut cx).is_ready());
    }
}
