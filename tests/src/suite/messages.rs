//! One connection: handshakes, messages, facts, and how it ends.

use std::io::Write;

use ws_net::{
    Builder, Cause, Close, ConnectionId, Message, Runtime, State, SubprotocolPolicy, Version,
};

use super::support::{Mailbox, Running, aside, echo, until};
use crate::client::{Client, addressed, dial, exchange, read_to_end, request};
use crate::requests::{RFC6455, frame};

/// Texts of every kind of length, and binary where the version has it.
pub async fn every_version_is_echoed<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut client = Client::open(address, version);
            for len in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
                let text = "é".repeat(len / 2) + &"e".repeat(len % 2);
                assert_eq!(client.ask_text(&text), text, "{version}, {len} bytes");
                if version.has_frames() {
                    let bytes = Message::binary(vec![0xFF; len]);
                    client.send(bytes.clone());
                    assert_eq!(client.recv(), Some(bytes), "{version}, {len} bytes");
                }
            }
            // draft75 knows no farewell.
            let clean = client.close(Close::normal()).clean;
            assert!(clean || version == Version::Draft75, "{version}");
        }
    })
    .await;
}

/// Each alone and about as long as the one before it, for which there may be memory, then others,
/// on two connections in turn.
pub async fn messages_like_those_before_them_are_echoed<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut clients = [(); 2].map(|()| Client::open(address, version));
            for len in [8_190, 16_384, 58_250, 65_536, 70_000] {
                for n in 0..6_usize {
                    for (which, client) in clients.iter_mut().enumerate() {
                        let text = format!("{which}{n}é").repeat(len / 4 - n);
                        assert!(client.ask_text(&text) == text, "{version}, {len} bytes, {n}");
                    }
                }
                for client in &mut clients {
                    client.send_all(["two", "at once"]);
                    assert_eq!([client.recv_text(), client.recv_text()], ["two", "at once"]);
                    if version.has_frames() {
                        client.send(vec![0xFF; len]);
                        assert_eq!(client.recv(), Some(vec![0xFF; len].into()), "{version}, {len}");
                    }
                }
            }
        }
    })
    .await;
}

/// The default limit of a message is 1 MiB, in both directions.
pub async fn the_longest_message_is_echoed<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        let bytes: Vec<_> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
        for _ in 0..3 {
            client.send(bytes.clone());
            assert!(client.recv().is_some_and(|message| message.as_bytes() == bytes));
        }
    })
    .await;
}

/// A thousand messages in few writes, with nobody waiting for an answer.
pub async fn pipelined_messages_are_answered_in_order<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut client = Client::open(address, version);
            client.send_all((0..1000).map(|n| format!("message {n}")));
            for n in 0..1000 {
                assert_eq!(client.recv_text(), format!("message {n}"), "{version}");
            }
        }
    })
    .await;
}

/// Each one in a packet of its own.
pub async fn bytes_may_come_one_by_one<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let answer = aside(move || {
        let mut socket = dial(address);
        for byte in addressed(RFC6455, address).into_bytes() {
            socket.write_all(&[byte]).unwrap();
        }
        for byte in [frame(0x81, b"drop by drop"), frame(0x88, &[0x03, 0xE8])].concat() {
            socket.write_all(&[byte]).unwrap();
        }
        read_to_end(&mut socket)
    });
    let answer = answer.await;
    let frames = "\u{fffd}\u{c}drop by drop\u{fffd}\u{2}\u{3}\u{fffd}";
    assert!(answer.ends_with(&format!("\r\n\r\n{frames}")), "{answer:?}");
}

/// The handler sees what was agreed and what was asked, as it was written.
pub async fn a_handler_sees_what_was_asked<R: Runtime>(runtime: R) {
    let policy = || SubprotocolPolicy::list(["chat", "superchat"]);
    let server = Running::bind(&runtime, |builder| builder.subprotocols(policy())).await;
    let facts = Mailbox::default();
    let post = facts.clone();
    server.start_serving(&runtime, move |connection| {
        let request = connection.request().expect("it was read");
        let named = request.headers().get("x-seat").map(<[u8]>::to_vec);
        post.put((request.target().to_owned(), named, connection.protocol(), connection.version()));
        assert_eq!(connection.state(), State::Connected);
        async {}
    });
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let request = request(address).version(version).header("X-Seat", "7 A").unwrap();
            let request = request.subprotocol("superchat").unwrap();
            let client = Client::ask(address, request).expect("it is accepted");
            assert_eq!(client.core().subprotocol(), Some("superchat"), "{version}");
        }
    })
    .await;
    for version in Version::ALL {
        let expected =
            ("/".to_owned(), Some(b"7 A".to_vec()), Some("superchat".to_owned()), Some(version));
        assert_eq!(facts.take().await, expected);
    }
}

