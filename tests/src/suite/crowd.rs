//! Many connections: broadcasts and the manager.

use std::thread;

use ws_net::{Close, Connection, Message, Runtime, State, Version};

use super::support::{Mailbox, Running, aside, echo, until};
use crate::client::Client;

/// `broadcast` leaves the sender out, `send_all` does not.
pub async fn a_client_talks_to_the_others_or_to_all<R: Runtime>(runtime: R) {
    let deliveries = Mailbox::default();
    let post = deliveries.clone();
    let server = Running::bind(&runtime, |builder| builder).await;
    server.on_message(move |connection, message| {
        let to_all = message.as_text() == Some("to all");
        let delivery =
            if to_all { connection.send_all(message) } else { connection.broadcast(message) };
        post.put((delivery.queued, delivery.skipped, delivery.closed, delivery.unsupported));
    });
    server.start_running(&runtime);
    let address = server.address;
    let mut clients =
        aside(move || Version::ALL.map(|version| Client::open(address, version))).await;
    until(&runtime, || server.manager().len() == 5).await;
    aside(move || {
        clients[0].send("to the others");
        for client in &mut clients[1..] {
            assert_eq!(client.recv_text(), "to the others");
        }
        clients[1].send("to all");
        for client in &mut clients {
            assert_eq!(client.recv_text(), "to all");
        }
        clients[4].send(vec![1, 2, 3]);
        for client in &mut clients[2..4] {
            assert_eq!(client.recv(), Some(Message::binary(vec![1, 2, 3])));
        }
        // What a draft75 or draft76 client gets next is text: the bytes never came.
        clients[3].send("to all");
        for client in &mut clients {
            assert_eq!(client.recv_text(), "to all");
        }
    })
    .await;
    // Messages overtake the reports about them.
    let mut reports = Vec::new();
    for _ in 0..4 {
        reports.push(deliveries.take().await);
    }
    reports.sort_unstable();
    assert_eq!(reports, [(2, 0, 0, 2), (4, 0, 0, 0), (5, 0, 0, 0), (5, 0, 0, 0)]);
}

/// Whoever broadcasts, from whatever thread, among them the handlers of those who hear it.
pub async fn everybody_hears_broadcasts_in_the_same_order<R: Runtime>(runtime: R) {
    const CROWD: usize = 8;
    let server = Running::serve(&runtime, |connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            assert_eq!(connection.send_all(message).queued, CROWD);
        }
    })
    .await;
    let address = server.address;
    let mut clients =
        aside(move || [(); CROWD].map(|()| Client::open(address, Version::Rfc6455))).await;
    until(&runtime, || server.manager().len() == CROWD).await;
    let manager = server.manager().clone();
    let speakers = aside(move || {
        thread::scope(|scope| {
            for speaker in 0..3 {
                let manager = &manager;
                scope.spawn(move || {
                    for n in 0..50 {
                        let delivery = manager.broadcast(format!("{speaker} says {n}"));
                        assert_eq!(delivery.queued, CROWD);
                    }
                });
            }
        });
    });
    let heard = aside(move || {
        for (client, speaker) in clients.iter_mut().zip(3..) {
            client.send_all((0..50).map(|n| format!("{speaker} says {n}")));
        }
        let texts = (3 + CROWD) * 50;
        clients.map(|mut client| (0..texts).map(|_| client.recv_text()).collect::<Vec<_>>())
    });
    speakers.await;
    let heard = heard.await;
    assert!(heard.iter().all(|texts| *texts == heard[0]), "the order differs");
    for speaker in 0..3 + CROWD {
        let own = heard[0].iter().filter(|text| text.starts_with(&format!("{speaker} ")));
        assert!(own.cloned().eq((0..50).map(|n| format!("{speaker} says {n}"))));
    }
}

