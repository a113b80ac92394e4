//! What is decided about a request, by whom and until when.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use ws_proto::{Accept, Cause, Close, OriginPolicy, Reject, State, SubprotocolPolicy};

use super::{REQUEST, frame, running, server};
use crate::runtime::Runtime;
use crate::toy::{Pipe, Toy};
use crate::waiters::{Watched, lock};
use crate::{Builder, Candidate, Server};

const DRAFT76: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: WebSocket\r\n\
    Connection: Upgrade\r\nOrigin: http://example.org\r\nSec-WebSocket-Protocol: chat\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n";

/// The eight bytes behind it.
const KEY3: &[u8] = b"^n:ds[4U";

type Answer = Result<Accept, Reject>;

/// A server that decides with `authorize`, and the states that were told.
fn deciding<A>(authorize: impl Fn(Candidate) -> A + Send + Sync + 'static) -> Deciding
where
    A: Future<Output = Answer> + Send + 'static,
{
    deciding_with(|builder| builder.authorize(authorize))
}

fn deciding_with(change: impl FnOnce(Builder<Toy>) -> Builder<Toy>) -> Deciding {
    let (toy, server) = running(change);
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    server.on_state_change(move |_, change| lock(&out).push(change.to as u8));
    Deciding { toy, server, told }
}

struct Deciding {
    toy: Toy,
    server: Server<Toy>,
    told: Arc<Mutex<Vec<u8>>>,
}

impl Deciding {
    /// A client that has asked.
    fn ask(&self, request: &[u8]) -> Pipe {
        let client = self.toy.dial();
        client.send(request);
        self.toy.settle();
        client
    }

    /// What a client reads that asks.
    fn answer(&self, request: &[u8]) -> String {
        read(&self.ask(request))
    }
}

fn read(client: &Pipe) -> String {
    String::from_utf8_lossy(&client.take().0).into_owned()
}

/// Counts how often it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A function that never decides, and how often it was given up.
fn undecided() -> (impl Fn(Candidate) -> crate::candidate::Verdict, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let authorize = move |candidate: Candidate| -> crate::candidate::Verdict {
        let guard = Dropped(Arc::clone(&count));
        Box::pin(async move {
            let held = (guard, candidate);
            pending::<()>().await;
            drop(held);
            Ok(Accept::new())
        })
    };
    (authorize, dropped)
}

#[test]
fn a_decision_may_take_its_time() {
    let gate = Arc::new(Watched::<bool>::default());
    let waiting = Arc::clone(&gate);
    let on = deciding(move |candidate| {
        let waiting = Arc::clone(&waiting);
        async move {
            candidate.set_data(candidate.request().path().to_owned());
            waiting.wait(|open| open.then_some(())).await;
            Ok(Accept::new().header("X-Seat", "7").expect("a header"))
        }
    });
    // What is sent too early waits.
    let client = on.ask(&[REQUEST, &frame(0x81, b"early")].concat());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&heard);
    on.server.on_message(move |connection, message| {
        let path = connection.data::<String>().expect("it was attached");
        lock(&out).push((path.as_str().to_owned(), message));
    });
    on.toy.advance(Duration::from_secs(9));
    assert_eq!((read(&client).as_str(), lock(&on.told).as_slice()), ("", &[1][..]));
    gate.update(|open| *open = true);
    on.toy.settle();
    let answer = read(&client);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nX-Seat: 7\r\n"), "{answer}");
    assert_eq!(*lock(&heard), [("/chat".into(), "early".into())]);
}

#[test]
fn draft76_is_decided_about_before_its_last_bytes() {
    for refused in [false, true] {
        let on = deciding_with(|builder| {
            builder.subprotocols(SubprotocolPolicy::application()).authorize(
                move |candidate| async move {
                    assert_eq!(candidate.request().subprotocols().collect::<Vec<_>>(), ["chat"]);
                    let accept = Accept::new().subprotocol("chat");
                    if refused { Err(Reject::new(402)) } else { Ok(accept) }
                },
            )
        });
        let client = on.ask(DRAFT76);
        let answer = read(&client);
        if refused {
            assert!(answer.starts_with("HTTP/1.1 402 ") && client.ended(), "{answer}");
            continue;
        }
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: chat\r\n"), "{answer}");
        assert_eq!(*lock(&on.told), [1, 2]);
        client.send(KEY3);
        on.toy.settle();
        assert_eq!((read(&client).len(), lock(&on.told).as_slice()), (16, &[1, 2, 3, 4][..]));
    }
}

