//! What `debug(true)` prints, seen from outside of the process that prints it.

use std::env;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use ws_net::{Close, Runtime, Version};
use ws_tests::client::{Client, exchange};
use ws_tokio::{Builder, Tokio};

/// Says that this process is the one that prints.
const CHILD: &str = "WS_TESTS_DEBUG";

/// What a peer might write to forge a line.
const FORGERY: &str = "\n2026-01-01T00:00:00Z  INFO ws::server: forged\u{1b}[31m";

#[test]
fn every_component_says_in_lines_of_its_own_what_it_does() {
    if env::var_os(CHILD).is_some() {
        return ws_tokio::block_on(2, serve_and_be_attacked()).unwrap();
    }
    let name = "every_component_says_in_lines_of_its_own_what_it_does";
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        " INFO ws::server: listening address=127.0.0.1:",
        "DEBUG ws::connection: handshaking -> connected",
        "DEBUG ws::connection: open id=",
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

async fn serve_and_be_attacked() {
    // Twice: the second one finds the printer of the first.
    Builder::new(Tokio).debug(true).build().unwrap();
    let server = Builder::new(Tokio).debug(true).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let running = server.clone();
    Tokio.spawn(async move { running.run().await.unwrap() });
    let attack = thread::spawn(move || attack(address));
    while !attack.is_finished() {
        tokio::task::yield_now().await;
    }
    attack.join().unwrap();
    server.shutdown(Close::normal(), std::time::Duration::from_secs(10)).await;
}

fn attack(address: SocketAddr) {
    let farewell = Close::new(4000, FORGERY).unwrap();
    Client::open(address, Version::Rfc6455).close(farewell);
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
