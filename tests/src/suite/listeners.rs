//! Listeners: their order, and what they may do while they run.

use std::sync::{Arc, Mutex};

use ws_net::{
    Bytes, Cause, ClientBuilder, Close, Connection, ListenerId, ListenerKind, Reject, Runtime,
    SendErrorKind, State, Version,
};

use super::support::{Mailbox, Running, aside, echo, until};
use crate::client::{Client, exchange};

/// Every step of the state in order, `connection` after 4, `close` once and after 6.
pub async fn everything_is_told_in_order<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_state_change(move |_, change| {
        post.put(format!("{} to {}", change.from as u8, change.to as u8));
    });
    let post = told.clone();
    server.on_connection(move |_| post.put("connection".into()));
    let post = told.clone();
    server.on_message(move |_, message| post.put(message.as_text().unwrap_or("?").into()));
    let post = told.clone();
    server.on_close(move |_, closed| post.put(format!("close {}", closed.clean)));
    server.start_running(&runtime);
    let address = server.address;
    for version in Version::ALL {
        aside(move || {
            let mut client = Client::open(address, version);
            client.send_all(["a", "b"]);
            client.close(Close::normal())
        })
        .await;
        let handshake: &[_] =
            if version == Version::Draft76 { &["1 to 2", "2 to 3"] } else { &["1 to 3"] };
        let opening = [&["0 to 1"], handshake, &["3 to 4", "connection", "a", "b"]].concat();
        for expected in opening.into_iter().chain(["4 to 5", "5 to 6", "close true"]) {
            assert_eq!(told.take().await, expected, "{version}");
        }
    }
    assert!(told.take_all().is_empty());
}

/// They had no `connection` either.
pub async fn clients_that_never_open_are_not_told_as_closed<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_state_change(move |_, change| post.put((change.from as u8, change.to as u8)));
    server.on_connection(|_| panic!("it does not open"));
    let post = told.clone();
    server.on_close(move |_, _| post.put((9, 9)));
    server.start_running(&runtime);
    let address = server.address;
    aside(move || exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    for expected in [(0, 1), (1, 5), (5, 6)] {
        assert_eq!(told.take().await, expected);
    }
    // The next one begins anew: nothing was told in between.
    aside(move || drop(Client::ask(address, crate::client::request(address)))).await;
    assert_eq!(told.take().await, (0, 1));
}

/// Of one kind, in the order in which they were added.
pub async fn listeners_are_called_in_the_order_they_were_added<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    for n in 0..5 {
        let post = told.clone();
        server.on_message(move |_, message| post.put((n, message.len())));
    }
    server.start_running(&runtime);
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Draft75);
        client.send_all(["1", "22"]);
        client
    })
    .await;
    for expected in [1, 2].into_iter().flat_map(|len| (0..5).map(move |n| (n, len))) {
        assert_eq!(told.take().await, expected);
    }
    drop(client);
}

/// What is being told is still told to all; the next message is not.
pub async fn a_listener_may_remove_itself_and_add_others<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let own: Arc<Mutex<Option<ListenerId>>> = Arc::default();
    let (post, name, remover) = (told.clone(), Arc::clone(&own), server.clone());
    let id = server.on_message(move |_, _| {
        let id = name.lock().unwrap().expect("it was added");
        post.put(format!("once: {}", remover.remove_listener(id)));
        let post = post.clone();
        remover.on_message(move |_, message| post.put(format!("new: {}", message.len())));
    });
    *own.lock().unwrap() = Some(id);
    let post = told.clone();
    server.on_message(move |_, message| post.put(format!("old: {}", message.len())));
    server.start_running(&runtime);
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        client.send_all(["1", "22"]);
        client
    })
    .await;
    for expected in ["once: true", "old: 1", "old: 2", "new: 2"] {
        assert_eq!(told.take().await, expected);
    }
    assert!(!server.remove_listener(id));
    drop(client);
}

/// What came with the message that made a listener close is thrown away.
pub async fn no_message_is_told_behind_a_close<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_message(move |connection, message| {
        if message.as_text() == Some("bye") {
            connection.close(Close::normal());
        }
        post.put(message.as_text().unwrap_or("?").to_owned());
    });
    let post = told.clone();
    server.on_close(move |_, _| post.put("close".into()));
    server.start_running(&runtime);
    let address = server.address;
    for version in Version::ALL {
        aside(move || {
            let mut client = Client::open(address, version);
            client.send_all(["hi", "bye", "lost"]);
            client.closed()
        })
        .await;
        for expected in ["hi", "bye", "close"] {
            assert_eq!(told.take().await, expected, "{version}");
        }
    }
    assert!(told.take_all().is_empty());
}

