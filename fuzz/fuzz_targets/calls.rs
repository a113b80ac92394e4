//! Any order of commands, deliveries and pauses on both sides: the state only grows, and enough
//! silence ends both.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ws_proto::{Close, CloseCode, Message, MessageKind, State, Version};
use ws_tests::pair::Pair;

#[derive(Arbitrary, Debug)]
enum Call {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Begin(bool),
    Fragment(Vec<u8>),
    Finish,
    Stream(bool),
    Abandon,
    Close(u16, String),
    Abort,
    Eof,
    Pause(bool),
    Break,
    Cut(u8),
    Pass(u16),
    Reset,
    WriteFailure,
}

fuzz_target!(|input: (u8, Vec<(bool, Call)>)| {
    let (version, calls) = input;
    let mut pair = Pair::new(Version::ALL[usize::from(version) % Version::ALL.len()]);
    for (client, call) in calls {
        let now = pair.now;
        let side = if client { &mut pair.client } else { &mut pair.server };
        let connection = &mut side.connection;
        let before = connection.state();
        match call {
            Call::Text(text) => drop(connection.send(text.into())),
            Call::Binary(payload) => drop(connection.send(Message::binary(payload))),
            Call::Ping(payload) => drop(connection.ping(Bytes::from(payload))),
            Call::Pong(payload) => drop(connection.pong(Bytes::from(payload))),
            Call::Begin(true) => drop(connection.begin_message(MessageKind::Text)),
            Call::Begin(false) => drop(connection.begin_message(MessageKind::Binary)),
            Call::Fragment(payload) => drop(connection.send_fragment(Bytes::from(payload))),
            Call::Finish => drop(connection.finish_message()),
            Call::Stream(on) => connection.set_streaming(on, now),
            Call::Abandon => connection.abandon_message(now),
            Call::Close(code, reason) => {
                let close = CloseCode::new(code).map(|code| Close::truncated(code, &reason));
                connection.close(close.unwrap_or(Close::EMPTY), now);
            }
            Call::Abort => connection.abort(),
            Call::Eof => connection.handle_eof(now),
            Call::Reset => connection.handle_reset(now),
            Call::WriteFailure => connection.handle_write_failure(now),
            Call::Pause(paused) => connection.set_paused(paused, now),
            Call::Break => pair.broken = true,
            Call::Cut(cut) => pair.cut = 1 + usize::from(cut),
            Call::Pass(millis) => pair.pass(Duration::from_millis(millis.into())),
        }
        let side = if client { &pair.client } else { &pair.server };
        assert!(side.connection.state() >= before);
    }
    for side in [&mut pair.client, &mut pair.server] {
        side.connection.set_paused(false, pair.now);
    }
    pair.broken = true;
    pair.pass(Duration::from_secs(1000));
    for side in [&pair.client, &pair.server] {
        assert_eq!(side.connection.state(), State::Closed);
        assert!(side.last().starts_with("closed"));
    }
});
