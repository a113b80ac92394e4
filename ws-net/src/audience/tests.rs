use std::sync::Mutex;

use ws_proto::{Close, State};

use super::*;
use crate::toy::party::Party;
use crate::waiters::lock;

fn queued(delivery: Delivery) -> usize {
    assert_eq!(delivery, Delivery { queued: delivery.queued, ..Delivery::default() });
    delivery.queued
}

#[test]
fn a_message_reaches_the_subscribers() {
    let party = Party::new(3, |builder| builder);
    for guest in [0, 2] {
        assert_eq!(party.connection(guest).subscribe("room"), Ok(true));
    }
    assert_eq!(queued(party.server.publish("room", "one")), 2);
    assert_eq!(queued(party.server.manager().publish("elsewhere", "two")), 0);
    assert_eq!(queued(party.connection(0).publish("room", "three")), 1);
    assert_eq!(queued(party.connection(1).publish("room", "four")), 2);
    assert_eq!(party.heard(), ["one four", "", "one three four"]);
    assert_eq!(party.server.topics(), [("room".into(), 2)]);
    assert_eq!((party.server.subscribers("room"), party.server.subscribers("hall")), (2, 0));
    assert_eq!(party.connection(2).topics(), ["room"]);
    assert!(party.connection(2).unsubscribe("room") && !party.connection(1).unsubscribe("room"));
    assert_eq!(queued(party.server.publish("room", "five")), 1);
    assert_eq!(party.heard(), ["five", "", ""]);
}

#[test]
fn subscriptions_end_with_the_connection() {
    let party = Party::new(2, |builder| builder);
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    party.server.on_close(move |connection, _| {
        lock(&out).push((connection.topics().len(), connection.subscribe("again")));
    });
    for (connection, _) in &party.guests {
        connection.subscribe("room").unwrap();
    }
    party.connection(0).close(Close::normal());
    let closing = SubscribeError::NotConnected(State::Closing);
    assert_eq!(party.connection(0).subscribe("again"), Err(closing));
    let delivery = party.server.publish("room", "late");
    assert_eq!(delivery, Delivery { queued: 1, closed: 1, ..Delivery::default() });
    party.connection(0).abort();
    party.toy.settle();
    let closed = SubscribeError::NotConnected(State::Closed);
    assert_eq!(*lock(&told), [(0, Err(closed))]);
    assert_eq!(party.server.topics(), [("room".into(), 1)]);
    party.toy.drop_tasks();
    assert!(party.server.topics().is_empty());
    assert_eq!(party.connection(1).subscribe("again"), Err(closed));
}

#[test]
fn users_choose_without_any_lock() {
    let party = Party::new(4, |builder| builder);
    let server = &party.server;
    for guest in [1, 2, 3] {
        party.connection(guest).subscribe("room").unwrap();
    }
    let second = party.connection(1).id();
    let delivery = server.broadcast_if("one", |one| {
        // Everything that takes a lock may be called.
        one.unsubscribe("room");
        let _ = server.publish("room", "inner");
        one.subscribe("room").unwrap();
        let _ = one.broadcast_if("never", |_| false);
        one.id() > second
    });
    assert_eq!(queued(delivery), 2);
    assert_eq!(queued(party.connection(3).broadcast_if("two", |one| one.id() > second)), 1);
    let few = server
        .to_topic("room")
        .only(|one| one.id() > second)
        .only(|one| one.id() != party.connection(2).id());
    assert_eq!(queued(few.send("three")), 1);
    let others = party.connection(2).to_others_in("room").only(|_| true);
    assert_eq!(queued(others.send("four")), 3);
    let heard = party.heard();
    let own: Vec<_> =
        heard.iter().map(|one| one.replace("inner ", "").replace("inner", "")).collect();
    assert_eq!(own, ["four", "four", "one two", "one three four"]);
    assert_eq!(heard.concat().matches("inner").count(), 4 * 3);
    assert_eq!(queued(party.connection(1).send_all("all")), 4);
}
