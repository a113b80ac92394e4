use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use ws_proto::{Accept, Cause, Close, Limits, Message, Reject, SendErrorKind, State};

use crate::runtime::Runtime;
use crate::toy::party::{REQUEST, echo, join, only, run, running, server, serving};
use crate::toy::{Pipe, Toy};
use crate::waiters::lock;
use crate::{Builder, Connection, Server};

mod burst;
mod deadlines;
mod ends;
mod events;
mod flow;
mod panics;
mod payloads;
mod requests;
mod straight;
#[cfg(feature = "stream")]
mod stream;
mod streams;
mod wakers;

/// A server that sends every message back, from a listener or from its handler.
fn echoing(on_message: bool) -> (Toy, Server<Toy>) {
    let (toy, server) = if on_message { running(|builder| builder) } else { serving(echo) };
    server.on_message(|connection, message| {
        connection.try_send(message).unwrap();
    });
    (toy, server)
}

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..126 => frame.push(0x80 | n as u8),
        n @ 126..0x1_0000 => {
            frame.push(0xFE);
            frame.extend((n as u16).to_be_bytes());
        }
        n => {
            frame.push(0xFF);
            frame.extend((n as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[test]
fn all_messages_of_one_read_are_answered_in_one_write_and_one_poll() {
    for on_message in [false, true] {
        let (toy, _server) = echoing(on_message);
        let client = join(&toy);
        let alarms = toy.alarms();
        let burst: Vec<u8> =
            (0..100).flat_map(|i| frame(0x81, format!("{i}").as_bytes())).collect();
        client.send(&burst);
        assert_eq!(toy.settle(), 1);
        let expected: Vec<u8> = (0..100)
            .flat_map(|i| {
                let text = format!("{i}");
                [&[0x81, text.len() as u8], text.as_bytes()].concat()
            })
            .collect();
        assert_eq!(client.take(), (expected, 1));
        assert_eq!(toy.alarms(), alarms, "messages touch no timer");
    }
}

#[test]
fn large_messages_come_back_whole() {
    let (toy, _server) = serving(echo);
    let client = join(&toy);
    let payload: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    for piece in frame(0x82, &payload).chunks(150_000) {
        client.send(piece);
        toy.settle();
    }
    let (answer, _) = client.take();
    assert_eq!(answer.len(), payload.len() + 10);
    assert!(answer.ends_with(&payload));
}

#[test]
fn a_slow_receiver_holds_back_its_own_messages() {
    let limits = || {
        let mut limits = Limits::default();
        (limits.outbound_high, limits.outbound_low) = (1000, 100);
        limits
    };
    let told = Arc::new(AtomicUsize::new(0));
    let (toy, server) = running(|builder| builder.limits(limits()));
    let count = Arc::clone(&told);
    server.on_message(move |connection, message| {
        count.fetch_add(1, Relaxed);
        connection.try_send(message).unwrap();
    });
    let client = join(&toy);
    client.set_room(0);
    client.send(&frame(0x82, &[7; 90]).repeat(100));
    toy.settle();
    // 92 bytes each: the eleventh reaches 1,000.
    assert_eq!(told.load(Relaxed), 11);
    client.set_room(usize::MAX);
    toy.settle();
    assert_eq!(told.load(Relaxed), 100);
    assert_eq!(client.take().0.len(), 9200);
}

#[test]
fn send_waits_for_room_and_ends_with_the_connection() {
    let results = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&results);
    let (toy, server) = serving(move |connection| {
        let out = Arc::clone(&out);
        async move {
            for _ in 0..5 {
                let sent = connection.send(vec![1; 200_000]).await;
                lock(&out).push(sent.map_err(|error| (error.kind, error.message.len())));
            }
        }
    });
    let client = toy.dial();
    client.set_room(129);
    client.send(REQUEST);
    toy.settle();
    assert_eq!(*lock(&results), [Ok(()), Ok(())]);
    client.set_room(200_000);
    toy.settle();
    assert_eq!(lock(&results).len(), 2, "still above the low-water mark");
    client.set_room(150_000);
    toy.settle();
    assert_eq!(lock(&results).len(), 4);
    let connection = server.manager().snapshot().pop().unwrap();
    connection.close(Close::normal());
    toy.settle();
    let closing = SendErrorKind::NotConnected(State::Closing);
    assert_eq!(lock(&results).last(), Some(&Err((closing, 200_000))));
}

#[test]
fn a_message_that_nobody_takes_stops_the_reading() {
    let (toy, server) = serving(|connection| async move {
        // A handle is there, so somebody could take the messages.
        pending::<()>().await;
        drop(connection);
    });
    let client = join(&toy);
    for _ in 0..100 {
        client.send(&frame(0x82, &vec![0; 60_000]));
        toy.settle();
    }
    let connection = server.manager().snapshot().pop().unwrap();
    // While this side does not read, silence is not the peer's fault.
    toy.advance(Duration::from_secs(3600));
    assert_eq!(connection.state(), State::Connected);
    let took = toy.block_on(async move {
        let mut took = 0;
        while took < 100 {
            took += usize::from(connection.recv().await.unwrap().is_ok());
        }
        took
    });
    assert_eq!(took, 100);
}

#[test]
fn a_panic_ends_its_own_connection_alone() {
    let (toy, server) = serving(|connection| async move {
        let message = connection.recv().await;
        assert!(message.is_none(), "no message wanted");
    });
    let closed = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&closed);
    server.on_close(move |_, end| lock(&out).push((end.cause.clone(), end.sent.clone())));
    let (first, second) = (join(&toy), join(&toy));
    first.send(&frame(0x81, b"boom"));
    toy.settle();
    assert_eq!(first.take().0, b"\x88\x02\x03\xF3");
    assert_eq!((server.manager().len(), second.take().0.len()), (2, 0));
    first.send(&frame(0x88, b"\x03\xF3"));
    drop(first);
    toy.settle();
    let (cause, sent) = lock(&closed).pop().unwrap();
    assert_eq!((cause, u16::from(sent.unwrap().code().unwrap())), (Cause::Local, 1011));
    assert_eq!(server.manager().len(), 1);
}

#[test]
fn listeners_that_panic_close_with_1011() {
    let (toy, server) = running(|builder| builder);
    server.on_message(|_, _| panic!("no message wanted"));
    server.on_close(|_, _| panic!("no close wanted"));
    let client = join(&toy);
    client.send(&frame(0x81, b"boom"));
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xF3");
    client.send(&frame(0x88, b"\x03\xF3"));
    toy.settle();
    drop(client);
    toy.settle();
    assert_eq!(server.manager().len(), 0);
}

#[test]
fn events_are_told_in_order_and_once() {
    let (toy, server) = serving(echo);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (steps, opens, closes) = (Arc::clone(&told), Arc::clone(&told), Arc::clone(&told));
    let manager = server.manager().clone();
    server.on_state_change(move |connection, change| {
        let found = manager.find(connection.id()).is_some();
        lock(&steps).push(format!("{} {found}", change.to as u8));
    });
    server.on_connection(move |_| lock(&opens).push("connection".into()));
    server.on_close(move |_, end| lock(&closes).push(format!("close {}", end.code())));
    let client = join(&toy);
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    let expected =
        ["1 false", "3 false", "4 true", "connection", "5 true", "6 false", "close 1000"];
    assert_eq!(*lock(&told), expected);
}

#[test]
fn a_handler_that_returns_closes_and_one_without_handles_discards() {
    let (toy, server) = serving(|_| pending());
    let client = join(&toy);
    client.send(&frame(0x81, b"to nobody").repeat(1000));
    client.send(&frame(0x89, b"ping"));
    toy.settle();
    assert_eq!(client.take().0, b"\x8A\x04ping");
    let delivery = server.manager().broadcast("news");
    assert_eq!(delivery.queued, 1);
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x04news");

    let (toy, _server) = serving(|_| async {});
    assert_eq!(join_and_see(&toy), b"\x88\x02\x03\xE8");
}

/// What a client sees that says nothing after its handshake.
fn join_and_see(toy: &Toy) -> Vec<u8> {
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    let (answer, _) = client.take();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    answer[head + 4..].to_vec()
}

#[test]
fn accepted_connections_close_with_their_last_handle() {
    let (toy, server) = server(|builder| builder);
    let accepting = server.clone();
    let took = Arc::new(Mutex::new(None));
    let out = Arc::clone(&took);
    toy.spawn(async move {
        let incoming = accepting.accept().await.unwrap();
        assert_eq!(incoming.request().target(), "/chat");
        *lock(&out) = Some(incoming.accept(Accept::new()).await.unwrap());
        accepting.accept().await.unwrap().reject(&Reject::new(404));
        drop(accepting.accept().await.unwrap());
    });
    let client = join(&toy);
    let connection = lock(&took).take().unwrap();
    assert_eq!(server.manager().find(connection.id()), Some(connection.clone()));
    client.send(&frame(0x81, b"hi"));
    let receiving = connection.clone();
    let message = toy.block_on(async move { receiving.recv().await });
    assert_eq!(message.unwrap().unwrap(), Message::text("hi"));
    assert!(client.take().0.is_empty());
    drop(connection);
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xE8");

    for status in ["404", "503"] {
        let client = toy.dial();
        client.send(REQUEST);
        toy.settle();
        let answer = String::from_utf8(client.take().0).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(client.ended());
    }
}

#[test]
fn futures_that_are_dropped_lose_nothing() {
    let (toy, server) = serving(|connection| async move {
        // Every future that has to wait is dropped once before it is waited for.
        loop {
            let next = match poll_once(connection.recv()).await {
                Some(next) => next,
                None => connection.recv().await,
            };
            let Some(Ok(message)) = next else { break };
            match poll_once(connection.send(message.clone())).await {
                Some(sent) => sent.unwrap(),
                None => connection.send(message).await.unwrap(),
            }
        }
    });
    let client = join(&toy);
    client.set_room(0);
    let payload = vec![b'x'; 40_000];
    client.send(&frame(0x81, &payload).repeat(50));
    toy.settle();
    assert!(server.manager().snapshot()[0].buffered_amount() > 256 << 10);
    for _ in 0..150 {
        client.set_room(20_000);
        toy.settle();
    }
    let answer = client.take().0;
    assert_eq!(answer.len(), 50 * 40_004);
    assert!(answer.chunks(40_004).all(|frame| frame[4..] == payload));
    let connection = server.manager().snapshot().pop().unwrap();
    assert_eq!(connection.shared().lock().waiters.len(), 0);
}

/// What `future` answers at its first poll, after which it is dropped.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn a_failing_socket_ends_the_connection() {
    let (toy, server) = serving(echo);
    let ends = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&ends);
    server.on_close(move |_, end| lock(&out).push((end.cause.clone(), end.clean)));
    let client = join(&toy);
    client.fail();
    toy.settle();
    assert_eq!(*lock(&ends), [(Cause::Eof, false)]);
    assert_eq!((server.manager().len(), toy.tasks()), (0, 1));
}

