//! Streams with the traits of Tokio, as servers and clients take them over.

use std::io::Read;

use tokio::net::TcpListener;
use ws_tests::client::{dial, read_answer};
use ws_tests::requests::frame;
use ws_tests::suite::{aside, echo};
use ws_tokio::{AsyncIo, Client, Close, Message, Request, Server};

#[tokio::test]
async fn a_stream_of_tokio_is_taken_over() {
    let server = Server::builder().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = aside(move || {
        let mut socket = dial(address);
        let (head, _) = read_answer(&mut socket, false);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut echoed = [0; 4];
        socket.read_exact(&mut echoed).unwrap();
        assert_eq!(&echoed, b"\x81\x02hi");
    });
    let (stream, peer) = listener.accept().await.unwrap();
    let fields: [(&str, &[u8]); 5] = [
        ("Host", b"a"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
    ];
    let request = Request::from_parts("GET", "/", 1, fields, server.config()).unwrap();
    let leftover = frame(0x81, b"hi");
    server.upgrade(request, AsyncIo(stream), leftover).peer(peer).serve(echo).unwrap();
    client.await;
}

/// No socket is needed for a test of a handler.
#[tokio::test]
async fn both_ends_of_a_pipe_talk() {
    let server = Server::builder().build().unwrap();
    let (ours, theirs) = tokio::io::duplex(1024);
    server.handshake(AsyncIo(theirs)).serve(echo).unwrap();
    let client = Client::default();
    let connection = client.connect_over(AsyncIo(ours), "ws://test/chat").await.unwrap();
    let long = "x".repeat(10_000);
    connection.send(long.as_str()).await.unwrap();
    assert_eq!(connection.recv().await.unwrap().unwrap(), Message::text(long));
    connection.close(Close::normal());
    assert!(connection.closed().await.clean);
}
