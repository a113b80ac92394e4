//! `WebSocket`s on the port of a hyper server of the user's own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use ws_net::http::{HyperIo, HyperTimer, Request, Response};
use ws_net::{Accept, Address, Builder, Cause, Listener, Reject, Runtime, Server};

use super::support::{Mailbox, aside, echo, polled, until};
use crate::client::{dial, read_answer, read_to_end};
use crate::requests::{DRAFT75, frame};

/// Serves so many clients of a new port with hyper; `route` answers their requests.
fn start<R: Runtime, F, H>(runtime: &R, server: &Server<R>, clients: usize, route: F) -> SocketAddr
where
    F: Fn(Server<R>, Request<Incoming>) -> H + Clone + Send + Sync + 'static,
    H: Future<Output = Response<Bytes>> + Send + 'static,
{
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    socket.set_nonblocking(true).expect("a TCP socket");
    let mut listener = runtime.listen(socket).expect("the runtime takes it");
    let (spawner, server) = (runtime.clone(), server.clone());
    runtime.spawn(async move {
        for _ in 0..clients {
            let (stream, _) =
                poll_fn(|cx| listener.poll_accept(cx)).await.expect("a client connects");
            let (server, route) = (server.clone(), route.clone());
            let service = service_fn(move |request| {
                let answer = route(server.clone(), request);
                async move { Ok::<_, Infallible>(answer.await.map(Full::new)) }
            });
            let driven = http1::Builder::new()
                .timer(HyperTimer(spawner.clone()))
                .serve_connection(HyperIo(stream), service)
                .with_upgrades();
            spawner.spawn(async move { drop(driven.await) });
        }
    });
    address
}

/// A page, and an echo.
async fn page_or_echo<R: Runtime>(
    server: Server<R>,
    mut request: Request<Incoming>,
) -> Response<Bytes> {
    if request.uri().path() != "/chat" {
        return Response::new("page".into());
    }
    match server.upgrade_http(&mut request) {
        Ok(upgrade) => upgrade.serve(echo).await,
        Err(refusal) => refusal,
    }
}

fn server<R: Runtime>(runtime: &R, change: impl FnOnce(Builder<R>) -> Builder<R>) -> Server<R> {
    change(Builder::new(runtime.clone())).build().expect("good options")
}

const PAGE: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn ask(version: u8) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n\r\n"
    )
}

fn read(socket: &mut TcpStream, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    socket.read_exact(&mut bytes).expect("the server answers");
    bytes
}

/// On one connection, in one packet; every version that hyper can answer.
pub async fn pages_and_websockets_share_the_port_of_hyper<R: Runtime>(runtime: R) {
    let server = server(&runtime, |builder| builder);
    let address = start(&runtime, &server, 3, page_or_echo);
    let manager = server.manager().clone();
    aside(move || {
        for version in [7, 8, 13] {
            let mut socket = dial(address);
            let hi = frame(0x81, b"hi");
            socket.write_all(&[PAGE.as_bytes(), ask(version).as_bytes(), &hi].concat()).unwrap();
            assert_eq!(read_answer(&mut socket, true).1, "page");
            let (head, _) = read_answer(&mut socket, false);
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
            assert_eq!(read(&mut socket, 4), b"\x81\x02hi");
            assert!(!manager.is_empty());
            let long = vec![b'x'; 200_000];
            socket.write_all(&frame(0x81, &long)).unwrap();
            assert_eq!(read(&mut socket, 10 + long.len())[10..], long);
            socket.write_all(&frame(0x88, b"\x0F\xA0")).unwrap();
            assert_eq!(read_to_end(&mut socket).chars().count(), 4, "a close frame");
        }
    })
    .await;
    until(&runtime, || server.manager().is_empty()).await;
}