#[test]
fn panics_in_a_decision_are_answered_with_500() {
    fn at_once(_: Candidate) -> crate::candidate::Verdict {
        panic!("no decision")
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("no end");
        }
    }
    async fn later(_: Candidate) -> Answer {
        panic!("no decision")
    }
    async fn at_the_end(_: Candidate) -> Answer {
        let _bomb = Bomb;
        Ok(Accept::new())
    }
    for on in [deciding(at_once), deciding(later), deciding(at_the_end)] {
        let answer = on.answer(REQUEST);
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert_eq!((lock(&on.told).as_slice(), on.server.manager().len()), (&[1, 5][..], 0));
    }
}

#[test]
fn a_decision_is_given_up_when_its_time_is_over() {
    let (authorize, dropped) = undecided();
    let on = deciding(authorize);
    let client = on.ask(REQUEST);
    on.toy.advance(Duration::from_secs(9));
    assert_eq!(dropped.load(Relaxed), 0);
    on.toy.advance(Duration::from_secs(1));
    assert!(read(&client).starts_with("HTTP/1.1 503 "));
    assert_eq!((dropped.load(Relaxed), client.ended()), (1, true));
}

#[test]
fn a_decision_is_given_up_when_the_client_leaves() {
    for request in [REQUEST, &[DRAFT76, KEY3].concat()] {
        let (authorize, dropped) = undecided();
        let on = deciding_with(|builder| {
            builder.subprotocols(SubprotocolPolicy::application()).authorize(authorize)
        });
        let client = on.ask(request);
        assert_eq!(dropped.load(Relaxed), 0);
        drop(client);
        on.toy.settle();
        assert_eq!((dropped.load(Relaxed), lock(&on.told).as_slice()), (1, &[1, 5, 6][..]));
        assert_eq!(on.toy.tasks(), 1);
    }
}

#[test]
fn a_decision_is_given_up_with_its_task() {
    let (authorize, dropped) = undecided();
    let on = deciding(authorize);
    let _client = on.ask(REQUEST);
    on.toy.drop_tasks();
    assert_eq!(dropped.load(Relaxed), 1);
}

#[test]
fn what_cannot_be_accepted_names_who_is_at_fault() {
    // Nobody chooses: the client asks for what is not spoken.
    let policy = |builder: Builder<Toy>| builder.subprotocols(SubprotocolPolicy::application());
    let on = deciding_with(policy);
    let answer = on.answer(DRAFT76);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("the client asks for a subprotocol that is not spoken here\n"));
    // The application chooses what nobody offered.
    let on = deciding(|_| async { Ok(Accept::new().subprotocol("poker")) });
    let answer = on.answer(REQUEST);
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
}

#[test]
fn both_decisions_about_a_request_that_waits_hold() {
    let (toy, server) = server(|builder| {
        builder.authorize(|candidate| async move {
            candidate.set_data(7_u8);
            Ok(Accept::new().header("X-A", "first").expect("a header"))
        })
    });
    toy.spawn(async move {
        let incoming = server.accept().await.unwrap();
        assert_eq!(incoming.connection().data().as_deref(), Some(&7_u8));
        let accept = Accept::new().header("X-B", "second").unwrap();
        let connection = incoming.accept(accept).await.unwrap();
        connection.closed().await;
    });
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    let answer = read(&client);
    assert!(answer.contains("\r\nX-A: first\r\nX-B: second\r\n"), "{answer}");
}

#[test]
fn listeners_reject_as_early_as_they_are_told() {
    for state in [State::Opening, State::Handshaking, State::Connected] {
        let on = deciding_with(|builder| builder);
        let ends = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&ends);
        on.server.on_close(move |_, closed| lock(&out).push(closed.cause.clone()));
        on.server.on_state_change(move |connection, change| {
            if change.to == state {
                let reject = Reject::new(403).because("a secret").body("members only");
                connection.reject(&reject);
                connection.reject(&reject);
            }
        });
        let client = on.ask(REQUEST);
        let answer = read(&client);
        assert!(!answer.contains("secret"), "{answer}");
        if state == State::Opening {
            assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nmembers only") && client.ended(), "{answer}");
            assert_eq!(*lock(&on.told), [1, 5]);
        } else {
            // 1008: the request is answered already.
            assert!(answer.ends_with("\u{2}\u{3}\u{FFFD}"), "{answer:?}");
            client.send(&frame(0x88, b"\x03\xF0"));
            drop(client);
            on.toy.settle();
            assert_eq!(*lock(&ends), [Cause::Local]);
        }
    }
}

