//! The three ways to take connections, and the end of a server.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Client, echo, frame, run, serve};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use ws_tokio::{Accept, AcceptError, Close, CloseCode, Reject, Server, State, SubprotocolPolicy};

#[tokio::test]
async fn requests_are_looked_at_then_accepted_or_rejected() {
    let server = Server::builder()
        .subprotocols(SubprotocolPolicy::application())
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    let accepting = server.clone();
    let door = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok(incoming) = accepting.accept().await {
            if incoming.request().headers().text("X-Token") != Some("secret") {
                let reject = Reject::new(401).header("WWW-Authenticate", "Token").unwrap();
                incoming.reject(&reject.body("who are you?"));
            } else if incoming.request().subprotocols().any(|name| name == "chat") {
                let connection = incoming.accept(Accept::new().subprotocol("chat")).await.unwrap();
                assert_eq!(connection.state(), State::Connected);
                connections.push(connection);
            } else {
                let error = incoming.accept(Accept::new().subprotocol("chat")).await.unwrap_err();
                assert!(matches!(error, AcceptError::Command(_)), "{error}");
            }
        }
        connections
    });

    let ask = async |headers: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut client = Client { stream, dialect: common::Dialect::Rfc6455, head: String::new() };
        client.head = client.read_head().await;
        client
    };
    let mut refused = ask("").await;
    assert!(refused.head.starts_with("HTTP/1.1 401 "), "{}", refused.head);
    assert!(refused.head.contains("WWW-Authenticate: Token\r\n"));
    assert_eq!(refused.read_to_end().await, b"who are you?");
    let unanswered = ask("X-Token: secret\r\n").await;
    assert!(unanswered.head.starts_with("HTTP/1.1 503 "), "{}", unanswered.head);
    let mut accepted = ask("X-Token: secret\r\nSec-WebSocket-Protocol: news, chat\r\n").await;
    assert!(accepted.head.contains("Sec-WebSocket-Protocol: chat\r\n"), "{}", accepted.head);

    let connection = server.manager().snapshot().pop().unwrap();
    assert_eq!(connection.protocol().as_deref(), Some("chat"));
    accepted.say("one").await;
    accepted.say("two").await;
    for text in ["one", "two"] {
        let message = connection.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some(text));
        connection.send(message).await.unwrap();
        assert_eq!(accepted.hear().await, text);
    }
    server.close();
    let connections = door.await.unwrap();
    drop((connection, connections));
    assert_eq!(accepted.frame().await, (0x88, vec![0x03, 0xE8]));
    assert!(server.accept().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_of_their_own_may_receive_and_send() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let accepting = server.clone();
    tokio::spawn(async move {
        while let Ok(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                let connection = incoming.accept(Accept::new()).await.unwrap();
                // One task receives, another one sends.
                let (sender, mut receiver) = tokio::sync::mpsc::channel(3);
                let sending = connection.clone();
                tokio::spawn(async move {
                    while let Some(message) = receiver.recv().await {
                        sending.send(message).await.unwrap();
                    }
                });
                while let Some(Ok(message)) = connection.recv().await {
                    sender.send(message).await.unwrap();
                }
            });
        }
    });
    let clients = (0..16).map(|number| {
        tokio::spawn(async move {
            let mut client = Client::join(address).await;
            for round in 0..40 {
                let texts: Vec<_> = (0..40).map(|i| format!("{number} {round} {i}")).collect();
                let burst: Vec<u8> =
                    texts.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
                client.write(&burst).await;
                for text in texts {
                    assert_eq!(client.hear().await, text);
                }
            }
            client.close().await
        })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap(), b"\x88\x02\x03\xE8");
    }
    common::until(|| server.manager().is_empty()).await;
}

