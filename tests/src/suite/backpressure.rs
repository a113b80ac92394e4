//! Peers that read or write too fast or too slowly.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use ws_net::{
    Cause, Connection, Expired, Limits, Message, Runtime, SendErrorKind, SendStatus, State,
    Timeouts, Version,
};

use super::faults::shake_hands;
use super::support::{Mailbox, Running, aside, echo, polled, until};
use crate::client::{Client, PATIENCE};
use crate::requests::frame;

const BLOCK: usize = 64 << 10;

/// And takes messages again when there is.
pub async fn try_send_hands_the_message_back_when_there_is_no_room<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let mut client = aside(move || Client::open(address, Version::Rfc6455)).await;
    until(&runtime, || server.manager().len() == 1).await;
    let connection = server.manager().snapshot().pop().expect("it is open");
    let block = Bytes::from(vec![7; BLOCK]);
    let mut sent = 0;
    let refused = loop {
        match connection.try_send(block.clone()) {
            Ok(SendStatus::Ready | SendStatus::Filled) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 10_000, "the system takes everything");
    };
    assert_eq!(refused.kind, SendErrorKind::Full);
    assert_eq!(refused.message, Message::binary(block));
    let client = aside(move || {
        for _ in 0..sent {
            assert_eq!(client.recv().map(|message| message.len()), Some(BLOCK));
        }
        client
    })
    .await;
    until(&runtime, || connection.buffered_amount() == 0).await;
    assert_eq!(connection.try_send("room again"), Ok(SendStatus::Ready));
    drop(client);
}

/// More than the system takes: 32 MiB, read only when the sender is stuck.
pub async fn send_waits_for_room_and_goes_on<R: Runtime>(runtime: R) {
    let stuck = Mailbox::default();
    let post = stuck.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            for n in 0..512_usize {
                let block = vec![n as u8; BLOCK];
                if polled(1, connection.send(block.clone())).await.is_none() {
                    post.put(n);
                    connection.send(block).await.unwrap();
                }
            }
        }
    })
    .await;
    let address = server.address;
    let mut client = aside(move || Client::open(address, Version::Rfc6455)).await;
    // The outbound buffer holds less than eight blocks, so the rest is with the system.
    while stuck.take().await < 8 {}
    aside(move || {
        for n in 0..512_usize {
            let block = client.recv().expect("nothing is lost").into_bytes();
            assert!(block.len() == BLOCK && block.iter().all(|byte| *byte == n as u8), "{n}");
        }
        assert_eq!(client.closed().code(), 1000);
    })
    .await;
}

/// It can be dropped and asked again, and behind it a message finds room at once.
pub async fn ready_waits_for_room_and_takes_none<R: Runtime>(runtime: R) {
    let stuck = Mailbox::default();
    let post = stuck.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            for n in 0..512_usize {
                if polled(1, connection.ready()).await.is_none() {
                    post.put(n);
                    connection.ready().await.unwrap();
                }
                connection.try_send(vec![n as u8; BLOCK]).unwrap();
            }
        }
    })
    .await;
    let address = server.address;
    let mut client = aside(move || Client::open(address, Version::Rfc6455)).await;
    until(&runtime, || server.manager().len() == 1).await;
    let connection = server.manager().snapshot().pop().expect("it is stuck");
    // The outbound buffer holds less than eight blocks, so the rest is with the system.
    while stuck.take().await < 8 {}
    aside(move || {
        for n in 0..512_usize {
            let block = client.recv().expect("nothing is lost").into_bytes();
            assert!(block.len() == BLOCK && block.iter().all(|byte| *byte == n as u8), "{n}");
        }
        assert_eq!(client.closed().code(), 1000);
    })
    .await;
    connection.closed().await;
    let (sender, _receiver) = connection.split();
    let over = sender.ready().await.unwrap_err();
    assert_eq!(over.kind, SendErrorKind::NotConnected(State::Closed));
}

