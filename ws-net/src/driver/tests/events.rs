//! Listeners, of servers and of single connections.

use std::io;

use ws_proto::Cause;

use super::*;
use crate::StateChange;
use crate::{ListenerKind, ServerError};

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn put(&self, text: impl Into<String>) {
        lock(&self.0).push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// Counts how many of its clones are left; panics when it is dropped, if it is told to.
#[derive(Clone)]
struct Held {
    count: Arc<()>,
    panics: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        assert!(!self.panics, "a listener that does not want to go");
    }
}

#[test]
fn the_servers_listeners_come_first_and_messages_reach_all() {
    let (toy, server) = running(|builder| builder);
    let told = Told::default();
    let (first, own) = (told.clone(), told.clone());
    server.on_message(move |_, message| first.put(format!("server {}", message.len())));
    server.on_connection(move |connection| {
        for name in ["a", "b"] {
            let own = own.clone();
            connection.on_message(move |_, message| own.put(format!("{name} {}", message.len())));
        }
    });
    let (chatty, other) = (join(&toy), join(&toy));
    chatty.send(&[frame(0x81, b"1"), frame(0x81, b"22")].concat());
    toy.settle();
    assert_eq!(told.take(), ["server 1", "a 1", "b 1", "server 2", "a 2", "b 2"]);
    other.send(&frame(0x81, b"333"));
    toy.settle();
    assert_eq!(told.take(), ["server 3", "a 3", "b 3"]);
}

#[test]
fn a_connection_tells_its_own_listeners_to_the_end_and_drops_them() {
    let (toy, server) = running(|builder| builder);
    let (told, count) = (Told::default(), Arc::new(()));
    let (own, held) = (told.clone(), Held { count: Arc::clone(&count), panics: false });
    server.on_state_change(move |connection, change| {
        if change.to != State::Opening {
            return;
        }
        // It holds the connection that holds it.
        let (post, kept, held) = (own.clone(), connection.clone(), held.clone());
        connection.on_state_change(move |connection, change| {
            let _ = &held;
            assert_eq!(*connection, kept);
            post.put(format!("{} to {}", change.from as u8, change.to as u8));
        });
        let post = own.clone();
        connection.on_close(move |connection, end| {
            post.put(format!("close {}", end.code()));
            // Too late.
            connection.on_close(|_, _| panic!("it is over"));
        });
        connection.on_rejected(|_| panic!("it is not"));
    });
    let client = join(&toy);
    let connection = only(&server);
    assert_eq!(told.take(), ["1 to 3", "3 to 4"]);
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    assert_eq!(told.take(), ["4 to 5", "5 to 6", "close 1000"]);
    // The test's and the one in the server's listener.
    assert_eq!(Arc::strong_count(&count), 2);
    connection.on_close(|_, _| panic!("it is over"));
    assert_eq!(connection.remove_all_listeners(None), 0);
    assert!(connection.shared().lock().listeners.is_none());
}

#[test]
fn listeners_of_a_task_that_the_runtime_drops_are_dropped() {
    let (toy, server) = running(|builder| builder);
    let _client = join(&toy);
    let connection = only(&server);
    let (held, own) = (Arc::new(()), connection.clone());
    let inside = Arc::clone(&held);
    connection.on_message(move |_, _| drop((own.clone(), Arc::clone(&inside))));
    toy.drop_tasks();
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn own_listeners_are_removed_by_name_by_kind_or_all() {
    let (toy, server) = running(|builder| builder);
    let client = join(&toy);
    let connection = only(&server);
    let told = Told::default();
    let listen = |name: &'static str| {
        let post = told.clone();
        connection.on_message(move |_, _| post.put(name))
    };
    let (first, _second) = (listen("first"), listen("second"));
    connection.on_close(|_, _| {});
    assert!(!server.remove_listener(first), "it is the connection's");
    assert!(connection.remove_listener(first));
    assert!(!connection.remove_listener(first));
    client.send(&frame(0x81, b"1"));
    toy.settle();
    assert_eq!(told.take(), ["second"]);
    assert_eq!(connection.remove_all_listeners(ListenerKind::Message), 1);
    assert_eq!(connection.remove_all_listeners(None), 1);
    client.send(&frame(0x81, b"1"));
    toy.settle();
    assert!(told.take().is_empty());
}

#[test]
fn a_listener_may_remove_itself_and_add_others_of_its_connection() {
    let (toy, server) = running(|builder| builder);
    let told = Told::default();
    let post = told.clone();
    server.on_connection(move |connection| {
        let post = post.clone();
        connection.on_message(move |connection, _| {
            post.put(format!("once {}", connection.remove_all_listeners(None)));
            let post = post.clone();
            connection.on_message(move |_, _| post.put("again"));
        });
    });
    let client = join(&toy);
    client.send(&frame(0x81, b"x").repeat(3));
    toy.settle();
    assert_eq!(told.take(), ["once 1", "again", "again"]);
}

