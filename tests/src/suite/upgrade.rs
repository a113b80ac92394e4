//! Upgrades whose request something else has read: hyper behind ordinary HTTP, or another server.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ws_net::http::{Request, RequestBody, Response};
use ws_net::{
    Accept, Builder, Close, CloseCode, Listener, LocalAddress, Reject, Request as Asked, Runtime,
    Server, State, Timeouts, Transport, Version,
};

use super::support::{Mailbox, Running, aside, echo, polled, until};
use crate::client::{Client, dial, read_answer, read_to_end};
use crate::requests::with;

const PAGE: &str = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";

/// Polls that no upgrade takes.
const POLLS: usize = 64;

/// A text of two letters, from the client and from the server.
const HI: &[u8] = b"\x81\x82\0\0\0\0hi";
const HI_BACK: &[u8] = b"\x81\x02hi";

/// In one packet with the page before it and the frame behind it, and one after the other.
pub async fn a_websocket_may_follow_a_page<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    aside(move || {
        for version in [7, 8, 13] {
            let request = ask(version);
            for pieces in [
                vec![[PAGE.as_bytes(), request.as_bytes(), HI].concat()],
                vec![PAGE.into(), request.clone().into(), HI.into()],
                vec![PAGE.into(), [request.as_bytes(), &HI[..3]].concat(), HI[3..].into()],
            ] {
                let mut socket = dial(address);
                for piece in pieces {
                    socket.write_all(&piece).unwrap();
                }
                assert_eq!(read_answer(&mut socket, true).1, "page");
                let (head, _) = read_answer(&mut socket, false);
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                let head = head.to_lowercase();
                assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
                assert!(head.contains("\r\nsec-websocket-accept: "), "{head}");
                assert_eq!(read(&mut socket, 4), HI_BACK);
                socket.write_all(HI).unwrap();
                assert_eq!(read(&mut socket, 4), HI_BACK);
            }
        }
    })
    .await;
}

/// The door decides, as about a first request.
pub async fn a_request_behind_a_page_waits_for_its_answer<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.on_request(page)).await;
    let address = server.address;
    let own = (*server).clone();
    runtime.spawn(async move {
        own.accept().await.unwrap().reject(&Reject::new(404).body("not here"));
        drop(own.accept().await.unwrap());
        let accept = Accept::new().header("X-Seat", "7").unwrap();
        let connection = own.accept().await.unwrap().accept(accept).await.unwrap();
        assert_eq!(connection.request().unwrap().path(), "/chat");
        assert_eq!(connection.local_addr(), Some(LocalAddress::Tcp(address)));
        echo(connection).await;
    });
    aside(move || {
        for (status, body) in [(404, "not here"), (503, "Service Unavailable\n")] {
            let mut socket = after_page(address, &ask(13));
            let (head, text) = read_answer(&mut socket, true);
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            assert_eq!(text, body);
            assert_eq!(read_to_end(&mut socket), "");
        }
        let mut socket = after_page(address, &ask(13));
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.to_lowercase().contains("\r\nx-seat: 7\r\n"), "{head}");
        socket.write_all(HI).unwrap();
        assert_eq!(read(&mut socket, 4), HI_BACK);
    })
    .await;
}

/// What breaks a rule is answered as everywhere, and ends its connection.
pub async fn a_bad_request_behind_a_page_is_refused<R: Runtime>(runtime: R) {
    let pages = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pages);
    let counted = move |request| {
        count.fetch_add(1, Relaxed);
        page(request)
    };
    let server = Running::bind(&runtime, |builder| builder.on_request(counted)).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        for (request, status) in [
            (ask(99), 426),
            (ask(13).replace("GET", "POST"), 405),
            (ask(13).replace("Host: a", "Host: a\r\nOrigin: http://evil.example"), 403),
            (ask(13).replace("Connection: Upgrade", "Connection: keep-alive"), 400),
            (ask(13).replace("Host: a", "Host: a\r\nContent-Length: 2"), 400),
            (ask(13).replace("Host: a", "Host: a\r\nTransfer-Encoding: chunked"), 400),
            (draft75(), 421),
            // Its last eight bytes would be the first ones of the page.
            (draft76(), 421),
            (draft76().replace("http://a", "http://evil.example"), 403),
        ] {
            let mut socket = after_page(address, &format!("{request}{PAGE}"));
            let answer = read_to_end(&mut socket);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
            assert_eq!(pages.swap(0, Relaxed), 1, "{request}: what is behind it was served");
            assert_eq!(status == 426, answer.to_lowercase().contains("sec-websocket-version: 13"));
        }
    })
    .await;
}