/// The others are served, the report says who was not, and what waits for it is bounded.
pub async fn a_broadcast_leaves_out_who_reads_too_slowly<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let [slow, mut quick] =
        aside(move || [(); 2].map(|()| Client::open(address, Version::Rfc6455))).await;
    let manager = server.manager();
    until(&runtime, || manager.len() == 2).await;
    let block = Bytes::from(vec![7; BLOCK]);
    let mut skipped = 0;
    for _ in 0..1000 {
        let delivery = manager.broadcast(block.clone());
        assert_eq!((delivery.closed, delivery.unsupported), (0, 0));
        assert_eq!(delivery.queued + delivery.skipped, 2);
        quick = aside(move || {
            assert_eq!(quick.recv().map(|message| message.len()), Some(BLOCK));
            quick
        })
        .await;
        skipped += delivery.skipped;
        if skipped == 10 {
            break;
        }
    }
    assert_eq!(skipped, 10, "the system takes everything");
    assert_eq!(manager.len(), 2);
    let held = manager.map(Connection::buffered_amount);
    assert!(
        held.iter().all(|held| *held < Limits::default().outbound_high + 2 * BLOCK),
        "{held:?}"
    );
    drop((slow, quick));
}

/// A handler that takes no messages: the peer's writes block, and nothing is lost.
pub async fn messages_that_are_not_taken_hold_the_peer_back<R: Runtime>(runtime: R) {
    let (go, done) = (Mailbox::<()>::default(), Mailbox::default());
    let (wait, post) = (go.clone(), done.clone());
    let server = Running::serve(&runtime, move |connection| {
        let (wait, post) = (wait.clone(), post.clone());
        async move {
            wait.take().await;
            let mut count = 0;
            while let Some(Ok(message)) = connection.recv().await {
                assert_eq!(message.len(), BLOCK);
                count += 1;
            }
            post.put(count);
        }
    })
    .await;
    let address = server.address;
    let (socket, sent) = aside(move || {
        let mut socket = shake_hands(address);
        let frames = frame(0x82, &vec![7; BLOCK]).repeat(16);
        socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut sent = 0;
        loop {
            match socket.write(&frames[sent % frames.len()..]) {
                Ok(n) => sent += n,
                Err(error) => {
                    let blocked = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                    assert!(blocked.contains(&error.kind()), "{error}");
                    break;
                }
            }
            assert!(sent < 1 << 30, "the server takes everything");
        }
        (socket, sent)
    })
    .await;
    go.put(());
    let length = BLOCK + 14;
    aside(move || {
        let mut socket = socket;
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let begun = sent % length;
        if begun > 0 {
            socket.write_all(&frame(0x82, &vec![7; BLOCK])[begun..]).unwrap();
        }
        socket.write_all(&frame(0x88, &[])).unwrap();
        crate::client::read_to_end(&mut socket);
    })
    .await;
    assert_eq!(done.take().await, sent.div_ceil(length));
}

/// By the timers of the runtime, although it sends without a pause.
pub async fn who_writes_and_never_reads_is_dropped<R: Runtime>(runtime: R) {
    let millis = Duration::from_millis;
    let timeouts = Timeouts::new().stall(millis(100)).linger(millis(50));
    let server = Running::bind(&runtime, |builder| builder.timeouts(timeouts)).await;
    let ends = Mailbox::default();
    let post = ends.clone();
    server.on_close(move |_, closed| post.put(closed.cause.clone()));
    server.start_serving(&runtime, echo);
    let address = server.address;
    let error = aside(move || {
        let mut socket = shake_hands(address);
        let flood = frame(0x82, &vec![7; Limits::default().max_message]);
        loop {
            if let Err(error) = socket.write_all(&flood) {
                break error.kind();
            }
        }
    });
    assert_eq!(ends.take().await, Cause::Timeout(Expired::Stall));
    let error = error.await;
    assert!(![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error), "it hangs: {error}");
}

/// Listeners answer with `try_send` and need not look whether there is room.
pub async fn no_message_is_told_while_there_is_no_room_for_an_answer<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    server.on_message(|connection, message| {
        connection.try_send(message).unwrap();
    });
    server.start_running(&runtime);
    let address = server.address;
    aside(move || {
        let mut reader = shake_hands(address);
        let mut writer = reader.try_clone().unwrap();
        let writing = thread::spawn(move || {
            let frames = frame(0x82, &vec![7; BLOCK]).repeat(16);
            for _ in 0..32 {
                writer.write_all(&frames).unwrap();
            }
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut echoed = Vec::new();
        reader.read_to_end(&mut echoed).unwrap();
        writing.join().unwrap();
        // A server masks nothing, and an end of the stream is answered by one.
        assert_eq!(echoed.len(), 16 * 32 * (BLOCK + 10));
    })
    .await;
}
