use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use proptest::prelude::*;
use ws_proto::{Close, Limits, Message, Prepared};

use super::MOST;
use crate::delivery::SlowReceivers;
use crate::fanout::Fanout;
use crate::shared::Activity;
use crate::slow::Slow;
use crate::toy::Toy;
use crate::toy::party::Party;
use crate::{Builder, Connection, Delivery};

/// A party on sockets, where drivers write for others.
fn party(guests: usize, change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> Party {
    let toy = Toy::default();
    toy.use_sockets();
    Party::on(toy, guests, change)
}

/// How many writes the drivers made on their own since the last call, and what was heard.
fn writes_and_heard(party: &Party) -> (usize, Vec<Vec<u8>>) {
    let taken = party.guests.iter().map(|(_, client)| client.take());
    let (heard, writes): (_, Vec<_>) = taken.unzip();
    (writes.iter().sum(), heard)
}

fn sent_to(guests: usize) -> Delivery {
    Delivery { queued: guests, ..Delivery::default() }
}

#[test]
fn a_few_write_for_all() {
    let guests = 3 * (MOST + 1);
    let party = party(guests, |builder| builder);
    for payload in [2, 300, 5000].map(|len| "x".repeat(len)) {
        assert_eq!(party.server.broadcast(&*payload), sent_to(guests));
        assert_eq!(party.toy.settle(), 3, "tasks that were woken");
        let (writes, heard) = writes_and_heard(&party);
        assert_eq!(writes, 3);
        assert!(heard.iter().all(|bytes| bytes.ends_with(payload.as_bytes())));
    }
    // A burst leaves in one write, too.
    for i in 0..16 {
        assert_eq!(party.server.broadcast(format!("{i}")), sent_to(guests));
    }
    assert_eq!(party.toy.settle(), 3);
    let expected: Vec<_> = (0..16).map(|i| i.to_string()).collect();
    assert!(party.heard().iter().all(|texts| *texts == expected.join(" ")));
}

#[test]
fn each_runtime_has_writers_of_its_own() {
    let party = party(60, |builder| builder);
    for (guest, (connection, _)) in party.guests.iter().enumerate() {
        connection.shared().home.store(guest as u32 % 3, Relaxed);
    }
    assert_eq!(party.server.broadcast("one"), sent_to(60));
    let errands = &party.connection(0).shared().common.errands;
    for home in 0..3 {
        let own = |connection: &&Connection| connection.shared().home.load(Relaxed) == home;
        let own = party.guests.iter().map(|(connection, _)| connection).filter(own);
        let leaders: Vec<_> =
            own.filter(|connection| connection.shared().errand.load(Relaxed)).collect();
        let [leader] = leaders[..] else { panic!("{} leaders", leaders.len()) };
        let receivers = errands.take(leader.shared().serial).unwrap();
        assert_eq!(receivers.len(), 19);
        assert!(receivers.iter().all(|receiver| receiver.home.load(Relaxed) == home));
    }
}

#[test]
fn one_receiver_is_woken_as_always() {
    let party = party(1, |builder| builder);
    assert_eq!(party.server.broadcast("one"), sent_to(1));
    assert_eq!(party.toy.settle(), 1);
    assert_eq!(writes_and_heard(&party).0, 1);
    assert_eq!(party.connection(0).shared().lock().core.buffered_amount(), 0);
}

/// The owner of a payload, which looks at a connection when it is dropped.
struct Owner {
    connection: Connection,
    dropped: Arc<AtomicBool>,
    bytes: [u8; 5000],
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        assert!(self.connection.shared().is_free());
        self.dropped.store(true, Relaxed);
    }
}

#[test]
fn payloads_are_dropped_without_a_lock() {
    let party = party(8, |builder| builder);
    let (connection, dropped) = (party.connection(3).clone(), Arc::new(AtomicBool::default()));
    let (guest, bytes) = (connection.id(), [7; 5000]);
    let owner = Owner { connection, dropped: Arc::clone(&dropped), bytes };
    assert_eq!(party.server.broadcast("one"), sent_to(8));
    let message = Message::Binary(Bytes::from_owner(owner));
    assert_eq!(party.server.broadcast_if(message, |one| one.id() == guest), sent_to(1));
    assert!(!dropped.load(Relaxed));
    assert_eq!(party.toy.settle(), 1);
    assert!(dropped.load(Relaxed));
}

