use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ws_proto::{Close, HandshakeError, State, Timeouts, Version};

use crate::runtime::Runtime;
use crate::toy::party::{self, echo};
use crate::toy::{Pipe, Toy};
use crate::waiters::lock;
use crate::{
    Client, ClientBuilder, ConnectError, Connection, InvalidOption, Proxy, ProxyError,
    RedirectError, Server, Stage,
};

type Slot<T> = Arc<Mutex<Option<T>>>;
type Connected = Result<Connection, ConnectError>;

/// Runs a future on the side; its answer lies in the slot as soon as it is there.
fn start<T: Send + 'static>(
    toy: &Toy,
    future: impl Future<Output = T> + Send + 'static,
) -> Slot<T> {
    let slot = Slot::default();
    let out = Arc::clone(&slot);
    toy.spawn(async move {
        let answer = future.await;
        *lock(&out) = Some(answer);
    });
    toy.settle();
    slot
}

fn take<T>(slot: &Slot<T>) -> Option<T> {
    lock(slot).take()
}

fn connecting(toy: &Toy, client: &Client<Toy>, url: &'static str) -> Slot<Connected> {
    let client = client.clone();
    start(toy, async move { client.connect(url).await })
}

/// A client, and what it comes to with this URL when nobody answers.
fn connect(
    change: impl FnOnce(ClientBuilder<Toy>) -> ClientBuilder<Toy>,
    url: &'static str,
) -> (Toy, Slot<Connected>) {
    let toy = Toy::default();
    let client = change(ClientBuilder::new(toy.clone())).build().unwrap();
    let slot = connecting(&toy, &client, url);
    (toy, slot)
}

fn error(slot: &Slot<Connected>) -> ConnectError {
    take(slot).expect("it is over").expect_err("there is no connection")
}

/// Serves an echo to every further stream.
fn serve(toy: &Toy) -> Server<Toy> {
    let server = party::serve(toy, crate::Builder::new(toy.clone()), echo);
    toy.settle();
    server
}

/// The server's end of the stream that the client opened, and what it has sent.
fn stream(toy: &Toy) -> (Pipe, String) {
    let pipe = toy.take_stream().expect("the client connected");
    let request = sent(&pipe);
    (pipe, request)
}

fn sent(pipe: &Pipe) -> String {
    String::from_utf8_lossy(&pipe.take().0).into_owned()
}

fn answer(toy: &Toy, pipe: &Pipe, bytes: impl AsRef<[u8]>) {
    pipe.send(bytes.as_ref());
    toy.settle();
}

#[test]
fn a_client_talks_to_a_server_in_every_version() {
    for version in Version::ALL {
        let toy = Toy::default();
        let server = serve(&toy);
        let client = ClientBuilder::new(toy.clone()).version(version).build().unwrap();
        let connection = take(&connecting(&toy, &client, "ws://localhost/")).unwrap().unwrap();
        assert_eq!((connection.state(), connection.version()), (State::Connected, Some(version)));
        assert!(connection.request().is_none() && connection.storage().is_none());
        assert_eq!(connection.broadcast("to nobody").queued, 0);
        assert_eq!(connection.send_all("to the server").queued, 1);
        let own = connection.clone();
        let echoed = toy.block_on(async move { own.recv().await.unwrap().unwrap() });
        assert_eq!(echoed, "to the server".into());
        let id = server.manager().snapshot()[0].id();
        // The last handle closes.
        drop(connection);
        toy.settle();
        assert!(server.manager().find(id).is_none(), "{version}");
        toy.advance(Duration::from_secs(2));
        server.close();
        toy.settle();
        assert_eq!(toy.tasks(), 0, "{version}");
    }
}

#[test]
fn close_codes_come_from_both_sides() {
    let toy = Toy::default();
    let server = serve(&toy);
    let client = Client::new(toy.clone());
    for by_server in [false, true] {
        let connection = take(&connecting(&toy, &client, "ws://localhost/")).unwrap().unwrap();
        let close = Close::new(4321, "done").unwrap();
        if by_server {
            server.manager().for_each(|connection| connection.close(close.clone()));
        } else {
            connection.close(close.clone());
        }
        let own = connection.clone();
        let closed = toy.block_on(async move { own.closed().await });
        assert!(closed.clean, "{closed}");
        assert_eq!(closed.code(), 4321);
        // The one that answers repeats the code alone.
        let (said, heard) = (closed.sent.as_ref(), closed.received.as_ref());
        assert_eq!(if by_server { heard } else { said }, Some(&close));
    }
}

