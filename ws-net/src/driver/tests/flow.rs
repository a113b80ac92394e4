//! Pauses, room, halves, and messages to one connection by its id.

use std::task::{Context, Wake, Waker};

use super::*;

/// Counts the messages that listeners are told.
fn counting(server: &Server<Toy>) -> Arc<AtomicUsize> {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    server.on_message(move |_, _| {
        count.fetch_add(1, Relaxed);
    });
    told
}

#[test]
fn a_pause_holds_messages_back_and_loses_none() {
    let (toy, server) = running(|builder| builder);
    let told = counting(&server);
    server.on_message(|connection, message| {
        if message.as_text() == Some("stop") {
            connection.pause();
        }
    });
    let client = join(&toy);
    client.send(&[frame(0x81, b"go"), frame(0x81, b"stop"), frame(0x81, b"go")].concat());
    toy.settle();
    let connection = only(&server);
    assert_eq!((told.load(Relaxed), connection.is_paused()), (2, true));
    // What is in memory is one chunk; the rest stays with the system.
    for _ in 0..10 {
        client.send(&frame(0x82, &vec![0; 60_000]));
        toy.settle();
    }
    connection.try_send("still sending").unwrap();
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x0Dstill sending");
    // Silence is not the peer's fault.
    toy.advance(Duration::from_secs(3600));
    assert_eq!((told.load(Relaxed), connection.state()), (2, State::Connected));
    connection.resume();
    toy.settle();
    assert_eq!((told.load(Relaxed), connection.is_paused()), (13, false));
}

#[test]
fn ready_waits_until_the_buffer_is_low_and_ends_with_the_connection() {
    let results = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&results);
    let (toy, server) = serving(move |connection| {
        let out = Arc::clone(&out);
        async move {
            for _ in 0..5 {
                let ready = connection.ready().await.map_err(|error| error.kind);
                let sent = connection.try_send(vec![1; 200_000]);
                lock(&out).push((ready, sent.is_ok()));
            }
        }
    });
    let client = toy.dial();
    client.set_room(129);
    client.send(REQUEST);
    toy.settle();
    assert_eq!(*lock(&results), [(Ok(()), true); 2]);
    client.set_room(200_000);
    toy.settle();
    assert_eq!(lock(&results).len(), 2, "still above the low-water mark");
    client.set_room(150_000);
    toy.settle();
    assert_eq!(*lock(&results), [(Ok(()), true); 4]);
    let connection = only(&server);
    assert_eq!(connection.shared().lock().waiters.len(), 0, "the driver polls its handler");
    connection.close(Close::normal());
    toy.settle();
    let closing = SendErrorKind::NotConnected(State::Closing);
    assert_eq!(lock(&results).last(), Some(&(Err(closing), false)));
}