#[tokio::test]
async fn listeners_hear_everything_in_order_and_may_change_themselves() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::<String>::new()));
    let log = |heard: &Arc<Mutex<Vec<String>>>| {
        let heard = Arc::clone(heard);
        move |line: String| heard.lock().unwrap().push(line)
    };
    let (states, opens, messages, closes) = (log(&heard), log(&heard), log(&heard), log(&heard));
    server.on_state_change(move |_, change| {
        states(format!("{} -> {}", change.from as u8, change.to as u8));
    });
    server.on_connection(move |_| opens("connection".into()));
    server.on_message(move |connection, message| {
        messages(format!("message {}", message.as_text().unwrap()));
        if message.as_text() == Some("bye") {
            connection.close(Close::normal());
        }
    });
    server.on_close(move |_, end| closes(format!("close {}", end.code())));
    // A listener that listens once.
    let (own, first) = (server.clone(), log(&heard));
    let id = Arc::new(Mutex::new(None));
    let own_id = Arc::clone(&id);
    *id.lock().unwrap() = Some(server.on_message(move |_, _| {
        first("first".into());
        let id = own_id.lock().unwrap().take().unwrap();
        assert!(own.remove_listener(id));
    }));
    let running = run(server);
    let mut client = Client::join(running.address).await;
    client.write(&[frame(0x81, b"hi"), frame(0x81, b"bye"), frame(0x81, b"lost")].concat()).await;
    assert_eq!(client.frame().await, (0x88, vec![0x03, 0xE8]));
    client.close().await;
    common::until(|| heard.lock().unwrap().iter().any(|line| line.starts_with("close"))).await;
    let expected = [
        "0 -> 1",
        "1 -> 3",
        "3 -> 4",
        "connection",
        "message hi",
        "first",
        "message bye",
        "4 -> 5",
        "5 -> 6",
        "close 1000",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_is_seen_by_nobody_else() {
    let running = serve(|connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            assert!(message.as_text() != Some("boom"), "boom");
            connection.send(message).await.unwrap();
        }
    })
    .await;
    let mut other = Client::join(running.address).await;
    for _ in 0..10 {
        let mut victim = Client::join(running.address).await;
        victim.say("boom").await;
        assert_eq!(victim.frame().await, (0x88, vec![0x03, 0xF3]));
        victim.write(&frame(0x88, &[0x03, 0xF3])).await;
        assert!(victim.read_to_end().await.is_empty());
        other.say("fine").await;
        assert_eq!(other.hear().await, "fine");
    }
    common::until(|| running.server.manager().len() == 1).await;
}

#[tokio::test]
async fn shutdown_is_graceful_and_then_firm() {
    let running = serve(echo).await;
    let mut polite = Client::join(running.address).await;
    let mut rude = Client::join(running.address).await;
    let half = TcpStream::connect(running.address).await.unwrap();
    common::until(|| running.server.manager().len() == 2).await;
    let server = running.server.clone();
    let close = Close::from(CloseCode::GOING_AWAY);
    let stopping =
        tokio::spawn(async move { server.shutdown(close, Duration::from_millis(500)).await });
    for client in [&mut polite, &mut rude] {
        assert_eq!(client.frame().await, (0x88, vec![0x03, 0xE9]));
    }
    polite.write(&frame(0x88, &[0x03, 0xE9])).await;
    assert!(polite.read_to_end().await.is_empty());
    drop((polite, half));
    let report = stopping.await.unwrap();
    assert_eq!(report.aborted, 1);
    assert!(report.closed >= 1);
    // The socket is closed, with what it had read or not.
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut rude.stream, &mut rest).await;
    assert!(rest.is_empty());
    assert!(TcpStream::connect(running.address).await.is_err());
    assert!(running.server.manager().is_empty());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let error = Server::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let error = Server::builder().max_handshakes(0).bind("127.0.0.1:0").await.unwrap_err();
    assert!(error.to_string().contains("max_handshakes"), "{error}");
}

#[tokio::test]
async fn dropping_a_server_stops_accepting_and_leaves_connections_alone() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve(echo).await }
    });
    let mut client = Client::join(address).await;
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(TcpStream::connect(address).await.is_err());
    drop(server);
    client.say("still here").await;
    assert_eq!(client.hear().await, "still here");
}
