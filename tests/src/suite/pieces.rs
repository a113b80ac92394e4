//! Messages that are sent and received in pieces, on both sides.

use bytes::Bytes;
use ws_net::{
    Cause, ClientBuilder, Connection, Deflate, Limits, Message, MessageKind, Runtime,
    SendErrorKind, State, Version,
};

use super::support::{Mailbox, Running, polled, sleep};

const CHUNK: usize = 64 << 10;

/// How often a future is polled at most before it is dropped.
const POLLS: usize = 4;

/// Passes each message on while it arrives.
async fn echo_in_pieces(connection: Connection) {
    while let Some(Ok(mut message)) = connection.recv_stream().await {
        let Ok(mut answer) = connection.send_stream(message.kind()).await else { return };
        while let Some(chunk) = message.chunk().await {
            let Ok(chunk) = chunk else { return };
            if answer.write(chunk).await.is_err() {
                return;
            }
        }
        if answer.finish().is_err() {
            return;
        }
    }
}

async fn connect<R: Runtime>(
    runtime: &R,
    server: &Running<R>,
    change: impl FnOnce(ClientBuilder<R>) -> ClientBuilder<R>,
) -> Connection {
    let url = format!("ws://{}/", server.address);
    change(ClientBuilder::new(runtime.clone())).connect(&url).await.expect("the server listens")
}

/// Limits of messages that are much smaller than what is streamed.
fn small() -> Limits {
    Limits::new().max_message(1000)
}

/// Reads one message to its end.
async fn read(connection: &Connection) -> Message {
    let mut message = connection.recv_stream().await.expect("a message").expect("a message");
    let mut bytes = Vec::new();
    while let Some(chunk) = message.chunk().await {
        let chunk = chunk.expect("it is whole");
        if message.kind() == MessageKind::Text {
            assert!(std::str::from_utf8(&chunk).is_ok(), "a character was cut");
        }
        bytes.extend_from_slice(&chunk);
    }
    match message.kind() {
        MessageKind::Text => Message::text(String::from_utf8(bytes).expect("text")),
        MessageKind::Binary => Message::binary(bytes),
    }
}

/// Writes `payload` in chunks on a task of its own.
fn write_aside<R: Runtime>(runtime: &R, connection: &Connection, payload: &Message, chunk: usize) {
    let (connection, payload) = (connection.clone(), payload.clone());
    runtime.spawn(async move {
        let mut message = connection.send_stream(payload.kind()).await.expect("it is open");
        let mut rest = payload.into_bytes();
        while !rest.is_empty() {
            let chunk = rest.split_to(chunk.min(rest.len()));
            message.write(chunk).await.expect("it is open");
        }
        message.finish().expect("it is whole");
    });
}

/// Text with characters of all widths, and binary where there is some.
pub async fn long_messages_go_both_ways_in_pieces_in_every_version<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.limits(small())).await;
    server.start_serving(&runtime, echo_in_pieces);
    for version in Version::ALL {
        let client = |client: ClientBuilder<R>| client.version(version).limits(small());
        let connection = connect(&runtime, &server, client).await;
        for n in [0, 1, 20_000] {
            let mut messages = vec![Message::from("aü€😀".repeat(n))];
            if version.has_frames() {
                messages.push(Message::from(vec![7; 10 * n]));
            }
            for message in messages {
                write_aside(&runtime, &connection, &message, 4097);
                assert!(read(&connection).await == message, "{version} {n}");
            }
        }
    }
}

/// With and without context takeover, what repeats and what does not.
pub async fn compressed_messages_go_both_ways_in_pieces<R: Runtime>(runtime: R) {
    let takeover =
        Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false);
    for deflate in [Deflate::new(), takeover] {
        let own = deflate.clone();
        let server = Running::bind(&runtime, |builder| builder.limits(small()).deflate(own)).await;
        server.start_serving(&runtime, echo_in_pieces);
        let client = |client: ClientBuilder<R>| client.limits(small()).deflate(deflate);
        let connection = connect(&runtime, &server, client).await;
        assert!(connection.deflate().is_some());
        let noise = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect::<Vec<_>>();
        for message in [Message::from("again ".repeat(100_000)), noise.into(), "short".into()] {
            write_aside(&runtime, &connection, &message, CHUNK);
            assert!(read(&connection).await == message);
        }
    }
}

/// 32 MiB there and back.
pub async fn more_than_a_message_may_have_is_passed_on_while_it_arrives<R: Runtime>(runtime: R) {
    const COUNT: usize = 512;
    let server = Running::serve(&runtime, echo_in_pieces).await;
    let connection = connect(&runtime, &server, |client| client).await;
    let writer = connection.clone();
    runtime.spawn(async move {
        let mut message = writer.send_stream(MessageKind::Binary).await.expect("it is open");
        for n in 0..COUNT {
            message.write(vec![n as u8; CHUNK]).await.expect("it is open");
        }
        message.finish().expect("it is whole");
    });
    let mut message = connection.recv_stream().await.expect("a message").expect("a message");
    let mut received = 0;
    while let Some(chunk) = message.chunk().await {
        for byte in chunk.expect("it is whole") {
            debug_assert_eq!(byte, (received / CHUNK) as u8);
            received += 1;
        }
    }
    assert_eq!(received, COUNT * CHUNK);
}

