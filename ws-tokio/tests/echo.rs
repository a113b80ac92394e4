//! Messages to a server over real sockets, and back.

mod common;

use std::time::Duration;

use common::{Client, Dialect, echo, frame, serve};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use ws_tokio::{Close, Connection, State, Version};

#[tokio::test]
async fn text_and_binary_of_every_size_come_back() {
    let running = serve(echo).await;
    let mut client = Client::join(running.address).await;
    for size in [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
        for first in [0x81, 0x82] {
            client.write(&frame(first, &payload)).await;
            assert_eq!(client.frame().await, (first, payload.clone()), "{size} bytes");
        }
    }
    assert_eq!(client.close().await, b"\x88\x02\x03\xE8");
}

#[tokio::test]
async fn every_version_is_spoken_on_one_port() {
    let running = serve(echo).await;
    for (dialect, version) in [
        (Dialect::Draft75, Version::Draft75),
        (Dialect::Draft76, Version::Draft76),
        (Dialect::Rfc6455, Version::Rfc6455),
    ] {
        let mut client = Client::join_as(running.address, dialect).await;
        client.say("grüße").await;
        assert_eq!(client.hear().await, "grüße");
        let versions = running.server.manager().map(Connection::version);
        assert_eq!(versions, [Some(version)]);
        drop(client);
        common::until(|| running.server.manager().is_empty()).await;
    }
}

#[tokio::test]
async fn a_burst_is_answered_in_order_whatever_its_cuts() {
    let running = serve(echo).await;
    let mut client = Client::join(running.address).await;
    let burst: Vec<u8> =
        (0..2000).flat_map(|i| frame(0x81, format!("message {i}").as_bytes())).collect();
    for cut in burst.chunks(1009) {
        client.write(cut).await;
    }
    for i in 0..2000 {
        assert_eq!(client.hear().await, format!("message {i}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_on_many_threads_get_their_own() {
    let running = serve(echo).await;
    let address = running.address;
    let clients = (0..50).map(|number| {
        tokio::spawn(async move {
            let mut client = Client::join(address).await;
            for i in 0..100 {
                let text = format!("{number} {i}").repeat(1 + i);
                client.say(&text).await;
                assert_eq!(client.hear().await, text);
            }
            client.close().await
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), b"\x88\x02\x03\xE8");
    }
    common::until(|| running.server.manager().is_empty()).await;
}

#[tokio::test]
async fn bad_bytes_end_their_own_connection_alone() {
    let running = serve(echo).await;
    let mut good = Client::join(running.address).await;
    let mut bad = Client::join(running.address).await;
    bad.write(&frame(0x81, b"\xFF")).await;
    let (first, payload) = bad.frame().await;
    assert_eq!((first, &payload[..2]), (0x88, &[0x03, 0xEF][..]));
    let mut worse = TcpStream::connect(running.address).await.unwrap();
    common::until(|| running.server.manager().len() <= 2).await;
    tokio::io::AsyncWriteExt::write_all(&mut worse, b"\x16\x03\x01\0\0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    worse.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    good.say("still here").await;
    assert_eq!(good.hear().await, "still here");
}

#[tokio::test]
async fn a_client_that_vanishes_is_an_error_of_recv_and_once() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let running = serve(move |connection| {
        let sender = sender.clone();
        async move {
            while let Some(message) = connection.recv().await {
                sender.send(message.map_err(|end| end.code())).unwrap();
            }
            assert!(connection.recv().await.is_none());
            assert_eq!(connection.state(), State::Closed);
            assert!(connection.send("too late").await.is_err());
        }
    })
    .await;
    let mut client = Client::join(running.address).await;
    client.say("hi").await;
    assert_eq!(seen.recv().await.unwrap().unwrap().as_text(), Some("hi"));
    drop(client);
    assert_eq!(seen.recv().await.unwrap(), Err(1006));
    common::until(|| running.server.manager().is_empty()).await;
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn closing_from_another_task_reaches_the_client() {
    let running = serve(echo).await;
    let mut client = Client::join(running.address).await;
    client.say("hi").await;
    client.hear().await;
    let connection = running.server.manager().snapshot().pop().unwrap();
    connection.ping("now").unwrap();
    connection.close(Close::new(4000, "enough").unwrap());
    assert_eq!(client.frame().await, (0x89, b"now".to_vec()));
    assert_eq!(client.frame().await, (0x88, b"\x0F\xA0enough".to_vec()));
    client.write(&frame(0x88, b"\x0F\xA0")).await;
    assert!(client.read_to_end().await.is_empty());
    drop(client);
    let end = tokio::time::timeout(Duration::from_secs(5), connection.closed()).await.unwrap();
    assert!(end.clean);
    assert_eq!(end.code(), 4000);
}
