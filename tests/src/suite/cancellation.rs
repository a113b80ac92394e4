//! Futures that are dropped before they are done: after no poll, after the first, after the second
//! and so on. Nothing is lost by it, and nothing is done twice.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ws_net::{
    Accept, AcceptError, Builder, Client as Dialler, ClientBuilder, Close, Connection, Deflate,
    Message, Runtime, State, Version,
};

use super::faults::shake_hands;
use super::support::{Mailbox, Running, aside, echo, polled, until};
use crate::client::{Client, read_to_end, request};

/// How often a future is polled at most before it is dropped. None needs as many.
const POLLS: usize = 4;

const LONG: Duration = Duration::from_secs(30);
/// Longer than a task needs to end on a busy machine.
const SHORT: Duration = Duration::from_secs(1);

/// Every message is received, once and in order.
pub async fn recv_loses_no_message<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        for times in (0..=POLLS).cycle() {
            match polled(times, connection.recv()).await {
                Some(Some(Ok(message))) => connection.send(message).await.unwrap(),
                Some(_) => return,
                None => {}
            }
        }
    })
    .await;
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut client = Client::open(address, version);
            for n in 0..50 {
                assert_eq!(client.ask_text(&n.to_string()), n.to_string());
            }
            client.send_all((0..500).map(|n| n.to_string()));
            for n in 0..500 {
                assert_eq!(client.recv_text(), n.to_string());
            }
            client.close(Close::normal());
        }
    })
    .await;
}

/// The same through a handle in another task.
pub async fn recv_elsewhere_loses_no_message<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        for n in 0..50 {
            client.send_all([format!("{n}"), format!("{n} again")]);
            assert_eq!(client.recv_text(), format!("{n}"));
            assert_eq!(client.recv_text(), format!("{n} again"));
        }
        client.close(Close::normal())
    });
    let connection = server.accept().await.unwrap().accept(Accept::new()).await.unwrap();
    for times in (0..=POLLS).cycle() {
        match polled(times, connection.recv()).await {
            Some(Some(Ok(message))) => connection.send(message).await.unwrap(),
            Some(end) => {
                assert!(end.is_none(), "it is closed properly");
                break;
            }
            None => {}
        }
    }
    assert!(client.await.clean);
}

/// Either the whole message was queued or nothing of it.
pub async fn send_neither_loses_nor_doubles<R: Runtime>(runtime: R) {
    const COUNT: u32 = 1000;
    let block = |n: u32| [n.to_be_bytes().as_slice(), &[7; 16 << 10]].concat();
    let dropped = Mailbox::default();
    let post = dropped.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            let mut n = 0;
            for times in (0..=POLLS).cycle() {
                match polled(times, connection.send(block(n))).await {
                    Some(sent) => {
                        sent.unwrap();
                        n += 1;
                    }
                    None if times > 0 => post.put(n),
                    None => {}
                }
                if n == COUNT {
                    return;
                }
            }
        }
    })
    .await;
    let address = server.address;
    let mut client = aside(move || Client::open(address, Version::Rfc6455)).await;
    // It has waited for room, and was dropped.
    dropped.take().await;
    aside(move || {
        for n in 0..COUNT {
            let message = client.recv().expect("nothing is lost");
            assert_eq!(message.len(), (16 << 10) + 4);
            assert_eq!(message.as_bytes()[..4], n.to_be_bytes());
        }
        assert!(client.recv().is_none());
    })
    .await;
}

/// The same through halves, and by the id: each echo is dropped at every point on its way.
pub async fn halves_and_ids_lose_no_message<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        client.send_all((0..200).map(|n| n.to_string()));
        for n in 0..200 {
            assert_eq!(client.recv_text(), n.to_string());
        }
        client.close(Close::normal())
    });
    let connection = server.accept().await.unwrap().accept(Accept::new()).await.unwrap();
    let (id, (sender, mut receiver)) = (connection.id(), connection.split());
    let mut pending = None;
    for times in (0..=POLLS).cycle() {
        let Some(message) = pending.take() else {
            match polled(times, receiver.recv()).await {
                Some(Some(Ok(message))) => pending = Some(message),
                Some(_) => break,
                None => {}
            }
            continue;
        };
        polled(times, sender.ready()).await;
        let sent = if message.len() % 2 == 0 {
            polled(times, server.send(id, Message::clone(&message))).await
        } else {
            polled(times, sender.send(Message::clone(&message))).await
        };
        if sent.is_none() {
            pending = Some(message);
        }
    }
    assert!(client.await.clean);
}

/// So does the way that never compresses.
pub async fn sending_uncompressed_neither_loses_nor_doubles<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.deflate(Deflate::new())).await;
    server.start_serving(&runtime, |connection| async move {
        let mut n = 0_u32;
        for times in (0..=POLLS).cycle() {
            let block = [n.to_be_bytes().as_slice(), &[7; 16 << 10]].concat();
            if let Some(sent) = polled(times, connection.send_uncompressed(block)).await {
                sent.unwrap();
                n += 1;
            }
            if n == 200 {
                return;
            }
        }
    });
    let client = ClientBuilder::new(runtime).deflate(Deflate::new());
    let connection = client.connect(&format!("ws://{}/", server.address)).await.unwrap();
    for n in 0..200_u32 {
        let message = connection.recv().await.unwrap().unwrap();
        assert_eq!(message.as_bytes()[..4], n.to_be_bytes());
    }
    assert!(connection.recv().await.is_none());
}