/// The one connection that may be there changes from HTTP to WebSocket, and ends with the server.
pub async fn a_websocket_behind_a_page_keeps_its_seat_and_ends<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder.max_connections(1)).await;
    let address = server.address;
    let mut socket = aside(move || {
        let mut socket = after_page(address, &ask(13));
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket
    })
    .await;
    let manager = server.manager().clone();
    until(&runtime, || manager.len() == 1).await;
    let client = aside(move || {
        assert_eq!(read(&mut socket, 4), b"\x88\x02\x03\xE9");
        socket.write_all(b"\x88\x82\0\0\0\0\x03\xE9").unwrap();
        assert_eq!(read_to_end(&mut socket), "");
    });
    let report = server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(30)).await;
    // The task that served the page may still have been on its way out.
    assert!((1..=2).contains(&report.closed) && report.aborted == 0, "{report:?}");
    client.await;
}

/// It ends with 1011, and the next one is served.
pub async fn a_panic_behind_a_page_ends_its_own_connection<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.on_request(page)).await;
    server.start_serving(&runtime, |connection| async move {
        let message = connection.recv().await;
        assert!(message.is_none(), "no message wanted");
    });
    let address = server.address;
    aside(move || {
        for _ in 0..2 {
            let mut socket = after_page(address, &ask(13));
            read_answer(&mut socket, false);
            socket.write_all(HI).unwrap();
            assert_eq!(read(&mut socket, 4), b"\x88\x02\x03\xF3");
        }
    })
    .await;
}

/// Who leaves while its request waits is missed, and who waits too long gets 503.
pub async fn a_request_behind_a_page_does_not_wait_for_ever<R: Runtime>(runtime: R) {
    let timeouts = Timeouts::new().handshake(Duration::from_secs(2));
    let server =
        Running::bind(&runtime, |builder| builder.on_request(page).timeouts(timeouts)).await;
    let address = server.address;
    let client = aside(move || {
        let gone = after_page(address, &ask(13));
        gone.shutdown(Shutdown::Both).unwrap();
        let mut late = after_page(address, &ask(13));
        let (head, _) = read_answer(&mut late, true);
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    });
    let ended = Mailbox::default();
    let post = ended.clone();
    server.on_state_change(move |_, change| {
        if change.to == State::Closed {
            post.put(());
        }
    });
    let first = server.accept().await.unwrap();
    client.await;
    // The two that spoke HTTP first, and the two that then asked.
    for _ in 0..4 {
        ended.take().await;
    }
    assert!(first.accept(Accept::new()).await.is_err());
}

