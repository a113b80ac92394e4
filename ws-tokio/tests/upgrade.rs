//! `WebSocket`s on the port of another server: hyper, and streams with Tokio's traits.

mod common;

use std::convert::Infallible;

use bytes::Bytes;
use common::{Client, Dialect, echo, frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use ws_tokio::http::{Request, Response};
use ws_tokio::{AsyncIo, Server};

async fn route(server: Server, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/chat" {
        return Response::new(Full::from("page"));
    }
    let answer = match server.upgrade_http(&mut request) {
        Ok(upgrade) => upgrade.serve(echo).await,
        Err(refusal) => refusal,
    };
    answer.map(Full::new)
}

/// A hyper server with a page and a WebSocket.
async fn start(server: Server) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = server.clone();
            let service = service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(route(server, request).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let driven = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
            tokio::spawn(async move { drop(driven.await) });
        }
    });
    address
}

async fn raw(address: std::net::SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    Client { stream, dialect: Dialect::Rfc6455, head: String::new() }
}

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[tokio::test]
async fn hyper_and_websockets_share_a_port() {
    let server = Server::builder().build().unwrap();
    let address = start(server.clone()).await;
    let mut client = raw(address).await;
    let page = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write(&[page.as_bytes(), ASK.as_bytes(), &frame(0x81, b"hi")].concat()).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(client.read_exact(4).await, b"page");
    let head = client.read_head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert_eq!(client.hear().await, "hi");
    assert_eq!(server.manager().len(), 1);
    client.close().await;
}

#[tokio::test]
async fn hyper_writes_the_refusals_too() {
    let address = start(Server::builder().max_connections(1).build().unwrap()).await;
    let draft75 = "GET /chat HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n\
        Origin: http://a\r\n\r\n";
    for (request, status) in [
        (ASK.replace("Version: 13", "Version: 99"), 426),
        (draft75.into(), 426),
        (ASK.replace("GET", "POST"), 405),
        (ASK.replace("Host: a", "Host: a\r\nOrigin: http://evil.example"), 403),
        (ASK.replace("Upgrade: websocket\r\n", ""), 400),
    ] {
        let mut client = raw(address).await;
        client.write(request.as_bytes()).await;
        let answer = String::from_utf8(client.read_to_end().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
        let versions = answer.contains("sec-websocket-version: 13, 8, 7\r\n");
        assert_eq!(versions, status == 426, "{answer}");
    }
    let mut first = raw(address).await;
    first.write(ASK.as_bytes()).await;
    assert!(first.read_head().await.starts_with("HTTP/1.1 101 "));
    let mut second = raw(address).await;
    second.write(ASK.as_bytes()).await;
    let answer = String::from_utf8(second.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn a_stream_of_tokio_is_taken_over() {
    let server = Server::builder().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = raw(listener.local_addr().unwrap()).await;
    let (stream, peer) = listener.accept().await.unwrap();
    let fields: [(&str, &[u8]); 5] = [
        ("Host", b"a"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
    ];
    let request = ws_tokio::Request::from_parts("GET", "/", 1, fields, server.config()).unwrap();
    let leftover = frame(0x81, b"hi");
    server.upgrade(request, AsyncIo(stream), leftover).peer(peer).serve(echo).unwrap();
    assert!(client.read_head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.hear().await, "hi");
}

/// No socket is needed for a test of a handler.
#[tokio::test]
async fn both_ends_of_a_pipe_talk() {
    let server = Server::builder().build().unwrap();
    let (ours, theirs) = tokio::io::duplex(1024);
    server.handshake(AsyncIo(theirs)).serve(echo).unwrap();
    let client = ws_tokio::Client::default();
    let connection = client.connect_over(AsyncIo(ours), "ws://test/chat").await.unwrap();
    let long = "x".repeat(10_000);
    connection.send(long.as_str()).await.unwrap();
    assert_eq!(connection.recv().await.unwrap().unwrap(), ws_tokio::Message::text(long));
    connection.close(ws_tokio::Close::normal());
    assert!(connection.closed().await.clean);
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_and_websockets_share_a_port() {
    use axum::extract::State;
    use axum::routing::get;
    use ws_tokio::axum::Upgrade;

    async fn chat(State(server): State<Server>, upgrade: Upgrade) -> axum::response::Response {
        upgrade.on(&server, echo).await
    }

    let server = Server::builder().build().unwrap();
    let routes = axum::Router::new().route("/", get(|| async { "page" }));
    let routes = routes.route("/chat", get(chat)).with_state(server.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut client = raw(address).await;
    let page = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write(&[page.as_bytes(), ASK.as_bytes(), &frame(0x81, b"hi")].concat()).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(client.read_exact(4).await, b"page");
    assert!(client.read_head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.hear().await, "hi");
    assert_eq!(server.manager().len(), 1);
    client.close().await;
    let mut bad = raw(address).await;
    bad.write(ASK.replace("Version: 13", "Version: 99").as_bytes()).await;
    let answer = String::from_utf8(bad.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn behind_axum_connections_are_taken_in_each_way() {
    use axum::extract::State;
    use axum::response::Response;
    use axum::routing::get;
    use ws_tokio::axum::Upgrade;
    use ws_tokio::{Accept, Reject};

    async fn listen(State(server): State<Server>, upgrade: Upgrade) -> Response {
        upgrade.peer(std::net::SocketAddr::from(([10, 0, 0, 1], 1))).secure(true).run(&server).await
    }

    async fn choose(State(server): State<Server>, upgrade: Upgrade) -> Response {
        let (incoming, answer) = match upgrade.incoming(&server).await {
            Ok(asked) => asked,
            Err(refusal) => return refusal,
        };
        tokio::spawn(async move {
            if incoming.request().query() == Some("out") {
                return incoming.reject(&Reject::new(403));
            }
            echo(incoming.accept(Accept::default()).await.unwrap()).await;
        });
        answer.await
    }

    let server = Server::builder().build().unwrap();
    server.on_message(|connection, _| {
        let text = format!("{} {}", connection.peer_addr(), connection.is_secure());
        connection.try_send(text).unwrap();
    });
    let routes = axum::Router::new().route("/listen", get(listen)).route("/choose", get(choose));
    let routes = routes.with_state(server.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    for (target, heard) in [("/listen", "10.0.0.1:1 true"), ("/choose", "hi")] {
        let mut client = raw(address).await;
        let ask = ASK.replace("/chat", target);
        client.write(&[ask.as_bytes(), &frame(0x81, b"hi")].concat()).await;
        let head = client.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(client.hear().await, heard);
        client.close().await;
    }
    let unfit = ASK.replace("Version: 13", "Version: 99");
    for (ask, target, status) in
        [(ASK, "/choose?out", 403), (&unfit, "/choose", 426), (&unfit, "/listen", 426)]
    {
        let mut client = raw(address).await;
        client.write(ask.replace("/chat", target).as_bytes()).await;
        let answer = String::from_utf8(client.read_to_end().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
    }
}
