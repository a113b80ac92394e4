//! `accept`: a look at each request before it is answered.

use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use ws_net::{Accept, AcceptError, Cause, CommandError, Reject, Runtime, State, Version};

use super::support::{Mailbox, Running, aside, polled, until};
use crate::client::{Client, addressed, dial, exchange, read_answer, request};
use crate::requests::{DRAFT76, RFC6455, with};

/// Who asks, for what, over which version.
pub async fn a_request_can_be_looked_at<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let clients = aside(move || {
        Version::ALL.map(|version| {
            let request = request(address).version(version).header("Cookie", "seat=7").unwrap();
            Client::ask(address, request).map(|client| client.port())
        })
    });
    let mut ports = Vec::new();
    for version in Version::ALL {
        let incoming = server.accept().await.unwrap();
        assert_eq!(incoming.request().version(), version);
        assert_eq!(incoming.request().headers().get("cookie"), Some(&b"seat=7"[..]));
        assert_eq!(incoming.peer_addr().port(), Some(incoming.id().port()));
        ports.push(incoming.id().port());
        let connection = incoming.accept(Accept::new()).await.unwrap();
        assert_eq!(connection.version(), Some(version));
    }
    assert_eq!(clients.await.map(Result::unwrap).to_vec(), ports);
}

/// Status, headers and body, on every version.
pub async fn reject_is_an_http_answer<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let answers = aside(move || {
        [RFC6455, DRAFT76].map(|asked| exchange(address, addressed(asked, address).as_bytes()))
    });
    for _ in 0..2 {
        let reject = Reject::new(403).header("Retry-After", "7").unwrap().body("members only");
        server.accept().await.unwrap().reject(&reject);
    }
    for answer in answers.await {
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 7\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nmembers only"), "{answer}");
    }
    assert!(server.manager().is_empty());
}

/// A subprotocol and headers of one's own.
pub async fn accept_takes_a_subprotocol_and_headers<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let head = aside(move || {
        let mut socket = dial(address);
        let asked = addressed(RFC6455, address);
        let asked = with(&asked, "Sec-WebSocket-Protocol: chat, superchat");
        socket.write_all(asked.as_bytes()).unwrap();
        read_answer(&mut socket, false).0
    });
    let accept = Accept::new().subprotocol("superchat").header("Set-Cookie", "seat=7").unwrap();
    let connection = server.accept().await.unwrap().accept(accept).await.unwrap();
    assert_eq!(connection.protocol().as_deref(), Some("superchat"));
    let head = head.await;
    assert!(head.contains("\r\nSec-WebSocket-Protocol: superchat\r\n"), "{head}");
    assert!(head.contains("\r\nSet-Cookie: seat=7\r\n"), "{head}");
}

/// The mistake is this side's, so the client reads 503.
pub async fn a_choice_that_was_not_offered_is_an_error<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let answer = aside(move || ask(address));
    let incoming = server.accept().await.unwrap();
    let error = incoming.accept(Accept::new().subprotocol("chat")).await.unwrap_err();
    assert!(matches!(error, AcceptError::Command(CommandError::NotOffered(_))), "{error}");
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

/// Nobody wanted it.
pub async fn a_request_that_is_dropped_is_answered_with_503<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let answer = aside(move || ask(address));
    drop(server.accept().await.unwrap());
    assert!(answer.await.starts_with("HTTP/1.1 503 "));
}

/// They were not taken in time.
pub async fn requests_that_wait_when_the_server_closes_get_503<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    assert!(polled(1, server.accept()).await.is_none());
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    server.on_state_change(move |_, change| {
        count.fetch_add(usize::from(change.to == State::Opening), Relaxed);
    });
    let answers = aside(move || {
        thread::scope(|scope| {
            [(); 3].map(|()| scope.spawn(move || ask(address))).map(|one| one.join().unwrap())
        })
    });
    until(&runtime, || told.load(Relaxed) == 3).await;
    let causes = Mailbox::default();
    let post = causes.clone();
    server.on_rejected(move |client| post.put(client.cause.clone()));
    server.close();
    for answer in answers.await {
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(causes.take().await, Cause::Unavailable);
    }
}

/// A draft76 client whose last bytes never come.
pub async fn a_client_that_leaves_in_its_handshake_is_an_error<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let socket = aside(move || {
        let mut socket = dial(address);
        let asked = addressed(DRAFT76, address);
        socket.write_all(asked.as_bytes()).unwrap();
        socket
    });
    let incoming = server.accept().await.unwrap();
    let socket = socket.await;
    let mut accepting = pin!(incoming.accept(Accept::new()));
    assert!(polled(1, accepting.as_mut()).await.is_none(), "eight bytes are missing");
    drop(socket);
    match accepting.await.unwrap_err() {
        AcceptError::Closed(closed) => assert_eq!(closed.cause, Cause::Eof),
        error => panic!("{error}"),
    }
}

/// It is told as if it had left a moment later.
pub async fn a_client_that_left_before_the_answer_is_an_error<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let socket = aside(move || {
        let mut socket = dial(address);
        socket.write_all(addressed(RFC6455, address).as_bytes()).unwrap();
        socket
    });
    let incoming = server.accept().await.unwrap();
    drop(socket.await);
    until(&runtime, || incoming.connection().state() >= State::Closing).await;
    match incoming.accept(Accept::new()).await.unwrap_err() {
        AcceptError::Closed(closed) => assert_eq!(closed.cause, Cause::Eof),
        error => panic!("{error}"),
    }
}

fn ask(address: SocketAddr) -> String {
    exchange(address, addressed(RFC6455, address).as_bytes())
}