#[test]
fn a_task_that_the_runtime_drops_leaves_nothing_behind() {
    let (toy, server) = serving(echo);
    let _client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    toy.drop_tasks();
    assert_eq!((server.manager().len(), connection.state()), (0, State::Closed));
    let end = toy.block_on(async move { connection.closed().await });
    assert_eq!(end.cause, Cause::Aborted);
}

#[test]
fn deadlines_are_kept_and_timers_set_only_when_they_come_nearer() {
    let (toy, server) = serving(echo);
    let silent = toy.dial();
    toy.advance(Duration::from_secs(11));
    assert!(silent.ended(), "the handshake deadline");
    toy.advance(Duration::from_secs(1));
    assert_eq!(toy.tasks(), 1);

    let client = join(&toy);
    let alarms = toy.alarms();
    for _ in 0..100 {
        toy.advance(Duration::from_secs(1));
        client.send(&frame(0x81, b"busy"));
        toy.settle();
    }
    // The ping timer fires every 20 s and finds that something came, the stall timer every 30 s
    // and finds that everything was taken.
    assert!(toy.alarms() - alarms <= 10, "{} in 100 s", toy.alarms() - alarms);
    client.take();
    toy.advance(Duration::from_secs(20));
    assert_eq!(client.take().0, b"\x89\x00");
    toy.advance(Duration::from_secs(20));
    assert!(client.ended(), "no pong came");
    toy.advance(Duration::from_secs(1));
    assert_eq!(server.manager().len(), 0);
}

