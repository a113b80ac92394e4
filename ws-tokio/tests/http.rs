//! Ordinary HTTP on the same port.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Client, Dialect, echo};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpStream;
use ws_tokio::http::{Request, RequestBody, Response, StatusCode};
use ws_tokio::{Close, Server, Timeouts};

async fn answer(request: Request<RequestBody>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    assert!(parts.uri.path() != "/panic", "no page wanted");
    let body = body.collect().await.unwrap().to_bytes();
    let text = format!("{} {} {} bytes", parts.method, parts.uri, body.len());
    let mut response = Response::new(Full::from(text));
    if parts.uri.path() != "/" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

async fn start() -> (Server, std::net::SocketAddr) {
    let server = Server::builder().on_request(answer).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let own = server.clone();
    tokio::spawn(async move { own.serve(echo).await.unwrap() });
    (server, address)
}

async fn raw(address: std::net::SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    Client { stream, dialect: Dialect::Rfc6455, head: String::new() }
}

/// Reads an answer with its length in the head.
async fn page(client: &mut Client) -> (String, String) {
    let head = client.read_head().await;
    let length = head.to_lowercase();
    let length = length.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let body = client.read_exact(length.parse().unwrap()).await;
    (head, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn pages_and_sockets_share_a_port() {
    let (server, address) = start().await;
    let mut browser = raw(address).await;
    for (request, status, text) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200", "GET / 0 bytes"),
        ("GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n", "404", "GET /x?y 0 bytes"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "200", "POST / 5 bytes"),
    ] {
        // Kept alive, and cut anywhere.
        for cut in request.as_bytes().chunks(7) {
            browser.write(cut).await;
        }
        let (head, body) = page(&mut browser).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(body, text);
    }
    let mut client = Client::join(address).await;
    client.say("hi").await;
    assert_eq!(client.hear().await, "hi");
    assert_eq!(server.manager().len(), 1);
    // Two requests in one segment, of which the first made the connection an HTTP one.
    let mut pipelined = raw(address).await;
    pipelined.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2).as_bytes()).await;
    for _ in 0..2 {
        assert_eq!(page(&mut pipelined).await.1, "GET / 0 bytes");
    }
}

#[tokio::test]
async fn without_a_handler_the_answer_is_426() {
    let running = common::serve(echo).await;
    let mut browser = raw(running.address).await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = String::from_utf8(browser.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_own_connection() {
    let (_server, address) = start().await;
    let mut other = Client::join(address).await;
    let mut browser = raw(address).await;
    browser.write(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(browser.read_to_end().await.is_empty());
    other.say("fine").await;
    assert_eq!(other.hear().await, "fine");
}

#[tokio::test]
async fn shutdown_ends_idle_http_connections() {
    let (server, address) = start().await;
    let mut browser = raw(address).await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    page(&mut browser).await;
    let report = server.shutdown(Close::normal(), Duration::from_secs(10)).await;
    assert_eq!(report.aborted, 0);
    assert!(browser.read_to_end().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn idle_http_connections_end_with_the_handshake_timeout() {
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_secs(3);
    let service = |_| async { Response::<http_body_util::Empty<Bytes>>::default() };
    let server = Server::builder().timeouts(timeouts).on_request(service);
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let own = server.clone();
    tokio::spawn(async move { own.run().await.unwrap() });
    let mut browser = raw(address).await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    page(&mut browser).await;
    let before = tokio::time::Instant::now();
    assert!(browser.read_to_end().await.is_empty());
    assert!(before.elapsed() >= Duration::from_millis(2900), "{:?}", before.elapsed());
}
