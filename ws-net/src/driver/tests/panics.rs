//! Panics outside of handlers and listeners.

use bytes::Bytes;

use super::*;
use crate::toy::explosive::Explosive;

#[test]
fn a_waker_that_panics_harms_no_connection() {
    struct Rude;
    impl std::task::Wake for Rude {
        fn wake(self: Arc<Self>) {
            panic!("not now");
        }
    }
    let (toy, server) =
        serving(|connection| async move { while let Some(Ok(_)) = connection.recv().await {} });
    let (client, other) = (join(&toy), join(&toy));
    for client in [&client, &other] {
        client.send(&frame(0x81, b"00"));
        toy.settle();
    }
    let mut connections = server.manager().snapshot();
    connections.sort_by_key(|connection| connection.id().serial());
    let connection = connections.remove(0);
    // Somebody waits for room, and is woken just before the handler is polled.
    client.set_room(0);
    connection.try_send(vec![0; 300_000]).unwrap();
    toy.settle();
    let waker = std::task::Waker::from(Arc::new(Rude));
    let mut cx = std::task::Context::from_waker(&waker);
    let mut sent = Box::pin(connection.send("more"));
    assert!(sent.as_mut().poll(&mut cx).is_pending());
    client.set_room(usize::MAX);
    toy.settle();
    assert!(crate::burst::is_over());
    assert!(sent.as_mut().poll(&mut cx).is_ready());
    other.send(&frame(0x81, b"01"));
    toy.settle();
    assert_eq!(server.manager().len(), 2);
}

#[test]
fn a_payload_whose_end_panics_ends_its_connection_and_no_other() {
    let (toy, server) =
        serving(|connection| async move { while let Some(Ok(_)) = connection.recv().await {} });
    let (client, other) = (join(&toy), join(&toy));
    let find = |guest: usize| {
        let mut connections = server.manager().snapshot();
        connections.sort_by_key(|connection| connection.id().serial());
        connections.remove(guest)
    };
    let (connection, neighbour) = (find(0), find(1));
    let ends = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ends);
    server.on_close(move |_, _| {
        count.fetch_add(1, Relaxed);
    });
    let end = connection.clone();
    let (told, closed) = std::sync::mpsc::channel();
    toy.spawn(async move { told.send(end.closed().await).unwrap() });
    connection.try_send(Bytes::from_owner(Explosive::new())).unwrap();
    // It is dropped in the task of the connection when it was written.
    toy.settle();
    assert!(client.take().0.ends_with(b"x"));
    assert_eq!(closed.try_recv().unwrap().cause, Cause::Aborted);
    assert_eq!((server.manager().len(), ends.load(Relaxed)), (1, 1));
    neighbour.try_send("still here").unwrap();
    toy.settle();
    assert!(other.take().0.ends_with(b"still here"));

    // The same when it was not written, and is dropped with all that was not.
    other.set_room(0);
    neighbour.try_send(vec![0; 100_000]).unwrap();
    toy.settle();
    neighbour.try_send(Bytes::from_owner(Explosive::new())).unwrap();
    let end = neighbour.clone();
    let (told, closed) = std::sync::mpsc::channel();
    toy.spawn(async move { told.send(end.closed().await).unwrap() });
    toy.settle();
    neighbour.abort();
    toy.settle();
    assert_eq!(closed.try_recv().unwrap().cause, Cause::Aborted);
    assert!(server.manager().is_empty() && ends.load(Relaxed) == 2);
}
