use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::runtime::Address;
use crate::toy::lines::lines;
use crate::toy::party::{REQUEST, run};
use crate::toy::{Pipe, Toy};
use crate::waiters::lock;
use crate::{Cause, Server};

/// A server that reads bodies and answers their length, and the errors that it met.
fn serving() -> (Toy, Arc<Mutex<Vec<String>>>) {
    let toy = Toy::default();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&errors);
    let builder = Builder::new(toy.clone()).on_request(move |request: Request<RequestBody>| {
        let out = Arc::clone(&out);
        async move {
            let (mut body, mut length) = (request.into_body(), 0);
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                match frame {
                    Ok(frame) => length += frame.into_data().map_or(0, |data| data.len()),
                    Err(error) => lock(&out).push(error.to_string()),
                }
            }
            Response::new(length.to_string())
        }
    });
    run(&toy, builder);
    (toy, errors)
}

fn post(toy: &Toy, body: &str) -> Pipe {
    let client = toy.dial_from(Address::Unnamed);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    client.send(&[head, body.as_bytes()].concat());
    toy.settle();
    client
}

#[test]
fn a_body_that_stalls_is_an_error_and_its_client_sent_away() {
    let (toy, errors) = serving();
    let client = post(&toy, "abc");
    for piece in ["d", "e"] {
        toy.advance(Duration::from_secs(29));
        client.send(piece.as_bytes());
        toy.settle();
    }
    assert!(lock(&errors).is_empty() && client.take().0.is_empty());
    toy.advance(Duration::from_secs(29));
    assert!(lock(&errors).is_empty(), "every piece counts");
    toy.advance(Duration::from_secs(1));
    assert_eq!(*lock(&errors), ["the client sent nothing of its body for 30s"]);
    let answer = String::from_utf8(client.take().0).unwrap();
    assert!(answer.ends_with("\r\n\r\n5") && client.ended(), "{answer}");
    assert_eq!(toy.tasks(), 1);
}

#[test]
fn a_body_that_comes_has_no_deadline_left_behind() {
    let (toy, errors) = serving();
    let client = post(&toy, "abc");
    toy.advance(Duration::from_secs(20));
    client.send(b"def");
    toy.settle();
    assert!(client.take().0.ends_with(b"\r\n\r\n6"));
    assert!(lock(&errors).is_empty());
}

#[test]
fn time_in_which_nobody_reads_does_not_count() {
    let toy = Toy::default();
    let got = Arc::new(AtomicUsize::new(0));
    let (own, out) = (toy.clone(), Arc::clone(&got));
    let builder = Builder::new(toy.clone()).on_request(move |request: Request<RequestBody>| {
        let (own, out) = (own.clone(), Arc::clone(&out));
        async move {
            own.sleep_until(own.now() + Duration::from_secs(100)).await;
            let mut body = request.into_body();
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                out.fetch_add(frame.into_data().map_or(0, |data| data.len()), Relaxed);
            }
            Response::new(String::new())
        }
    });
    run(&toy, builder);
    let client = post(&toy, "abc");
    toy.advance(Duration::from_secs(100));
    client.send(b"def");
    toy.advance(Duration::from_secs(1));
    assert_eq!(got.load(Relaxed), 6);
}

#[test]
fn handshakes_without_a_limit_leave_http_alone() {
    let toy = Toy::default();
    let mut timeouts = crate::Timeouts::default();
    timeouts.handshake = Duration::MAX;
    let builder = Builder::new(toy.clone()).timeouts(timeouts);
    run(&toy, builder.on_request(|_| async { Response::new(String::from("hello")) }));
    let client = post(&toy, "abcdef");
    let answer = String::from_utf8(client.take().0).unwrap();
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

#[test]
fn refusals_behind_http_are_told() {
    let toy = Toy::default();
    let told = Arc::new(Mutex::new(Vec::new()));
    let server =
        run(&toy, Builder::new(toy.clone()).on_request(|_| async { Response::new(String::new()) }));
    let out = Arc::clone(&told);
    server.on_rejected(move |rejected| {
        assert!(matches!(rejected.cause, Cause::Handshake(_)));
        lock(&out).push(rejected.status);
    });
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ";
    let draft75 = format!("{upgrade}WebSocket\r\nOrigin: http://a\r\n\r\n");
    let unknown = format!("{upgrade}websocket\r\nSec-WebSocket-Version: 99\r\n\r\n");
    for (request, status) in [(draft75, 421), (unknown, 426)] {
        let client = post(&toy, "abcdef");
        client.take();
        client.send(request.as_bytes());
        toy.settle();
        let answer = String::from_utf8(client.take().0).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(lock(&told).pop(), Some(status));
    }
    for host in ["", "Host: a b\r\n", "Host: a\r\nHost: a\r\n"] {
        let client = post(&toy, "abcdef");
        client.take();
        client.send(format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes());
        toy.settle();
        let answer = String::from_utf8(client.take().0).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && client.ended(), "{answer}");
        assert_eq!(lock(&told).pop(), Some(400));
    }
    let mut request = Request::builder().header("Host", "a").body(()).unwrap();
    assert_eq!(server.upgrade_http(&mut request).unwrap_err().status(), 426);
    assert_eq!(*lock(&told), [426]);
}