/// The end is told to whoever asks next.
pub async fn closed_tells_after_all<R: Runtime>(runtime: R) {
    let codes = Mailbox::default();
    let post = codes.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            for times in (0..=POLLS).cycle() {
                if let Some(closed) = polled(times, connection.closed()).await {
                    return post.put(closed.code());
                }
            }
        }
    })
    .await;
    let address = server.address;
    let close = Close::new(4000, "").unwrap();
    aside(move || Client::open(address, Version::Rfc6455).close(close)).await;
    assert_eq!(codes.take().await, 4000);
}

/// Every client is handed out, once.
pub async fn accept_loses_no_client<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let clients = aside(move || {
        let threads = [(); 4].map(|()| {
            thread::spawn(move || {
                for _ in 0..5 {
                    assert_eq!(Client::open(address, Version::Rfc6455).closed().code(), 1000);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let mut count = 0;
    for times in (0..=POLLS).cycle() {
        if let Some(incoming) = polled(times, server.accept()).await {
            incoming.unwrap().accept(Accept::new()).await.unwrap();
            count += 1;
        }
        if count == 20 {
            break;
        }
    }
    clients.await;
    assert!(polled(1, server.accept()).await.is_none(), "a client came twice");
}

/// Unpolled it is a request that nobody wanted; later it is a connection that nobody holds.
pub async fn an_accept_that_is_dropped_ends_the_connection<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    for times in 0..=POLLS {
        let client = aside(move || Client::ask(address, request(address)).map(Client::closed));
        let incoming = server.accept().await.unwrap();
        let opened = polled(times, incoming.accept(Accept::new())).await;
        assert!(opened.is_none() || times > 0);
        assert!(!matches!(opened, Some(Err(AcceptError::Closed(_)))));
        drop(opened);
        match client.await {
            Ok(closed) => assert_eq!((times > 0, closed.code()), (true, 1000)),
            Err(_) => assert_eq!(times, 0),
        }
        until(&runtime, || server.manager().is_empty()).await;
    }
}

/// The socket is closed, those who are in stay in.
pub async fn serve_and_run_stop_accepting_when_dropped<R: Runtime>(runtime: R) {
    for runs in [false, true] {
        let server = Builder::new(runtime.clone()).bind("127.0.0.1:0").await.expect("a free port");
        server.on_message(|connection, message| {
            connection.try_send(message).unwrap();
        });
        let address = server.local_addr().expect("it is bound");
        let connecting = aside(move || Client::open(address, Version::Rfc6455));
        let mut client = if runs {
            beside(server.run(), connecting).await
        } else {
            beside(server.serve(echo), connecting).await
        };
        Builder::new(runtime.clone()).bind(address).await.expect("the port is free");
        assert_eq!(server.run().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        // The connection needs no handle of the server either.
        drop(server);
        aside(move || {
            assert_eq!(client.ask_text("still there?"), "still there?");
            assert!(client.close(Close::normal()).clean);
        })
        .await;
    }
}

/// As if they had not been called.
pub async fn futures_that_were_never_polled_do_nothing<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    drop(server.run());
    drop(server.serve(echo));
    drop(server.accept());
    drop(server.listen(address));
    drop(server.send("1-1".parse().unwrap(), "nobody"));
    drop(server.to_all().deliver("nobody"));
    drop(server.shutdown(Close::normal(), LONG));
    drop(Builder::new(runtime.clone()).bind("127.0.0.1:0"));
    drop(runtime.connect(address));
    server.start_serving(&runtime, echo);
    let text = aside(move || Client::open(address, Version::Rfc6455).ask_text("hello"));
    assert_eq!(text.await, "hello");
}

/// A pause or an attempt is given up and begun again; the server keeps nobody.
pub async fn reconnecting_may_be_dropped_at_every_point<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let client = Dialler::new(runtime.clone());
    let url = format!("ws://{}/", server.address);
    let short = Duration::from_millis(1);
    let mut reconnect = client.reconnect(url).first_pause(short).longest_pause(short);
    let mut connected = 0;
    for times in (0..12).cycle().take(36) {
        if let Some(connection) = polled(times, reconnect.connect()).await {
            assert!(times > 0);
            let connection = connection.unwrap();
            connection.send("hello").await.unwrap();
            assert_eq!(connection.recv().await.unwrap().unwrap(), "hello".into());
            connected += 1;
        }
    }
    assert!(connected > 0, "no connection within 12 polls");
    until(&runtime, || server.manager().is_empty()).await;
}

/// Whoever is polite has closed; the rest is left to the next call.
pub async fn a_shutdown_that_is_dropped_leaves_out_the_rest<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let (polite, mut silent) =
        aside(move || (Client::open(address, Version::Rfc6455), shake_hands(address))).await;
    until(&runtime, || server.manager().len() == 2).await;
    assert!(polled(1, server.shutdown(Close::normal(), LONG)).await.is_none());
    assert_eq!(aside(move || polite.closed().code()).await, 1000);
    until(&runtime, || server.manager().len() == 1).await;
    assert_eq!(server.manager().map(Connection::state), [State::Closing]);
    // The task of the polite one may have to end yet.
    let report = server.shutdown(Close::normal(), SHORT).await;
    assert!(report.closed <= 1 && report.aborted == 1, "{report:?}");
    let farewell = aside(move || read_to_end(&mut silent)).await;
    assert_eq!(farewell.chars().count(), 4, "one close frame: {farewell:?}");
}

/// Polls `background`, which does not end, until `foreground` is done; then drops it.
async fn beside<T>(
    background: impl Future<Output: Debug>,
    foreground: impl Future<Output = T>,
) -> T {
    let mut background = pin!(background);
    let mut foreground = pin!(foreground);
    poll_fn(|cx| {
        if let Poll::Ready(ended) = background.as_mut().poll(cx) {
            panic!("it ended by itself: {ended:?}");
        }
        foreground.as_mut().poll(cx)
    })
    .await
}