#[test]
fn a_draft76_client_that_is_half_answered_sees_the_end() {
    let on = deciding(|_| async { Ok(Accept::new()) });
    on.server.on_state_change(|connection, change| {
        if change.to == State::Waiting {
            connection.reject(&Reject::new(403));
        }
    });
    let request = String::from_utf8_lossy(DRAFT76).replace("Sec-WebSocket-Protocol: chat\r\n", "");
    let client = on.ask(request.as_bytes());
    let answer = read(&client);
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(client.ended());
}

#[test]
fn a_decision_ends_with_the_server() {
    let (authorize, dropped) = undecided();
    let on = deciding(authorize);
    let client = on.ask(REQUEST);
    let server = on.server.clone();
    on.toy.spawn(async move {
        server.shutdown(Close::normal(), Duration::from_secs(5)).await;
    });
    on.toy.settle();
    assert_eq!(dropped.load(Relaxed), 1);
    assert!(read(&client).starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_decision_may_reject_through_the_connection_or_close_it() {
    let on = deciding(|candidate| async move {
        candidate.connection().reject(&Reject::new(410));
        Ok(Accept::new())
    });
    assert!(on.answer(REQUEST).starts_with("HTTP/1.1 410 "));
    let on = deciding(|candidate| async move {
        candidate.connection().abort();
        Ok(Accept::new())
    });
    assert_eq!(on.answer(REQUEST), "");
    let closing = deciding(|candidate| async move {
        candidate.connection().close(Close::normal());
        std::future::poll_fn(|_| Poll::<Answer>::Pending).await
    });
    assert!(closing.answer(REQUEST).starts_with("HTTP/1.1 503 "));
}

#[test]
fn data_lives_as_long_as_the_last_handle() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (first, second) = (Arc::clone(&dropped), Arc::clone(&dropped));
    let on = deciding(move |candidate| {
        let first = Arc::clone(&first);
        async move {
            candidate.set_data(Dropped(first));
            Ok(Accept::new())
        }
    });
    let client = on.ask(REQUEST);
    let connection = on.server.manager().snapshot().pop().unwrap();
    assert!(connection.set_data(Dropped(second)).is_some());
    assert_eq!(dropped.load(Relaxed), 1);
    connection.set_data("seat 7");
    assert_eq!(connection.take_data::<&str>().as_deref(), Some(&"seat 7"));
    assert_eq!(connection.data::<&str>(), None);
    drop(client);
    on.toy.advance(Duration::from_secs(2));
    assert_eq!(connection.state(), State::Closed);
    assert!(connection.data::<Dropped>().is_some());
    drop(connection);
    assert_eq!(dropped.load(Relaxed), 2);
}

#[test]
fn a_predicate_on_origins_refuses_and_its_panic_harms_nobody_else() {
    let policy = OriginPolicy::predicate(|asked| match asked.request().path() {
        "/chat" => true,
        "/panic" => panic!("no such path wanted"),
        _ => false,
    });
    let on = deciding_with(|builder| builder.origin(policy));
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    on.server.on_rejected(move |rejected| {
        lock(&out).push((rejected.status, matches!(rejected.cause, Cause::Handshake(_))));
    });
    let request = String::from_utf8(REQUEST.to_vec()).unwrap();
    for (path, status) in [("/panic", "500"), ("/other", "403"), ("/chat", "101")] {
        let answer = on.answer(request.replace("/chat", path).as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    on.toy.settle();
    assert_eq!(*lock(&told), [(500, false), (403, true)]);
}

#[test]
fn a_predicate_on_origins_may_reach_every_connection() {
    let own = Arc::new(Mutex::new(None::<Server<Toy>>));
    let inside = Arc::clone(&own);
    let policy = OriginPolicy::predicate(move |_| {
        let server = lock(&inside).take().unwrap();
        let mut shutdown = Box::pin(server.shutdown(Close::normal(), Duration::from_secs(5)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = shutdown.as_mut().poll(&mut cx);
        true
    });
    let on = deciding_with(|builder| builder.origin(policy));
    *lock(&own) = Some(on.server.clone());
    let answer = on.answer(REQUEST);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(on.server.manager().len(), 0);
}