#[test]
fn own_listeners_that_panic_close_with_1011_even_in_their_end() {
    let (toy, server) = running(|builder| builder);
    let (client, other) = (join(&toy), join(&toy));
    let connection = {
        let mut all = server.manager().snapshot();
        all.sort_by_key(Connection::id);
        all.swap_remove(0)
    };
    let held = Held { count: Arc::new(()), panics: true };
    connection.on_message(move |_, _| panic!("{:?}", held.count));
    client.send(&frame(0x81, b"boom"));
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xF3");
    client.send(&frame(0x88, b"\x03\xF3"));
    drop(client);
    toy.settle();
    assert_eq!((connection.state(), server.manager().len()), (State::Closed, 1));
    other.send(&frame(0x89, b""));
    toy.settle();
    assert_eq!(other.take().0, b"\x8A\x00");
}

#[test]
fn who_is_refused_is_told_with_the_reason() {
    let (toy, server) = server(|builder| builder);
    let rejected = Arc::new(Mutex::new(Vec::new()));
    let (out, told) = (Arc::clone(&rejected), Told::default());
    server.on_rejected(move |client| lock(&out).push(client.clone()));
    server.on_close(|_, _| panic!("it never opened"));
    let post = told.clone();
    server.on_state_change(move |connection, change| {
        if change.to == State::Opening {
            let post = post.clone();
            connection.on_rejected(move |client| post.put(client.status.to_string()));
        }
    });
    let own = server.clone();
    toy.spawn(async move { own.accept().await.unwrap().reject(&Reject::new(404)) });
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    drop(client);
    let client = toy.dial();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    toy.settle();
    drop(client);
    // It leaves, which is no refusal.
    toy.dial();
    toy.settle();
    let rejected = lock(&rejected);
    let [by_application, by_rule] = &rejected[..] else { panic!("{rejected:?}") };
    assert_eq!((by_application.status, &by_application.cause), (404, &Cause::Rejected(404)));
    assert_eq!(by_application.request.as_ref().unwrap().target(), "/chat");
    assert_eq!((by_rule.status, by_rule.request.is_none()), (426, true));
    assert!(matches!(by_rule.cause, Cause::Handshake(_)) && by_rule.id != by_application.id);
    assert_eq!(told.take(), ["404", "426"]);
}

#[test]
fn the_life_of_the_server_is_told_and_panics_do_no_harm() {
    let (toy, server) = server(|builder| builder);
    server.add(crate::Bind::tcp("127.0.0.1:0")).unwrap();
    let told = Told::default();
    let (listens, fails, ends) = (told.clone(), told.clone(), told.clone());
    server.on_listening(move |address| {
        listens.put(format!("listening {}", address.socket_addr().unwrap().ip()));
        panic!("no more addresses");
    });
    server.on_error(move |error| {
        let ServerError::Accept { error, retry_in } = error else { panic!("{error}") };
        fails.put(format!("{error} {retry_in:?}"));
        panic!("no more errors");
    });
    server.on_shutdown(|| panic!("not yet"));
    server.on_shutdown(move || ends.put("shutdown"));
    assert!(told.take().is_empty());
    let own = server.clone();
    toy.spawn(async move { own.run().await.unwrap() });
    toy.settle();
    assert_eq!(told.take(), ["listening 127.0.0.1"; 2]);
    toy.refuse(io::Error::other("no files"));
    toy.refuse(io::Error::other("no memory"));
    toy.advance(Duration::from_millis(5));
    let _client = join(&toy);
    let mut faults = told.take();
    faults.sort();
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("no files 5ms") && faults[1].starts_with("no memory"));
    server.close();
    server.close();
    toy.settle();
    assert_eq!((told.take(), server.manager().len()), (vec!["shutdown".into()], 1));
}

#[test]
fn the_last_clone_of_a_server_tells_that_it_stops() {
    let (_toy, server) = server(|builder| builder);
    let told = Told::default();
    let post = told.clone();
    server.on_shutdown(move || post.put("shutdown"));
    let removed = server.on_shutdown(|| panic!("it was removed"));
    assert_eq!(server.remove_all_listeners(ListenerKind::Error), 0);
    assert!(server.remove_listener(removed));
    drop(server.clone());
    assert!(told.take().is_empty());
    drop(server);
    assert_eq!(told.take(), ["shutdown"]);
}

/// Steps of the state that nobody hears of are not told, so it matters who does.
#[test]
fn the_end_is_heard_by_one_listener_of_the_connection_or_of_the_server() {
    for own in [false, true] {
        let (toy, server) = running(|builder| builder);
        let client = join(&toy);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&heard);
        let listener = move |_: &Connection, change: StateChange| lock(&out).push(change.to);
        if own {
            only(&server).on_state_change(listener);
        } else {
            server.on_state_change(listener);
        }
        client.send(&frame(0x88, b""));
        drop(client);
        toy.settle();
        assert_eq!(*lock(&heard), [State::Closing, State::Closed], "own: {own}");
    }
}

#[test]
fn a_decision_that_comes_too_late_is_dropped_at_once() {
    let decision = Arc::new(());
    let held = Arc::clone(&decision);
    let (toy, _server) = running(move |builder| {
        builder.authorize(move |_| {
            let held = Arc::clone(&held);
            async move {
                let decision = pending::<Result<Accept, Reject>>().await;
                drop(held);
                decision
            }
        })
    });
    let before = Arc::strong_count(&decision);
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    assert_eq!(Arc::strong_count(&decision), before + 1);
    toy.advance(Duration::from_secs(11));
    assert_eq!(Arc::strong_count(&decision), before);
}
