//! A function of users decides about each request before it is answered.

use std::future::pending;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ws_net::{
    Accept, Candidate, Cause, CloseCode, Expired, Reject, Runtime, State, Timeouts, Version,
};

use super::support::{Mailbox, Running, aside, echo, sleep, until};
use crate::client::{Client, addressed, dial, exchange, read_to_end};
use crate::requests::{DRAFT76, KEY3, RFC6455};

/// What a decision left for the handler.
#[derive(Debug, Eq, PartialEq)]
struct Seat {
    name: String,
    port: u16,
}

/// Query, cookies, headers and address, over every version; and its data in the handler.
pub async fn it_sees_the_request_and_leaves_data<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.authorize(seat)).await;
    let told = Mailbox::default();
    let out = told.clone();
    server.start_serving(&runtime, move |connection| {
        out.put(connection.data::<Seat>());
        out.put(connection.clone().data::<Seat>());
        assert_eq!(connection.data::<String>(), None);
        async move { echo(connection).await }
    });
    let address = server.address;
    for version in Version::ALL {
        let client = aside(move || {
            let mut client = Client::ask(address, asking(address, version, "a b")).expect("a seat");
            assert_eq!(client.ask_text("hello"), "hello");
            client.port()
        });
        let port = client.await;
        for _ in 0..2 {
            let seat = told.take().await.expect("it is attached");
            assert_eq!(*seat, Seat { name: "a b".into(), port });
        }
    }
}

