//! Ordinary HTTP beside the protocol, on the same port.

use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::time::{Duration, Instant};

use ws_net::http::{Body, BodyError, Method, Request, RequestBody, Response, Scheme, StatusCode};
use ws_net::{Address, Builder, Close, Runtime, Timeouts, Version};

use super::support::{Running, aside, echo};
use crate::client::{Client, dial, dial_briefly, exchange, read_answer, read_to_end};

/// On one connection, with a body or without, cut anywhere.
pub async fn a_connection_is_kept_alive<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    aside(move || {
        let mut socket = dial(address);
        for (method, body) in [("GET", "GET /a "), ("HEAD", ""), ("DELETE", "DELETE /a ")] {
            for piece in format!("{method} /a HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes().chunks(7) {
                socket.write_all(piece).unwrap();
            }
            let (head, answer) = read_answer(&mut socket, method != "HEAD");
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(answer, body);
            assert!(!head.contains("content-length: 0"), "{head}");
        }
        socket.write_all(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        assert!(read_to_end(&mut socket).ends_with("GET /last "));
    })
    .await;
}

/// In every request of a connection.
pub async fn a_handler_sees_where_a_request_comes_from<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| {
        builder.on_request(|request| async move {
            let address = request.extensions().get::<Address>().expect("it is there");
            let scheme = request.extensions().get::<Scheme>().expect("it is there");
            Response::new(format!("{scheme}://{address}"))
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        let mut socket = dial(address);
        let own = format!("http://{}", socket.local_addr().unwrap());
        for _ in 0..2 {
            socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert_eq!(read_answer(&mut socket, true).1, own);
        }
    })
    .await;
}

/// In chunks, in one packet with the head, and with another request behind it.
pub async fn bodies_are_read_and_requests_pipelined<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    aside(move || {
        let mut socket = dial(address);
        let requests = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\none\r\n4\r\n two\r\n0\r\n\r\n\
            POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree";
        socket.write_all(requests.as_bytes()).unwrap();
        for expected in ["POST /a one two", "POST /b three"] {
            assert_eq!(read_answer(&mut socket, true).1, expected);
        }
        let body = "x".repeat(300_000);
        let length = body.len();
        write!(socket, "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").unwrap();
        socket.write_all(body.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut socket, true).1.len(), "POST /c ".len() + length);
    })
    .await;
}

/// The same port, at the same time.
pub async fn websockets_and_http_share_the_port<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    aside(move || {
        let mut socket = dial(address);
        for version in Version::ALL {
            let mut client = Client::open(address, version);
            socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert_eq!(client.ask_text("hello"), "hello");
            assert_eq!(read_answer(&mut socket, true).1, "GET / ");
        }
    })
    .await;
}

/// A request for a WebSocket that is wrong is no ordinary request.
pub async fn a_wrong_handshake_is_not_handed_over<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    let asked = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 99\r\n\r\n";
    let answer = aside(move || exchange(address, asked)).await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

/// The connection of the one who asked ends, the others go on.
pub async fn a_service_that_panics_does_no_harm<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    aside(move || {
        let mut bystander = Client::open(address, Version::Rfc6455);
        for _ in 0..5 {
            let answer = exchange(address, b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(answer, "");
            assert_eq!(bystander.ask_text("and you?"), "and you?");
        }
    })
    .await;
}

/// The next head has to come within the handshake timeout, and has so long.
pub async fn a_client_that_asks_nothing_more_is_sent_away<R: Runtime>(runtime: R) {
    const WAIT: Duration = Duration::from_secs(2);
    let timeouts = Timeouts::new().handshake(WAIT);
    let server = serving(&runtime, |builder| builder.timeouts(timeouts)).await;
    let address = server.address;
    aside(move || {
        let mut socket = dial_briefly(address);
        let asked = Instant::now();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut socket, true).1, "GET / ");
        assert_eq!(read_to_end(&mut socket), "");
        assert!(asked.elapsed() >= WAIT, "{:?}", asked.elapsed());
    })
    .await;
}

/// A connection that is kept alive and does nothing holds nobody up.
pub async fn shutdown_ends_idle_connections<R: Runtime>(runtime: R) {
    let server = serving(&runtime, |builder| builder).await;
    let address = server.address;
    let mut socket = aside(move || {
        let mut socket = dial(address);
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut socket, true).1, "GET / ");
        socket
    })
    .await;
    let report = server.shutdown(Close::normal(), Duration::from_secs(30)).await;
    assert_eq!(report.aborted, 0);
    assert_eq!(aside(move || read_to_end(&mut socket)).await, "");
}

/// The handler can answer it; nobody waits for the rest.
pub async fn a_body_that_stalls_is_an_error<R: Runtime>(runtime: R) {
    let timeouts = Timeouts::new().stall(Duration::from_millis(200));
    let server = Running::bind(&runtime, |builder| {
        builder.timeouts(timeouts).on_request(|request: Request<RequestBody>| async move {
            let mut body = request.into_body();
            let mut length = 0;
            let status = loop {
                match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    Some(Ok(frame)) => length += frame.into_data().map_or(0, |data| data.len()),
                    Some(Err(BodyError::Stalled(_))) => break StatusCode::REQUEST_TIMEOUT,
                    Some(Err(error)) => panic!("{error}"),
                    None => break StatusCode::OK,
                }
            };
            let mut response = Response::new(length.to_string());
            *response.status_mut() = status;
            response
        })
    })
    .await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    let answer = aside(move || {
        exchange(address, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n3"), "{answer}");
}

/// A server that echoes messages, and requests: method, path and body.
async fn serving<R: Runtime>(
    runtime: &R,
    change: impl FnOnce(Builder<R>) -> Builder<R>,
) -> Running<R> {
    let server = Running::bind(runtime, |builder| change(builder.on_request(answer))).await;
    server.start_serving(runtime, echo);
    server
}

async fn answer(request: Request<RequestBody>) -> Response<String> {
    assert_ne!(request.uri().path(), "/panic");
    let mut text = format!("{} {} ", request.method(), request.uri().path());
    assert!(text.len() > 5 || *request.method() != Method::POST);
    let mut body = request.into_body();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.expect("a whole body").into_data() {
            text += &String::from_utf8_lossy(&data);
        }
    }
    Response::new(text)
}