/// With the statuses of every port of ours.
pub async fn hyper_writes_the_refusals<R: Runtime>(runtime: R) {
    let server = server(&runtime, |builder| builder.max_connections(1));
    let address = start(&runtime, &server, 7, page_or_echo);
    let told = Mailbox::default();
    let post = told.clone();
    server.on_rejected(move |client| post.put((client.status, client.cause.clone())));
    aside(move || {
        for (request, status) in [
            (ask(99), 426),
            (DRAFT75.replace("/demo", "/chat"), 426),
            (ask(13).replace("GET", "POST"), 405),
            (ask(13).replace("Host: a", "Host: a\r\nOrigin: http://evil.example"), 403),
            (ask(13).replace("Upgrade: websocket\r\n", ""), 400),
        ] {
            let mut socket = dial(address);
            socket.write_all(request.as_bytes()).unwrap();
            let answer = read_to_end(&mut socket);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
            let versions = answer.contains("sec-websocket-version: 13, 8, 7\r\n");
            assert_eq!(versions, status == 426, "{answer}");
        }
        let mut first = dial(address);
        first.write_all(ask(13).as_bytes()).unwrap();
        assert!(read_answer(&mut first, false).0.starts_with("HTTP/1.1 101 "));
        let mut second = dial(address);
        second.write_all(ask(13).as_bytes()).unwrap();
        assert!(read_to_end(&mut second).starts_with("HTTP/1.1 503 "), "it is full");
    })
    .await;
    for status in [426, 426, 405, 403, 400] {
        assert_eq!(told.take().await.0, status);
    }
    assert_eq!(told.take().await, (503, Cause::Unavailable));
}

/// As its extensions say, whether it is let in or refused.
pub async fn who_comes_through_hyper_has_the_address_of_the_request<R: Runtime>(runtime: R) {
    let server = server(&runtime, |builder| builder);
    let told = Mailbox::default();
    let (opened, refused) = (told.clone(), told.clone());
    server.on_connection(move |connection| opened.put((101, connection.peer_addr())));
    server.on_rejected(move |client| refused.put((client.status, client.peer)));
    let named = Address::from(SocketAddr::from(([192, 0, 2, 7], 80)));
    let address = start(&runtime, &server, 2, move |server, mut request| {
        request.extensions_mut().insert(named);
        page_or_echo(server, request)
    });
    for (version, status) in [(13, 101), (99, 426)] {
        let asked = aside(move || {
            let mut socket = dial(address);
            socket.write_all(ask(version).as_bytes()).unwrap();
            read_answer(&mut socket, false).0
        });
        assert!(asked.await.starts_with(&format!("HTTP/1.1 {status} ")));
        assert_eq!(told.take().await, (status, named));
    }
}

/// It ends with 1011; page and socket of the next client are served.
pub async fn a_panic_behind_hyper_ends_its_own_connection<R: Runtime>(runtime: R) {
    let server = server(&runtime, |builder| builder);
    let address = start(&runtime, &server, 2, |server, mut request| async move {
        let Ok(upgrade) = server.upgrade_http(&mut request) else {
            return Response::new("page".into());
        };
        let handler = |connection: ws_net::Connection| async move {
            assert!(connection.recv().await.is_none(), "no message is wanted");
        };
        upgrade.serve(handler).await
    });
    aside(move || {
        for _ in 0..2 {
            let mut socket = dial(address);
            socket.write_all(ask(13).as_bytes()).unwrap();
            read_answer(&mut socket, false);
            socket.write_all(&frame(0x81, b"hi")).unwrap();
            assert_eq!(read(&mut socket, 4), b"\x88\x02\x03\xF3");
        }
    })
    .await;
}

