//! The end of a server.

use std::future::pending;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ws_net::{Builder, Close, CloseCode, Runtime, Version};

use super::faults::shake_hands;
use super::support::{Running, aside, echo, polled, until};
use crate::client::{Client, exchange, read_to_end};

const LONG: Duration = Duration::from_secs(30);
/// Longer than a polite client needs on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// Everybody is told, and nobody waits for the grace to pass.
pub async fn shutdown_closes_everybody<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let clients = aside(move || Version::ALL.map(|version| Client::open(address, version))).await;
    until(&runtime, || server.manager().len() == 5).await;
    let ends = aside(move || clients.map(|client| (client.core().version(), client.closed())));
    let begin = runtime.now();
    let report = server.shutdown(CloseCode::GOING_AWAY, LONG).await;
    assert_eq!((report.closed, report.aborted), (5, 0));
    assert!(runtime.now().saturating_duration_since(begin) < LONG);
    for (version, end) in ends.await {
        let code = if version.is_some_and(Version::has_frames) { 1001 } else { 1005 };
        assert_eq!((end.code(), end.clean), (code, true), "{version:?}");
    }
    assert!(server.manager().is_empty());
}

/// A client that does not answer, and a handler that does not return.
pub async fn shutdown_aborts_who_does_not_end_in_time<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        if let Some(Ok(_)) = connection.recv().await {
            connection.send("hanging").await.unwrap();
            pending::<()>().await;
        }
    })
    .await;
    let address = server.address;
    let (polite, mut silent, hanging) = aside(move || {
        let [polite, mut hanging] = [(); 2].map(|()| Client::open(address, Version::Rfc6455));
        assert_eq!(hanging.ask_text("please hang"), "hanging");
        (polite, shake_hands(address), hanging)
    })
    .await;
    until(&runtime, || server.manager().len() == 3).await;
    let ends = aside(move || (polite.closed(), hanging.closed()));
    let begin = runtime.now();
    let report = server.shutdown(Close::normal(), SHORT).await;
    assert!(runtime.now().saturating_duration_since(begin) >= SHORT);
    assert_eq!((report.closed, report.aborted), (1, 2));
    let (polite, hanging) = ends.await;
    assert_eq!((polite.code(), hanging.code()), (1000, 1000));
    aside(move || read_to_end(&mut silent)).await;
    until(&runtime, || server.manager().is_empty()).await;
    Builder::new(runtime).bind(server.address).await.expect("the port is free");
}

/// Nothing to wait for.
pub async fn an_empty_server_shuts_down_at_once<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    aside(move || exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let report = server.shutdown(Close::normal(), LONG).await;
    assert!(report.closed <= 1 && report.aborted == 0, "{report:?}");
    let again = polled(1, server.shutdown(Close::normal(), LONG)).await.expect("nobody is there");
    assert_eq!((again.closed, again.aborted), (0, 0));
}

/// Also those that are still in their handshake.
pub async fn shutdown_ends_handshakes<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let mut socket = aside(move || crate::client::dial(address)).await;
    // Accepted for sure: who came later is served.
    aside(move || Client::open(address, Version::Rfc6455).close(Close::normal())).await;
    let mut shutdown = pin!(server.shutdown(Close::normal(), LONG));
    let _ = polled(1, shutdown.as_mut()).await;
    let answer = aside(move || read_to_end(&mut socket)).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(shutdown.await.aborted, 0);
}

/// What a listener for the end does keeps no peer waiting.
pub async fn the_peer_has_the_end_before_it_is_told<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let watched = Arc::new(Mutex::new(None::<TcpStream>));
    let (post, read) = mpsc::channel();
    let socket = Arc::clone(&watched);
    server.on_close(move |_, _| {
        let mut socket = socket.lock().expect("no panic before").take().expect("it is there");
        let mut last = Vec::new();
        socket.read_to_end(&mut last).expect("a proper end");
        post.send(last).expect("the case waits for it");
    });
    server.start_running(&runtime);
    let address = server.address;
    aside(move || {
        let mut client = shake_hands(address);
        *watched.lock().expect("no panic before") = client.try_clone().ok();
        client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]).expect("a server");
        assert_eq!(read.recv().expect("the listener has read"), [0x88, 2, 0x03, 0xE8]);
    })
    .await;
}
