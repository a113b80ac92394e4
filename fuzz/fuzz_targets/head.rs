//! Request heads made of plausible and arbitrary fields: an answer or a wait, never both, and
//! never an opened connection without the fields that its version asks for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_tests::feed::{config, every_way};
use ws_tests::requests::{DRAFT75, DRAFT76, RFC6455};

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

/// The values of a field in a head, read naively.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim()).collect()
}

/// Whether the request has what its version asks for, and nothing that only a later one has.
fn fits(version: &str, head: &str) -> bool {
    let once = |name| values(head, name).len() == 1;
    let never = |name| values(head, name).is_empty();
    let lists = |name, member: &str| {
        let mut members = values(head, name).into_iter().flat_map(|value| value.split(','));
        members.any(|one| one.trim().eq_ignore_ascii_case(member))
    };
    let numbered =
        |number| values(head, "Sec-WebSocket-Version") == [number] && once("Sec-WebSocket-Key");
    let own = match version {
        "draft75" => once("Origin") && !head.to_lowercase().contains("\r\nsec-websocket-"),
        "draft76" => {
            let keys = once("Sec-WebSocket-Key1") && once("Sec-WebSocket-Key2");
            let later = !never("Sec-WebSocket-Version") || !never("Sec-WebSocket-Key");
            once("Origin") && keys && !later
        }
        "hybi-07" => numbered("7"),
        "hybi-08" => numbered("8"),
        _ => numbered("13"),
    };
    own && once("Host") && lists("Upgrade", "websocket") && lists("Connection", "upgrade")
}

/// A name, a value, and a value that is none of the list.
type Field = (u8, u8, Vec<u8>);

fuzz_target!(|input: (u8, u8, Vec<Field>, &[u8])| {
    let (base, left_out, fields, behind) = input;
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    // Most runs begin with a good request, so that many get through.
    let base = ["", DRAFT75, DRAFT76, RFC6455][usize::from(base % 4)];
    let lines = base.split_inclusive("\r\n").skip(1).filter(|line| line.len() > 2);
    for (at, line) in lines.enumerate() {
        if at != usize::from(left_out) {
            head.extend_from_slice(line.as_bytes());
        }
    }
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
        let asked = outcome.events.iter().find_map(|event| event.strip_prefix("request "));
        let (version, _) = asked.and_then(|asked| asked.split_once(' ')).expect("it was told");
        let head = String::from_utf8_lossy(&head);
        let (head, _) = head.split_once("\r\n\r\n").expect("it is complete");
        assert!(fits(version, head), "{version}: {head}");
    } else if outcome.has("state 1 -> 5") {
        assert!(outcome.status() >= 400 && outcome.ended);
    }
});
