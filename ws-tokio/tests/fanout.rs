//! One message to many.

mod common;

use std::sync::Arc;

use common::{Client, Dialect, frame, run, serve};
use ws_tokio::{Limits, Message, Server};

#[tokio::test]
async fn clients_of_three_protocols_hold_one_conversation() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    server.on_message(|connection, message| {
        let report = connection.broadcast(message);
        assert_eq!((report.queued, report.skipped, report.closed), (2, 0, 0));
    });
    let running = run(server);
    let mut clients = Vec::new();
    for dialect in [Dialect::Rfc6455, Dialect::Draft76, Dialect::Draft75] {
        clients.push(Client::join_as(running.address, dialect).await);
    }
    common::until(|| running.server.manager().len() == 3).await;
    for speaker in 0..3 {
        let text = format!("from {:?}", clients[speaker].dialect);
        clients[speaker].say(&text).await;
        for listener in (0..3).filter(|listener| *listener != speaker) {
            assert_eq!(clients[listener].hear().await, text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_sees_the_same_order() {
    let running = serve(|connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            assert_eq!(connection.send_all(message).queued, 8);
        }
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(Client::join(running.address).await);
    }
    common::until(|| running.server.manager().len() == 8).await;
    for (number, client) in clients.iter_mut().enumerate() {
        let burst: Vec<u8> =
            (0..50).flat_map(|i| frame(0x81, format!("{number}:{i}").as_bytes())).collect();
        client.write(&burst).await;
    }
    let mut orders = Vec::new();
    for client in &mut clients {
        let mut order = Vec::new();
        for _ in 0..8 * 50 {
            order.push(client.hear().await);
        }
        orders.push(order);
    }
    assert!(orders.iter().all(|order| *order == orders[0]));
}

#[tokio::test]
async fn a_slow_receiver_is_skipped_and_counted_and_hurts_nobody() {
    let mut limits = Limits::default();
    (limits.outbound_high, limits.outbound_low) = (100_000, 10_000);
    let server = Server::builder().limits(limits).bind("127.0.0.1:0").await.unwrap();
    let running = run(server);
    let _slow = Client::join(running.address).await;
    let mut quick = Client::join(running.address).await;
    common::until(|| running.server.manager().len() == 2).await;
    let payload = Message::binary(vec![9; 50_000]);
    let mut skipped = 0;
    for _ in 0..400 {
        let report = running.server.manager().broadcast(payload.clone());
        assert_eq!(report.queued + report.skipped, 2);
        skipped += report.skipped;
        assert_eq!(quick.frame().await, (0x82, vec![9; 50_000]));
    }
    // 20 MB were meant for it; sockets hold a few, the outbox at most one more message.
    assert!(skipped > 100, "{skipped}");
    let held = running.server.manager().map(ws_tokio::Connection::buffered_amount);
    assert!(held.iter().all(|held| *held <= 200_000), "{held:?}");
}

#[tokio::test]
async fn binary_leaves_out_those_who_have_only_text() {
    let running = run(Server::bind("127.0.0.1:0").await.unwrap());
    let mut old = Client::join_as(running.address, Dialect::Draft76).await;
    let mut new = Client::join(running.address).await;
    common::until(|| running.server.manager().len() == 2).await;
    let manager = running.server.manager().clone();
    let report = manager.broadcast(vec![1, 2, 3]);
    assert_eq!((report.queued, report.unsupported), (1, 1));
    assert_eq!(new.frame().await, (0x82, vec![1, 2, 3]));
    assert_eq!(manager.broadcast("text").queued, 2);
    assert_eq!((old.hear().await, new.hear().await), ("text".into(), "text".into()));
}

#[tokio::test]
async fn the_manager_may_be_used_from_its_own_functions() {
    let running = run(Server::bind("127.0.0.1:0").await.unwrap());
    let clients = [Client::join(running.address).await, Client::join(running.address).await];
    let manager = Arc::new(running.server.manager().clone());
    common::until(|| manager.len() == 2).await;
    let ports = clients.each_ref().map(|client| client.stream.local_addr().unwrap().port());
    let mut seen = Vec::new();
    manager.for_each(|connection| {
        assert_eq!(manager.find(connection.id()).as_ref(), Some(connection));
        assert_eq!(manager.filter(|other| other == connection).len(), manager.len() - 1);
        assert_eq!(connection.id().to_string().parse(), Ok(connection.id()));
        assert_eq!(connection.peer_addr().port(), Some(connection.id().port()));
        assert_eq!(connection.request().unwrap().path(), "/chat");
        seen.push(connection.id().port());
    });
    seen.sort_unstable();
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    assert_eq!(seen, ports);
    let ids = manager.map(ws_tokio::Connection::id);
    drop(clients);
    common::until(|| manager.is_empty()).await;
    assert!(ids.iter().all(|id| manager.find(*id).is_none()));
}
