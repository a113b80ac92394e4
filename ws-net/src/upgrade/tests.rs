use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ws_proto::{Cause, Close, Config, Expired, Message, Reject, SubprotocolPolicy, Version};

use super::*;
use crate::toy::party::{REQUEST, echo};
use crate::toy::{Pipe, Toy};
use crate::waiters::lock;
use crate::{Builder, Candidate, ServerError};

const KEY3: &[u8; 8] = b"Tm[K T2u";

/// A server that listens nowhere, with its runtime.
fn server(change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> (Toy, Server<Toy>) {
    let toy = Toy::default();
    (toy.clone(), change(Builder::new(toy)).build().unwrap())
}

/// What another server has read.
fn request(version: Version, config: &Config) -> Request {
    let mut fields: Vec<(&str, &[u8])> =
        vec![("Host", b"a"), ("Connection", b"Upgrade"), ("Origin", b"http://a")];
    match version.number() {
        Some(_) => fields.extend([
            ("Upgrade", &b"websocket"[..]),
            ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ]),
        None => fields.push(("Upgrade", b"WebSocket")),
    }
    match version {
        Version::Draft75 => {}
        Version::Draft76 => fields.extend([
            ("Sec-WebSocket-Key1", &b"18x 6]8vM;54 *(5:  {   U1]8  z [  8"[..]),
            ("Sec-WebSocket-Key2", b"1_ tx7X d  <  nw  334J702) 7]o}` 0"),
        ]),
        Version::Hybi07 => fields.push(("Sec-WebSocket-Version", b"7")),
        Version::Hybi08 => fields.push(("Sec-WebSocket-Version", b"8")),
        Version::Rfc6455 => fields.push(("Sec-WebSocket-Version", b"13")),
    }
    Request::from_parts("GET", "/chat", 1, fields, config).unwrap()
}

/// An upgrade on a new stream, and the client's end of it.
fn upgrade(
    server: &Server<Toy>,
    version: Version,
    leftover: impl Into<Bytes>,
) -> (Pipe, Upgrade<Toy>) {
    let (client, stream) = Pipe::pair();
    (client, server.upgrade(request(version, server.config()), stream, leftover))
}

/// A short text in the words of its version, from the client and from the server.
fn text(version: Version, from_client: bool) -> &'static [u8] {
    match (version.has_frames(), from_client) {
        (true, true) => b"\x81\x82\0\0\0\0hi",
        (true, false) => b"\x81\x02hi",
        (false, _) => b"\x00hi\xFF",
    }
}

#[test]
fn every_version_opens_however_the_bytes_behind_the_head_are_cut() {
    for version in Version::ALL {
        let key: &[u8] = if version == Version::Draft76 { KEY3 } else { b"" };
        let input = [key, text(version, true)].concat();
        for cut in 0..=input.len() {
            let (toy, server) = server(|builder| builder);
            let (leftover, rest) = input.split_at(cut);
            let (client, upgrade) = upgrade(&server, version, leftover.to_vec());
            upgrade.serve(echo).unwrap();
            toy.settle();
            for byte in rest {
                client.send(&[*byte]);
                toy.settle();
            }
            let (answer, _) = client.take();
            assert!(answer.starts_with(b"HTTP/1.1 101 "), "{version} {cut}");
            assert!(answer.ends_with(text(version, false)), "{version} {cut}");
            let proof = answer.windows(16).any(|window| window == b"fQJ,fN/4F4!~K~MH");
            assert_eq!(proof, version == Version::Draft76);
            assert_eq!(server.manager().len(), 1);
        }
    }
}

#[test]
fn who_came_over_tls_is_known_from_the_caller() {
    for (by_caller, by_option) in [(false, false), (true, false), (false, true)] {
        let (toy, server) = server(|builder| builder.secure(by_option));
        let (client, asked) = upgrade(&server, Version::Draft76, KEY3.to_vec());
        let incoming = toy.block_on(asked.secure(by_caller).incoming()).unwrap();
        let secure = by_caller || by_option;
        assert_eq!(incoming.is_secure(), secure);
        let opened = toy.block_on(async move { incoming.accept(Accept::new()).await }).unwrap();
        assert_eq!(opened.is_secure(), secure);
        let (answer, _) = client.take();
        let scheme = if secure { "wss" } else { "ws" };
        let location = format!("\r\nSec-WebSocket-Location: {scheme}://a/chat\r\n");
        assert!(String::from_utf8_lossy(&answer).contains(&location), "{location}");
    }
}