/// What goes to all, to a topic, to the others and to one, from several threads, while clients speak
/// themselves.
pub async fn a_crowd_hears_every_source_once_and_in_order<R: Runtime>(runtime: R) {
    const CROWD: usize = 40;
    const ROUNDS: usize = 30;
    let server = Running::bind(&runtime, |builder| builder).await;
    server.on_message(|connection, message| {
        connection.try_send(message).expect("there is room");
    });
    server.start_running(&runtime);
    let address = server.address;
    let open = move || (0..CROWD).map(|_| Client::open(address, Version::Rfc6455)).collect();
    let mut clients: Vec<Client> = aside(open).await;
    until(&runtime, || server.manager().len() == CROWD).await;
    let manager = server.manager().clone();
    let members = manager.snapshot();
    for member in &members {
        assert_eq!(member.subscribe("room"), Ok(true));
    }
    let speaker = members.first().expect("there are forty").clone();
    let silent = speaker.id().port();
    let told = aside(move || {
        let (manager, members, speaker) = (&manager, &members, &speaker);
        let sources: [&(dyn Fn(usize) + Sync); 4] = [
            &|n| assert_eq!(manager.broadcast(format!("all {n}")).queued, CROWD),
            &|n| assert_eq!(manager.publish("room", format!("room {n}")).queued, CROWD),
            &|n| assert_eq!(speaker.broadcast(format!("others {n}")).queued, CROWD - 1),
            &|n| {
                for member in members {
                    member.try_send(format!("one {n}")).expect("there is room");
                }
            },
        ];
        thread::scope(|scope| {
            for source in sources {
                scope.spawn(move || (0..ROUNDS).for_each(source));
            }
        });
    });
    let heard = aside(move || {
        for n in 0..ROUNDS {
            for client in &mut clients {
                client.send(format!("echo {n}").as_str());
            }
        }
        let hear = |mut client: Client| {
            let sources = if client.port() == silent { 4 } else { 5 };
            let texts: Vec<_> = (0..sources * ROUNDS).map(|_| client.recv_text()).collect();
            // Nothing comes twice.
            assert_eq!(client.ask_text("end"), "end");
            (sources, texts)
        };
        clients.into_iter().map(hear).collect::<Vec<_>>()
    });
    told.await;
    for (sources, texts) in heard.await {
        let names = &["all", "room", "one", "echo", "others"][..sources];
        for name in names {
            let own = texts.iter().filter_map(|text| text.strip_prefix(name)?.strip_prefix(' '));
            assert!(own.eq((0..ROUNDS).map(|n| n.to_string())), "{name}: {texts:?}");
        }
    }
}

/// From state 4 to state 6, and no longer.
pub async fn the_manager_knows_who_is_connected<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let manager = server.manager().clone();
    assert!(manager.is_empty());
    let address = server.address;
    let mut clients: Vec<_> = aside(move || {
        Version::ALL.into_iter().map(|version| Client::open(address, version)).collect()
    })
    .await;
    until(&runtime, || manager.len() == 5).await;
    let ids = manager.map(Connection::id);
    for left in (0..5).rev() {
        let client = clients.pop().expect("one per turn");
        let port = client.port();
        aside(move || client.close(Close::normal())).await;
        until(&runtime, || manager.len() == left).await;
        for id in &ids {
            let gone = id.port() == port || !clients.iter().any(|one| one.port() == id.port());
            assert_eq!(manager.find(*id).is_none(), gone, "{id} when {left} are left");
        }
    }
}

/// `for_each`, `map` and `filter` see the same connections as `find`.
pub async fn the_manager_finds_maps_and_filters<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let manager = server.manager();
    let address = server.address;
    let clients = aside(move || Version::ALL.map(|version| Client::open(address, version))).await;
    until(&runtime, || manager.len() == 5).await;
    let mut seen = 0;
    manager.for_each(|connection| {
        assert_eq!(manager.find(connection.id()).as_ref(), Some(connection));
        assert_eq!(connection.state(), State::Connected);
        seen += 1;
    });
    assert_eq!(seen, 5);
    let mut ports = manager.map(|connection| connection.id().port());
    let mut expected = clients.each_ref().map(Client::port);
    ports.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ports, expected);
    let with_frames = |one: &Connection| one.version().is_some_and(Version::has_frames);
    assert_eq!(manager.filter(with_frames).len(), 3);
    assert_eq!(manager.filter(|_| false).len(), 0);
    drop(clients);
}

/// Functions of users get a snapshot, so they may do what they like.
pub async fn the_manager_may_be_called_from_its_own_callbacks<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let manager = server.manager().clone();
    server.on_message(move |connection, message| {
        manager.for_each(|one| {
            manager.for_each(|other| {
                assert_eq!(manager.find(other.id()).as_ref(), Some(other));
            });
            if one != connection {
                one.close(Close::new(4000, "alone").expect("a code of applications"));
            }
            let _ = manager.broadcast(message.clone());
        });
    });
    server.start_running(&runtime);
    let address = server.address;
    let (mut first, others) = aside(move || {
        let open = || Client::open(address, Version::Rfc6455);
        (open(), [open(), open()])
    })
    .await;
    until(&runtime, || server.manager().len() == 3).await;
    let first = aside(move || {
        first.send("leave me alone");
        for other in others {
            assert_eq!(other.closed().code(), 4000);
        }
        assert_eq!(first.recv_text(), "leave me alone");
        first
    })
    .await;
    until(&runtime, || server.manager().len() == 1).await;
    drop(first);
}
