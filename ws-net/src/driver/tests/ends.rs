//! How connections end whose handler takes no messages, and those whose stream breaks.

use std::sync::OnceLock;

use ws_proto::{Closed, Expired};

use super::*;
use crate::{Storage, StorageChoice, StorageCommand, StorageError, StorageFuture};

/// How each connection ended.
fn ends(server: &Server<Toy>) -> Arc<Mutex<Vec<Closed>>> {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&ends);
    server.on_close(move |_, end| lock(&out).push(Closed::clone(end)));
    ends
}

async fn wait_for_the_end(connection: Connection) {
    connection.closed().await;
}

#[test]
fn who_takes_nothing_notices_a_broken_stream_when_it_writes() {
    for paused in [false, true] {
        let (toy, server) = serving(wait_for_the_end);
        let ends = ends(&server);
        let client = join(&toy);
        let connection = server.manager().snapshot().pop().unwrap();
        if paused {
            connection.pause();
        }
        client.send(&frame(0x81, b"nobody takes this"));
        toy.settle();
        client.fail();
        // The ping cannot be written.
        toy.advance(Duration::from_secs(20));
        assert_eq!(connection.state(), State::Connected, "what came before may still be taken");
        toy.advance(Duration::from_secs(30));
        let cause = lock(&ends).pop().expect("the connection is over").cause;
        assert_eq!(cause, Cause::Timeout(Expired::Stall), "paused: {paused}");
        assert_eq!((server.manager().len(), toy.tasks()), (0, 1));
    }
}

#[test]
fn what_came_before_a_failed_write_is_still_handed_out() {
    let (toy, server) = serving(wait_for_the_end);
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    client.send(&frame(0x81, b"last words").repeat(3));
    toy.settle();
    client.fail();
    connection.try_send("cannot be written").unwrap();
    toy.advance(Duration::from_secs(29));
    let took = toy.block_on(async move {
        let mut took = 0;
        while let Some(Ok(message)) = connection.recv().await {
            assert_eq!(message.as_text(), Some("last words"));
            // Nor can this, which must not lose the others.
            connection.try_send("an answer").ok();
            took += 1;
        }
        took
    });
    assert_eq!((took, server.manager().len()), (3, 0));
}

#[test]
fn a_message_that_nobody_takes_does_not_hold_up_the_closing() {
    let (toy, server) = serving(|connection| async move {
        pending::<()>().await;
        drop(connection);
    });
    let ends = ends(&server);
    let client = join(&toy);
    client.send(&frame(0x81, b"nobody takes this"));
    toy.settle();
    let connection = server.manager().snapshot().pop().unwrap();
    connection.close(Close::normal());
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    let end = lock(&ends).pop().expect("the closing handshake is over");
    assert!(end.clean, "{end}");
    assert_eq!((end.code(), server.manager().len()), (1000, 0));
    let left = toy.block_on(async move { connection.recv().await });
    assert_eq!(left.unwrap().unwrap().as_text(), Some("nobody takes this"));
}

const DRAFT75: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Host: example.org\r\nOrigin: http://example.org\r\n\r\n";

#[test]
fn a_stream_that_breaks_is_no_proper_end_of_draft75() {
    for (breaks, closing) in [(false, false), (true, false), (true, true)] {
        let (toy, server) = serving(wait_for_the_end);
        let ends = ends(&server);
        let client = toy.dial();
        client.send(DRAFT75);
        toy.settle();
        assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
        if closing {
            server.manager().snapshot()[0].close(Close::normal());
            toy.settle();
        }
        if breaks {
            client.fail();
        }
        drop(client);
        toy.settle();
        let end = lock(&ends).pop().expect("the connection is over");
        let cause = match (breaks, closing) {
            (false, _) => Cause::Peer,
            (true, false) => Cause::Eof,
            (true, true) => Cause::Local,
        };
        assert_eq!((end.clean, &end.cause), (!breaks, &cause), "{end}");
    }
}

struct Explosive;

impl Storage for Explosive {
    fn execute<'a>(&'a self, _: StorageCommand<'a>) -> StorageFuture<'a> {
        StorageFuture::ready(Err(StorageError::Unsupported("EXPLODE")))
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("not to be dropped");
    }
}

#[test]
fn a_store_that_panics_when_it_is_dropped_harms_nobody() {
    let choice = StorageChoice::factory(|_, _| Arc::new(Explosive));
    let (toy, server) = running(|builder| builder.storage(choice));
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    assert!(connection.storage().is_some());
    client.fail();
    toy.settle();
    assert_eq!((connection.state(), toy.tasks()), (State::Closed, 1));
    assert!(connection.storage().is_none());
}

/// Looks at the requests that wait when it is dropped.
struct Looks(Server<Toy>);

impl Drop for Looks {
    fn drop(&mut self) {
        look(&self.0);
    }
}

/// Whether a request waits.
fn look(server: &Server<Toy>) -> bool {
    let mut accepting = Box::pin(server.accept());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    accepting.as_mut().poll(&mut cx).is_ready()
}

