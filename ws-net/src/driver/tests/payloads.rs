//! Payloads with an owner, whose drop is code of users: no lock may be held then.

use bytes::Bytes;

use super::*;
use crate::MessageKind;

/// Copied behind its header, and shared.
const SIZES: [usize; 2] = [100, 10_000];

/// Counts the drops of payloads: without the lock of their connection, and under it.
#[derive(Default)]
struct Drops {
    free: AtomicUsize,
    locked: AtomicUsize,
}

impl Drops {
    fn get(&self) -> (usize, usize) {
        (self.free.load(Relaxed), self.locked.load(Relaxed))
    }
}

struct Owner {
    bytes: Vec<u8>,
    connection: Connection,
    drops: Arc<Drops>,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Drops { free, locked } = &*self.drops;
        if self.connection.shared().is_free() { free } else { locked }.fetch_add(1, Relaxed);
    }
}

/// A client, the server's handle, and what makes payloads of it.
fn opened() -> (Toy, Pipe, Connection, Arc<Drops>, impl Fn(usize) -> Bytes + Send + 'static) {
    let (toy, server) = serving(|connection| async move { drop(connection.closed().await) });
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    let drops = Arc::new(Drops::default());
    let (handle, count) = (connection.clone(), Arc::clone(&drops));
    let payload = move |len| {
        let (connection, drops) = (handle.clone(), Arc::clone(&count));
        Bytes::from_owner(Owner { bytes: vec![7; len], connection, drops })
    };
    (toy, client, connection, drops, payload)
}

#[test]
fn what_was_sent_is_dropped_without_the_lock() {
    for len in SIZES {
        let (toy, client, connection, drops, payload) = opened();
        connection.try_send(payload(len)).unwrap();
        connection.ping(payload(100)).unwrap();
        toy.block_on(async move {
            connection.send(payload(len)).await.unwrap();
            let mut writer = connection.send_stream(MessageKind::Binary).await.unwrap();
            writer.write(payload(len)).await.unwrap();
            writer.finish().unwrap();
            #[cfg(feature = "deflate")]
            connection.send_uncompressed(payload(len)).await.unwrap();
            #[cfg(not(feature = "deflate"))]
            connection.send(payload(len)).await.unwrap();
        });
        toy.settle();
        assert!(client.take().0.len() > 4 * len);
        assert_eq!(drops.get(), (5, 0), "{len} bytes");
    }
}

#[test]
fn what_waited_for_room_is_dropped_without_the_lock() {
    for len in SIZES {
        let (toy, client, connection, drops, payload) = opened();
        client.set_room(0);
        connection.try_send(vec![0; 300_000]).unwrap();
        let waiting = connection.clone();
        toy.spawn(async move {
            waiting.send(payload(len)).await.unwrap();
            let mut writer = waiting.send_stream(MessageKind::Binary).await.unwrap();
            writer.write(payload(300_000)).await.unwrap();
            writer.write(payload(len)).await.unwrap();
            writer.finish().unwrap();
        });
        toy.settle();
        assert_eq!(drops.get(), (0, 0));
        client.set_room(usize::MAX);
        toy.settle();
        assert_eq!(drops.get(), (3, 0), "{len} bytes");
    }
}

#[cfg(feature = "stream")]
#[test]
fn what_a_sink_sent_is_dropped_without_the_lock() {
    use futures_sink::Sink;
    for len in SIZES {
        let (toy, client, connection, drops, payload) = opened();
        client.set_room(0);
        connection.try_send(vec![0; 300_000]).unwrap();
        toy.spawn(async move {
            let mut sink = Box::pin(connection.split().0);
            sink.as_mut().start_send(payload(len).into()).unwrap();
            poll_fn(|cx| sink.as_mut().poll_flush(cx)).await.unwrap();
        });
        toy.settle();
        client.set_room(usize::MAX);
        toy.settle();
        assert_eq!(drops.get(), (1, 0), "{len} bytes");
    }
}

#[test]
fn what_is_never_sent_is_dropped_without_the_lock() {
    for len in SIZES {
        let ends: [fn(&Toy, Pipe, &Connection) -> Pipe; 4] = [
            |_, client, connection| {
                connection.abort();
                client
            },
            // The deadline of the closing handshake.
            |toy, client, connection| {
                connection.close(Close::normal());
                toy.advance(Duration::from_secs(60));
                client
            },
            |_, client, _| {
                client.fail();
                client
            },
            |toy, client, _| {
                toy.drop_tasks();
                client
            },
        ];
        for (i, end) in ends.into_iter().enumerate() {
            let (toy, client, connection, drops, payload) = opened();
            client.set_room(0);
            connection.try_send(payload(len)).unwrap();
            toy.settle();
            // One is with the socket, one behind it.
            connection.try_send(payload(len)).unwrap();
            let client = end(&toy, client, &connection);
            toy.settle();
            assert_eq!((drops.get(), connection.state()), ((2, 0), State::Closed), "{len} {i}");
            drop(client);
        }
    }
}

#[test]
fn what_a_broken_socket_does_not_take_is_dropped_without_the_lock() {
    for len in SIZES {
        let (toy, client, connection, drops, payload) = opened();
        // Messages that nobody takes: it writes and does not read.
        client.send(&frame(0x81, b"a").repeat(2));
        toy.settle();
        client.fail();
        for sent in 1..4 {
            connection.try_send(payload(len)).unwrap();
            toy.settle();
            assert_eq!((drops.get(), connection.buffered_amount()), ((sent, 0), 0), "{len} bytes");
        }
        assert_eq!(connection.state(), State::Connected);
    }
}

#[test]
fn what_a_handler_sends_before_it_aborts_is_dropped_without_the_lock() {
    for len in SIZES {
        let drops = Arc::new(Drops::default());
        let count = Arc::clone(&drops);
        let (toy, server) = serving(move |connection| {
            let drops = Arc::clone(&count);
            async move {
                while let Some(Ok(message)) = connection.recv().await {
                    let (bytes, own) = (vec![7; len], connection.clone());
                    let owner = Owner { bytes, connection: own, drops: Arc::clone(&drops) };
                    connection.send(Bytes::from_owner(owner)).await.unwrap();
                    if message.as_text() == Some("end") {
                        connection.abort();
                    }
                }
            }
        });
        let client = join(&toy);
        for text in [&b"a"[..], b"b", b"end"] {
            client.send(&frame(0x81, text).repeat(2));
            toy.settle();
        }
        let (free, locked) = drops.get();
        assert_eq!((locked, server.manager().len()), (0, 0));
        assert!(free >= 5, "{free}");
    }
}