/// Status, headers and body, and never the reason.
pub async fn it_rejects_with_an_http_answer<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.authorize(|candidate| async move {
            assert!(candidate.request().cookie("seat").is_none());
            let reject = Reject::new(401).because("a secret").body("who are you?");
            Err(reject.header("WWW-Authenticate", "Cookie").expect("a header"))
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let answers = aside(move || {
        [RFC6455, DRAFT76].map(|asked| exchange(address, addressed(asked, address).as_bytes()))
    });
    for answer in answers.await {
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("\r\nWWW-Authenticate: Cookie\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nwho are you?"), "{answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    assert!(server.manager().is_empty());
}

/// As 500, whose words nobody outside reads.
pub async fn an_error_in_it_is_a_refusal<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.authorize(|candidate| async move {
            let session = candidate.request().cookie("session");
            let session = session.ok_or_else(|| std::io::Error::other("a secret"))?;
            Ok(Accept::new().header("X-Session", session)?)
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let answers = aside(move || {
        [RFC6455, DRAFT76].map(|asked| exchange(address, addressed(asked, address).as_bytes()))
    });
    for answer in answers.await {
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    assert!(server.manager().is_empty());
}

/// One that takes its time holds up its own client only; early bytes wait.
pub async fn it_may_wait<R: Runtime>(runtime: R) {
    let waiting = Arc::new(AtomicUsize::new(0));
    let (count, clock) = (Arc::clone(&waiting), runtime.clone());
    let server = Running::bind(&runtime, |builder| {
        builder.authorize(move |candidate| {
            let (count, clock) = (Arc::clone(&count), clock.clone());
            async move {
                if candidate.request().query() == Some("slow") {
                    count.fetch_add(1, Relaxed);
                    until(&clock, || count.load(Relaxed) == 2).await;
                }
                Ok(Accept::new())
            }
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let slow = aside(move || {
        let mut socket = dial(address);
        let asked = addressed(DRAFT76, address).replacen("/demo", "/demo?slow", 1);
        let bytes = [asked.as_bytes(), KEY3, b"\x00early\xFF\xFF\x00"].concat();
        socket.write_all(&bytes).unwrap();
        read_to_end(&mut socket)
    });
    until(&runtime, || waiting.load(Relaxed) == 1).await;
    let quick = aside(move || Client::open(address, Version::Rfc6455).ask_text("quick"));
    assert_eq!(quick.await, "quick");
    waiting.fetch_add(1, Relaxed);
    let answer = slow.await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("\u{0}early"), "{answer:?}");
}

/// Its client gets 500, the others notice nothing.
pub async fn a_panic_in_it_ends_its_own_connection_alone<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.authorize(|candidate| async move {
            assert_ne!(candidate.request().path(), "/chat");
            Ok(Accept::new())
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        let mut bystander = Client::open(address, Version::Rfc6455);
        for _ in 0..5 {
            let answer = exchange(address, addressed(RFC6455, address).as_bytes());
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert_eq!(bystander.ask_text("and you?"), "and you?");
        }
    })
    .await;
}

/// Nobody waits for the answer any more.
pub async fn it_is_dropped_when_the_client_leaves<R: Runtime>(runtime: R) {
    let (server, started, dropped) = undecided(&runtime, Timeouts::default()).await;
    server.start_running(&runtime);
    let address = server.address;
    for asked in [RFC6455, DRAFT76] {
        let before = started.load(Relaxed);
        let socket = aside(move || {
            let mut socket = dial(address);
            socket.write_all(addressed(asked, address).as_bytes()).unwrap();
            socket
        });
        let socket = socket.await;
        until(&runtime, || started.load(Relaxed) > before).await;
        assert_eq!(dropped.load(Relaxed), before);
        drop(socket);
        until(&runtime, || dropped.load(Relaxed) > before).await;
    }
}

/// The client gets 503, and the server is told that it was too slow.
pub async fn it_is_dropped_at_the_deadline<R: Runtime>(runtime: R) {
    let timeouts = Timeouts::new().handshake(Duration::from_secs(2));
    let (server, _, dropped) = undecided(&runtime, timeouts).await;
    let told = Mailbox::default();
    let post = told.clone();
    server.on_rejected(move |client| post.put((client.status, client.cause.clone())));
    server.start_running(&runtime);
    let address = server.address;
    let answer = aside(move || exchange(address, addressed(RFC6455, address).as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(told.take().await, (503, Cause::Timeout(Expired::Decision)));
    assert_eq!(dropped.load(Relaxed), 1);
}

/// What it accepts waits for `accept`, with its data; what both decide holds.
pub async fn it_comes_before_accept<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.authorize(seat)).await;
    let address = server.address;
    let refused = aside(move || exchange(address, addressed(RFC6455, address).as_bytes()));
    let mut refused = std::pin::pin!(refused);
    let client = aside(move || {
        let request = asking(address, Version::Rfc6455, "x");
        let request = request.subprotocol("chat").expect("a token");
        let client = Client::ask(address, request).expect("a seat");
        client.core().subprotocol().map(str::to_owned)
    });
    // The one without a seat never comes here.
    let incoming = server.accept().await.unwrap();
    let seat = incoming.connection().data::<Seat>().expect("it is attached");
    assert_eq!((seat.name.as_str(), incoming.peer_addr().port()), ("x", Some(seat.port)));
    let connection = incoming.accept(Accept::new().subprotocol("chat")).await.unwrap();
    assert_eq!(connection.data::<Seat>(), Some(seat));
    assert_eq!(client.await.as_deref(), Some("chat"));
    // Somebody has to wait in `accept` or be there at all: the decision needs neither.
    assert!(refused.as_mut().await.starts_with("HTTP/1.1 401 "));
}

/// Listeners see the data, from the first state after the decision on.
pub async fn it_comes_before_the_listeners<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.authorize(seat)).await;
    let told = Mailbox::default();
    let (states, post) = (told.clone(), told.clone());
    server.on_state_change(move |connection, change| {
        states.put((change.to, connection.data::<Seat>().is_some()));
    });
    server.on_close(move |connection, closed| {
        assert_eq!(closed.cause, Cause::Peer);
        post.put((State::Unknown, connection.data::<Seat>().is_some()));
    });
    server.start_running(&runtime);
    let address = server.address;
    aside(move || {
        let asked = asking(address, Version::Rfc6455, "x");
        Client::ask(address, asked).expect("a seat").close(ws_net::Close::normal());
    })
    .await;
    let expected = [
        (State::Opening, false),
        (State::Handshaking, true),
        (State::Connected, true),
        (State::Closing, true),
        (State::Closed, true),
        (State::Unknown, true),
    ];
    for step in expected {
        assert_eq!(told.take().await, step);
    }
}

/// In the request phase it is an HTTP answer, later a close with 1008.
pub async fn a_connection_may_be_rejected_at_any_time<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let late = Arc::new(AtomicUsize::new(0));
    let when = Arc::clone(&late);
    server.on_state_change(move |connection, change| {
        let state = if when.load(Relaxed) == 0 { State::Opening } else { State::Connected };
        if change.to == state {
            connection.reject(&Reject::new(403).because("a secret").body("no"));
        }
    });
    server.start_serving(&runtime, echo);
    let address = server.address;
    let answer = aside(move || exchange(address, addressed(RFC6455, address).as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("\r\n\r\nno"), "{answer}");
    late.store(1, Relaxed);
    let closed = aside(move || Client::open(address, Version::Rfc6455).closed()).await;
    assert_eq!(closed.received.expect("a close frame"), CloseCode::POLICY.into());
}

/// A server that never decides, and how often it began and gave up.
async fn undecided<R: Runtime>(
    runtime: &R,
    timeouts: Timeouts,
) -> (Running<R>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let (started, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begin, end) = (Arc::clone(&started), Arc::clone(&dropped));
    let clock = runtime.clone();
    let server = Running::bind(runtime, |builder| {
        builder.timeouts(timeouts).authorize(move |candidate| {
            let (held, begin) = (Dropped(Arc::clone(&end)), Arc::clone(&begin));
            let clock = clock.clone();
            async move {
                begin.fetch_add(1, Relaxed);
                sleep(&clock, Duration::from_millis(1)).await;
                pending::<()>().await;
                drop((held, candidate));
                Ok(Accept::new())
            }
        })
    })
    .await;
    (server, started, dropped)
}

/// Lets in who has a seat, and keeps it with the connection.
async fn seat(candidate: Candidate) -> Result<Accept, Reject> {
    let request = candidate.request();
    let (Some(version), Some("7")) = (request.headers().text("X-Version"), request.cookie("seat"))
    else {
        return Err(Reject::new(401));
    };
    assert_eq!(version, candidate.version().name());
    let mut pairs = request.query_pairs();
    let name = pairs.find(|pair| pair.0 == "name").ok_or_else(|| Reject::new(400))?.1;
    let port = candidate.peer_addr().port().expect("a TCP client");
    assert_eq!(port, candidate.id().port());
    candidate.set_data(Seat { name: name.into_owned(), port });
    Ok(Accept::new())
}

/// A request that has a seat.
fn asking(address: SocketAddr, version: Version, name: &str) -> ws_proto::ClientRequest {
    let name = name.replace(' ', "+");
    let url = format!("ws://{address}/seats?x=1&name={name}");
    let asked = ws_proto::ClientRequest::new(&url).expect("a well-formed URL");
    let asked = asked.origin(&format!("http://{address}")).expect("a well-formed origin");
    let asked = asked.header("Cookie", "a=b; seat=\"7\"").expect("a header");
    asked.version(version).header("X-Version", version.name()).expect("a header")
}
