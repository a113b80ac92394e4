//! What `debug(true)` prints on every runtime, seen from outside of the process that prints it.

use std::env;
use std::net::SocketAddr;
use std::process::Command;

use ws_net::{Accept, Builder, Close, Reject, Runtime, Version};
use ws_tests::client::{Client, exchange};

/// Says which test's process it is that prints.
const CHILD: &str = "WS_TESTS_DEBUG";

/// What a peer might write to forge a line.
const FORGERY: &str = "\n2026-01-01T00:00:00Z  INFO ws::server: forged\u{1b}[31m";

macro_rules! debug {
    ($($name:ident: $adapter:ident::$runtime:ident,)+) => {
        $(#[test]
        fn $name() {
            if env::var(CHILD).is_ok_and(|name| name == stringify!($name)) {
                return $adapter::block_on(2, serve_and_be_attacked($adapter::$runtime)).unwrap();
            }
            every_component_says_in_lines_of_its_own_what_it_does(stringify!($name));
        })+
    };
}

debug! {
    debug_prints_what_happens_with_tokio: ws_tokio::Tokio,
    debug_prints_what_happens_with_smol: ws_smol::Smol,
    debug_prints_what_happens_with_async_std: ws_async_std::AsyncStd,
}

fn every_component_says_in_lines_of_its_own_what_it_does(name: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, name)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        " INFO ws::server: listening address=127.0.0.1:",
        " INFO ws::server: rejected: \"no seat for you\" number=1 id=",
        " INFO ws::server: shut down closed=",
        "DEBUG ws::connection: handshaking -> connected",
        "DEBUG ws::connection: connected -> closing",
        "DEBUG ws::connection: closing -> closed",
        "DEBUG ws::connection: open id=",
        "ERROR ws::connection: the handler panicked: \"asked to panic\"; this connection ends",
        "ERROR ws::connection: the handler failed: \"asked to fail\\n",
        "DEBUG ws::manager: attached id=",
        "DEBUG ws::manager: detached id=",
        " WARN ws::protocol: the peer's handshake was refused",
        " WARN ws::protocol: the peer broke the protocol",
        "forged",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("2026-01-01T")), "{text}");
}

async fn serve_and_be_attacked<R: Runtime>(runtime: R) {
    // Twice: the second one finds the printer of the first.
    Builder::new(runtime.clone()).debug(true).build().unwrap();
    let builder = Builder::new(runtime.clone()).debug(true).authorize(|candidate| async move {
        match candidate.request().path() {
            "/seat" => Err(Reject::new(403).because("no seat for you")),
            _ => Ok(Accept::new()),
        }
    });
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let running = server.clone();
    runtime.spawn(async move {
        let handler = |connection: ws_net::Connection| async move {
            while let Some(Ok(message)) = connection.recv().await {
                assert!(message.as_text() != Some("panic"), "asked to panic");
                if message.as_text() == Some("fail") {
                    return Err(format!("asked to fail{FORGERY}"));
                }
            }
            Ok(())
        };
        running.serve(handler).await.unwrap();
    });
    ws_tests::suite::aside(move || attack(address)).await;
    server.shutdown(Close::normal(), std::time::Duration::from_secs(10)).await;
}

fn attack(address: SocketAddr) {
    let farewell = Close::new(4000, FORGERY).unwrap();
    Client::open(address, Version::Rfc6455).close(farewell);
    for fault in ["panic", "fail"] {
        let mut victim = Client::open(address, Version::Rfc6455);
        victim.send(fault);
        assert_eq!(victim.closed().code(), 1011);
    }
    let request = ws_proto::ClientRequest::new(&format!("ws://{address}/seat")).unwrap();
    assert!(Client::ask(address, request).is_err());
    exchange(address, format!("GET /{FORGERY} HTTP/1.1\r\n\r\n").as_bytes());
    let request = |more: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{more}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    };
    exchange(address, request("Origin: https://forged.example\u{9b}31m\r\n").as_bytes());
    let reserved_opcode = b"\x83\x80\0\0\0\0";
    exchange(address, &[request("").as_bytes(), reserved_opcode].concat());
}
