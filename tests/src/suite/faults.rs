//! What goes wrong in one connection concerns no other.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use ws_net::{Cause, Close, Connection, Expired, ProtocolError, Runtime, Timeouts, Version};

use super::support::{Mailbox, Running, aside, echo, until};
use crate::client::{Client, addressed, dial, dial_briefly, read_answer, read_to_end};
use crate::requests::{RFC6455, frame};

/// Before its first await, after one, and so often that every thread of the runtime is met.
pub async fn a_handler_that_panics_ends_its_own_connection_alone<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        assert!(connection.id().port() != 0);
        while let Some(Ok(message)) = connection.recv().await {
            assert_ne!(message.as_text(), Some("panic"), "asked to panic");
            connection.send(message).await.unwrap();
        }
    })
    .await;
    let address = server.address;
    aside(move || {
        let mut bystander = Client::open(address, Version::Draft76);
        for turn in 0..20 {
            let mut victim = Client::open(address, Version::Rfc6455);
            assert_eq!(victim.ask_text("hello"), "hello");
            victim.send("panic");
            assert_eq!(victim.closed().code(), 1011);
            assert_eq!(bystander.ask_text("and you?"), "and you?", "turn {turn}");
        }
    })
    .await;
    until(&runtime, || server.manager().is_empty()).await;
}

/// With `?`, on an error of its own; when the client has gone, there is nobody to be told.
pub async fn a_handler_that_fails_ends_its_own_connection_alone<R: Runtime>(runtime: R) {
    async fn add(connection: Connection) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut sum = 0;
        while let Some(message) = connection.recv().await {
            sum += message?.as_text().unwrap_or_default().parse::<u32>()?;
            connection.send(sum.to_string()).await?;
        }
        Ok(())
    }

    let server = Running::serve(&runtime, add).await;
    let address = server.address;
    aside(move || {
        let mut bystander = Client::open(address, Version::Draft76);
        for sum in 1..=5 {
            let mut victim = Client::open(address, Version::Rfc6455);
            assert_eq!(victim.ask_text("7"), "7");
            victim.send("seven");
            assert_eq!(victim.closed().code(), 1011);
            drop(Client::open(address, Version::Rfc6455));
            assert_eq!(bystander.ask_text("1"), sum.to_string());
        }
        assert_eq!(Client::open(address, Version::Rfc6455).close(Close::normal()).code(), 1000);
    })
    .await;
    until(&runtime, || server.manager().is_empty()).await;
}

/// The function itself, which makes the future.
pub async fn a_handler_that_panics_at_once_does_no_harm<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection: Connection| {
        assert_ne!(connection.request().map(ws_net::Request::path), Some("/panic"));
        echo(connection)
    })
    .await;
    let address = server.address;
    aside(move || {
        for _ in 0..5 {
            let url = format!("ws://{address}/panic");
            let request = ws_proto::ClientRequest::new(&url).unwrap();
            let client = Client::ask(address, request).expect("it is opened first");
            assert_eq!(client.closed().code(), 1011);
            assert_eq!(Client::open(address, Version::Rfc6455).ask_text("hello"), "hello");
        }
    })
    .await;
}

/// A payload whose end panics.
struct Explosive([u8; 5000]);

impl AsRef<[u8]> for Explosive {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("asked to panic");
    }
}

/// In the task of the connection, where no code of users seems to run, and so often that every
/// thread of the runtime is met. `on_close` is told nevertheless.
pub async fn a_payload_whose_end_panics_ends_its_own_connection_alone<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            if message.as_text() == Some("panic") {
                let payload = ws_net::Bytes::from_owner(Explosive([b'x'; 5000]));
                drop(connection.send(payload).await);
            } else {
                connection.send(message).await.unwrap();
            }
        }
    })
    .await;
    let (address, told) = (server.address, Mailbox::default());
    let post = told.clone();
    server.on_close(move |_, end| post.put(end.cause.clone()));
    let bystander = aside(move || {
        let mut bystander = Client::open(address, Version::Draft76);
        for turn in 0..20 {
            let mut victim = Client::open(address, Version::Rfc6455);
            assert_eq!(victim.ask_text("hello"), "hello");
            victim.send("panic");
            assert!(!victim.closed().clean);
            assert_eq!(bystander.ask_text("and you?"), "and you?", "turn {turn}");
        }
        bystander
    })
    .await;
    // The sockets of the others were gone before this was told.
    for _ in 0..20 {
        assert_eq!(told.take().await, Cause::Aborted);
    }
    drop(bystander);
    assert_eq!(told.take().await, Cause::Eof);
    until(&runtime, || server.manager().is_empty()).await;
}

/// Whichever listener it is; `on_close` is told nevertheless.
pub async fn a_listener_that_panics_ends_its_own_connection_alone<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let told = Mailbox::default();
    let is = |connection: &Connection, path| {
        connection.request().map(ws_net::Request::path) == Some(path)
    };
    server.on_state_change(move |connection, change| {
        assert!(!(is(connection, "/state") && change.to == ws_net::State::Connected));
    });
    server.on_connection(move |connection| {
        assert!(!is(connection, "/connection"));
        connection.ping("").ok();
    });
    server.on_pong(move |connection, _| assert!(!is(connection, "/pong")));
    server.on_message(move |connection, message| {
        assert!(!is(connection, "/message"));
        connection.try_send(message).unwrap();
    });
    server.on_close(move |connection, _| assert!(!is(connection, "/close")));
    let post = told.clone();
    server.on_close(move |connection, _| {
        post.put(connection.request().map_or_else(String::new, |request| request.path().into()));
    });
    server.start_running(&runtime);
    let address = server.address;
    for path in ["/state", "/connection", "/message", "/pong", "/close"] {
        aside(move || {
            let mut bystander = Client::open(address, Version::Rfc6455);
            let request = ws_proto::ClientRequest::new(&format!("ws://{address}{path}")).unwrap();
            let mut client = Client::ask(address, request).expect("it is opened first");
            match path {
                "/close" => assert!(client.close(Close::normal()).clean),
                "/message" => {
                    client.send("panic");
                    assert_eq!(client.closed().code(), 1011);
                }
                _ => assert_eq!(client.closed().code(), 1011, "{path}"),
            }
            assert_eq!(bystander.ask_text("and you?"), "and you?");
            bystander.close(Close::normal());
        })
        .await;
        let mut closed = [told.take().await, told.take().await];
        closed.sort_unstable();
        assert_eq!(closed, ["/", path]);
    }
}

