//! Topics, and messages to those whom a function of users chooses.

use std::thread;

use ws_net::{Close, Connection, Message, Runtime, State, SubscribeError, Version};

use super::support::{Mailbox, Running, aside, until};
use crate::client::Client;

/// Serves clients that say `+topic`, `-topic`, or `topic message`; the first two are confirmed.
async fn rooms<R: Runtime>(runtime: &R) -> Running<R> {
    let server = Running::bind(runtime, |builder| builder).await;
    server.on_message(|connection, message| {
        let text = message.as_text().expect("these clients send text");
        if let Some(topic) = text.strip_prefix('+') {
            let new = connection.subscribe(topic).expect("there is room");
            connection.try_send(format!("joined {topic}: {new}")).expect("there is room");
        } else if let Some(topic) = text.strip_prefix('-') {
            let left = connection.unsubscribe(topic);
            connection.try_send(format!("left {topic}: {left}")).expect("there is room");
        } else if let Some((topic, text)) = text.split_once(' ') {
            assert_eq!(connection.publish(topic, text).skipped, 0);
        }
    });
    server.start_running(runtime);
    server
}

/// On every version: who publishes does not hear it, and others only hear what they asked for.
pub async fn a_message_reaches_the_others_who_subscribed<R: Runtime>(runtime: R) {
    let server = rooms(&runtime).await;
    let address = server.address;
    let mut clients =
        aside(move || Version::ALL.map(|version| Client::open(address, version))).await;
    clients = aside(move || {
        for client in &mut clients[..4] {
            assert_eq!(client.ask_text("+room"), "joined room: true");
        }
        assert_eq!(clients[0].ask_text("+room"), "joined room: false");
        assert_eq!(clients[4].ask_text("+hall"), "joined hall: true");
        clients[0].send("room first");
        for client in &mut clients[1..4] {
            assert_eq!(client.recv_text(), "first");
        }
        clients[4].send("room second");
        for client in &mut clients[..4] {
            assert_eq!(client.recv_text(), "second");
        }
        assert_eq!(clients[3].ask_text("-room"), "left room: true");
        assert_eq!(clients[3].ask_text("-room"), "left room: false");
        clients
    })
    .await;
    assert_eq!(server.topics(), [("hall".into(), 1), ("room".into(), 3)]);
    assert_eq!((server.subscribers("room"), server.subscribers("nowhere")), (3, 0));
    let binary = server.publish("room", Message::binary(vec![1]));
    let carried = clients[..3]
        .iter()
        .filter(|client| client.core().version().is_some_and(Version::has_frames));
    let carried = carried.count();
    assert_eq!((binary.queued, binary.unsupported), (carried, 3 - carried));
    assert_eq!(server.publish("room", "third").queued, 3);
    assert_eq!(server.publish("nowhere", "third").queued, 0);
    aside(move || {
        for client in &mut clients[..3] {
            while client.recv().expect("it is open").as_text() != Some("third") {}
        }
        assert_eq!(clients[3].ask_text("+room"), "joined room: true", "it heard nothing more");
    })
    .await;
}

/// And with its last subscriber a topic vanishes.
pub async fn subscriptions_end_with_the_connection<R: Runtime>(runtime: R) {
    let server = rooms(&runtime).await;
    let ends = Mailbox::default();
    let post = ends.clone();
    server.on_close(move |connection, _| {
        post.put((connection.topics(), connection.subscribe("after all")));
    });
    let address = server.address;
    let [first, second, third] = aside(move || {
        [(); 3].map(|()| {
            let mut client = Client::open(address, Version::Rfc6455);
            client.ask_text("+room");
            client
        })
    })
    .await;
    assert_eq!(server.subscribers("room"), 3);
    aside(move || first.close(Close::normal())).await;
    until(&runtime, || server.subscribers("room") == 2).await;
    drop(second);
    until(&runtime, || server.subscribers("room") == 1).await;
    server.manager().for_each(Connection::abort);
    until(&runtime, || server.topics().is_empty()).await;
    drop(third);
    for _ in 0..3 {
        let error = SubscribeError::NotConnected(State::Closed);
        assert_eq!(ends.take().await, (Vec::new(), Err(error)));
    }
}

