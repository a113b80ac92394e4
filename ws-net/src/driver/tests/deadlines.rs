//! Deadlines, whatever becomes of tasks and runtimes.

use super::*;

/// Takes all messages.
async fn take(connection: Connection) {
    while let Some(Ok(_)) = connection.recv().await {}
}

#[test]
fn a_task_that_moved_is_woken_also_when_it_was_busy_then() {
    let (toy, _server) = serving(take);
    let client = join(&toy);
    toy.move_tasks();
    // More than one turn takes.
    client.send(&frame(0x82, &vec![0; 60_000]).repeat(100));
    assert!(toy.settle() > 2, "the first turn ends early");
    toy.advance(Duration::from_secs(20));
    assert_eq!(client.take().0, b"\x89\x00");
    toy.advance(Duration::from_secs(20));
    assert!(client.ended(), "no pong came");
}

#[test]
fn a_runtime_without_timers_serves_without_deadlines() {
    let (toy, server) = serving(echo);
    toy.break_timers();
    let client = join(&toy);
    for _ in 0..3 {
        client.send(&frame(0x81, b"hi"));
        toy.settle();
        assert_eq!(client.take().0, b"\x81\x02hi");
        toy.advance(Duration::from_secs(3600));
    }
    assert_eq!((server.manager().len(), toy.timers_broken()), (1, 1));
}

#[test]
fn who_is_called_late_is_heard_before_it_is_judged() {
    for called in [false, true] {
        let (toy, server) = running(|builder| builder);
        let client = join(&toy);
        let connection = only(&server);
        toy.advance(Duration::from_secs(20));
        assert_eq!(client.take().0, b"\x89\x00");
        // The pong is there in time, and the thread is busy.
        client.send(&frame(0x8A, b""));
        if called {
            connection.try_send("x").unwrap();
        }
        toy.advance(Duration::from_secs(25));
        assert_eq!(connection.state(), State::Connected, "called: {called}");
    }
}

#[test]
fn who_is_late_writes_before_it_is_judged() {
    // With the long message nothing is read before it has left.
    for (called, length) in [(false, 1), (true, 1), (false, 300_000)] {
        let (toy, server) = running(|builder| builder);
        let client = join(&toy);
        let connection = only(&server);
        client.set_room(0);
        connection.try_send(vec![0; length]).unwrap();
        toy.settle();
        (0..59).for_each(|_| toy.advance(Duration::from_secs(1)));
        assert_eq!(connection.state(), State::Connected);
        client.set_room(usize::MAX);
        if called {
            connection.try_send("x").unwrap();
        }
        toy.advance(Duration::from_secs(3));
        assert_eq!(connection.state(), State::Connected, "called: {called}, {length} bytes");
    }
}

#[test]
fn a_turn_that_was_interrupted_goes_on_before_it_is_judged() {
    let (toy, server) = running(|builder| builder);
    server.on_message(|_, _| {});
    let client = join(&toy);
    toy.advance(Duration::from_secs(20));
    assert_eq!(client.take().0, b"\x89\x00");
    client.send(&frame(0x82, &vec![0; 20_000]).repeat(400));
    // A task that blocks the thread for long between two turns.
    let (clock, turns) = (toy.clone(), AtomicUsize::new(0));
    toy.spawn(poll_fn(move |cx| {
        if turns.fetch_add(1, Relaxed) == 1 {
            clock.sleep(Duration::from_secs(60));
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert!(toy.settle() > 4);
    assert_eq!(server.manager().len(), 1);
}

#[test]
fn a_slow_peer_has_its_time_from_when_it_has_taken_all() {
    let (toy, server) = serving(echo);
    let client = join(&toy);
    let connection = server.manager().snapshot().remove(0);
    connection.ping("").unwrap();
    toy.settle();
    client.set_room(0);
    connection.try_send(vec![0; 100_000]).unwrap();
    client.send(&frame(0x88, b"\x03\xE8"));
    toy.settle();
    toy.advance(Duration::from_secs(5));
    client.set_room(usize::MAX);
    toy.settle();
    assert!(client.take().0.ends_with(b"\x88\x02\x03\xE8"));
    assert_eq!(connection.state(), State::Closing, "its pong may still come");
    toy.advance(Duration::from_millis(999));
    assert_eq!(connection.state(), State::Closing);
    toy.advance(Duration::from_millis(1));
    assert_eq!(connection.state(), State::Closed);
}