/// With 408 if it began to, by the timers of the runtime.
pub async fn a_client_that_never_asks_is_sent_away<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.timeouts(short(|_| {}))).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        let begun = ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"].map(|begun| {
            let mut socket = dial_briefly(address);
            socket.write_all(begun.as_bytes()).unwrap();
            (begun, socket)
        });
        for (begun, mut socket) in begun {
            let answer = read_to_end(&mut socket);
            // To whom nothing was asked of there is nothing to say.
            let fits = if begun.is_empty() { "" } else { "HTTP/1.1 408 " };
            assert!(answer.starts_with(fits) && fits.is_empty() == answer.is_empty(), "{answer}");
        }
    })
    .await;
}

/// One that answers pings stays, one that does not is closed with 1011.
pub async fn a_client_that_is_silent_is_pinged<R: Runtime>(runtime: R) {
    let often = |timeouts: &mut Timeouts| timeouts.ping_interval = Some(Duration::from_millis(20));
    let server = Running::bind(&runtime, |builder| builder.timeouts(short(often))).await;
    let ends = Mailbox::default();
    let post = ends.clone();
    server.start_serving(&runtime, move |connection| {
        let post = post.clone();
        async move {
            echo(connection.clone()).await;
            post.put(connection.closed().await.cause.clone());
        }
    });
    let address = server.address;
    aside(move || {
        let mut socket = shake_hands(address);
        for _ in 0..3 {
            let mut ping = [0; 2];
            socket.read_exact(&mut ping).unwrap();
            assert_eq!(ping, [0x89, 0]);
            socket.write_all(&frame(0x8A, b"")).unwrap();
        }
        let farewell = read_to_end(&mut socket);
        assert!(farewell.contains("no answer to a ping"), "{farewell:?}");
    })
    .await;
    assert_eq!(ends.take().await, Cause::Timeout(Expired::Pong));
}

/// The peer is told which rule it broke, and the handler, too; the others go on.
pub async fn a_broken_rule_closes_with_its_code<R: Runtime>(runtime: R) {
    let ends = Mailbox::default();
    let post = ends.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            while let Some(received) = connection.recv().await {
                match received {
                    Ok(message) => connection.send(message).await.unwrap(),
                    Err(end) => post.put(end.cause.clone()),
                }
            }
        }
    })
    .await;
    let address = server.address;
    let mut bystander = aside(move || Client::open(address, Version::Draft76)).await;
    for (bytes, code, error) in [
        (vec![0x81, 0x00], 1002_u16, ProtocolError::Unmasked),
        (frame(0x81, b"\xFF"), 1007, ProtocolError::InvalidUtf8),
    ] {
        bystander = aside(move || {
            let mut socket = shake_hands(address);
            socket.write_all(&bytes).unwrap();
            let mut frames = Vec::new();
            socket.read_to_end(&mut frames).unwrap();
            assert_eq!((frames[0], &frames[2..4]), (0x88, &code.to_be_bytes()[..]));
            assert_eq!(bystander.ask_text("and you?"), "and you?");
            bystander
        })
        .await;
        assert_eq!(ends.take().await, Cause::Protocol(error));
    }
}

/// The system tells by an error, not by the end of the stream.
pub async fn a_reset_ends_the_connection<R: Runtime>(runtime: R) {
    let ends = Mailbox::default();
    let post = ends.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move { post.put(connection.recv().await.is_some_and(|end| end.is_err())) }
    })
    .await;
    let address = server.address;
    for _ in 0..5 {
        aside(move || {
            let socket = shake_hands(address);
            SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        })
        .await;
        assert!(ends.take().await, "recv answers an error");
    }
    until(&runtime, || server.manager().is_empty()).await;
}

/// Without a farewell, from whatever task.
pub async fn abort_ends_a_connection_at_once<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let client = aside(move || Client::open(address, Version::Rfc6455)).await;
    until(&runtime, || server.manager().len() == 1).await;
    let connection = server.manager().snapshot().pop().expect("it is open");
    connection.abort();
    assert_eq!(connection.closed().await.cause, Cause::Aborted);
    let closed = aside(move || client.closed()).await;
    assert_eq!((closed.code(), closed.clean), (1006, false));
}

/// The default timeouts, with those that the cases wait for made short, but longer than a busy
/// machine needs for what has to be done in them.
fn short(change: impl FnOnce(&mut Timeouts)) -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_secs(2);
    timeouts.pong = Duration::from_secs(2);
    change(&mut timeouts);
    timeouts
}

/// A bare socket on which the handshake of RFC 6455 is done.
pub(super) fn shake_hands(address: SocketAddr) -> TcpStream {
    let mut socket = dial(address);
    let asked = addressed(RFC6455, address);
    socket.write_all(asked.as_bytes()).unwrap();
    let (head, _) = read_answer(&mut socket, false);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    socket
}