#[test]
fn what_is_wrong_before_anything_is_sent_is_named() {
    for (url, part) in [
        ("http://a/", "use ws:// or wss://"),
        ("ws://a b/", "\"a b\" is no host"),
        ("ws://a:0/", "the port in \"a:0\""),
        ("ws://a/#x", "fragment"),
        #[cfg(not(feature = "tls"))]
        ("wss://a/", "wss://a/ needs TLS: build with the feature `tls`"),
    ] {
        let (toy, slot) = connect(|builder| builder, url);
        let error = error(&slot);
        assert!(error.to_string().contains(part) && !error.is_transient(), "{error}");
        assert!(toy.attempts().is_empty());
    }
    let build = |change: fn(ClientBuilder<Toy>) -> ClientBuilder<Toy>| {
        change(ClientBuilder::new(Toy::default())).build().unwrap_err()
    };
    for (error, part) in [
        (build(|builder| builder.header("Cookie", "a\r\nb: c")), "\"Cookie\""),
        (build(|builder| builder.header("Upgrade", "x")), "\"Upgrade\""),
        (build(|builder| builder.origin("example.org")), "\"example.org\" is no origin"),
        (build(|builder| builder.subprotocol("a b")), "\"a b\" is no subprotocol"),
    ] {
        assert!(matches!(&error, InvalidOption::Header(_)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::ZERO;
    let error = ClientBuilder::new(Toy::default()).timeouts(timeouts).build().unwrap_err();
    assert!(error.to_string().contains("`handshake`"), "{error}");
}

#[test]
fn a_name_without_an_address_and_closed_ports_are_named() {
    let (_, slot) = connect(|builder| builder, "ws://nowhere/");
    let failed = error(&slot);
    assert!(failed.to_string().contains("\"nowhere\"") && failed.is_transient(), "{failed}");
    let (toy, slot) = connect(|builder| builder, "ws://example.org:1/");
    let failed = error(&slot);
    let ConnectError::Unreachable { host, failures } = &failed else { panic!("{failed}") };
    assert_eq!((host.as_str(), failures.len()), ("example.org", 2));
    assert!(failed.to_string().contains("10.0.0.1:1: connection refused; 10.0.0.2:1: connection"));
    assert_eq!(toy.attempts().len(), 2);
}

#[test]
fn a_silent_address_costs_a_head_start() {
    let (toy, _slot) = connect(|builder| builder, "ws://example.org:2/");
    let first = toy.attempts();
    assert!(toy.take_stream().is_none());
    toy.advance(Duration::from_millis(249));
    assert!(toy.attempts().is_empty());
    toy.advance(Duration::from_millis(1));
    let second = toy.attempts();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(second[0].0, first[0].0 + Duration::from_millis(250));
    assert!(stream(&toy).1.starts_with("GET / HTTP/1.1\r\n"));
}

#[test]
fn one_deadline_covers_every_stage() {
    let proxy = || Proxy::new("http://proxy").unwrap();
    for (url, through_proxy, stage) in [
        ("ws://slow/", false, Stage::Lookup),
        ("ws://10.0.0.1:2/", false, Stage::Connect),
        ("ws://example.org/", true, Stage::Proxy),
        ("ws://example.org/", false, Stage::Handshake),
    ] {
        let change = |builder: ClientBuilder<Toy>| {
            if through_proxy { builder.proxy(proxy()) } else { builder }
        };
        let (toy, slot) = connect(change, url);
        toy.advance(Duration::from_millis(9_999));
        assert!(take(&slot).is_none(), "{stage}");
        toy.advance(Duration::from_millis(1));
        let error = error(&slot);
        assert!(matches!(&error, ConnectError::Timeout { stage: at, .. } if *at == stage));
        assert!(
            error.to_string().ends_with(&format!("{stage} was not over within 10s")),
            "{error}"
        );
        toy.advance(Duration::from_secs(20));
        assert_eq!(toy.tasks(), 0, "{stage}");
    }
}

#[test]
fn time_spent_before_counts_for_the_handshake() {
    let (toy, slot) = connect(|builder| builder, "ws://example.org:2/");
    toy.advance(Duration::from_secs(4));
    let (_pipe, request) = stream(&toy);
    assert!(request.starts_with("GET "));
    toy.advance(Duration::from_millis(5_999));
    assert!(take(&slot).is_none());
    toy.advance(Duration::from_millis(1));
    assert!(matches!(error(&slot), ConnectError::Timeout { stage: Stage::Handshake, .. }));
}

#[test]
fn a_wrong_answer_names_the_header_and_the_clause() {
    for (head, text) in [
        ("403 x", "status 403 and not with 101"),
        (
            "426 x\r\nSec-WebSocket-Version: 8",
            "it speaks WebSocket versions \"8\" (RFC 6455 section 4.1)",
        ),
        ("101 x", "the header Upgrade is missing (RFC 6455 section 11.3)"),
        ("101 x\r\nUpgrade: h2c", "upgrades to \"h2c\""),
        (
            "101 x\r\nUpgrade: websocket\r\nConnection: close",
            "Connection of the answer is \"close\"",
        ),
        (
            "101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x",
            "Sec-WebSocket-Accept does not fit the key: is this an old answer from a cache? (RFC 6455 section 4.1)",
        ),
    ] {
        let (toy, slot) = connect(|builder| builder, "ws://example.org/a?b");
        let (pipe, _) = stream(&toy);
        answer(&toy, &pipe, format!("HTTP/1.1 {head}\r\n\r\n"));
        let error = error(&slot).to_string();
        assert!(error.starts_with("ws://example.org/a?b: ") && error.contains(text), "{error}");
    }
    let (toy, slot) = connect(|builder| builder, "ws://example.org/");
    let (pipe, _) = stream(&toy);
    answer(&toy, &pipe, "SSH-2.0-x\r\n");
    let error = error(&slot);
    assert!(error.to_string().contains("byte 0x53 at offset 0 of the status line"), "{error}");
    assert!(!error.is_transient());
}

#[test]
fn a_stream_that_ends_too_early_is_an_error() {
    let (toy, slot) = connect(|builder| builder, "ws://example.org/");
    drop(stream(&toy));
    toy.settle();
    let error = error(&slot);
    assert!(error.to_string().contains("ended before it was open") && error.is_transient());
}

#[test]
fn options_are_sent() {
    let (toy, _slot) = connect(
        |builder| {
            let builder = builder.version(Version::Hybi07).origin("http://Page.example");
            let builder = builder.subprotocol("a").subprotocol("b");
            builder.header("User-Agent", "x/1").header("Cookie", "y=2")
        },
        "ws://Example.org:81/c",
    );
    let (_pipe, request) = stream(&toy);
    for line in [
        "GET /c HTTP/1.1",
        "Host: example.org:81",
        "Sec-WebSocket-Version: 7",
        "Sec-WebSocket-Origin: http://page.example",
        "Sec-WebSocket-Protocol: a, b",
        "User-Agent: x/1",
        "Cookie: y=2",
    ] {
        assert!(request.lines().any(|found| found == line), "{line} is not in {request}");
    }
}

#[test]
fn redirects_are_followed_as_far_as_they_may() {
    let (toy, slot) = connect(
        |builder| {
            let builder = builder.max_redirects(2).header("Cookie", "secret");
            builder.header("authorization", "secret").header("X-Other", "y")
        },
        "ws://a.example/1",
    );
    let (pipe, request) = stream(&toy);
    assert_eq!(request.matches("secret").count(), 2);
    answer(&toy, &pipe, "HTTP/1.1 302 x\r\nLocation: /2\r\n\r\n");
    let (pipe, request) = stream(&toy);
    assert!(request.starts_with("GET /2 ") && request.matches("secret").count() == 2, "{request}");
    answer(&toy, &pipe, "HTTP/1.1 308 x\r\nLocation: http://b.example/3\r\n\r\n");
    let (pipe, request) = stream(&toy);
    assert!(request.starts_with("GET /3 ") && request.contains("Host: b.example\r\n"));
    assert!(!request.contains("secret") && request.contains("X-Other: y"), "{request}");
    answer(&toy, &pipe, "HTTP/1.1 301 x\r\nLocation: ws://a.example/4\r\n\r\n");
    let error = error(&slot);
    let ConnectError::Redirect { problem: RedirectError::TooMany(2), location, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(location, "ws://a.example/4");
    assert!(error.to_string().starts_with("ws://b.example/3 answered with status 301"), "{error}");
}

#[test]
fn a_credential_that_was_dropped_stays_dropped() {
    let change = |builder: ClientBuilder<Toy>| builder.max_redirects(5).header("Cookie", "secret");
    let (toy, slot) = connect(change, "ws://a.example/");
    for location in ["ws://b.example/", "ws://a.example/"] {
        let (pipe, _) = stream(&toy);
        answer(&toy, &pipe, format!("HTTP/1.1 307 x\r\nLocation: {location}\r\n\r\n"));
    }
    let (_pipe, request) = stream(&toy);
    assert!(request.contains("Host: a.example\r\n") && !request.contains("secret"), "{request}");
    assert!(take(&slot).is_none());
}

#[test]
fn no_redirect_is_followed_by_default() {
    let (toy, slot) = connect(|builder| builder, "ws://a.example/");
    let (pipe, _) = stream(&toy);
    answer(&toy, &pipe, "HTTP/1.1 302 x\r\nLocation: wss://a.example/\r\n\r\n");
    let error = error(&slot);
    let ConnectError::Redirect { problem: RedirectError::NotFollowed, .. } = &error else {
        panic!("{error}");
    };
    let error = error.to_string();
    assert!(error.contains("points to \"wss://a.example/\"") && error.contains("max_redirects"));
    assert!(toy.take_stream().is_none());
}

#[test]
fn a_given_stream_is_used() {
    let toy = Toy::default();
    let server = serve(&toy);
    let (client, pipe) = (Client::new(toy.clone()), toy.dial());
    let connected = toy.block_on(async move { client.connect_over(pipe, "ws://any/").await });
    assert_eq!(connected.unwrap().state(), State::Connected);
    assert!(toy.attempts().is_empty() && server.manager().len() == 1);
    server.close();
    toy.settle();
    let (client, pipe) = (Client::new(toy.clone()), toy.dial());
    let slot = start(&toy, async move { client.connect_over(pipe, "ws://any/").await });
    let (pipe, _) = stream(&toy);
    answer(&toy, &pipe, "HTTP/1.1 302 x\r\nLocation: /2\r\n\r\n");
    let error = error(&slot);
    let ConnectError::Redirect { problem: RedirectError::GivenStream, .. } = &error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("a stream that was given cannot lead elsewhere"));
}

/// Polls the attempt so often, once per event, and drops it then.
#[test]
fn an_attempt_can_be_dropped_at_every_point() {
    let steps: [&[u8]; 4] = [b"HTTP/1.1 200 x\r\n", b"\r\n", b"HTTP/1.1 101", b" x\r\n"];
    for events in 0..=steps.len() + 2 {
        let toy = Toy::default();
        let proxy = Proxy::new("http://proxy:2").unwrap();
        let client = ClientBuilder::new(toy.clone()).proxy(proxy).build().unwrap();
        let mut future = Box::pin(async move { client.connect("ws://example.org/").await });
        let mut poll = || {
            let answer = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(answer, Poll::Pending));
        };
        let mut pipe = None;
        for event in 0..events {
            match event {
                0 => {}
                // The head start of the second address.
                1 => toy.advance(Duration::from_millis(250)),
                _ => {
                    let pipe = pipe.get_or_insert_with(|| toy.take_stream().unwrap());
                    answer(&toy, pipe, steps[event - 2]);
                }
            }
            poll();
            toy.settle();
        }
        let pipe = pipe.or_else(|| toy.take_stream());
        drop(future);
        toy.settle();
        assert_eq!(toy.tasks(), 0, "after {events} events");
        assert!(pipe.is_none_or(|pipe| pipe.ended()), "after {events} events");
    }
}

#[test]
fn reconnecting_pauses_longer_and_longer_and_gives_up() {
    let toy = Toy::default();
    let reconnect = Client::new(toy.clone()).reconnect("ws://10.0.0.1:1/");
    let mut reconnect = reconnect.max_failures(8);
    let slot = start(&toy, async move { reconnect.connect().await.map(drop) });
    let mut attempts = toy.attempts();
    assert_eq!(attempts.len(), 1, "the first comes at once");
    let mut failed = None;
    while failed.is_none() {
        toy.advance(Duration::from_millis(100));
        attempts.extend(toy.attempts());
        failed = take(&slot);
    }
    assert!(matches!(failed, Some(Err(ConnectError::Unreachable { .. }))));
    assert_eq!(attempts.len(), 8);
    for (pair, bound) in attempts.windows(2).zip([5, 10, 20, 40, 60, 60, 60]) {
        let pause = pair[1].0.saturating_duration_since(pair[0].0);
        assert!(pause <= Duration::from_secs(bound), "{pause:?} is over {bound} s");
    }
}

#[test]
fn what_does_not_change_by_itself_is_not_tried_again() {
    for url in ["ws://a b/", "http://a/"] {
        let toy = Toy::default();
        let mut reconnect = Client::new(toy.clone()).reconnect(url);
        let failed = toy.block_on(async move { reconnect.connect().await.map(drop) });
        assert!(failed.is_err_and(|error| !error.is_transient()));
    }
    let toy = Toy::default();
    let mut reconnect = Client::new(toy.clone()).reconnect("ws://a/");
    let slot = start(&toy, async move { reconnect.connect().await.map(drop) });
    let (pipe, _) = stream(&toy);
    answer(&toy, &pipe, "HTTP/1.1 503 x\r\n\r\n");
    assert!(take(&slot).is_none(), "an overloaded server is asked again");
    toy.advance(Duration::from_secs(5));
    let (pipe, _) = stream(&toy);
    answer(&toy, &pipe, "HTTP/1.1 404 x\r\n\r\n");
    let failed = take(&slot).unwrap().unwrap_err();
    let ConnectError::Answer { error, .. } = failed else { panic!("{failed}") };
    assert_eq!(error, HandshakeError::Status(404));
}

#[test]
fn what_the_server_asks_for_is_waited_for() {
    for (asked, least) in [("30", 30), ("86400", 60), ("-9", 0), ("+9", 0), ("", 0)] {
        let toy = Toy::default();
        let mut reconnect = Client::new(toy.clone()).reconnect("ws://a/");
        let slot = start(&toy, async move { reconnect.connect().await.map(drop) });
        let (pipe, _) = stream(&toy);
        toy.attempts();
        let refused = toy.now();
        answer(&toy, &pipe, format!("HTTP/1.1 503 x\r\nRetry-After: {asked}\r\n\r\n"));
        while toy.attempts().is_empty() {
            assert!(take(&slot).is_none());
            toy.advance(Duration::from_millis(100));
        }
        let pause = toy.now().saturating_duration_since(refused);
        let bounds = Duration::from_secs(least)..Duration::from_secs(least + 6);
        assert!(bounds.contains(&pause), "{pause:?} after {asked:?}");
    }
}

#[test]
fn a_connection_that_lasted_makes_the_next_pause_short() {
    let toy = Toy::default();
    let server = serve(&toy);
    let reconnect = Client::new(toy.clone()).reconnect("ws://10.0.0.1/");
    let reconnect = Arc::new(Mutex::new(reconnect.settled_after(Duration::from_secs(30))));
    // How long the pause before a connection was, when the one before lasted so long.
    let pause_after = |lasted: u64| {
        toy.advance(Duration::from_secs(lasted));
        server.manager().for_each(Connection::abort);
        toy.settle();
        let own = Arc::clone(&reconnect);
        // The lock is free: nobody else connects.
        let slot = start(&toy, async move {
            let mut taken = std::mem::replace(&mut *lock(&own), idle());
            let connected = taken.connect().await;
            *lock(&own) = taken;
            connected
        });
        let begun = toy.now();
        for _ in 0..700 {
            if let Some(connected) = take(&slot) {
                let connection = connected.unwrap();
                // Kept open by the test until the server aborts it.
                std::mem::forget(connection);
                return toy.now().saturating_duration_since(begun).as_secs();
            }
            toy.advance(Duration::from_millis(100));
        }
        panic!("there is no connection");
    };
    assert_eq!(pause_after(0), 0);
    let quick: Vec<u64> = (0..12).map(|_| pause_after(1)).collect();
    assert!(quick.iter().any(|pause| *pause > 5), "{quick:?}");
    assert!(pause_after(31) <= 5);
}

fn idle() -> crate::Reconnect<Toy> {
    Client::new(Toy::default()).reconnect("ws://nowhere/")
}

#[cfg(feature = "deflate")]
mod compression;
mod proxies;
#[cfg(feature = "tls")]
mod secure;
