//! Wakers are code of users: none is cloned, woken or dropped while a lock is held.

use std::pin::pin;
use std::task::{Context, Wake, Waker};

use super::*;
use crate::MessageKind;

/// Notes whether its connection is locked when it is woken or dropped.
struct Wary {
    connection: Connection,
    locked: Arc<AtomicUsize>,
}

impl Wary {
    fn look(&self) {
        let locked = usize::from(!self.connection.shared().is_free());
        self.locked.fetch_add(locked, Relaxed);
    }
}

impl Wake for Wary {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl Drop for Wary {
    fn drop(&mut self) {
        self.look();
    }
}

#[test]
fn wakers_that_are_replaced_or_forgotten_are_dropped_without_the_lock() {
    let (toy, server) = serving(|_| pending());
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    let locked = Arc::new(AtomicUsize::new(0));
    let poll = |future: std::pin::Pin<&mut dyn Future<Output = ()>>| {
        let (connection, locked) = (connection.clone(), Arc::clone(&locked));
        // Nobody else has it from then on.
        let waker = Waker::from(Arc::new(Wary { connection, locked }));
        future.poll(&mut Context::from_waker(&waker)).is_ready()
    };
    let mut closed = pin!(async { drop(connection.closed().await) });
    let (_, mut half) = connection.clone().split();
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(poll(closed.as_mut()));
        let mut dropped = Box::pin(async { drop(connection.recv().await) });
        ends.extend([poll(dropped.as_mut()), poll(dropped.as_mut())]);
        ends.push(poll(pin!(poll_fn(|cx| half.poll_recv(cx).map(drop)))));
    }
    assert_eq!(ends, [false; 12]);
    assert_eq!(connection.shared().lock().waiters.len(), 2);
    // One that is there at the second look only is taken, and leaves nothing behind.
    client.set_room(0);
    connection.try_send(vec![0; 300_000]).unwrap();
    let mut sent = Box::pin(async {
        connection.send("text").await.unwrap();
        drop(connection.send_stream(MessageKind::Text).await);
    });
    assert!(!poll(sent.as_mut()));
    toy.settle();
    client.set_room(usize::MAX);
    toy.settle();
    assert!(poll(sent.as_mut()));
    drop(half);
    connection.abort();
    toy.settle();
    assert!(poll(closed.as_mut()));
    assert_eq!(locked.load(Relaxed), 0);
}