#[test]
fn a_request_that_has_lost_its_stream_is_not_accepted() {
    // Nobody put into its extensions what hyper does.
    let upgrade = |toy: &Toy, server: &Server<Toy>| {
        let request = Request::builder()
            .header("host", "a")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let upgrade = server.upgrade_http(&mut request.body(()).unwrap()).unwrap();
        let take = |connection: crate::Connection| async move { drop(connection.recv().await) };
        toy.block_on(upgrade.serve(take)).status()
    };
    let toy = Toy::default();
    let server: Server<Toy> = Builder::new(toy.clone()).build().unwrap();
    assert_eq!(upgrade(&toy, &server), 503);
    toy.settle();
    assert!(server.manager().is_empty());

    let builder = Builder::new(toy.clone()).authorize(|_| async { Err(Reject::new(401)) });
    let server = builder.build().unwrap();
    assert_eq!(upgrade(&toy, &server), 401, "what is refused is refused as always");
}

#[test]
fn who_the_client_is_has_to_be_said_where_addresses_have_shares() {
    let upgrade = |toy: &Toy, server: &Server<Toy>, known: Option<Address>, peer: bool| {
        let request = Request::builder()
            .header("host", "a")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut request = request.body(()).unwrap();
        if let Some(address) = known {
            request.extensions_mut().insert(address);
        }
        let lines = lines(|| {
            let upgrade = server.upgrade_http(&mut request).unwrap();
            let upgrade = if peer { upgrade.peer(Address::Unnamed) } else { upgrade };
            toy.block_on(upgrade.run());
        });
        lines.iter().filter(|line| line.2.contains("max_connections_per_ip")).count()
    };
    let toy = Toy::default();
    let server = Builder::new(toy.clone()).build().unwrap();
    assert_eq!(upgrade(&toy, &server, None, true), 0);
    assert_eq!(upgrade(&toy, &server, Some(Address::Unnamed), false), 0);
    assert_eq!(upgrade(&toy, &server, None, false), 1);
    assert_eq!(upgrade(&toy, &server, None, false), 0, "once");
    let unlimited = Builder::new(toy.clone()).max_connections_per_ip(usize::MAX);
    let server = unlimited.max_handshakes_per_ip(usize::MAX).build().unwrap();
    assert_eq!(upgrade(&toy, &server, None, false), 0);
}

#[test]
fn streams_of_any_kind_get_pages_and_a_websocket_behind_them() {
    let toy = Toy::default();
    let page = |_: Request<RequestBody>| async { Response::new("page".to_owned()) };
    let server = Builder::new(toy.clone()).on_request(page).build().unwrap();
    let (client, stream) = Pipe::pair();
    server.handshake(stream).run().unwrap();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    toy.settle();
    assert!(client.take().0.ends_with(b"\r\n\r\npage"));
    client.send(REQUEST);
    toy.settle();
    assert!(client.take().0.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(server.manager().len(), 1);
}

#[test]
fn what_http_1_0_says_of_an_upgrade_is_ignored() {
    let toy = Toy::default();
    let page = |_: Request<RequestBody>| async { Response::new("page".to_owned()) };
    run(&toy, Builder::new(toy.clone()).on_request(page));
    let client = toy.dial();
    // The core reads the first request, hyper the second.
    for _ in 0..2 {
        client.send(
            b"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade, keep-alive\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        toy.settle();
        let answer = String::from_utf8(client.take().0).unwrap();
        assert!(answer.contains(" 200 OK\r\n") && answer.ends_with("\r\n\r\npage"), "{answer}");
    }
}

#[test]
fn a_request_that_is_there_when_the_server_closes_is_answered() {
    let toy = Toy::default();
    let page = |_: Request<RequestBody>| async { Response::new("page".to_owned()) };
    let server = run(&toy, Builder::new(toy.clone()).on_request(page));
    let client = toy.dial();
    toy.settle();
    server.close();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    toy.settle();
    let answer = String::from_utf8(client.take().0).unwrap();
    assert!(answer.ends_with("\r\n\r\npage") && client.ended(), "{answer}");
}

#[test]
fn who_asks_behind_a_page_when_the_server_closes_is_told_of() {
    let toy = Toy::default();
    let page = |_: Request<RequestBody>| async { Response::new("page".to_owned()) };
    let server = run(&toy, Builder::new(toy.clone()).on_request(page));
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    server.on_rejected(move |client| lock(&out).push((client.status, client.cause.clone())));
    let client = toy.dial();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    toy.settle();
    assert!(client.take().0.ends_with(b"\r\n\r\npage"));
    client.send(REQUEST);
    server.close();
    toy.settle();
    let answer = String::from_utf8(client.take().0).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && client.ended(), "{answer}");
    drop(client);
    toy.settle();
    assert_eq!(*lock(&told), [(503, Cause::Unavailable)]);
    assert_eq!((server.load().refused, server.load().connections), (1, 0));
}