/// They have all messages; whoever receives as well sees the end.
pub async fn recv_takes_nothing_from_the_listeners<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let (told, ended) = (Mailbox::default(), Mailbox::default());
    let (spawner, post) = (runtime.clone(), ended.clone());
    server.on_connection(move |connection| {
        let (connection, post) = (connection.clone(), post.clone());
        spawner.spawn(async move { post.put(connection.recv().await.is_none()) });
    });
    let post = told.clone();
    server.on_message(move |_, message| post.put(message));
    server.start_running(&runtime);
    let address = server.address;
    let closed = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        client.send_all(["one"; 500]);
        client.close(Close::normal())
    });
    assert!(closed.await.clean);
    assert!(ended.take().await, "a message was taken");
    assert_eq!(told.take_all().len(), 500);
}

/// Handles may be used and kept in every listener.
pub async fn listeners_may_call_anything<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let ended = Mailbox::default();
    let own = server.clone();
    server.on_state_change(move |connection, _| {
        assert!(connection.peer_addr().ip().is_some_and(|ip| ip.is_loopback()));
        assert!(own.manager().len() <= 1);
        assert!(own.local_addr().is_some());
    });
    let own = server.clone();
    server.on_connection(move |connection| {
        assert_eq!(own.manager().find(connection.id()).as_ref(), Some(connection));
        connection.try_send("first").unwrap();
        connection.close(Close::new(4000, "last").unwrap());
    });
    let (own, post) = (server.clone(), ended.clone());
    server.on_close(move |connection, closed| {
        assert_eq!(own.manager().find(connection.id()), None);
        assert!(connection.try_send("too late").is_err());
        post.put(closed.code());
    });
    server.start_running(&runtime);
    let address = server.address;
    let code = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        assert_eq!(client.recv_text(), "first");
        client.closed().code()
    });
    assert_eq!(code.await, 4000);
    assert_eq!(ended.take().await, 4000);
    until(&runtime, || server.manager().is_empty()).await;
}

/// After the server's; the connection's go with it.
pub async fn a_connection_has_listeners_of_its_own<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_message(move |_, message| post.put(format!("server {}", message.len())));
    let own = told.clone();
    server.on_connection(move |connection| {
        let (messages, steps, closes) = (own.clone(), own.clone(), own.clone());
        // It holds the connection that holds it.
        let kept = connection.clone();
        connection.on_message(move |connection, message| {
            assert_eq!(*connection, kept);
            messages.put(format!("own {}", message.len()));
        });
        let unwanted = connection.on_message(|_, _| panic!("it is removed"));
        assert!(connection.remove_listener(unwanted));
        connection.on_close(|_, _| panic!("it is removed"));
        assert_eq!(connection.remove_all_listeners(ListenerKind::Close), 1);
        connection.on_state_change(move |_, change| steps.put(format!("to {}", change.to as u8)));
        connection.on_close(move |_, closed| closes.put(format!("close {}", closed.clean)));
    });
    server.start_running(&runtime);
    let address = server.address;
    for version in Version::ALL {
        aside(move || {
            let mut client = Client::open(address, version);
            client.send_all(["1", "22"]);
            client.close(Close::normal())
        })
        .await;
        let messages = ["server 1", "own 1", "server 2", "own 2"];
        for expected in messages.into_iter().chain(["to 5", "to 6", "close true"]) {
            assert_eq!(told.take().await, expected, "{version}");
        }
    }
    assert!(told.take_all().is_empty());
}

/// By a rule or by the application, with the status and what is known.
pub async fn who_is_refused_is_told<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_rejected(move |client| post.put(client.clone()));
    let address = server.address;
    let client = aside(move || Client::ask(address, crate::client::request(address)).err());
    server.accept().await.unwrap().reject(&Reject::new(403));
    assert!(client.await.is_some());
    let by_application = told.take().await;
    assert_eq!((by_application.status, by_application.cause), (403, Cause::Rejected(403)));
    assert_eq!(by_application.request.expect("it was read").path(), "/");
    assert_eq!(by_application.peer.port(), Some(by_application.id.port()));
    aside(move || exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let by_rule = told.take().await;
    assert_eq!((by_rule.status, by_rule.request.is_none()), (426, true));
    assert!(matches!(by_rule.cause, Cause::Handshake(_)));
}