#[test]
fn what_is_long_is_written_by_its_own_task() {
    let party = party(8, |builder| builder);
    for (len, woken) in [(30_000, 1), (40_000, 8)] {
        assert_eq!(party.server.broadcast(vec![7; len]), sent_to(8));
        assert_eq!(party.toy.settle(), woken, "{len} bytes");
        writes_and_heard(&party);
    }
    // Those that wait for another to write are woken when it becomes long.
    for woken in [1, 8] {
        assert_eq!(party.server.broadcast(vec![7; 20_000]), sent_to(8));
        let states = party.guests.iter().map(|(connection, _)| connection.shared().lock().driver);
        assert_eq!(states.filter(|driver| *driver == Activity::Woken).count(), woken);
    }
    assert!(party.toy.settle() >= 8);
    let (_, heard) = writes_and_heard(&party);
    assert!(heard.iter().all(|bytes| bytes.len() == 2 * 20_004));
}

/// The owner of a payload that panics when it is dropped.
struct Explosive([u8; 5000]);

impl AsRef<[u8]> for Explosive {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("an owner");
    }
}

#[test]
fn a_panic_leaves_the_others_to_themselves() {
    let party = party(8, |builder| builder);
    let payload = Bytes::from_owner(Explosive([b'x'; 5000]));
    assert_eq!(party.server.broadcast("one"), sent_to(8));
    let guest = party.connection(3).id();
    let delivery = party.server.broadcast_if(Message::Binary(payload), |one| one.id() == guest);
    assert_eq!(delivery, sent_to(1));
    let settled = catch_unwind(AssertUnwindSafe(|| party.toy.settle()));
    assert!(settled.is_err(), "it is dropped in the task of the leader");
    party.toy.settle();
    let heard = party.guests.iter().map(|(_, client)| client.take().0);
    let heard: Vec<_> = heard.map(|bytes| bytes.starts_with(b"\x81\x03one")).collect();
    assert_eq!(heard.iter().filter(|heard| **heard).count(), 7, "all but the leader: {heard:?}");
}

#[test]
fn who_does_not_read_gets_the_rest_later() {
    let mut limits = Limits::default();
    limits.outbound_high = 4 << 20;
    let party = party(4, |builder| builder.limits(limits));
    let mut heard = vec![Vec::new(); 4];
    let mut sent = 0;
    for round in 0..80_u8 {
        let message = vec![round; 30_000];
        assert_eq!(party.server.broadcast(message), sent_to(4));
        sent += 30_004;
        party.toy.settle();
        for (guest, bytes) in heard.iter_mut().enumerate().filter(|(guest, _)| *guest != 2) {
            bytes.extend(party.guests[guest].1.take().0);
        }
    }
    assert!(party.connection(2).shared().lock().core.buffered_amount() > 1 << 20);
    while heard[2].len() < sent {
        let (bytes, _) = party.guests[2].1.take();
        assert!(!bytes.is_empty(), "{} of {sent}", heard[2].len());
        heard[2].extend(bytes);
        party.toy.settle();
    }
    assert_eq!(heard[0].len(), sent);
    assert!(heard.iter().all(|bytes| *bytes == heard[0]));
}

#[test]
fn a_leader_that_moves_is_woken_where_it_is() {
    let party = party(8, |builder| builder);
    let message = Prepared::new("one");
    let members = &party.connection(0).shared().common.members;
    let mut fanout = Fanout::new(&message, Slow::Policy(SlowReceivers::default()));
    fanout.offer_to(members, None);
    party.toy.move_tasks();
    party.toy.settle();
    assert_eq!(fanout.finish(), sent_to(8));
    party.toy.settle();
    assert!(party.heard().iter().all(|texts| texts == "one"));
}