#[test]
fn there_is_no_room_in_front_of_messages_to_many() {
    let policy = crate::SlowReceivers::DropOldest;
    let (toy, server) = running(|builder| builder.slow_receivers(policy));
    let client = join(&toy);
    let connection = only(&server);
    client.set_room(0);
    for _ in 0..10 {
        let _ = server.manager().broadcast(vec![0; 60_000]);
    }
    client.set_room(200_000);
    toy.settle();
    assert!(connection.buffered_amount() < Limits::default().outbound_high);
    assert_eq!(connection.try_send("x").unwrap_err().kind, SendErrorKind::Full);
    let mut cx = Context::from_waker(Waker::noop());
    let mut ready = Box::pin(connection.ready());
    assert!(ready.as_mut().poll(&mut cx).is_pending());
    client.set_room(usize::MAX);
    toy.settle();
    assert_eq!(ready.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    assert!(connection.try_send("x").is_ok());
}

#[test]
fn what_was_written_at_the_end_of_a_turn_is_known_at_once() {
    let (toy, server) = serving(echo);
    let client = join(&toy);
    for _ in 0..3 {
        client.send(&frame(0x82, &[0; 1000]));
        toy.settle();
        assert_eq!(client.take().0.len(), 1004);
        assert_eq!(only(&server).buffered_amount(), 0);
    }
    // Nobody is blamed for a write that was taken long ago.
    toy.advance(Duration::from_secs(20));
    assert!(!client.ended());
}

#[test]
fn a_long_turn_is_interrupted_and_loses_nothing() {
    for size in [100, 2000, 70_000] {
        let (toy, _server) = serving(echo);
        let client = join(&toy);
        let count = 4_000_000 / size;
        client.send(&frame(0x82, &vec![0; size]).repeat(count));
        assert!(toy.settle() > 1, "{size}");
        assert_eq!(client.take().0.len(), count * (frame(0x82, &vec![0; size]).len() - 4));
    }
}

/// The driver counts as asleep then, and takes the lock no more.
#[test]
fn who_waits_for_room_during_the_last_write_of_a_turn_is_told() {
    struct Told(AtomicUsize);
    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    for delivers in [false, true] {
        let (toy, server) = serving(echo);
        let client = join(&toy);
        let (connection, own) = (only(&server), server.clone());
        let mut late = Box::pin(async move {
            if delivers {
                assert_eq!(own.to_all().deliver("late").await.queued, 1);
            } else {
                connection.send("late").await.unwrap();
            }
        });
        let told = Arc::new(Told(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&told));
        let waiting = Arc::new(Mutex::new(None));
        let place = Arc::clone(&waiting);
        client.meanwhile(move || {
            assert!(late.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            *lock(&place) = Some(late);
        });
        client.send(&frame(0x82, &vec![0; 300_000]));
        toy.settle();
        assert_eq!(told.0.load(Relaxed), 1, "delivers: {delivers}");
        let mut late = lock(&waiting).take().unwrap();
        assert!(late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        toy.settle();
        assert!(client.take().0.ends_with(b"\x81\x04late"));
    }
}

#[test]
fn a_long_turn_ends_with_nothing_in_its_chunk() {
    for on_message in [false, true] {
        let (toy, server) = echoing(on_message);
        let client = join(&toy);
        let (connection, rounds) = (only(&server), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&rounds);
        // Looks between the turns, for as long as there are some.
        toy.spawn(poll_fn(move |cx| {
            let before = seen.load(Relaxed);
            let end = connection.shared().lock().input.is_none();
            assert!(end, "a chunk was kept after {before} turns");
            if before == 4 {
                return Poll::Ready(());
            }
            seen.store(before + 1, Relaxed);
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        client.send(&frame(0x82, &vec![0; 20_000]).repeat(400));
        assert!(toy.settle() > 4 + 3, "the driver has turns meanwhile");
        assert_eq!(rounds.load(Relaxed), 4);
        assert_eq!(client.take().0.len(), 400 * 20_004);
    }
}

#[test]
fn nothing_is_read_during_a_pause_and_nobody_is_kept_awake() {
    let (toy, server) = running(|builder| builder);
    let _told = counting(&server);
    let client = join(&toy);
    let connection = only(&server);
    connection.pause();
    toy.settle();
    client.send(&frame(0x82, &vec![0; 60_000]).repeat(10));
    toy.settle();
    client.send(&frame(0x89, b""));
    assert!(toy.settle() <= 1);
    assert!(client.take().0.is_empty());
    connection.resume();
    toy.settle();
    assert_eq!(client.take().0, b"\x8A\x00");
}

#[test]
fn the_deadlines_of_a_peer_go_on_after_a_pause() {
    let (toy, server) = serving(echo);
    let client = join(&toy);
    let connection = only(&server);
    connection.pause();
    toy.advance(Duration::from_secs(3600));
    assert_eq!(connection.state(), State::Connected);
    connection.resume();
    toy.settle();
    for _ in 0..3 {
        toy.advance(Duration::from_secs(20));
    }
    assert!(client.ended(), "it answers no ping");
}

#[test]
fn recv_hands_out_what_came_before_the_pause() {
    let (toy, server) = serving(|connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            connection.pause();
            connection.try_send(message).unwrap();
        }
    });
    let client = join(&toy);
    client.send(&frame(0x81, b"a").repeat(3));
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x01a".repeat(3));
    client.send(&frame(0x81, b"b").repeat(3));
    toy.settle();
    let early = client.take().0.len();
    assert!(early < 9, "the pause holds");
    for _ in 0..3 {
        only(&server).resume();
        toy.settle();
    }
    assert_eq!(early + client.take().0.len(), 9);
}

#[test]
fn a_pause_keeps_no_connection_from_opening_or_closing() {
    let (toy, server) = running(|builder| builder);
    let told = counting(&server);
    server.on_state_change(|connection, change| {
        if change.to < State::Connected {
            connection.pause();
        }
    });
    let client = toy.dial();
    client.send(&[REQUEST, &frame(0x81, b"early")].concat());
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
    let connection = only(&server);
    assert_eq!((told.load(Relaxed), connection.is_paused()), (0, true));
    connection.close(Close::normal());
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
    assert!(!connection.is_paused());
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    let end = toy.block_on(async move { connection.closed().await });
    assert!(end.clean && server.manager().is_empty());
}

#[test]
fn halves_send_and_receive_and_keep_the_connection_together() {
    let (toy, server) = server(|builder| builder);
    let own = server.clone();
    let halves = Arc::new(Mutex::new(None));
    let out = Arc::clone(&halves);
    toy.spawn(async move {
        let incoming = own.accept().await.unwrap();
        *lock(&out) = Some(incoming.accept(Accept::new()).await.unwrap().split());
    });
    let client = join(&toy);
    let (sender, mut receiver) = lock(&halves).take().unwrap();
    assert_eq!(sender.connection(), receiver.connection());
    client.send(&frame(0x81, b"hello"));
    let (message, receiver) = toy.block_on(async move {
        let message = receiver.recv().await.unwrap().unwrap();
        (message, receiver)
    });
    sender.try_send(message).unwrap();
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x05hello");
    drop(receiver);
    // They are discarded, and hold nobody back.
    client.send(&frame(0x82, &vec![0; 60_000]).repeat(100));
    client.send(&frame(0x89, b""));
    toy.settle();
    assert_eq!(client.take().0, b"\x8A\x00");
    let sender = toy.block_on(async move {
        sender.send("news").await.unwrap();
        sender
    });
    drop(sender);
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x04news\x88\x02\x03\xE8");
}

#[test]
fn polls_of_a_receiving_half_leave_no_waiter_behind() {
    let (toy, server) = serving(|_| pending());
    let _client = join(&toy);
    let connection = only(&server);
    let (_sender, mut receiver) = connection.clone().split();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(receiver.poll_recv(&mut cx).is_pending());
        assert_eq!(connection.shared().lock().waiters.len(), 1);
    }
    drop(receiver);
    assert_eq!(connection.shared().lock().waiters.len(), 0);
}

#[test]
fn messages_to_ids_arrive_or_come_back() {
    let (toy, server) = running(|builder| builder);
    let (first, second) = (join(&toy), join(&toy));
    let mut ids = server.manager().map(Connection::id);
    ids.sort();
    let [one, two] = ids[..] else { panic!("{ids:?}") };
    let own = server.clone();
    toy.block_on(async move { own.send(two, "for you").await.unwrap() });
    toy.settle();
    assert_eq!((first.take().0.len(), second.take().0.as_slice()), (0, &b"\x81\x07for you"[..]));
    second.send(&frame(0x88, b""));
    drop(second);
    toy.settle();
    for id in [two, "1-18446744073709551615".parse().unwrap()] {
        let own = server.clone();
        let error = toy.block_on(async move { own.send(id, "too late").await.unwrap_err() });
        assert_eq!(error.kind, SendErrorKind::NotConnected(State::Closed));
        assert_eq!(error.message.as_text(), Some("too late"));
    }
    // One that is not polled sends nothing.
    drop(server.send(one, "never"));
    toy.settle();
    assert!(first.take().0.is_empty());
}

#[test]
fn the_headers_of_the_request_are_at_hand() {
    let (toy, server) = running(|builder| builder);
    server.on_state_change(|connection, change| {
        assert_eq!(connection.headers().is_none(), change.to < State::Handshaking);
    });
    let _client = join(&toy);
    let connection = only(&server);
    let headers = connection.headers().unwrap();
    assert_eq!(headers.text("sec-websocket-VERSION"), Some("13"));
    let names: Vec<_> = headers.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names[..2], ["Host", "Upgrade"]);
}

/// Takes what is there until nothing is.
fn take_all(toy: &Toy, connection: &Connection) -> Vec<String> {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (out, connection) = (Arc::clone(&taken), connection.clone());
    toy.spawn(async move {
        while let Some(Ok(message)) = connection.recv().await {
            lock(&out).push(message.as_text().unwrap().to_owned());
        }
    });
    toy.settle();
    std::mem::take(&mut lock(&taken))
}

#[test]
fn recv_hands_out_in_a_pause_what_lies_behind_other_events() {
    let (toy, server) = serving(|connection| async move { drop(connection.closed().await) });
    let client = join(&toy);
    let connection = only(&server);
    let halves = [frame(0x01, b"b"), frame(0x80, b"b")].concat();
    client.send(&[frame(0x81, b"a"), frame(0x89, b""), halves, frame(0x8A, b"")].concat());
    client.send(&[frame(0x81, b"c"), frame(0x89, b""), frame(0x81, b"d")].concat());
    toy.settle();
    connection.pause();
    // There is room again, which nobody was told yet.
    client.set_room(0);
    connection.try_send(vec![0; 300_000]).unwrap();
    assert!(connection.try_send("no room").is_err());
    toy.settle();
    client.set_room(usize::MAX);
    toy.settle();
    assert_eq!(take_all(&toy, &connection), ["a", "bb", "c", "d"]);
    assert!(connection.is_paused());
}

#[test]
fn a_handler_gets_in_a_pause_what_lies_behind_other_events() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let (toy, server) = serving(move |connection| {
        let count = Arc::clone(&count);
        async move {
            while let Some(Ok(_)) = connection.recv().await {
                count.fetch_add(1, Relaxed);
                connection.pause();
            }
        }
    });
    let client = join(&toy);
    client.send(&frame(0x81, b"a"));
    toy.settle();
    only(&server).resume();
    toy.settle();
    let halves = [frame(0x01, b"b"), frame(0x80, b"b")].concat();
    let pinged = [frame(0x89, b""), frame(0x81, b"c")].concat();
    client.send(&[frame(0x81, b"a"), halves, pinged.repeat(10)].concat());
    toy.settle();
    assert_eq!((taken.load(Relaxed), only(&server).is_paused()), (13, true));
}

#[test]
fn recv_hands_out_in_a_pause_what_lies_behind_a_message_that_nobody_reads_on() {
    let (toy, server) = serving(|connection| async move { drop(connection.closed().await) });
    let client = join(&toy);
    let connection = only(&server);
    client.send(&frame(0x01, b"begin"));
    let handle = connection.clone();
    let reader = toy.block_on(async move { handle.recv_stream().await.unwrap().unwrap() });
    let rest = [frame(0x00, b"a"), frame(0x89, b""), frame(0x80, b"b")].concat();
    client.send(&[rest, frame(0x81, b"next")].concat());
    toy.settle();
    connection.pause();
    drop(reader);
    toy.settle();
    assert_eq!(take_all(&toy, &connection), ["next"]);
}