#[test]
fn the_caller_may_decide() {
    let (toy, server) = server(|builder| builder);
    let address: std::net::SocketAddr = "127.0.0.1:7".parse().unwrap();
    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    assert_eq!(asked.request().unwrap().target(), "/chat");
    let incoming = toy.block_on(asked.peer(address).incoming()).unwrap();
    assert_eq!((incoming.request().path(), incoming.peer_addr()), ("/chat", address.into()));
    assert_eq!(incoming.local_addr(), None, "somebody else accepted it");
    toy.settle();
    assert!(client.take().0.is_empty());
    let connection = toy.block_on(async move { incoming.accept(Accept::new()).await }).unwrap();
    assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
    client.send(text(Version::Rfc6455, true));
    let receiving = connection.clone();
    let message = toy.block_on(async move { receiving.recv().await });
    assert_eq!(message.unwrap().unwrap(), Message::text("hi"));
    drop(connection);
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xE8");

    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    toy.block_on(asked.incoming()).unwrap().reject(&Reject::new(404));
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 404 ") && client.ended());

    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    drop(toy.block_on(asked.incoming()).unwrap());
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 503 ") && client.ended());

    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    let choice = Accept::new().subprotocol("unheard-of");
    let error = toy.block_on(asked.accept(choice)).unwrap_err();
    assert!(matches!(error, AcceptError::Command(_)), "{error}");
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 503 "));
}

#[test]
fn who_takes_a_stream_over_says_how_it_is_accepted() {
    let seat = |seat| Accept::new().header("X-Seat", seat).unwrap();
    let (toy, server) = server(move |builder| {
        builder.authorize(move |_| async move { Ok(seat("1").subprotocol("news")) })
    });
    let offer = "\r\nSec-WebSocket-Protocol: news, chat\r\n\r\n";
    let asked = String::from_utf8_lossy(REQUEST).replace("\r\n\r\n", offer);
    for by_caller in [false, true] {
        let (client, stream) = Pipe::pair();
        let taken = server.handshake(stream).accept_with(seat("2").subprotocol("chat"));
        client.send(asked.as_bytes());
        let (protocol, seats) = if by_caller {
            let accepting = async move { taken.accept(seat("3")).await };
            toy.block_on(accepting).unwrap();
            ("chat", "X-Seat: 1\r\nX-Seat: 2\r\nX-Seat: 3\r\n")
        } else {
            taken.serve(echo).unwrap();
            toy.settle();
            ("chat", "X-Seat: 1\r\nX-Seat: 2\r\n\r\n")
        };
        let answer = String::from_utf8_lossy(&client.take().0).into_owned();
        assert!(answer.contains(&format!("Sec-WebSocket-Protocol: {protocol}\r\n")), "{answer}");
        assert!(answer.contains(seats), "{answer}");
    }
    // Whoever decides has seen what is offered.
    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.run().unwrap();
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 500 "));
}