/// The writer is stuck until the reader goes on.
pub async fn a_reader_holds_its_peer_back<R: Runtime>(runtime: R) {
    let (go, done) = (Mailbox::<()>::default(), Mailbox::default());
    let (wait, post) = (go.clone(), done.clone());
    let server = Running::serve(&runtime, move |connection| {
        let (wait, post) = (wait.clone(), post.clone());
        async move {
            let mut message = connection.recv_stream().await.unwrap().unwrap();
            wait.take().await;
            let mut received = 0;
            while let Some(chunk) = message.chunk().await {
                received += chunk.unwrap().len();
            }
            post.put(received);
        }
    })
    .await;
    let connection = connect(&runtime, &server, |client| client).await;
    let mut message = connection.send_stream(MessageKind::Binary).await.unwrap();
    let block = Bytes::from(vec![7; CHUNK]);
    let mut sent = 0;
    loop {
        let mut write = std::pin::pin!(message.write(block.clone()));
        let mut before = None;
        let stuck = loop {
            if let Some(written) = polled(1, write.as_mut()).await {
                written.unwrap();
                break false;
            }
            // Whether it is only slow shows in a moment.
            let buffered = Some(connection.buffered_amount());
            if buffered == before {
                break true;
            }
            before = buffered;
            sleep(&runtime, std::time::Duration::from_millis(200)).await;
        };
        sent += 1;
        assert!(sent < 10_000, "the server takes everything");
        if stuck {
            go.put(());
            write.await.unwrap();
            break;
        }
    }
    message.finish().unwrap();
    assert_eq!(done.take().await, sent * CHUNK);
}

/// Every future is dropped at every point on its way.
pub async fn readers_and_writers_that_are_dropped_lose_nothing<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        let mut times = (0..=POLLS).cycle();
        loop {
            let mut message = loop {
                match polled(times.next().unwrap_or(0), connection.recv_stream()).await {
                    Some(Some(Ok(message))) => break message,
                    Some(_) => return,
                    None => {}
                }
            };
            let mut answer = loop {
                let begun = connection.send_stream(message.kind());
                if let Some(begun) = polled(times.next().unwrap_or(0), begun).await {
                    break begun.unwrap();
                }
            };
            loop {
                let chunk = match polled(times.next().unwrap_or(0), message.chunk()).await {
                    Some(Some(chunk)) => chunk.unwrap(),
                    Some(None) => break,
                    None => continue,
                };
                while polled(times.next().unwrap_or(0), answer.write(chunk.clone())).await.is_none()
                {
                }
            }
            answer.finish().unwrap();
        }
    })
    .await;
    let connection = connect(&runtime, &server, |client| client).await;
    for n in 0..20_u8 {
        let message = Message::from(vec![n; 50_000 * usize::from(n)]);
        write_aside(&runtime, &connection, &message, 10_000);
        assert!(read(&connection).await == message, "{n}");
    }
}

/// And what was half sent is an error on the other side, not a message.
pub async fn a_writer_that_is_dropped_says_so<R: Runtime>(runtime: R) {
    let causes = Mailbox::default();
    let own = causes.clone();
    let server = Running::serve(&runtime, move |connection| {
        let causes = own.clone();
        async move {
            let mut message = connection.send_stream(MessageKind::Text).await.unwrap();
            message.write("half of").await.unwrap();
            connection.recv().await;
            drop(message);
            causes.put(connection.closed().await.cause.clone());
        }
    })
    .await;
    for version in Version::ALL {
        let connection = connect(&runtime, &server, |client| client.version(version)).await;
        let mut message = connection.recv_stream().await.unwrap().unwrap();
        assert_eq!(message.chunk().await.unwrap().unwrap(), "half of");
        connection.send("go on").await.unwrap();
        let closed = message.chunk().await.unwrap().unwrap_err();
        assert!(message.chunk().await.is_none());
        assert_eq!(closed.code(), if version.has_frames() { 1011 } else { 1006 }, "{version}");
        assert_eq!(causes.take().await, Cause::Abandoned, "{version}");
    }
}

/// However much was left of its own.
pub async fn a_reader_that_is_dropped_leaves_the_next_message<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        while let Some(Ok(mut message)) = connection.recv_stream().await {
            assert!(message.chunk().await.is_some());
            drop(message);
            let next = connection.recv().await.unwrap().unwrap();
            connection.send(next).await.unwrap();
        }
    })
    .await;
    let connection = connect(&runtime, &server, |client| client).await;
    for n in 0..5 {
        let mut long = connection.send_stream(MessageKind::Binary).await.unwrap();
        for _ in 0..=10 * n {
            long.write(vec![7; CHUNK]).await.unwrap();
        }
        long.finish().unwrap();
        let next = Message::from(format!("next {n}"));
        connection.send(next.clone()).await.unwrap();
        assert_eq!(connection.recv().await.unwrap().unwrap(), next);
    }
}

/// `send` and `send_stream` wait, `try_send` does not.
pub async fn others_wait_while_a_message_is_written<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            connection.send(message).await.unwrap();
        }
    })
    .await;
    let connection = connect(&runtime, &server, |client| client).await;
    let mut message = connection.send_stream(MessageKind::Text).await.unwrap();
    message.write("first ").await.unwrap();
    let handle = connection.clone();
    runtime.spawn(async move { handle.send("second").await.unwrap() });
    assert!(polled(1, connection.send_stream(MessageKind::Text)).await.is_none());
    assert_eq!(connection.try_send("third").unwrap_err().kind, SendErrorKind::Unfinished);
    sleep(&runtime, std::time::Duration::from_millis(20)).await;
    message.write("message").await.unwrap();
    message.finish().unwrap();
    for expected in ["first message", "second"] {
        assert_eq!(connection.recv().await.unwrap().unwrap(), Message::from(expected));
    }
    assert_eq!(connection.state(), State::Connected);
}
