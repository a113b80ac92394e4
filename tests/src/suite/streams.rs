//! Halves, and connections as `Stream` and `Sink`.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt, stream};
use ws_net::{Accept, Cause, Close, Message, Runtime, State, Version};

use super::support::{Mailbox, Running, aside, polled, sleep};
use crate::client::Client;

/// More than every buffer on the way holds.
const COUNT: usize = 60;
const BLOCK: usize = 64 << 10;

/// Each in a task of its own, both busy at the same time.
pub async fn halves_work_side_by_side<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        for n in 0..COUNT {
            client.send(n.to_string());
            assert_eq!(client.recv().map(|message| message.len()), Some(BLOCK));
        }
        client.close(Close::normal())
    });
    let connection = server.accept().await.unwrap().accept(Accept::new()).await.unwrap();
    let (sender, mut receiver) = connection.split();
    let heard = Mailbox::default();
    let post = heard.clone();
    runtime.spawn(async move {
        while let Some(Ok(message)) = receiver.recv().await {
            post.put(message.as_text().map(str::to_owned));
        }
        post.put(None);
    });
    for _ in 0..COUNT {
        sender.send(vec![7; BLOCK]).await.unwrap();
    }
    for n in 0..COUNT {
        assert_eq!(heard.take().await, Some(n.to_string()));
    }
    assert_eq!(heard.take().await, None);
    assert!(client.await.clean);
    assert_eq!(sender.connection().state(), State::Closed);
    let late = sender.send("too late").await.unwrap_err();
    assert_eq!(late.message.as_text(), Some("too late"));
}

/// Messages that nobody takes are thrown away, so that the peer is not held back for ever.
pub async fn a_half_that_is_dropped_leaves_the_other<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Hybi08);
        for _ in 0..COUNT {
            client.send(vec![7; BLOCK]);
        }
        assert_eq!(client.recv_text(), "enough");
        client.closed().code()
    });
    let connection = server.accept().await.unwrap().accept(Accept::new()).await.unwrap();
    let (sender, receiver) = connection.split();
    drop(receiver);
    sleep(&runtime, Duration::from_millis(20)).await;
    sender.send("enough").await.unwrap();
    drop(sender);
    assert_eq!(client.await, 1000);
}

/// An echo made of combinators.
pub async fn a_connection_is_a_stream_and_a_sink<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        let (mut sink, stream) = connection.into_stream().into_halves();
        let mut echoes = stream.map(|message| Ok(message.expect("a clean end")));
        sink.send_all(&mut echoes).await.expect("it is open to the end");
    })
    .await;
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut client = Client::open(address, version);
            // As much as the client's own buffer takes.
            for _ in 0..COUNT / 3 {
                client.send_all(vec!["x".repeat(BLOCK); 3]);
                for _ in 0..3 {
                    assert_eq!(client.recv_text().len(), BLOCK, "{version}");
                }
            }
            client.close(Close::normal());
        }
    })
    .await;
}

/// Whatever is sent before leaves; `close` waits for the other side.
pub async fn closing_a_sink_waits_for_the_end<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        for _ in 0..COUNT {
            assert_eq!(client.recv().map(|message| message.len()), Some(BLOCK));
        }
        client.closed().code()
    });
    let connection = server.accept().await.unwrap().accept(Accept::new()).await.unwrap();
    let mut stream = connection.into_stream();
    let mut blocks = stream::iter((0..COUNT).map(|_| Ok(Message::binary(vec![7; BLOCK]))));
    stream.send_all(&mut blocks).await.unwrap();
    stream.close().await.unwrap();
    assert_eq!(stream.connection().closed().await.cause, Cause::Local);
    assert!(stream.next().await.is_none());
    let late = stream.send("too late".into()).await.unwrap_err();
    assert_eq!(late.message.as_text(), Some("too late"));
    assert_eq!(client.await, 1000);
}

/// Waiting for a message, for room, for a flush or for the end is given up and begun again.
pub async fn polls_that_are_given_up_lose_no_message<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        for n in 0..COUNT {
            client.send(vec![n as u8; BLOCK]);
            let echo = client.recv().expect("nothing is lost");
            assert_eq!((echo.len(), echo.as_bytes()[0]), (BLOCK, n as u8));
        }
        assert_eq!(client.recv(), None);
    });
    let connection = server.accept().await.unwrap().accept(Accept::new()).await.unwrap();
    let mut stream = connection.into_stream();
    let mut patience = (0..=3).cycle();
    for _ in 0..COUNT {
        let message = retry(&mut patience, &mut stream, Stream::poll_next).await;
        let message = message.expect("it is open").expect("it is open");
        retry(&mut patience, &mut stream, Sink::poll_ready).await.unwrap();
        Pin::new(&mut stream).start_send(message).unwrap();
        retry(&mut patience, &mut stream, Sink::poll_flush).await.unwrap();
    }
    retry(&mut patience, &mut stream, Sink::poll_close).await.unwrap();
    client.await;
}

/// Waits with futures that are dropped after so many polls, until one of them is done.
async fn retry<S: Unpin, T>(
    patience: &mut impl Iterator<Item = usize>,
    stream: &mut S,
    mut poll: impl FnMut(Pin<&mut S>, &mut std::task::Context<'_>) -> std::task::Poll<T>,
) -> T {
    loop {
        let times = patience.next().expect("it goes round");
        let mut waiting = pin!(poll_fn(|cx| poll(Pin::new(&mut *stream), cx)));
        if let Some(answer) = polled(times, waiting.as_mut()).await {
            return answer;
        }
    }
}