#[test]
fn limits_on_connections_hold_back_and_let_in() {
    let (toy, server) = running(|builder| builder.max_connections(2));
    let (first, _second) = (join(&toy), join(&toy));
    let third = toy.dial();
    third.send(REQUEST);
    toy.settle();
    assert_eq!((third.take().0.len(), server.manager().len()), (0, 2));
    first.send(&frame(0x88, b""));
    drop(first);
    toy.settle();
    assert!(third.take().0.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(server.manager().len(), 2);
}

#[test]
fn a_full_server_says_so_once_until_a_client_finds_a_place() {
    let (toy, server) = running(|builder| builder.max_connections(1));
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    server.on_error(move |error| lock(&out).push(error.to_string()));
    let first = join(&toy);
    let load = server.load();
    assert_eq!((load.connections, load.handshakes, load.full), (1, 0, true));
    assert!(lock(&told).is_empty(), "nobody had to wait");
    let waiting = [(); 2].map(|()| toy.dial());
    toy.settle();
    let expected = "full, with 1 connections, 0 of them in their handshake: clients wait until \
                    others leave, and upgrades are refused";
    assert_eq!(*lock(&told), [expected]);
    toy.advance(Duration::from_secs(1));
    first.fail();
    toy.settle();
    assert_eq!((server.load().handshakes, lock(&told).len()), (1, 1), "the next one waits");
    drop(waiting);
    toy.settle();
    assert!(!server.load().full);
    let _second = join(&toy);
    let _waiting = toy.dial();
    toy.settle();
    assert_eq!((server.load().full, server.load().refused), (true, 0));
    assert_eq!(*lock(&told), [expected; 2]);
}

#[test]
fn an_address_with_its_share_is_refused_and_holds_up_nobody() {
    let (toy, server) = running(|builder| builder.max_connections_per_ip(2));
    let [greedy, other] = ["127.0.0.1:7", "[2001:db8::1]:7"]
        .map(|address| crate::Address::from(address.parse::<std::net::SocketAddr>().unwrap()));
    let clients: Vec<_> = (0..5).map(|_| toy.dial_from(greedy)).collect();
    let ended = || clients.iter().map(Pipe::ended).collect::<Vec<_>>();
    assert_eq!(
        (ended(), server.load().refused_for_share),
        (vec![false, false, true, true, true], 3)
    );
    for client in [&clients[0], &clients[1], &toy.dial_from(other)] {
        client.send(REQUEST);
        toy.settle();
        assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
    }
    assert!(toy.dial_from(greedy).ended(), "open connections count, too");
    clients[0].fail();
    toy.settle();
    assert!(!toy.dial_from(greedy).ended());
    let load = server.load();
    assert_eq!((load.refused_for_share, load.refused, load.refused_when_full), (4, 4, 0));
}

#[test]
fn shutdown_closes_waits_and_aborts() {
    let (toy, server) = serving(echo);
    let (polite, rude) = (join(&toy), join(&toy));
    let stopping = server.clone();
    let report = Arc::new(Mutex::new(None));
    let out = Arc::clone(&report);
    toy.spawn(async move {
        let close = Close::new(1001, "bye").unwrap();
        *lock(&out) = Some(stopping.shutdown(close, Duration::from_secs(3)).await);
    });
    toy.settle();
    for client in [&polite, &rude] {
        assert_eq!(client.take().0, b"\x88\x05\x03\xE9bye");
    }
    polite.send(&frame(0x88, b"\x03\xE9"));
    drop(polite);
    toy.advance(Duration::from_secs(2));
    assert_eq!(*lock(&report), None);
    toy.advance(Duration::from_secs(1));
    let report = lock(&report).take().unwrap();
    assert_eq!((report.closed, report.aborted), (1, 1));
    toy.settle();
    assert!(rude.ended());
    assert_eq!(toy.tasks(), 0, "the acceptor has ended, too");
}