/// Where it listens, once per address, and that it stops, once.
pub async fn a_server_tells_where_it_listens_and_that_it_stops<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let extra = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [server.address, extra.local_addr().unwrap()];
    server.adopt(extra).unwrap();
    let told = Mailbox::default();
    let (listens, stops) = (told.clone(), told.clone());
    server.on_listening(move |address| {
        listens.put(address.socket_addr().map(|address| address.port()));
        panic!("which is logged and nothing else");
    });
    server.on_shutdown(move || stops.put(None));
    server.on_error(|error| panic!("{error}"));
    assert!(told.take_all().is_empty());
    server.start_running(&runtime);
    for address in addresses {
        assert_eq!(told.take().await, Some(address.port()));
        aside(move || Client::open(address, Version::Rfc6455)).await;
    }
    server.close();
    server.shutdown(Close::normal(), std::time::Duration::from_secs(30)).await;
    assert_eq!(told.take_all(), [None]);
}

/// With the payload of the ping, to the listeners of both sides, also where no other listener is.
pub async fn pongs_are_told<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_pong(move |connection, payload| post.put((connection.id(), payload.clone())));
    let post = told.clone();
    server.on_connection(move |connection| {
        if connection.version().is_some_and(Version::has_frames) {
            let post = post.clone();
            connection.on_pong(move |connection, payload| {
                post.put((connection.id(), payload.clone()));
            });
            connection.ping("from the server").unwrap();
        }
    });
    server.start_serving(&runtime, echo);
    let url = format!("ws://{}/", server.address);
    for version in Version::ALL {
        let client = ClientBuilder::new(runtime.clone()).version(version);
        let connection = client.connect(&url).await.unwrap();
        let (heard, post) = (Mailbox::default(), told.clone());
        let hear = heard.clone();
        connection.on_pong(move |_, payload| hear.put(payload.clone()));
        let pinged = connection.ping("from the client");
        if !version.has_frames() {
            assert_eq!(pinged.unwrap_err().message, "from the client", "{version}");
            continue;
        }
        assert_eq!(heard.take().await, "from the client", "{version}");
        let [(first, of_server), (second, own)] = [told.take().await, told.take().await];
        assert_eq!((first, of_server), (second, own));
        assert!(post.take_all().is_empty(), "{version}");
    }
}

/// By its name or with its kind.
pub async fn a_pong_listener_may_be_removed<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let removed = |_: &Connection, _: &Bytes| panic!("it is removed");
    let id = server.on_pong(removed);
    server.on_pong(removed);
    assert!(server.remove_listener(id));
    assert_eq!(server.remove_all_listeners(ListenerKind::Pong), 1);
    server.on_connection(move |connection| {
        let id = connection.on_pong(removed);
        connection.on_pong(removed);
        assert!(connection.remove_listener(id));
        assert_eq!(connection.remove_all_listeners(ListenerKind::Pong), 1);
        connection.ping("for nobody").unwrap();
        connection.try_send("behind it").unwrap();
    });
    let told = Mailbox::default();
    let post = told.clone();
    server.on_message(move |_, message| post.put(message));
    server.start_running(&runtime);
    let address = server.address;
    let closed = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        let behind = client.recv_text();
        client.send(behind);
        client.close(Close::normal())
    });
    assert_eq!(told.take().await.as_text(), Some("behind it"), "the pong came before");
    assert!(closed.await.clean, "nobody panicked");
}

/// The peer is held back, and nothing is lost.
pub async fn a_pause_holds_messages_back<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_message(move |connection, message| {
        connection.pause();
        post.put((connection.clone(), message.len()));
    });
    server.start_running(&runtime);
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        client.send_all((1..=20).map(|n| vec![0; n * 1_000]));
        client.close(Close::normal())
    });
    for n in 1..=20 {
        let (connection, len) = told.take().await;
        assert_eq!((len, connection.is_paused()), (n * 1_000, true));
        assert!(told.take_all().is_empty(), "nothing comes during the pause");
        connection.resume();
    }
    assert!(client.await.clean);
}

/// Whoever has left gives the message back.
pub async fn messages_to_an_id_arrive_or_come_back<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let opened = Mailbox::default();
    let post = opened.clone();
    server.on_connection(move |connection| post.put(connection.clone()));
    server.start_running(&runtime);
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Draft76);
        let text = client.recv_text();
        client.close(Close::normal());
        text
    });
    let connection = opened.take().await;
    assert!(connection.headers().is_some_and(|headers| headers.contains("HOST")));
    server.send(connection.id(), "for you").await.unwrap();
    assert_eq!(client.await, "for you");
    connection.closed().await;
    let error = server.send(connection.id(), "too late").await.unwrap_err();
    assert_eq!(error.message.as_text(), Some("too late"));
}

