use std::time::Duration;

use tracing::Level;

use crate::runtime::Runtime;
use crate::toy::Toy;
use crate::toy::lines::{Line, lines};
use crate::toy::party::{REQUEST, join, listening, running};
use crate::{Builder, Candidate, Reject};

const UNKNOWN_VERSION: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 99\r\n\r\n";

/// A client that says this, and leaves.
fn visit(toy: &Toy, says: &[u8]) {
    let client = toy.dial();
    client.send(says);
    toy.settle();
    drop(client);
    toy.settle();
}

/// The levels of the lines with this text, and the numbers in them.
fn told(lines: &[Line], text: &str) -> Vec<(Level, Option<u64>)> {
    let number = |line: &str| {
        let (_, behind) = line.split_once(" number=")?;
        behind.split(' ').next()?.parse().ok()
    };
    let found = lines.iter().filter(|line| line.2.contains(text));
    found.map(|line| (line.0, number(&line.2))).collect()
}

#[test]
fn broken_handshakes_are_one_warning_a_second() {
    let (toy, _server) = running(|builder| builder);
    let lines = lines(|| {
        for _ in 0..4 {
            visit(&toy, UNKNOWN_VERSION);
        }
        toy.advance(Duration::from_secs(1));
        visit(&toy, b"nonsense\r\n\r\n");
    });
    let (warn, debug) = ((Level::WARN, Some(1)), (Level::DEBUG, None));
    let expected = [warn, debug, debug, debug, (Level::WARN, Some(4))];
    assert_eq!(told(&lines, "the peer's handshake was refused"), expected, "{lines:?}");
}

#[test]
fn broken_frames_are_one_warning_a_second() {
    let (toy, _server) = running(|builder| builder);
    let reserved_opcode = b"\x83\x80\0\0\0\0";
    let lines = lines(|| {
        for _ in 0..3 {
            let client = join(&toy);
            client.send(reserved_opcode);
            toy.settle();
            drop(client);
            toy.settle();
        }
        visit(&toy, UNKNOWN_VERSION);
    });
    let (warn, debug) = ((Level::WARN, Some(1)), (Level::DEBUG, None));
    assert_eq!(told(&lines, "the peer broke the protocol"), [warn, debug, debug], "{lines:?}");
    assert_eq!(told(&lines, "the peer's handshake was refused"), [warn], "a kind of its own");
}

#[test]
fn lost_peers_are_one_line_a_second() {
    let (toy, _server) = running(|builder| builder);
    let lines = lines(|| {
        for _ in 0..2 {
            drop(join(&toy));
            toy.settle();
        }
    });
    let expected = [(Level::INFO, Some(1)), (Level::DEBUG, None)];
    assert_eq!(told(&lines, "the peer was lost"), expected, "{lines:?}");
}

#[test]
fn handlers_that_fail_are_one_error_a_second() {
    let toy = Toy::default();
    let server = listening(Builder::new(toy.clone()));
    toy.spawn(async move { server.serve(|_| async { Err("no room") }).await.unwrap() });
    let lines = lines(|| {
        for _ in 0..2 {
            visit(&toy, REQUEST);
        }
    });
    let expected = [(Level::ERROR, Some(1)), (Level::DEBUG, None)];
    assert_eq!(told(&lines, "the handler failed: \"no room\""), expected, "{lines:?}");
}

/// Whoever is refused for a reason does not hide that there is a fault.
#[test]
fn refusals_are_one_line_a_second_and_failures_another() {
    let answer = |candidate: Candidate| async move {
        if candidate.request().path() == "/broken" {
            return Err(Reject::from("the table is locked"));
        }
        Err(Reject::new(403).because("unknown"))
    };
    let (toy, _server) = running(|builder| builder.authorize(answer));
    let broken = String::from_utf8_lossy(REQUEST).replacen("/chat", "/broken", 1);
    assert_ne!(broken.as_bytes(), REQUEST);
    let lines = lines(|| {
        for _ in 0..2 {
            visit(&toy, REQUEST);
            visit(&toy, broken.as_bytes());
        }
    });
    let [info, error] = [Level::INFO, Level::ERROR].map(|level| (level, Some(1)));
    let debug = (Level::DEBUG, None);
    assert_eq!(told(&lines, "rejected: \"unknown\""), [info, debug], "{lines:?}");
    assert_eq!(told(&lines, "rejected: \"the table is locked\""), [error, debug], "{lines:?}");
    assert_eq!(told(&lines, "the application refused"), [info, debug, debug, debug]);
}

#[test]
fn whoever_looks_whether_the_server_is_well_is_no_news() {
    let (toy, server) = running(|builder| builder);
    toy.settle();
    let lines = lines(|| {
        for says in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), b"GET / HT", b""] {
            visit(&toy, says);
        }
        let _silent = toy.dial();
        toy.advance(Duration::from_secs(11));
        toy.advance(Duration::from_secs(1));
    });
    assert_eq!(server.load().connections, 0);
    let loud: Vec<_> = lines.iter().filter(|line| line.0 < Level::DEBUG).collect();
    assert!(loud.is_empty(), "{loud:?}");
    assert_eq!(told(&lines, "send `Upgrade: websocket`"), [(Level::DEBUG, None)]);
    assert_eq!(told(&lines, "it asked for nothing"), [(Level::DEBUG, None); 3], "{lines:?}");
}

#[test]
fn a_decision_that_comes_too_late_is_a_warning_about_the_server() {
    let (toy, _server) = running(|builder| builder.authorize(|_| std::future::pending()));
    let lines = lines(|| {
        let client = toy.dial();
        client.send(REQUEST);
        toy.advance(Duration::from_secs(11));
        drop(client);
        toy.settle();
    });
    let late = lines.iter().find(|line| line.2.contains("did not decide about the request"));
    assert_eq!(late.map(|line| (line.0, line.1)), Some((Level::WARN, "ws::server")), "{lines:?}");
    assert_eq!(told(&lines, "the peer was lost"), []);
}
