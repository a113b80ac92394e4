use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use bytes::{Buf, Bytes};
use ws_proto::{Limits, Message, Prepared, State};

use super::MOST;
use crate::delivery::SlowReceivers;
use crate::descriptor::WRITES;
use crate::fanout::Fanout;
use crate::shared::Activity;
use crate::slow::Slow;
use crate::toy::Toy;
use crate::toy::explosive::Explosive;
use crate::toy::party::Party;
use crate::waiters::lock;
use crate::{Builder, Connection, Delivery};

mod twin;

/// A party on sockets, where drivers write for others.
fn party(guests: usize, change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> Party {
    let toy = Toy::default();
    toy.use_sockets();
    Party::on(toy, guests, change)
}

/// How many writes there were since the last call, and the bytes that each has heard.
fn writes_and_heard(party: &Party) -> (usize, Vec<Vec<u8>>) {
    let taken = party.guests.iter().map(|(_, client)| client.take());
    let (heard, writes): (_, Vec<_>) = taken.unzip();
    (WRITES.take() + writes.iter().sum::<usize>(), heard)
}

fn sent_to(guests: usize) -> Delivery {
    Delivery { queued: guests, ..Delivery::default() }
}

#[test]
fn a_few_write_for_all() {
    let guests = 3 * MOST;
    let party = party(guests, |builder| builder);
    WRITES.set(0);
    for payload in [2, 300, 5000].map(|len| "x".repeat(len)) {
        assert_eq!(party.server.broadcast(&*payload), sent_to(guests));
        assert_eq!(party.toy.settle(), 3, "tasks that were woken");
        let (writes, heard) = writes_and_heard(&party);
        assert_eq!(writes, guests);
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
        connection.shared().home.store(1 + guest as u32 % 3, Relaxed);
    }
    assert_eq!(party.server.broadcast("one"), sent_to(60));
    let errands = &party.connection(0).shared().common.errands;
    for home in 1..4 {
        let own = |connection: &&Connection| connection.shared().home.load(Relaxed) == home;
        let own = party.guests.iter().map(|(connection, _)| connection).filter(own);
        let leaders: Vec<_> =
            own.filter(|connection| connection.shared().errand.load(Relaxed)).collect();
        let [leader] = leaders[..] else { panic!("{} leaders", leaders.len()) };
        let relay = errands.take(leader.shared().serial).unwrap();
        let state = lock(&relay.state);
        assert_eq!((relay.home, state.due.count_ones()), (home, 19));
        let seated = state.seated.iter().flatten();
        assert!(seated.clone().all(|receiver| receiver.home.load(Relaxed) == home));
        assert_eq!(seated.count(), 20);
    }
}

/// Which guests are members of a relay.
fn members(party: &Party) -> Vec<usize> {
    let is_member = |(guest, (connection, _)): (usize, &(Connection, _))| {
        connection.shared().lock_as_leader().relay.is_some().then_some(guest)
    };
    party.guests.iter().enumerate().filter_map(is_member).collect()
}

#[test]
fn nothing_is_queued_on_those_who_sleep_since_the_last_time() {
    let party = party(8, |builder| builder);
    assert_eq!(party.server.broadcast("one"), sent_to(8));
    party.toy.settle();
    assert_eq!(members(&party), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(party.server.broadcast("two"), sent_to(8));
    assert_eq!(party.connection(0).broadcast("three"), sent_to(7));
    for (connection, _) in &party.guests[1..] {
        assert_eq!(connection.shared().lock_as_leader().core.buffered_amount(), 0);
    }
    // Whoever asks gets to know what waits.
    assert_eq!(party.connection(5).buffered_amount(), 2 + 3 + 2 + 5);
    assert_eq!(members(&party), [1, 2, 3, 4, 6, 7]);
    assert_eq!(party.toy.settle(), 1);
    let heard = party.heard();
    assert_eq!(heard[0], "one two");
    assert!(heard[1..].iter().all(|texts| texts == "one two three"), "{heard:?}");
}

#[test]
fn what_is_sent_to_one_keeps_its_place_among_broadcasts() {
    let party = party(8, |builder| builder);
    for round in 0..3 {
        for guest in 0..8 {
            let one = party.connection(guest);
            assert_eq!(party.server.broadcast("a"), sent_to(8));
            one.try_send("b").unwrap();
            assert_eq!(one.broadcast("c"), sent_to(7));
            assert_eq!(party.server.broadcast("d"), sent_to(8));
            if round == 1 {
                party.toy.settle();
            }
            for (at, texts) in party.heard().into_iter().enumerate() {
                assert_eq!(texts, if at == guest { "a b d" } else { "a c d" });
            }
        }
    }
}

#[test]
fn what_was_published_before_the_end_of_a_subscription_arrives_and_nothing_later() {
    let party = party(6, |builder| builder);
    for (connection, _) in &party.guests {
        assert!(connection.subscribe("room").unwrap());
    }
    for early in [true, false] {
        assert_eq!(party.server.publish("room", "one"), sent_to(6));
        party.toy.settle();
        assert_eq!(members(&party), [1, 2, 3, 4, 5]);
        assert_eq!(party.server.publish("room", "two"), sent_to(6));
        // The leader, one who follows, and one whose lock was taken in between.
        for guest in [0, 3, 4] {
            if early && guest == 4 {
                assert!(party.connection(guest).buffered_amount() > 0);
            }
            assert!(party.connection(guest).unsubscribe("room"));
        }
        assert_eq!(party.server.publish("room", "three"), sent_to(3));
        for (guest, texts) in party.heard().into_iter().enumerate() {
            let expected = if [0, 3, 4].contains(&guest) { "one two" } else { "one two three" };
            assert_eq!(texts, expected, "{guest}");
        }
        for guest in [0, 3, 4] {
            assert!(party.connection(guest).subscribe("room").unwrap());
        }
        assert_eq!(party.server.publish("room", ""), sent_to(6));
        party.heard();
    }
}

#[test]
fn who_left_is_kept_by_no_relay() {
    let mut party = party(2 * MOST, |builder| builder);
    assert_eq!(party.server.broadcast("one"), sent_to(2 * MOST));
    party.toy.settle();
    assert_eq!(party.server.broadcast("two"), sent_to(2 * MOST));
    let gone = party.guests.drain(..2 * MOST - 5).map(|(connection, client)| {
        connection.abort();
        drop(client);
        Arc::downgrade(connection.shared())
    });
    let gone: Vec<_> = gone.collect();
    party.toy.settle();
    assert!(gone.iter().all(|gone| gone.upgrade().is_none()));
    assert_eq!(party.server.broadcast("three"), sent_to(5));
    assert!(party.heard().iter().all(|texts| texts == "one two three"));
}

#[test]
fn relays_with_few_members_are_put_together() {
    let mut party = party(4 * MOST, |builder| builder);
    assert_eq!(party.server.broadcast("one"), sent_to(4 * MOST));
    assert_eq!(party.toy.settle(), 4);
    party.heard();
    // Two stay in each relay.
    let mut guest = 0;
    party.guests.retain(|(connection, _)| {
        guest += 1;
        if guest % (MOST / 2) != 0 {
            connection.abort();
        }
        guest % (MOST / 2) == 0
    });
    party.toy.settle();
    assert_eq!(party.server.broadcast("two"), sent_to(8));
    party.toy.settle();
    assert_eq!(party.server.broadcast("three"), sent_to(8));
    assert_eq!(party.toy.settle(), 1, "one writes for all");
    assert!(party.heard().iter().all(|texts| texts == "two three"));
}

/// The last relay becomes empty while somebody broadcasts.
#[test]
fn nobody_hears_anything_twice_while_relays_become_fewer() {
    let mut party = party(5 * MOST, |builder| builder);
    assert_eq!(party.server.broadcast("one"), sent_to(5 * MOST));
    party.heard();
    // Those who go move the last ones to the front.
    let stay = MOST - 20..MOST + 4;
    for guest in (stay.end + 1..5 * MOST).rev().chain(0..stay.start).chain([stay.end]) {
        party.connection(guest).abort();
        party.toy.settle();
    }
    party.guests.truncate(stay.end);
    party.guests.drain(..stay.start);
    assert_eq!(members(&party).len(), 23);
    for _ in 0..2 {
        assert_eq!(party.server.broadcast("two"), sent_to(24));
        assert!(party.heard().iter().all(|texts| texts == "two"));
    }
}

#[test]
fn a_broadcast_that_is_given_up_leaves_nobody_behind() {
    let party = party(8, |builder| builder);
    let members = &party.connection(0).shared().common.members;
    for round in 0..2 {
        let message = Prepared::new("one");
        let mut fanout = Fanout::new(&message, Slow::Policy(SlowReceivers::default()));
        fanout.offer_to(members, None);
        drop(fanout);
        let heard = party.heard();
        assert!(heard.iter().all(|texts| texts == "one"), "round {round}: {heard:?}");
        assert_eq!(party.server.broadcast("two"), sent_to(8));
        assert!(party.heard().iter().all(|texts| texts == "two"));
    }
}

#[test]
fn each_kind_of_frames_has_a_relay() {
    let toy = Toy::default();
    toy.use_sockets();
    let party = Party::of_all_versions(toy, 12);
    for text in ["one", "two", "three"] {
        assert_eq!(party.server.broadcast(text), sent_to(12));
        assert_eq!(party.toy.settle(), 2, "one for each framing");
    }
    for (_, client) in &party.guests {
        let (bytes, _) = client.take();
        let framed = b"\x81\x03one\x81\x03two\x81\x05three";
        assert!(bytes == framed || bytes == b"\0one\xff\0two\xff\0three\xff", "{bytes:?}");
    }
    // The old ones have no binary messages.
    let delivery = party.server.broadcast(vec![7]);
    assert_eq!((delivery.queued, delivery.unsupported), (6, 6));
}

#[test]
fn a_few_receivers_are_woken_as_always() {
    let party = party(3, |builder| builder);
    WRITES.set(0);
    for _ in 0..2 {
        assert_eq!(party.server.broadcast("one"), sent_to(3));
        assert_eq!(party.toy.settle(), 3);
        assert_eq!(writes_and_heard(&party).0, 3);
        assert_eq!(party.connection(0).shared().lock().core.buffered_amount(), 0);
        assert!(members(&party).is_empty());
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_frames_are_shared_without_context_takeover() {
    let text = "over and over ".repeat(20);
    for takeover in [false, true] {
        let toy = Toy::default();
        toy.use_sockets();
        let deflate = ws_proto::Deflate::new().server_no_context_takeover(!takeover);
        let party = Party::compressed(toy, 8, |builder| builder.deflate(deflate));
        let mut heard = vec![Vec::new(); 8];
        for round in 0..3 {
            assert_eq!(party.server.broadcast(&*text), sent_to(8));
            assert_eq!(party.toy.settle(), 1, "one writes for all");
            assert_eq!(members(&party).len(), if takeover { 0 } else { 7 });
            for (bytes, (_, client)) in heard.iter_mut().zip(&party.guests) {
                let (frame, _) = client.take();
                assert_eq!(frame[0], 0xC1, "compressed, in round {round}");
                assert_eq!(usize::from(frame[1]), frame.len() - 2);
                assert!(frame.len() < text.len() / 4);
                *bytes = frame;
            }
            assert!(heard.iter().all(|bytes| *bytes == heard[0]));
        }
    }
}

#[test]
fn what_is_long_waits_once_for_all_who_leave() {
    let party = party(6, |builder| builder);
    assert_eq!(party.server.broadcast("one"), sent_to(6));
    party.toy.settle();
    assert_eq!(party.server.broadcast(vec![7; 20_000]), sent_to(6));
    let mut places = Vec::new();
    for (connection, _) in &party.guests[1..] {
        assert_eq!(connection.buffered_amount(), 20_004);
        let _ = connection.shared().lock().core.transmit_with(|queued| {
            places.push(queued.chunk().as_ptr());
            0
        });
    }
    assert!(places.len() == 5 && places.iter().all(|place| *place == places[0]));
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

/// The owner of a payload, which sends something when it is dropped.
struct Speaker(Connection, [u8; 5000]);

impl AsRef<[u8]> for Speaker {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.0.try_send("two").unwrap();
    }
}

#[test]
fn what_is_being_written_goes_before_what_is_said_meanwhile() {
    let party = party(8, |builder| builder);
    assert_eq!(party.server.broadcast("zero"), sent_to(8));
    party.heard();
    assert_eq!(party.server.broadcast("one"), sent_to(8));
    let speaker = Speaker(party.connection(5).clone(), [7; 5000]);
    let (guest, message) = (party.connection(3).id(), Message::Binary(Bytes::from_owner(speaker)));
    // It is dropped behind the write to 3, when the one to 5 is still to come.
    assert_eq!(party.server.broadcast_if(message, |one| one.id() == guest), sent_to(1));
    let heard = party.heard();
    assert_eq!((&*heard[4], &*heard[5], &*heard[6]), ("one", "one two", "one"));
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

#[test]
fn a_panic_leaves_the_others_to_themselves() {
    let party = party(8, |builder| builder);
    let payload = Bytes::from_owner(Explosive::new());
    assert_eq!(party.server.broadcast("one"), sent_to(8));
    let guest = party.connection(3).id();
    let delivery = party.server.broadcast_if(Message::Binary(payload), |one| one.id() == guest);
    assert_eq!(delivery, sent_to(1));
    // It is dropped in the task of the leader, who can do nothing for it.
    party.toy.settle();
    assert_eq!(hear(&party, |bytes| bytes.starts_with(b"\x81\x03one")), 8);
    assert_eq!(party.server.broadcast("two"), sent_to(8));
    party.toy.settle();
    assert_eq!(hear(&party, |bytes| bytes.ends_with(b"\x81\x03two")), 8);
}

/// How many of the guests heard what they should.
fn hear(party: &Party, what: impl Fn(&[u8]) -> bool) -> usize {
    party.guests.iter().filter(|(_, client)| what(&client.take().0)).count()
}

#[test]
fn a_panic_leaves_no_other_errand_undone() {
    let party = party(8, |builder| builder);
    for (connection, _) in &party.guests {
        assert!(connection.subscribe("room").unwrap());
    }
    assert_eq!(party.server.broadcast("one"), sent_to(8));
    assert_eq!(party.server.publish("room", "two"), sent_to(8));
    let (guest, payload) = (party.connection(3).id(), Bytes::from_owner(Explosive::new()));
    let delivery = party.server.broadcast_if(Message::Binary(payload), |one| one.id() == guest);
    assert_eq!(delivery, sent_to(1));
    // As if it had been given another while it was busy.
    let [leader, other] = [0, 1].map(|guest| party.connection(guest).shared());
    let errands = &leader.common.errands;
    errands.put(leader.serial, errands.take(other.serial).unwrap());
    party.toy.settle();
    assert_eq!(errands.len(), 0);
    for text in ["three", "four"] {
        let _ = party.server.publish("room", text);
    }
    party.toy.settle();
    let whole = |bytes: &[u8]| {
        bytes.starts_with(b"\x81\x03one\x81\x03two")
            && bytes.ends_with(b"\x81\x05three\x81\x04four")
    };
    assert_eq!(hear(&party, whole), 8);
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
            let forgotten = connection.shared().lock().direct.is_none();
            gone.fetch_add(usize::from(forgotten), Relaxed);
        });
    }
    party.connection(0).abort();
    party.toy.settle();
    assert_eq!(gone.load(Relaxed), 1);
    party.connection(1).try_send(Bytes::from_owner(Explosive::new())).unwrap();
    party.toy.settle();
    assert_eq!(gone.load(Relaxed), 2, "its task has panicked");
    party.toy.drop_tasks();
    assert_eq!(gone.load(Relaxed), 3);
}

#[test]
fn receivers_write_for_themselves_when_their_leader_is_gone() {
    for late in [false, true] {
        let guests = 2 * MOST;
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
        for text in ["two", "three"] {
            assert_eq!(party.server.broadcast(text), sent_to(guests - lost));
        }
        let heard = party.heard();
        assert_eq!(heard.iter().filter(|texts| *texts == "two three").count(), guests - lost);
    }
}

#[test]
fn leaders_may_go_while_another_thread_broadcasts() {
    const GUESTS: usize = 24;
    for round in 0..20 {
        let party = party(GUESTS, |builder| builder);
        let start = Barrier::new(2);
        let said = thread::scope(|scope| {
            let speaker = scope.spawn(|| {
                start.wait();
                for n in 0..60 {
                    assert!(party.server.broadcast(format!("{n}")).queued >= GUESTS / 2);
                }
            });
            start.wait();
            for _ in 0..GUESTS / 2 {
                (0..round).for_each(|_| thread::yield_now());
                // Whoever leads is mostly among the first.
                party.toy.drop_task(1);
                party.toy.settle();
            }
            speaker.join()
        });
        said.unwrap();
        let expected: Vec<_> = (0..60).map(|n| n.to_string()).collect();
        let heard = party.heard();
        let stayed = heard.iter().zip(&party.guests);
        let stayed = stayed.filter(|(_, (connection, _))| connection.state() == State::Connected);
        let texts: Vec<_> = stayed.map(|(texts, _)| texts).collect();
        assert!(texts.len() >= GUESTS / 2);
        assert!(texts.iter().all(|texts| **texts == expected.join(" ")), "{texts:?}");
        assert_eq!(party.connection(0).shared().common.errands.len(), 0);
        let delivery = party.server.broadcast("end");
        assert_eq!(party.heard().iter().filter(|texts| *texts == "end").count(), delivery.queued);
    }
}