#[test]
fn a_socket_is_forgotten_before_it_is_gone() {
    let party = party(3, |builder| builder);
    let gone = Arc::new(AtomicUsize::new(0));
    for (connection, client) in &party.guests {
        let (connection, gone) = (connection.clone(), Arc::clone(&gone));
        assert!(connection.shared().lock().direct.is_some());
        client.at_end(move || {
            assert!(connection.shared().lock().direct.is_none());
            gone.fetch_add(1, Relaxed);
        });
    }
    party.connection(0).abort();
    party.toy.settle();
    assert_eq!(gone.load(Relaxed), 1);
    party.toy.drop_tasks();
    assert_eq!(gone.load(Relaxed), 3);
}

#[test]
fn receivers_write_for_themselves_when_their_leader_is_gone() {
    for late in [false, true] {
        let guests = 2 * (MOST + 1);
        let party = party(guests, |builder| builder);
        let message = Prepared::new("one");
        let common = &party.connection(0).shared().common;
        let mut fanout = Fanout::new(&message, Slow::Policy(SlowReceivers::default()));
        fanout.offer_to(&common.members, None);
        let lost = if late {
            assert_eq!(fanout.finish(), sent_to(guests));
            party.toy.drop_woken()
        } else {
            party.toy.drop_task(1);
            assert_eq!(fanout.finish(), sent_to(guests));
            1
        };
        assert_eq!(lost, if late { 2 } else { 1 });
        assert!(party.toy.settle() > 0);
        let heard = party.heard();
        assert_eq!(heard.iter().filter(|texts| *texts == "one").count(), guests - lost);
        assert_eq!(common.errands.len(), 0);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Broadcast(usize),
    Send(usize, usize),
    Subscribe(usize),
    Publish(usize),
    Pause(usize),
    Close(usize),
    Move,
    Settle,
    Hear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let guest = || 0..40_usize;
    let length = || prop_oneof![1..200_usize, 250..5000_usize, 5000..20_000_usize];
    let step = prop_oneof![
        5 => length().prop_map(Step::Broadcast),
        3 => (guest(), length()).prop_map(|(guest, length)| Step::Send(guest, length)),
        2 => guest().prop_map(Step::Subscribe),
        3 => length().prop_map(Step::Publish),
        1 => guest().prop_map(Step::Pause),
        1 => guest().prop_map(Step::Close),
        1 => Just(Step::Move),
        3 => Just(Step::Settle),
        1 => Just(Step::Hear),
    ];
    prop::collection::vec(step, 1..40)
}

impl Step {
    fn run(self, round: u8, party: &Party, heard: &mut [Vec<u8>]) {
        let message = |length| Message::Binary(vec![round; length].into());
        match self {
            Self::Broadcast(length) => drop(party.server.broadcast(message(length))),
            Self::Send(guest, length) => drop(party.connection(guest).try_send(message(length))),
            Self::Subscribe(guest) => drop(party.connection(guest).subscribe("room")),
            Self::Publish(length) => drop(party.server.publish("room", message(length))),
            Self::Pause(guest) => party.connection(guest).pause(),
            Self::Close(guest) => party.connection(guest).close(Close::normal()),
            Self::Move => party.toy.move_tasks(),
            Self::Settle => drop(party.toy.settle()),
            Self::Hear => {
                party.toy.settle();
                for ((_, client), heard) in party.guests.iter().zip(heard) {
                    heard.extend(client.take().0);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The twin is the same server where every task writes for itself.
    #[test]
    fn everybody_hears_what_they_hear_from_their_own_task(steps in steps()) {
        let parties = [party(40, |builder| builder), Party::new(40, |builder| builder)];
        let mut heard = [(); 2].map(|()| vec![Vec::new(); 40]);
        for (party, heard) in parties.iter().zip(&mut heard) {
            for (round, step) in steps.iter().chain([&Step::Hear]).enumerate() {
                step.run(round as u8, party, heard);
            }
        }
        for (own, twin) in heard[0].iter().zip(&heard[1]) {
            prop_assert!(own == twin, "{} and {} bytes", own.len(), twin.len());
        }
    }
}