/// A server without an address, behind an acceptor that reads the heads; every version.
pub async fn streams_from_elsewhere_are_served<R: Runtime>(runtime: R) {
    let server = Builder::new(runtime.clone()).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut listener = runtime.listen(socket).unwrap();
    let own = server.clone();
    runtime.spawn(async move {
        for _ in Version::ALL {
            let (stream, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            let (request, stream, leftover) = read_head(&own, stream).await;
            own.upgrade(request, stream, leftover).peer(peer).serve(echo).unwrap();
        }
    });
    let manager = server.manager().clone();
    aside(move || {
        let clients = Version::ALL.map(|version| {
            let mut client = Client::open(address, version);
            assert_eq!(client.ask_text("hello"), "hello");
            let port = client.port();
            let known = manager.map(|connection| connection.peer_addr().port() == Some(port));
            assert_eq!(known.into_iter().filter(|same| *same).count(), 1);
            client
        });
        assert_eq!(manager.len(), clients.len());
        drop(clients);
    })
    .await;
    let report = server.shutdown(Close::normal(), Duration::from_secs(30)).await;
    assert_eq!(report.aborted, 0);
}

/// The client sees the end, a refusal or a close, and no connection is left.
pub async fn upgrades_may_be_dropped_at_every_point<R: Runtime>(runtime: R) {
    let server = Builder::new(runtime.clone()).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut listener = runtime.listen(socket).unwrap();
    // Until both are done, however often they are woken on the way.
    let mut todo = [true; 2];
    for (times, accepts) in (0..POLLS).flat_map(|times| [(times, false), (times, true)]) {
        if !todo[usize::from(accepts)] {
            continue;
        }
        let client = aside(move || ask_and_close(address));
        let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let (request, stream, leftover) = read_head(&server, stream).await;
        let upgrade = server.upgrade(request, stream, leftover);
        let done = if accepts {
            polled(times, upgrade.accept(Accept::new())).await.map(|opened| drop(opened.unwrap()))
        } else {
            polled(times, upgrade.incoming()).await.map(|incoming| drop(incoming.unwrap()))
        };
        assert!(done.is_some() || times < POLLS - 1, "it takes more than {times} polls");
        todo[usize::from(accepts)] = done.is_none();
        assert!(done.is_none() || times > 0);
        let answer = client.await;
        match (times, accepts) {
            (0, _) => assert_eq!(answer, ""),
            (_, false) => assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}"),
            (_, true) => assert!(
                answer.starts_with("HTTP/1.1 503 ") || answer.starts_with("HTTP/1.1 101 "),
                "{answer}"
            ),
        }
        until(&runtime, || server.manager().is_empty()).await;
    }
    assert_eq!(server.shutdown(Close::normal(), Duration::from_secs(30)).await.aborted, 0);
}

/// Asks for a WebSocket, answers a close frame, and tells everything that came.
fn ask_and_close(address: SocketAddr) -> String {
    let mut socket = dial(address);
    socket.write_all(ask(13).as_bytes()).unwrap();
    let (mut bytes, mut buf) = (Vec::new(), [0; 512]);
    loop {
        let n = socket.read(&mut buf).unwrap();
        bytes.extend(&buf[..n]);
        if bytes.ends_with(b"\x88\x02\x03\xE8") {
            socket.write_all(b"\x88\x82\0\0\0\0\x03\xE8").unwrap();
        }
        if n == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

/// Reads a request head as another server would, and a little of what is behind it.
async fn read_head<R: Runtime, S: Transport>(
    server: &Server<R>,
    mut stream: S,
) -> (Asked, S, Vec<u8>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let mut buf = [0; 64];
        let n = poll_fn(|cx| stream.poll_read(cx, &mut buf)).await.unwrap();
        assert!(n > 0, "the client left");
        bytes.extend(&buf[..n]);
    };
    let leftover = bytes.split_off(end);
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let target = lines.next().unwrap().split(' ').nth(1).unwrap();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name, value.as_bytes())
    });
    let request = Asked::from_parts("GET", target, 1, fields, server.config()).unwrap();
    (request, stream, leftover)
}

async fn serving<R: Runtime>(
    runtime: &R,
    change: impl FnOnce(Builder<R>) -> Builder<R>,
) -> Running<R> {
    let server = Running::bind(runtime, |builder| change(builder.on_request(page))).await;
    server.start_serving(runtime, echo);
    server
}

async fn page(request: Request<RequestBody>) -> Response<String> {
    assert_eq!(request.uri().path(), "/page");
    Response::new("page".into())
}

fn ask(version: u8) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n\r\n"
    )
}

fn draft75() -> String {
    "GET /chat HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n\
     Origin: http://a\r\n\r\n"
        .into()
}

fn draft76() -> String {
    let request = with(&draft75(), "Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8");
    with(&request, "Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0")
}

/// A socket that was given a page and then asks for something else.
fn after_page(address: SocketAddr, request: &str) -> TcpStream {
    let mut socket = dial(address);
    socket.write_all(PAGE.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut socket, true).1, "page");
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

fn read(socket: &mut TcpStream, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}
