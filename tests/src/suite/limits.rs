//! How many connections one address may have, and for how long.

use std::pin::pin;
use std::thread;
use std::time::Duration;

use ws_net::{Builder, Cause, Close, Expired, Runtime, Timeouts, Version};

use super::support::{Mailbox, Running, aside, echo, polled, sleep, until};
use crate::client::{Client, dial, read_to_end, request};

/// Those beyond its share are sent away at once, and let in when another has left.
pub async fn an_address_has_its_share_of_connections<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.max_connections_per_ip(2)).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let clients = aside(move || {
        let clients = [(); 2].map(|()| Client::open(address, Version::Rfc6455));
        for _ in 0..3 {
            assert_eq!(read_to_end(&mut dial(address)), "");
        }
        clients
    });
    let [first, second] = clients.await;
    assert_eq!(server.load().refused_for_share, 3);
    aside(move || first.close(Close::normal())).await;
    until(&runtime, || server.manager().len() == 1).await;
    aside(move || {
        let mut second = second;
        assert_eq!(second.ask_text("still here"), "still here");
        // The seat is free as soon as the task has ended.
        let mut next = loop {
            if let Ok(client) = Client::ask(address, request(address)) {
                break client;
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(next.ask_text("let in"), "let in");
    })
    .await;
}

/// Whoever comes when all seats are taken waits for one, and is served then.
pub async fn a_full_server_lets_clients_wait<R: Runtime>(runtime: R) {
    let seats = |builder: Builder<R>| builder.max_connections(2).max_handshakes(1);
    let server = Running::bind(&runtime, seats).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let open = move || Client::open(address, Version::Rfc6455);
    let [first, second] = aside(move || [open(), open()]).await;
    let third = aside(open);
    let mut third = pin!(third);
    assert!(polled(1, third.as_mut()).await.is_none());
    sleep(&runtime, Duration::from_millis(50)).await;
    let load = server.load();
    assert_eq!((server.manager().len(), load.connections, load.refused), (2, 2, 0));
    assert!(load.full);
    aside(move || first.close(Close::normal())).await;
    let mut third = third.await;
    assert_eq!(aside(move || third.ask_text("at last")).await, "at last");
    drop(second);
}

/// Whoever shakes hands slowly keeps out others from there, not those from elsewhere.
pub async fn an_address_has_its_share_of_handshakes<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.max_handshakes_per_ip(1)).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        let mut open: Vec<_> = (0..3).map(|_| Client::open(address, Version::Rfc6455)).collect();
        let silent = dial(address);
        assert_eq!(read_to_end(&mut dial(address)), "");
        for client in &mut open {
            assert_eq!(client.ask_text("hello"), "hello");
        }
        drop(silent);
    })
    .await;
    assert_eq!(server.load().refused_for_share, 1);
}

/// By the timers of the runtime, with a proper close, however busy it is.
pub async fn a_connection_ends_with_its_lifetime<R: Runtime>(runtime: R) {
    // Longer than a handshake takes on a busy machine.
    let timeouts = Timeouts::new().lifetime(Duration::from_secs(1));
    let ends = Mailbox::default();
    let post = ends.clone();
    let server = Running::bind(&runtime, |builder| builder.timeouts(timeouts)).await;
    server.on_close(move |_, closed| post.put((closed.cause.clone(), closed.clean)));
    server.start_serving(&runtime, |connection| async move {
        while let Some(message) = connection.recv().await {
            let message = message.expect("a clean end is no error");
            if connection.send(message).await.is_err() {
                break;
            }
        }
    });
    let address = server.address;
    aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        client.send("first");
        while let Some(message) = client.recv() {
            if client.core().state() == ws_proto::State::Connected {
                client.send(message);
            }
        }
        assert_eq!(client.closed().code(), 1001);
    })
    .await;
    assert_eq!(ends.take().await, (Cause::Timeout(Expired::Lifetime), true));
}
