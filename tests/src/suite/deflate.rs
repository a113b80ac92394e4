//! permessage-deflate, over real sockets and with both of our roles.

use std::io::{Read, Write};

use ws_net::{
    Builder, Client as Dialler, ClientBuilder, Close, Connection, Deflate, Message, Runtime,
    Version,
};

use super::support::{Mailbox, Running, aside, echo, until};
use crate::client::{Client, addressed, dial, read_answer};
use crate::requests::{RFC6455, frame, with};

/// What repeats itself enough to become a tenth of it.
fn text(n: usize) -> String {
    format!("{n}: ") + &"permessage-deflate ".repeat(50)
}

fn takeover() -> Deflate {
    Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false)
}

/// A server that compresses, and a client that offers to.
async fn agreed<R: Runtime>(
    runtime: &R,
    server: Deflate,
    client: Deflate,
) -> (Running<R>, Connection) {
    let running = Running::bind(runtime, |builder| builder.deflate(server)).await;
    running.start_serving(runtime, echo);
    let client: Dialler<R> = ClientBuilder::new(runtime.clone()).deflate(client).build().unwrap();
    let connection = client.connect(&format!("ws://{}/", running.address)).await.unwrap();
    (running, connection)
}

/// With and without context takeover, small and large, text and binary.
pub async fn both_sides_agree_and_messages_come_back<R: Runtime>(runtime: R) {
    for (server, client) in [
        (Deflate::new(), Deflate::new()),
        (takeover(), takeover()),
        (takeover().server_max_window_bits(9), Deflate::new().client_max_window_bits(10)),
    ] {
        let (running, connection) = agreed(&runtime, server, client).await;
        let here = connection.deflate().expect("it was agreed to");
        until(&runtime, || running.manager().len() == 1).await;
        let there = running.manager().map(Connection::deflate).pop().expect("it is open");
        assert_eq!(Some(here), there);
        for n in 0..20 {
            connection.send(text(n)).await.unwrap();
            let echo = connection.recv().await.unwrap().unwrap();
            assert_eq!(echo.as_text(), Some(&*text(n)));
        }
        let noise: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        for bytes in [Vec::new(), vec![7; 1 << 20], noise] {
            connection.send(bytes.clone()).await.unwrap();
            assert!(connection.recv().await.unwrap().unwrap().as_bytes() == bytes);
        }
        connection.send_uncompressed(text(1)).await.unwrap();
        assert_eq!(connection.recv().await.unwrap().unwrap().as_text(), Some(&*text(1)));
        connection.close(Close::normal());
        assert!(connection.closed().await.clean);
    }
}

/// It is in the answer, and the frames are shorter and say so.
pub async fn compression_shows_on_the_wire<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.deflate(Deflate::new())).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        let mut socket = dial(address);
        let asked = addressed(RFC6455, address);
        let asked = with(&asked, "Sec-WebSocket-Extensions: permessage-deflate");
        socket.write_all(asked.as_bytes()).unwrap();
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.contains("\r\nSec-WebSocket-Extensions: permessage-deflate;"), "{head}");
        socket.write_all(&frame(0x81, text(1).as_bytes())).unwrap();
        let mut first = [0; 2];
        socket.read_exact(&mut first).unwrap();
        assert_eq!(first[0], 0xC1, "one frame, text, RSV1");
        assert!(usize::from(first[1]) < text(1).len() / 10, "{} bytes", first[1]);
    })
    .await;
}

/// Compressed for those who agreed to it, plain for the others, the same text for all.
pub async fn a_broadcast_reaches_those_who_compress_and_those_who_do_not<R: Runtime>(runtime: R) {
    let (server, connection) = agreed(&runtime, takeover(), takeover()).await;
    let address = server.address;
    let mut others =
        aside(move || Version::ALL.map(|version| Client::open(address, version))).await;
    until(&runtime, || server.manager().len() == 6).await;
    for n in 0..5 {
        assert_eq!(server.broadcast(text(n)).queued, 6);
        // In between the connection's own compressor has to begin anew.
        connection.send(text(n)).await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..2 {
            heard.push(connection.recv().await.unwrap().unwrap());
        }
        assert_eq!(heard, [Message::from(text(n)), Message::from(text(n))]);
    }
    aside(move || {
        for client in &mut others {
            for n in 0..5 {
                assert_eq!(client.recv_text(), text(n));
            }
        }
    })
    .await;
}

/// A client that does not offer it, a server that does not know it.
pub async fn nothing_is_compressed_unless_both_want_it<R: Runtime>(runtime: R) {
    let known = Mailbox::default();
    let plain = |builder: Builder<R>| builder;
    let asking = |builder: Builder<R>| builder.deflate(Deflate::new());
    for (server, client) in [
        (Running::bind(&runtime, plain).await, Some(Deflate::new())),
        (Running::bind(&runtime, asking).await, None),
    ] {
        let post = known.clone();
        server.start_serving(&runtime, move |connection| {
            post.put(connection.deflate());
            echo(connection)
        });
        let client = ClientBuilder::new(runtime.clone()).deflate(client);
        let connection = client.connect(&format!("ws://{}/", server.address)).await.unwrap();
        assert_eq!((connection.deflate(), known.take().await), (None, None));
        connection.send(text(1)).await.unwrap();
        assert_eq!(connection.recv().await.unwrap().unwrap().as_text(), Some(&*text(1)));
    }
}