#[test]
fn requests_that_ended_are_let_go_when_nobody_looks_at_the_queue() {
    let (toy, server) = server(|builder| builder);
    let own = server.clone();
    server.on_state_change(move |connection, change| {
        if change.to == State::Opening {
            connection.set_data(Looks(own.clone()));
        }
    });
    assert!(!look(&server));
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    client.fail();
    toy.settle();
    assert_eq!(toy.tasks(), 1, "the request has ended");
    assert!(!look(&server));
}

#[test]
fn requests_that_nobody_takes_give_their_seats_back() {
    let (toy, server) = server(|builder| builder.max_handshakes(4));
    assert!(!look(&server), "accepting has begun");
    for _ in 0..3 {
        let clients = [(); 4].map(|()| toy.dial());
        for client in &clients {
            client.send(REQUEST);
        }
        toy.advance(server.config().timeouts().handshake);
        for client in &clients {
            assert!(client.take().0.starts_with(b"HTTP/1.1 503 ") && client.ended());
        }
    }
    toy.settle();
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    let connection = toy.block_on(async move {
        let newest = server.accept().await.unwrap();
        newest.accept(Accept::new()).await.expect("it is the only one that waits")
    });
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
    drop(connection);
}

#[test]
fn the_last_message_waits_for_the_last_handle() {
    let (toy, server) = server(|builder| builder);
    let took = Arc::new(Mutex::new(None));
    let out = Arc::clone(&took);
    toy.spawn(async move {
        let incoming = server.accept().await.unwrap();
        *lock(&out) = Some(incoming.accept(Accept::new()).await.unwrap());
    });
    let client = join(&toy);
    let connection = lock(&took).take().unwrap();
    client.send(&frame(0x81, b"last words"));
    toy.settle();
    connection.close(Close::normal());
    toy.settle();
    client.fail();
    toy.settle();
    drop(connection.clone());
    let left = toy.block_on(async move { connection.recv().await });
    assert_eq!(left.unwrap().unwrap().as_text(), Some("last words"));
}

#[test]
fn a_store_that_is_made_while_the_connection_ends_is_let_go() {
    let toy = Toy::default();
    let clients = Arc::new(Mutex::new(Vec::<Pipe>::new()));
    let (own, ending) = (toy.clone(), Arc::clone(&clients));
    let store = Arc::new(crate::MemoryStorage::new());
    let shared = Arc::clone(&store);
    let choice = StorageChoice::factory(move |_, _| {
        drop(lock(&ending).drain(..));
        own.settle();
        Arc::clone(&shared) as Arc<dyn Storage>
    });
    let server = run(&toy, Builder::new(toy.clone()).storage(choice));
    lock(&clients).push(join(&toy));
    let connection = server.manager().snapshot().pop().unwrap();
    let held = Arc::strong_count(&store);
    assert!(connection.storage().is_none());
    toy.settle();
    assert_eq!((connection.state(), Arc::strong_count(&store)), (State::Closed, held));
}

/// A server whose sockets need not be ended before they are dropped, how its connections ended,
/// and a client.
fn sudden() -> (Toy, Server<Toy>, Arc<Mutex<Vec<Closed>>>, Pipe) {
    let (toy, server) = server(|builder| builder);
    toy.end_when_dropped();
    let own = server.clone();
    toy.spawn(async move { own.serve(echo).await.unwrap() });
    let ends = ends(&server);
    let client = join(&toy);
    (toy, server, ends, client)
}

/// The close frame has come, and the connection is over when the client is gone.
fn is_read_to_the_end(toy: &Toy, ends: &Mutex<Vec<Closed>>, client: Pipe) {
    assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
    assert!(client.ended() && lock(ends).is_empty(), "the stream is ended and still read");
    drop(client);
    toy.settle();
    assert!(lock(ends).pop().unwrap().clean);
    assert_eq!(toy.tasks(), 1);
}

#[test]
fn a_socket_is_let_go_with_the_last_close_frame() {
    for starts in [false, true] {
        let (toy, server, ends, client) = sudden();
        if starts {
            server.manager().snapshot().pop().unwrap().close(Close::normal());
            toy.settle();
        }
        client.send(&frame(0x88, b"\x03\xE8"));
        toy.settle();
        assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
        assert!(client.ended() && lock(&ends).pop().unwrap().clean);
        assert_eq!((server.manager().len(), toy.tasks()), (0, 1), "nothing is waited for");
    }
}

#[test]
fn the_handler_is_polled_when_the_goodbye_was_said() {
    for room in [usize::MAX, 0] {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let (toy, server) = server(|builder| builder);
        toy.end_when_dropped();
        let handler = move |connection| {
            let (polls, mut echo) = (Arc::clone(&counted), Box::pin(echo(connection)));
            poll_fn(move |cx| {
                polls.fetch_add(1, Relaxed);
                echo.as_mut().poll(cx)
            })
        };
        toy.spawn(async move { server.serve(handler).await.unwrap() });
        let client = join(&toy);
        assert_eq!(polls.swap(0, Relaxed), 1);
        client.set_room(room);
        client.send(&frame(0x88, b"\x03\xE8"));
        toy.settle();
        assert_eq!(polls.swap(0, Relaxed), 1, "with the end, or before the peer is waited for");
        client.set_room(usize::MAX);
        toy.settle();
        assert_eq!(polls.load(Relaxed), usize::from(room == 0));
        assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
        assert!(client.ended());
    }
}