/// In the order and case in which they came, repeated ones, too; found in any case.
pub async fn headers_keep_their_order_and_case<R: Runtime>(runtime: R) {
    let told = Mailbox::default();
    let post = told.clone();
    let server = Running::serve(&runtime, move |connection| {
        let headers = connection.headers().expect("they were read");
        let names = headers.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let seats: Vec<_> = headers.get_all("x-SEAT").map(<[u8]>::to_vec).collect();
        post.put((names, seats, headers.text("HOST").map(str::to_owned)));
        async {}
    })
    .await;
    let address = server.address;
    aside(move || {
        let mut socket = dial(address);
        let asked = format!(
            "GET / HTTP/1.1\r\nx-Seat: 7\r\nhOsT: {address}\r\nSEC-websocket-KEY: \
             dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             X-SEAT: 8\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        socket.write_all(asked.as_bytes()).unwrap();
        assert!(read_to_end(&mut socket).starts_with("HTTP/1.1 101 "));
    })
    .await;
    let (names, seats, host) = told.take().await;
    let expected = "x-Seat hOsT SEC-websocket-KEY Upgrade Connection X-SEAT Sec-WebSocket-Version";
    assert_eq!(names.join(" "), expected);
    assert_eq!((seats, host), (vec![b"7".to_vec(), b"8".to_vec()], Some(address.to_string())));
}

/// Remote port and counter, and a text that leads back to it.
pub async fn an_id_shows_the_port_and_is_unique<R: Runtime>(runtime: R) {
    let ids = Mailbox::default();
    let post = ids.clone();
    let server = Running::serve(&runtime, move |connection| {
        post.put((connection.id(), connection.peer_addr()));
        echo(connection)
    })
    .await;
    let address = server.address;
    let clients = aside(move || [(); 8].map(|()| Client::open(address, Version::Rfc6455))).await;
    let mut seen: Vec<ConnectionId> = Vec::new();
    for _ in &clients {
        let (id, peer) = ids.take().await;
        assert!(clients.iter().any(|client| client.port() == id.port()), "{id}");
        assert_eq!(peer.port(), Some(id.port()));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(server.manager().find(id).expect("it is open").id(), id);
        assert!(!seen.contains(&id));
        seen.push(id);
    }
}

/// `recv` ends without an error, and `closed` tells code and reason.
pub async fn a_clean_close_ends_recv_quietly<R: Runtime>(runtime: R) {
    let ends = Mailbox::default();
    let post = ends.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            let ended = connection.recv().await;
            post.put((ended.is_none(), connection.closed().await));
        }
    })
    .await;
    let address = server.address;
    let closed = aside(move || {
        let close = Close::new(4001, "enough").unwrap();
        Client::open(address, Version::Rfc6455).close(close)
    });
    assert!(closed.await.clean);
    let (quiet, end) = ends.take().await;
    assert!(quiet && end.clean);
    assert_eq!((end.code(), &end.cause), (4001, &Cause::Peer));
    assert_eq!(end.received.as_ref().map(Close::reason), Some("enough"));
}

/// A client that crashes: what it sent comes first, then the error, once. Nothing is left of it.
pub async fn a_lost_client_is_an_error_behind_its_messages<R: Runtime>(runtime: R) {
    let seen = Mailbox::default();
    let post = seen.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            loop {
                match connection.recv().await {
                    Some(Ok(message)) => post.put(message.as_text().map(str::to_owned)),
                    Some(Err(closed)) => {
                        assert_eq!((closed.code(), closed.clean), (1006, false));
                        post.put(Some(format!("{:?}", closed.cause)));
                    }
                    None => {
                        assert_eq!(connection.state(), State::Closed);
                        assert!(connection.send("too late").await.is_err());
                        return post.put(None);
                    }
                }
            }
        }
    })
    .await;
    let address = server.address;
    for version in Version::ALL {
        aside(move || Client::open(address, version).send_all(["one", "two"])).await;
        for expected in [Some("one"), Some("two"), Some("Eof"), None] {
            // draft75 has no other end than that of the stream.
            if version != Version::Draft75 || expected != Some("Eof") {
                assert_eq!(seen.take().await.as_deref(), expected, "{version}");
            }
        }
    }
    until(&runtime, || server.manager().is_empty()).await;
    assert!(seen.take_all().is_empty());
}

/// With a status and a hint for people, before any handler runs.
pub async fn what_is_no_websocket_is_refused<R: Runtime>(runtime: R) {
    let only = |builder: Builder<R>| builder.versions(Version::Rfc6455);
    let server = Running::bind(&runtime, only).await;
    server.start_serving(&runtime, |_| async { panic!("nobody may come in") });
    let address = server.address;
    aside(move || {
        let plain = exchange(address, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
        assert!(plain.starts_with("HTTP/1.1 426 "), "{plain}");
        let noise = exchange(address, b"\x16\x03\x01 hello\r\n\r\n");
        assert!(noise.starts_with("HTTP/1.1 400 "), "{noise}");
        assert!(Client::ask(address, request(address).version(Version::Draft76)).is_err());
        let foreign = request(address).origin("http://evil.example").unwrap();
        assert!(Client::ask(address, foreign).is_err());
    })
    .await;
}
