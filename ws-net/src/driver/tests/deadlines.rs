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