/// Of one kind or of all; those of connections are theirs.
pub async fn listeners_are_removed_by_name_kind_or_all<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_connection(move |connection| {
        let post = post.clone();
        connection.on_message(move |_, message| post.put(message.len()));
    });
    for _ in 0..3 {
        server.on_message(|_, _| panic!("it is removed by its kind"));
    }
    server.on_state_change(|_, _| panic!("it is removed with all"));
    server.on_listening(|_| panic!("it is removed by its name"));
    let id = server.on_listening(|_| panic!("it is removed by its name"));
    assert!(server.remove_listener(id) && !server.remove_listener(id));
    assert_eq!(server.remove_all_listeners(ListenerKind::Listening), 1);
    assert_eq!(server.remove_all_listeners(ListenerKind::Message), 3);
    assert_eq!(server.remove_all_listeners(ListenerKind::Message), 0);
    assert_eq!(server.remove_all_listeners(ListenerKind::StateChange), 1);
    server.start_running(&runtime);
    let address = server.address;
    let mut client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        client.send("1");
        client
    })
    .await;
    assert_eq!(told.take().await, 1);
    server.on_close(|_, _| panic!("it is removed with all"));
    assert_eq!(server.remove_all_listeners(None), 2);
    // That of the connection stays, and the next one gets none.
    let mut next = aside(move || {
        client.send("22");
        Client::open(address, Version::Rfc6455)
    })
    .await;
    assert_eq!(told.take().await, 2);
    aside(move || {
        next.send("333");
        assert!(next.close(Close::normal()).clean);
    })
    .await;
    assert!(told.take_all().is_empty());
}

/// A listener that comes too late is not called, and what it holds is let go.
pub async fn a_listener_on_a_closed_connection_is_dropped<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let opened = Mailbox::default();
    let post = opened.clone();
    server.on_connection(move |connection| post.put(connection.clone()));
    server.start_running(&runtime);
    let address = server.address;
    for version in Version::ALL {
        aside(move || Client::open(address, version).close(Close::normal())).await;
        let connection: Connection = opened.take().await;
        connection.closed().await;
        let held = Arc::new(());
        let (message, close) = (Arc::clone(&held), Arc::clone(&held));
        let (state, rejected) = (Arc::clone(&held), Arc::clone(&held));
        let pong = Arc::clone(&held);
        let ids = [
            connection.on_message(move |_, _| panic!("it comes too late: {message:?}")),
            connection.on_close(move |_, _| panic!("it comes too late: {close:?}")),
            connection.on_state_change(move |_, _| panic!("it comes too late: {state:?}")),
            connection.on_rejected(move |_| panic!("it comes too late: {rejected:?}")),
            connection.on_pong(move |_, _| panic!("it comes too late: {pong:?}")),
        ];
        assert_eq!(Arc::strong_count(&held), 1, "they are gone at once");
        assert!(ids.into_iter().all(|id| !connection.remove_listener(id)));
        assert_eq!(connection.remove_all_listeners(None), 0);
    }
}

/// That of a connection hears of its own refusal, in place of its close.
pub async fn a_connection_tells_its_own_refusal<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_state_change(move |connection, change| {
        if change.to == State::Opening {
            let post = post.clone();
            connection.on_close(|_, _| panic!("it was never open"));
            connection.on_rejected(move |client| post.put((client.status, client.cause.clone())));
            connection.reject(&Reject::new(403).because("a test"));
        }
    });
    server.start_running(&runtime);
    let address = server.address;
    aside(move || Client::ask(address, crate::client::request(address)).err()).await;
    assert_eq!(told.take().await, (403, Cause::Rejected(403)));
    assert!(told.take_all().is_empty());
}

/// Whatever way it is sent, and whether the id was never given or is used up.
pub async fn messages_to_nobody_come_back<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let opened = Mailbox::default();
    let post = opened.clone();
    server.on_connection(move |connection| post.put(connection.clone()));
    server.start_running(&runtime);
    let unknown = "49152-1000000000".parse().unwrap();
    let error = server.send(unknown, vec![1, 2]).await.unwrap_err();
    assert_eq!(error.message.as_bytes(), [1, 2]);
    assert_eq!(error.kind, SendErrorKind::NotConnected(State::Closed));
    let address = server.address;
    for version in Version::ALL {
        aside(move || Client::open(address, version).close(Close::normal())).await;
        let connection: Connection = opened.take().await;
        connection.closed().await;
        let gone = SendErrorKind::NotConnected(State::Closed);
        let errors = [
            server.send(connection.id(), "late").await.unwrap_err(),
            connection.send("late").await.unwrap_err(),
            connection.send_uncompressed("late").await.unwrap_err(),
            connection.try_send("late").unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.message.as_text(), error.kind), (Some("late"), gone));
        }
        let ping = connection.ping(&b"late"[..]).unwrap_err();
        assert_eq!((&ping.message[..], ping.kind), (&b"late"[..], gone));
        assert_eq!(connection.send_all("nobody").queued, 0);
        assert!(connection.recv().await.is_none());
    }
}