#[cfg(feature = "http")]
#[test]
fn what_was_said_holds_behind_a_page_too() {
    let page = |_| async { crate::http::Response::new(String::from("page")) };
    let (toy, server) = server(move |builder| builder.on_request(page));
    let (client, stream) = Pipe::pair();
    let seat = Accept::new().header("X-Seat", "2").unwrap();
    server.handshake(stream).accept_with(seat).run().unwrap();
    client.send(&[b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", REQUEST].concat());
    toy.settle();
    let answers = String::from_utf8_lossy(&client.take().0).into_owned();
    let (page, answer) = answers.split_once("page").unwrap();
    assert!(page.starts_with("HTTP/1.1 200 ") && answer.starts_with("HTTP/1.1 101 "), "{answers}");
    assert!(!page.contains("x-seat") && answer.contains("x-seat: 2\r\n"), "{answers}");
}

#[test]
fn a_subprotocol_that_was_chosen_before_the_request_was_read_binds_nobody() {
    let news = |candidate: Candidate| async move {
        let offered = candidate.request().subprotocols().any(|name| name == "news");
        Ok(if offered { Accept::new().subprotocol("news") } else { Accept::new() })
    };
    let head = String::from_utf8_lossy(REQUEST).into_owned();
    for (offer, chosen) in [
        (None, None),
        (Some("v2"), None),
        (Some("v2, news"), Some("news")),
        (Some("chat"), Some("chat")),
    ] {
        let (toy, server) = server(|builder| {
            builder.subprotocols(SubprotocolPolicy::application()).authorize(news)
        });
        let asked = match offer {
            Some(names) => {
                head.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {names}\r\n\r\n"))
            }
            None => head.clone(),
        };
        let chat = || Accept::new().subprotocol("chat").header("X-Seat", "1").unwrap();
        for by_caller in [false, true] {
            let (client, stream) = Pipe::pair();
            let taken = server.handshake(stream).accept_with(chat());
            client.send(asked.as_bytes());
            if by_caller {
                toy.block_on(async move { taken.accept(Accept::new()).await }).unwrap();
            } else {
                taken.serve(echo).unwrap();
                toy.settle();
            }
            let answer = String::from_utf8_lossy(&client.take().0).into_owned();
            assert!(answer.starts_with("HTTP/1.1 101 "), "{offer:?}: {answer}");
            assert!(answer.contains("\r\nX-Seat: 1\r\n"), "{answer}");
            let line =
                answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
            assert_eq!(line, chosen, "{offer:?}");
        }
    }
    // Such a client gives up without what it asked for.
    let (toy, server) = server(|builder| builder.subprotocols(SubprotocolPolicy::application()));
    let (client, stream) = Pipe::pair();
    let taken = server.handshake(stream).accept_with(Accept::new().subprotocol("chat"));
    taken.serve(echo).unwrap();
    client.send(
        b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n\
          Origin: http://a\r\nWebSocket-Protocol: news\r\n\r\n",
    );
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn a_closed_server_says_nothing_to_who_has_asked_for_nothing() {
    let (toy, server) = server(|builder| builder);
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    server.on_rejected(move |_| {
        count.fetch_add(1, Relaxed);
    });
    server.close();
    let (client, stream) = Pipe::pair();
    let refused = server.handshake(stream).serve(echo);
    assert!(matches!(refused, Err(AcceptError::Unavailable)));
    assert_eq!(toy.tasks(), 0, "nothing waits for its request");
    assert!(client.take().0.is_empty() && client.ended());
    assert_eq!((server.load().refused, server.load().connections, told.load(Relaxed)), (1, 0, 0));
    let (_client, stream) = Pipe::pair();
    let refused = toy.block_on(server.handshake(stream).incoming());
    assert!(matches!(refused, Err(AcceptError::Unavailable)));
}

#[test]
fn listeners_hear_of_upgrades() {
    let (toy, server) = server(|builder| builder);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (steps, opens, closes) = (Arc::clone(&told), Arc::clone(&told), Arc::clone(&told));
    server.on_state_change(move |_, change| lock(&steps).push(change.to.name().to_owned()));
    server.on_connection(move |_| lock(&opens).push("connection".into()));
    server.on_message(|connection, message| {
        connection.try_send(message).unwrap();
    });
    server.on_close(move |_, end| lock(&closes).push(format!("close {}", end.code())));
    let (client, asked) = upgrade(&server, Version::Rfc6455, text(Version::Rfc6455, true));
    asked.run().unwrap();
    toy.settle();
    assert!(client.take().0.ends_with(text(Version::Rfc6455, false)));
    client.send(b"\x88\x82\0\0\0\0\x03\xE8");
    drop(client);
    toy.settle();
    let expected =
        ["opening", "handshaking", "connected", "connection", "closing", "closed", "close 1000"];
    assert_eq!(*lock(&told), expected);
}

#[test]
fn limits_hold_for_upgrades_and_who_is_refused_is_told_so() {
    let (toy, server) = server(|builder| builder.max_connections(1));
    let told = Arc::new(Mutex::new(Vec::new()));
    let [refusals, faults] = [(); 2].map(|()| Arc::clone(&told));
    server.on_rejected(move |client| lock(&refusals).push((client.status, client.cause.clone())));
    server.on_error(move |error| {
        assert!(matches!(error, ServerError::Full { connections: 1, handshakes: 0 }), "{error}");
        lock(&faults).push((0, Cause::Unavailable));
    });
    let (first, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.serve(|_| pending::<()>()).unwrap();
    toy.settle();
    assert!(first.take().0.starts_with(b"HTTP/1.1 101 "));
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let handler = move |_| async move {
        count.fetch_add(1, Relaxed);
    };
    let (second, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    let refused = asked.serve(handler);
    assert!(matches!(refused, Err(AcceptError::Unavailable)));
    toy.settle();
    assert!(second.take().0.starts_with(b"HTTP/1.1 503 ") && second.ended());
    drop(second);
    toy.settle();
    assert_eq!((server.manager().len(), opened.load(Relaxed)), (1, 0));
    let load = server.load();
    assert_eq!((load.refused, load.refused_when_full, load.refused_for_share), (1, 1, 0));
    assert_eq!(*lock(&told), [(0, Cause::Unavailable), (503, Cause::Unavailable)]);
    // It left no permit taken.
    first.send(b"\x88\x80\0\0\0\0");
    drop(first);
    // The handler holds its permit until it returns, and it never does.
    toy.drop_tasks();
    let (third, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.run().unwrap();
    toy.settle();
    assert!(third.take().0.starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn shutdown_ends_upgrades_and_lets_no_more_in() {
    let (toy, server) = server(|builder| builder);
    let (open, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.serve(echo).unwrap();
    let (waiting, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    let incoming = toy.block_on(asked.incoming()).unwrap();
    toy.settle();
    open.take();
    let stopping = server.clone();
    let report = Arc::new(Mutex::new(None));
    let out = Arc::clone(&report);
    toy.spawn(async move {
        let close = Close::new(1001, "bye").unwrap();
        *lock(&out) = Some(stopping.shutdown(close, Duration::from_secs(3)).await);
    });
    toy.settle();
    assert_eq!(open.take().0, b"\x88\x05\x03\xE9bye");
    assert!(waiting.take().0.starts_with(b"HTTP/1.1 503 "));
    let refused = Arc::new(Mutex::new(None));
    let out = Arc::clone(&refused);
    toy.spawn(async move { *lock(&out) = Some(incoming.accept(Accept::new()).await) });
    let (late, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    assert!(matches!(toy.block_on(asked.incoming()), Err(AcceptError::Unavailable)));
    toy.settle();
    assert!(late.take().0.starts_with(b"HTTP/1.1 503 "));
    drop((waiting, late));
    toy.settle();
    assert!(matches!(lock(&refused).take(), Some(Err(AcceptError::Closed(_)))));
    toy.advance(Duration::from_secs(3));
    let report = lock(&report).take().unwrap();
    assert_eq!((report.closed, report.aborted), (1, 1));
    assert!(open.ended());
}

#[test]
fn a_handler_that_panics_ends_its_own_upgrade() {
    let (toy, server) = server(|builder| builder);
    let (client, asked) = upgrade(&server, Version::Rfc6455, text(Version::Rfc6455, true));
    asked
        .serve(|connection| async move {
            let message = connection.recv().await;
            assert!(message.is_none(), "no message wanted");
        })
        .unwrap();
    toy.settle();
    assert!(client.take().0.ends_with(b"\x88\x02\x03\xF3"));
}

#[test]
fn a_decision_that_does_not_come_is_a_503_at_the_deadline() {
    let (toy, server) = server(|builder| builder);
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    server.on_rejected(move |client| lock(&out).push((client.status, client.cause.clone())));
    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    let incoming = toy.block_on(asked.incoming()).unwrap();
    toy.settle();
    toy.advance(Duration::from_secs(11));
    assert!(client.take().0.starts_with(b"HTTP/1.1 503 "));
    drop((incoming, client));
    toy.settle();
    assert_eq!(*lock(&told), [(503, Cause::Timeout(Expired::Decision))]);
}

#[test]
fn who_is_let_in_is_decided_for_upgrades_too() {
    let (toy, server) = server(|builder| {
        builder.authorize(|candidate| async move {
            match candidate.peer_addr() {
                Address::Unnamed => Err(Reject::new(401)),
                _ => Ok(Accept::new()),
            }
        })
    });
    let address: std::net::SocketAddr = "127.0.0.1:7".parse().unwrap();
    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.peer(address).serve(echo).unwrap();
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
    let connection = server.manager().snapshot().pop().unwrap();
    assert_eq!(connection.request().unwrap().path(), "/chat");
    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.serve(|_| pending::<()>()).unwrap();
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 401 ") && client.ended());

    let (_client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    let asked = asked.peer(address);
    let incoming = toy.block_on(async move { asked.incoming().await.map(drop) });
    assert!(incoming.is_ok());
    let (client, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    let refused = Arc::new(Mutex::new(None));
    let out = Arc::clone(&refused);
    toy.spawn(async move { *lock(&out) = Some(asked.incoming().await.map(drop)) });
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 401 "));
    drop(client);
    toy.settle();
    assert!(matches!(*lock(&refused), Some(Err(AcceptError::Closed(_)))));
}

#[test]
fn an_upgrade_counts_in_the_share_of_its_address() {
    let (toy, server) = server(|builder| builder.max_connections_per_ip(1));
    let address: std::net::SocketAddr = "192.0.2.7:7".parse().unwrap();
    let (first, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.peer(address).run().unwrap();
    toy.settle();
    assert!(first.take().0.starts_with(b"HTTP/1.1 101 "));
    let (second, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    assert!(matches!(asked.peer(address).run(), Err(AcceptError::Unavailable)));
    toy.settle();
    assert!(second.take().0.starts_with(b"HTTP/1.1 503 "));
    assert_eq!(server.load().refused_for_share, 1);
    let (third, asked) = upgrade(&server, Version::Rfc6455, Bytes::new());
    asked.run().unwrap();
    toy.settle();
    assert!(third.take().0.starts_with(b"HTTP/1.1 101 "), "nobody knows where it comes from");
}

#[test]
fn a_stream_of_any_kind_shakes_hands_in_every_version() {
    let address: std::net::SocketAddr = "10.0.0.1:7".parse().unwrap();
    for version in Version::ALL {
        let (toy, server) = server(|builder| builder);
        let (ours, theirs) = Pipe::pair();
        let asked = server.handshake(theirs).peer(address);
        assert!(asked.request().is_none());
        let handler = |connection: Connection| async move {
            connection.send(connection.peer_addr().to_string()).await.unwrap();
            echo(connection).await;
        };
        asked.serve(handler).unwrap();
        let client = crate::ClientBuilder::new(toy.clone()).version(version).build().unwrap();
        toy.block_on(async move {
            let connection = client.connect_over(ours, "ws://a/chat").await.unwrap();
            let first = connection.recv().await.unwrap().unwrap();
            assert_eq!(first, Message::text("10.0.0.1:7"), "{version}");
            connection.send("hi").await.unwrap();
            assert_eq!(connection.recv().await.unwrap().unwrap(), Message::text("hi"));
        });
        toy.settle();
        assert_eq!(server.manager().len(), 0, "{version}");
    }
}

#[test]
fn a_request_that_is_still_to_be_read_is_waited_for_and_has_a_deadline() {
    let (toy, server) = server(|builder| builder.max_connections(1));
    let (client, stream) = Pipe::pair();
    client.send(REQUEST);
    let incoming = toy.block_on(server.handshake(stream).secure(true).incoming()).unwrap();
    assert_eq!((incoming.request().path(), incoming.is_secure()), ("/chat", true));
    incoming.reject(&Reject::new(404));
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 404 ") && client.ended());
    drop(client);
    toy.settle();

    let (silent, stream) = Pipe::pair();
    server.handshake(stream).serve(echo).unwrap();
    let (late, stream) = Pipe::pair();
    let error = server.handshake(stream).serve(echo).unwrap_err();
    assert!(matches!(error, AcceptError::Unavailable), "{error}");
    toy.settle();
    assert!(late.take().0.is_empty() && late.ended(), "nothing waits for its request");
    // One by the application before.
    assert_eq!((server.load().refused, server.load().refused_when_full), (2, 1));
    silent.send(&REQUEST[..REQUEST.len() - 1]);
    toy.advance(Duration::from_secs(11));
    assert!(silent.ended());
}