/// The error says which, and what was subscribed stays.
pub async fn limits_on_topics_hold<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.max_topics(2).max_topic_name(4)).await;
    server.start_running(&runtime);
    let address = server.address;
    let client = aside(move || Client::open(address, Version::Rfc6455)).await;
    until(&runtime, || server.manager().len() == 1).await;
    let connection = server.manager().snapshot().pop().expect("it is open");
    let long = SubscribeError::NameTooLong { length: 5, limit: 4 };
    assert_eq!(connection.subscribe("lobby"), Err(long));
    assert_eq!(connection.subscribe("room"), Ok(true));
    assert_eq!(connection.subscribe("hall"), Ok(true));
    assert_eq!(connection.subscribe("bar"), Err(SubscribeError::TooManyTopics(2)));
    assert_eq!(connection.topics(), ["hall", "room"]);
    assert!(connection.unsubscribe("hall"));
    assert_eq!(connection.subscribe("bar"), Ok(true));
    drop(client);
}

/// Whoever publishes, from whatever thread, while others come and go.
pub async fn subscribers_hear_a_topic_in_the_same_order<R: Runtime>(runtime: R) {
    let server = rooms(&runtime).await;
    let address = server.address;
    let clients = aside(move || {
        [(); 4].map(|()| {
            let mut client = Client::open(address, Version::Rfc6455);
            client.ask_text("+room");
            client
        })
    })
    .await;
    let manager = server.manager().clone();
    let restless = manager.snapshot().pop().expect("it is open");
    let speakers = aside(move || {
        thread::scope(|scope| {
            for speaker in 0..3 {
                let manager = &manager;
                scope.spawn(move || {
                    for n in 0..50 {
                        let delivery = manager.publish("room", format!("{speaker} says {n}"));
                        assert!(delivery.queued >= 3, "{delivery:?}");
                    }
                });
            }
            for _ in 0..50 {
                assert!(restless.unsubscribe("room"));
                assert_eq!(restless.subscribe("room"), Ok(true));
            }
            restless.unsubscribe("room");
        });
        assert_eq!(manager.broadcast("end").queued, 4);
    });
    let heard = aside(move || {
        clients.map(|mut client| {
            let texts = std::iter::from_fn(|| Some(client.recv_text()));
            texts.take_while(|text| text != "end").collect::<Vec<_>>()
        })
    });
    speakers.await;
    let heard = heard.await;
    let whole = heard.iter().max_by_key(|texts| texts.len()).expect("there are four");
    assert_eq!(whole.len(), 150);
    assert!(heard.iter().filter(|texts| *texts == whole).count() >= 3);
    for texts in &heard {
        let mut rest = whole.iter();
        assert!(texts.iter().all(|text| rest.any(|other| other == text)), "the order differs");
    }
}

/// No lock is held while it runs, so it may do what it likes.
pub async fn a_predicate_may_call_anything<R: Runtime>(runtime: R) {
    let server = rooms(&runtime).await;
    let address = server.address;
    let mut clients = aside(move || {
        [(); 3].map(|()| {
            let mut client = Client::open(address, Version::Rfc6455);
            client.ask_text("+room");
            client
        })
    })
    .await;
    let port = clients[0].port();
    let delivery = server.broadcast_if("to the others", |one| {
        assert!(server.manager().find(one.id()).is_some());
        assert!(one.unsubscribe("room") && one.subscribe("room").is_ok());
        one.try_send(format!("{} are here", server.publish("hall", "?").queued)).expect("room");
        let again =
            server.broadcast_if("nobody", |other| other != one && other.topics().is_empty());
        assert_eq!(again.queued, 0);
        one.id().port() != port
    });
    assert_eq!(delivery.queued, 2);
    assert_eq!(
        server.to_topic("room").only(|one| one.id().port() == port).send("to you").queued,
        1
    );
    aside(move || {
        for client in &mut clients {
            assert_eq!(client.recv_text(), "0 are here");
        }
        for client in &mut clients[1..] {
            assert_eq!(client.recv_text(), "to the others");
        }
        assert_eq!(clients[0].recv_text(), "to you");
    })
    .await;
}
