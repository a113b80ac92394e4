//! Clients that mean harm, or that leave at the wrong moment.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{Client, Dialect, echo, frame, run, until};
use http_body_util::Full;
use tokio::net::TcpStream;
use ws_tokio::http::Response;
use ws_tokio::{Accept, Cause, Close, Expired, Limits, Server, Timeouts};

fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Timeouts {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    timeouts
}

async fn raw(address: std::net::SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    Client { stream, dialect: Dialect::Rfc6455, head: String::new() }
}

/// What stands behind a refused draft76 request must not be read as the next request.
#[tokio::test]
async fn a_refused_upgrade_on_a_kept_alive_connection_smuggles_nothing() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&paths);
    let server = Server::builder()
        .on_request(move |request| {
            seen.lock().unwrap().push(request.uri().path().to_owned());
            async { Response::new(Full::new(Bytes::from_static(b"page"))) }
        })
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    let own = server.clone();
    tokio::spawn(async move { own.serve(echo).await.unwrap() });

    let draft76 = "GET /old HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Origin: http://a\r\nSec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\r\n\
        Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\r\n\r\nGET /key3 HTTP/1.1\r\n\
        Host: a\r\n\r\n";
    let foreign = draft76.replace("http://a", "http://evil.example");
    let old = "GET /older HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n\
        Origin: http://a\r\n\r\nGET /key3 HTTP/1.1\r\nHost: a\r\n\r\n";
    let rfc6455 = "GET /new HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Content-Length: 4\r\n\r\nGET /body HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = rfc6455.replace("Content-Length: 4", "Transfer-Encoding: chunked");
    let newer = rfc6455.replace("Version: 13", "Version: 14").replace("Content-Length: 4", "A: b");
    for (upgrade, status) in [
        (draft76, 421),
        (&foreign, 403),
        (old, 421),
        (rfc6455, 400),
        (&chunked, 400),
        (&newer, 426),
    ] {
        let mut client = raw(address).await;
        client.write(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = client.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(client.read_exact(4).await, b"page");
        client.write(upgrade.as_bytes()).await;
        let answer = String::from_utf8(client.read_to_end().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(*paths.lock().unwrap(), ["/page"; 6]);
}

#[tokio::test]
async fn requests_that_nobody_takes_leave_the_queue_when_they_end() {
    let server = Server::builder()
        .timeouts(timeouts(|timeouts| timeouts.handshake = Duration::from_secs(1)))
        .max_handshakes(4)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    // Accepting has begun, and nobody takes what comes.
    let waits = tokio::time::timeout(Duration::from_millis(1), server.accept());
    assert!(waits.await.is_err());
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for _ in 0..3 {
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = raw(address).await;
            client.write(request.as_bytes()).await;
            clients.push(client);
        }
        for mut client in clients {
            let answer = String::from_utf8(client.read_to_end().await).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        }
    }
    let join = tokio::spawn(Client::join(address));
    let incoming = server.accept().await.unwrap();
    let connection = incoming.accept(Accept::new()).await.expect("the newest is the first alive");
    join.await.unwrap();
    connection.close(Close::normal());
}

#[tokio::test]
async fn who_writes_and_never_reads_is_dropped() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&ends);
    let server = Server::builder()
        .timeouts(timeouts(|timeouts| {
            timeouts.stall = Duration::from_millis(100);
            timeouts.linger = Duration::from_millis(50);
        }))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    server.on_close(move |_, closed| told.lock().unwrap().push(closed.cause.clone()));
    let address = server.local_addr().unwrap();
    let own = server.clone();
    tokio::spawn(async move { own.serve(echo).await.unwrap() });

    let mut client = Client::join(address).await;
    let flood = frame(0x82, &vec![7; Limits::default().max_message]);
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while client.stream.write_all(&flood).await.is_ok() {}
    });
    until(|| !ends.lock().unwrap().is_empty()).await;
    assert_eq!(*ends.lock().unwrap(), [Cause::Timeout(Expired::Stall)]);
    writing.await.unwrap();
}

#[tokio::test]
async fn recv_takes_nothing_from_the_listeners() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    server.on_connection(|connection| {
        let connection = connection.clone();
        tokio::spawn(async move {
            assert!(connection.recv().await.is_none(), "a message was taken");
        });
    });
    server.on_message(move |_, _| *count.lock().unwrap() += 1);
    let running = run(server);
    let mut client = Client::join(running.address).await;
    client.write(&frame(0x81, b"one").repeat(500)).await;
    until(|| *told.lock().unwrap() == 500).await;
    client.close().await;
}

#[tokio::test]
async fn last_words_arrive_although_nobody_hears_the_answers() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let words = Arc::clone(&heard);
    let running = common::serve(move |connection| {
        let words = Arc::clone(&words);
        async move {
            while let Some(Ok(message)) = connection.recv().await {
                words.lock().unwrap().push(message.as_text().unwrap().to_owned());
                // The client is gone by the second answer.
                tokio::time::sleep(Duration::from_millis(20)).await;
                connection.try_send("an answer").ok();
            }
        }
    })
    .await;
    let mut client = Client::join(running.address).await;
    let words: Vec<_> = (0..6).map(|n| format!("word {n}")).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| frame(0x81, word.as_bytes())).collect();
    client.write(&bytes).await;
    drop(client);
    until(|| *heard.lock().unwrap() == words).await;
}
