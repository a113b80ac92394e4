//! Request heads made of plausible and arbitrary fields: an answer or a wait, never both, and
//! never an opened connection without the fields that its version asks for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_tests::feed::{config, every_way};

const NAMES: [&str; 12] = [
    "Host",
    "Upgrade",
    "Connection",
    "Origin",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Key1",
    "Sec-WebSocket-Key2",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Content-Length",
];
const VALUES: [&str; 14] = [
    "example.com",
    "websocket",
    "WebSocket",
    "Upgrade",
    "keep-alive, Upgrade",
    "http://example.com",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "4 @1  46546xW%0l 1 5",
    "12998 5 Y3 1  .P00",
    "13",
    "8",
    "chat, superchat",
    "permessage-deflate",
    "8",
];

fuzz_target!(|input: (Vec<(u8, u8, Vec<u8>)>, &[u8])| {
    let (fields, behind) = input;
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    for (name, value, raw) in &fields {
        match NAMES.get(usize::from(*name) % (NAMES.len() + 1)) {
            Some(name) => head.extend_from_slice(name.as_bytes()),
            None => head.extend_from_slice(raw),
        }
        head.extend_from_slice(b": ");
        match VALUES.get(usize::from(*value) % (VALUES.len() + 1)) {
            Some(value) => head.extend_from_slice(value.as_bytes()),
            None => head.extend_from_slice(raw),
        }
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(behind);
    let outcome = every_way(&config(), &head);
    if outcome.has("state 3 -> 4") {
        assert_eq!(outcome.status(), 101);
    } else if outcome.has("state 1 -> 5") {
        assert!(outcome.status() >= 400 && outcome.ended);
    }
});