#[test]
fn who_goes_on_behind_the_end_is_polled_once_with_it() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let (toy, _server) = serving(move |connection| {
        let polls = Arc::clone(&counted);
        poll_fn(move |_| {
            polls.fetch_add(1, Relaxed);
            let _ = connection.state();
            Poll::Pending
        })
    });
    toy.end_when_dropped();
    let client = join(&toy);
    assert_eq!(polls.swap(0, Relaxed), 1);
    client.send(&frame(0x88, b"\x03\xE8"));
    toy.settle();
    assert_eq!((polls.load(Relaxed), client.ended()), (1, true));
}

#[test]
fn the_stream_is_ended_before_the_handler_runs_again() {
    let place: Arc<OnceLock<Pipe>> = Arc::default();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (client, seen) = (Arc::clone(&place), Arc::clone(&ended));
    let (toy, _server) = serving(move |connection| {
        let (client, seen) = (Arc::clone(&client), Arc::clone(&seen));
        let mut echo = Box::pin(echo(connection));
        poll_fn(move |cx| {
            lock(&seen).extend(client.get().map(Pipe::ended));
            echo.as_mut().poll(cx)
        })
    });
    let client = place.get_or_init(|| join(&toy));
    client.send(&frame(0x88, b"\x03\xE8"));
    toy.settle();
    assert_eq!(*lock(&ended), [true]);
}

#[cfg(unix)]
#[test]
fn the_last_bytes_are_written_as_the_last() {
    use crate::descriptor::LAST_WRITES;

    for suddenly in [true, false] {
        for bytes in [frame(0x88, b"\x03\xE8"), frame(0x83, b"")] {
            let (toy, server) = server(|builder| builder);
            toy.use_sockets();
            if suddenly {
                toy.end_when_dropped();
            }
            toy.spawn(async move { server.serve(echo).await.unwrap() });
            let client = join(&toy);
            client.send(&frame(0x81, b"x").repeat(2));
            toy.settle();
            assert_eq!(LAST_WRITES.take(), 0);
            client.send(&bytes);
            toy.settle();
            assert_eq!(LAST_WRITES.take(), 1);
        }
    }
}

#[test]
fn a_socket_is_kept_while_its_peer_goes_on_sending() {
    let (toy, _server, ends, client) = sudden();
    client.send(&[frame(0x88, b"\x03\xE8"), frame(0x81, b"and another thing")].concat());
    toy.settle();
    is_read_to_the_end(&toy, &ends, client);
}

#[test]
fn a_socket_is_kept_when_more_comes_while_the_close_frame_leaves() {
    let (toy, _server, ends, client) = sudden();
    client.set_room(0);
    client.send(&frame(0x88, b"\x03\xE8"));
    toy.settle();
    client.send(&frame(0x8A, b"a pong that crossed it"));
    client.set_room(usize::MAX);
    toy.settle();
    is_read_to_the_end(&toy, &ends, client);
}

#[test]
fn a_peer_that_hears_nothing_and_leaves_is_gone() {
    for (sends, noticed) in [(false, false), (true, true), (true, false)] {
        let (toy, server) = serving(echo);
        let client = join(&toy);
        client.hear_no_more();
        if sends {
            client.send(&frame(0x81, b"hello"));
        }
        if noticed {
            toy.settle();
        }
        drop(client);
        toy.settle();
        assert!(server.manager().is_empty(), "sends: {sends}, noticed before: {noticed}");
    }
}

#[test]
fn what_nobody_received_is_let_go_with_the_handler() {
    let (toy, server) = serving(|connection| async move {
        connection.closed().await;
    });
    let client = join(&toy);
    let connection = only(&server);
    client.send(&frame(0x81, b"for nobody"));
    toy.settle();
    assert!(connection.shared().lock().slot.is_some());
    connection.abort();
    toy.settle();
    assert!(connection.shared().lock().slot.is_none());
    assert!(toy.block_on(async move { connection.recv().await }).is_none_or(|last| last.is_err()));
}

#[cfg(unix)]
#[test]
fn a_connection_that_is_broken_off_forgets_its_socket() {
    let (toy, server) = serving(|_| pending());
    toy.use_sockets();
    let _client = join(&toy);
    let connection = only(&server);
    let mut inner = connection.shared().lock();
    assert!(inner.direct.is_some());
    inner.last_news();
    assert!(inner.direct.is_none());
}

#[cfg(unix)]
#[test]
fn others_know_no_socket_that_is_gone() {
    let (toy, server) = serving(|_| pending());
    toy.use_sockets();
    let client = join(&toy);
    let connection = only(&server);
    assert!(connection.shared().lock().direct.is_some());
    let known = connection.clone();
    client.at_end(move || assert!(known.shared().lock().direct.is_none()));
    let tasks = toy.tasks();
    connection.abort();
    toy.settle();
    assert!(connection.shared().lock().direct.is_none());
    assert_eq!(toy.tasks(), tasks, "the handler is still there");
}