/// With a subprotocol and headers of its own, or a refusal; and listeners hear of those that are
/// left to them.
pub async fn who_comes_through_hyper_may_be_decided_about<R: Runtime>(runtime: R) {
    let server = server(&runtime, |builder| builder);
    server.on_message(|connection, message| drop(connection.try_send(message)));
    let spawner = runtime.clone();
    let address = start(&runtime, &server, 5, move |server, mut request| {
        let spawner = spawner.clone();
        async move {
            let query = request.uri().query().map(str::to_owned);
            let upgrade = server.upgrade_http(&mut request).expect("a good request");
            if query.as_deref() == Some("listeners") {
                return upgrade.run().await;
            }
            if query.as_deref() == Some("handler") {
                let accept = Accept::new().header("X-Seat", "7").expect("a header");
                return upgrade.accept_with(accept.subprotocol("chat")).serve(echo).await;
            }
            let (incoming, answer) = upgrade.incoming().await.expect("there is room");
            spawner.spawn(async move {
                if query.is_some() {
                    return incoming.reject(&Reject::new(404).body("not here"));
                }
                let accept = Accept::new().header("X-Seat", "7").expect("a header");
                echo(incoming.accept(accept).await.expect("the client waits")).await;
            });
            answer.await
        }
    });
    aside(move || {
        for query in ["", "?listeners"] {
            let mut socket = dial(address);
            let asked = ask(13).replacen("/chat", &format!("/chat{query}"), 1);
            socket.write_all(asked.as_bytes()).unwrap();
            let (head, _) = read_answer(&mut socket, false);
            assert_eq!(head.contains("\r\nx-seat: 7\r\n"), query.is_empty(), "{head}");
            socket.write_all(&frame(0x81, b"hi")).unwrap();
            assert_eq!(read(&mut socket, 4), b"\x81\x02hi");
        }
        let asked = ask(13).replacen("/chat", "/chat?handler", 1);
        let mut socket = dial(address);
        let offered = asked.replace("Host: a", "Host: a\r\nSec-WebSocket-Protocol: news, chat");
        socket.write_all(&[offered.as_bytes(), &frame(0x81, b"hi")].concat()).unwrap();
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.contains("\r\nx-seat: 7\r\n"), "{head}");
        assert!(head.contains("\r\nsec-websocket-protocol: chat\r\n"), "{head}");
        assert_eq!(read(&mut socket, 4), b"\x81\x02hi");
        let mut socket = dial(address);
        socket.write_all(asked.as_bytes()).unwrap();
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("\r\nx-seat: 7\r\n"), "{head}");
        assert!(!head.contains("sec-websocket-protocol"), "it offered none: {head}");
        let mut socket = dial(address);
        socket.write_all(ask(13).replacen("/chat", "/chat?no", 1).as_bytes()).unwrap();
        let answer = read_to_end(&mut socket);
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("not here"), "{answer}");
    })
    .await;
}

/// Then the answer is the route's own, and no connection opens or stays.
pub async fn upgrades_behind_hyper_may_be_dropped_at_every_point<R: Runtime>(runtime: R) {
    const TURNS: usize = 5;
    for ways in ["serve", "run", "incoming"] {
        let server = server(&runtime, |builder| builder);
        let answers = Mailbox::default();
        let post = answers.clone();
        let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let address = start(&runtime, &server, TURNS, move |server, mut request| {
            let times = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let post = post.clone();
            async move {
                let upgrade = server.upgrade_http(&mut request).expect("a good request");
                let answer = match ways {
                    "serve" => polled(times, upgrade.serve(echo)).await,
                    "run" => polled(times, upgrade.run()).await,
                    _ => polled(times, upgrade.incoming()).await.map(|decided| {
                        // Nobody decides, which is an answer.
                        drop(decided);
                        Response::new("dropped".into())
                    }),
                };
                post.put(answer.is_some());
                answer.unwrap_or_else(|| Response::new("given up".into()))
            }
        });
        for times in 0..TURNS {
            let opened = aside(move || {
                let mut socket = dial(address);
                socket.write_all(ask(13).as_bytes()).unwrap();
                let (head, _) = read_answer(&mut socket, true);
                let opened = head.starts_with("HTTP/1.1 101 ");
                if opened {
                    socket.write_all(&frame(0x88, b"\x03\xE8")).unwrap();
                    assert_eq!(read_to_end(&mut socket).chars().count(), 4, "a close frame");
                }
                opened
            });
            let opened = opened.await;
            let answered = answers.take().await;
            assert!(answered || times < TURNS - 1, "{ways} takes more than {times} polls");
            assert_eq!(opened, answered && ways != "incoming", "{ways}, {times} polls");
            until(&runtime, || server.manager().is_empty()).await;
        }
    }
}
