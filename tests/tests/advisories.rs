//! Advisories of other WebSocket libraries, each as a regression test named after its identifier.

use std::sync::Arc;

use ws_proto::{Accept, Config, Deflate, Limits, Reject};
use ws_tests::feed::{Echo, Outcome, config, every_way};
use ws_tests::requests::{DRAFT76, KEY3, RFC6455, frame, replace, with, without};

fn limited(change: impl FnOnce(&mut Limits)) -> Arc<Config> {
    let mut limits = Limits::default();
    change(&mut limits);
    Arc::new(Config::builder().limits(limits).build().unwrap())
}

fn request(request: &str) -> Outcome {
    every_way(&config(), request.as_bytes())
}

/// The close code of the frame that was sent last, if it was a close frame without fragments.
fn close_code(outcome: &Outcome) -> u16 {
    let bytes = outcome.after_head();
    let at = bytes.iter().rposition(|byte| *byte == 0x88).expect("a close frame");
    u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])
}

/// That each byte is looked at once is tested beside the reader; here the head is long enough for
/// a quadratic parser to never come back.
#[test]
fn cve_2023_43669_a_head_that_drips_is_refused_at_its_limit() {
    let config = limited(|limits| (limits.max_head, limits.max_headers) = (4 << 20, 1 << 20));
    let head = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(700_000));
    let mut echo = Echo::new(&config);
    head.as_bytes().chunks(7).for_each(|piece| echo.feed(piece));
    assert_eq!(echo.outcome().status(), 431);
}

#[test]
fn rustsec_2022_0035_a_claimed_length_allocates_nothing() {
    let config = limited(|limits| limits.max_message = usize::MAX);
    let claim = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5];
    let seen = every_way(&config, &[RFC6455.as_bytes(), &claim].concat());
    assert_eq!(seen.last(), "state 3 -> 4");
}

#[test]
fn rustsec_2020_0043_the_outbound_buffer_is_bounded() {
    let mut echo = Echo::new(&config());
    echo.feed(RFC6455.as_bytes());
    let (connection, _) = echo.connection();
    let sent = (0..10_000).take_while(|_| connection.send("x".repeat(1000).into()).is_ok()).count();
    assert!(sent < 300, "{sent} messages were queued");
    let buffered = connection.buffered_amount();
    assert!(buffered <= (256 << 10) + 1004, "{buffered} bytes are queued");
}

#[test]
fn rustsec_2026_0258_cve_2026_48779_empty_fragments_are_counted() {
    let config = limited(|limits| limits.max_fragments = 1000);
    let flood = [frame(0x01, b""), frame(0x00, b"").repeat(1000)].concat();
    let seen = every_way(&config, &[RFC6455.as_bytes(), &flood].concat());
    assert_eq!(close_code(&seen), 1008);
}

/// What they make the core hold is counted in `memory.rs`.
#[test]
fn cve_2026_48779_tiny_fragments_become_one_message() {
    let frames = [frame(0x02, b"a"), frame(0x00, b"b").repeat(60_000), frame(0x80, b"")].concat();
    let mut echo = Echo::new(&config());
    echo.feed(RFC6455.as_bytes());
    echo.feed(&frames);
    assert_eq!(echo.outcome().last(), "binary of 60001 bytes");
}

#[test]
fn rustsec_2025_0055_a_peers_text_cannot_reach_the_terminal_raw() {
    let reason = [&[0x0F, 0xA1][..], "\u{1b}[2Jgone".as_bytes()].concat();
    let mut echo = Echo::new(&config());
    echo.feed(RFC6455.as_bytes());
    echo.feed(&frame(0x88, &reason));
    echo.eof();
    let last = echo.outcome().last().to_owned();
    assert!(last.starts_with("closed 4001") && !last.contains('\u{1b}'), "{last:?}");
    for field in ["Sec-WebSocket-Key: \x1b[2J", "Origin: http://\x1b[2J"] {
        let refused = request(&with(RFC6455, field));
        assert!(!refused.text().contains('\x1b') && !refused.last().contains('\x1b'));
    }
}

#[test]
fn rustsec_2024_0009_headers_cannot_split_the_answer() {
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\0b", "a\rb"] {
        assert!(Accept::new().header("X-Note", value).is_err(), "{value:?}");
        assert!(Reject::new(403).header("X-Note", value).is_err(), "{value:?}");
    }
    for name in ["X Note", "X:Note", "", "X\r\nNote", "Upgrade", "sec-websocket-accept"] {
        assert!(Accept::new().header(name, "a").is_err(), "{name:?}");
    }
    let injected = with(RFC6455, "Sec-WebSocket-Protocol: a\rSet-Cookie: b");
    assert_eq!(request(&injected).status(), 400);
}

#[test]
fn rustsec_2022_0055_every_limit_has_a_default() {
    let limits = Limits::default();
    let long_target = RFC6455.replacen("/chat", &"/x".repeat(limits.max_uri), 1);
    assert_eq!(request(&long_target).status(), 414);
    let long_head = with(RFC6455, &format!("Cookie: {}", "x".repeat(limits.max_head)));
    assert_eq!(request(&long_head).status(), 431);
    let many = with(RFC6455, &"A: b\r\n".repeat(limits.max_headers)[..]);
    let refused = request(many.replace("b\r\n\r\n", "b\r\n").as_str());
    assert_eq!(refused.status(), 431);
}

#[test]
fn cve_2026_45736_close_payloads_are_what_was_sent() {
    let seen = every_way(&config(), &[RFC6455.as_bytes(), &frame(0x88, &[0x0B, 0xB8])].concat());
    assert_eq!(seen.after_head(), [0x88, 2, 0x0B, 0xB8]);
    let seen = every_way(&config(), &[RFC6455.as_bytes(), &frame(0x88, &[])].concat());
    assert_eq!(seen.after_head(), [0x88, 0]);
}

#[test]
fn cve_2024_37890_every_header_may_be_missing() {
    for name in ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        let refused = request(&without(RFC6455, name));
        assert!(matches!(refused.status(), 400 | 426), "without {name}: {}", refused.text());
    }
    let many = RFC6455.replacen("Host", &format!("{}Host", "A: b\r\n".repeat(94)), 1);
    assert_eq!(request(&many).status(), 101, "many headers lose none");
}

/// Long enough for quadratic time to never come back.
#[test]
fn cve_2021_32640_cve_2020_7662_long_lists_take_linear_time() {
    let mut limits = Limits::default();
    limits.max_head = 2 << 20;
    let config = Config::builder().limits(limits).deflate(Deflate::new());
    let config = Arc::new(config.build().unwrap());
    for value in [" ", ",", "a ", "a,", "a;", "permessage-deflate,"] {
        let value = value.repeat((1 << 20) / value.len());
        for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            let mut echo = Echo::new(&config);
            echo.feed(with(RFC6455, &format!("{name}: x{value}")).as_bytes());
            let outcome = echo.outcome();
            assert!(matches!(outcome.status(), 101 | 400), "{name}: {}", outcome.text());
        }
    }
}

#[test]
fn ws_2017_strange_extensions_crash_nothing() {
    for value in
        ["constructor", "a; constructor", "__proto__", ";", "a;;b", "a=\"", "permessage-deflate;"]
    {
        let seen = request(&with(RFC6455, &format!("Sec-WebSocket-Extensions: {value}")));
        assert!(matches!(seen.status(), 101 | 400), "{value}: {}", seen.text());
        assert!(!seen.text().contains("Sec-WebSocket-Extensions"));
    }
}

#[test]
fn cve_2026_59898_old_versions_check_upgrade_and_connection_too() {
    for version in ["7", "8", "13"] {
        let base = replace(RFC6455, "Sec-WebSocket-Version", version);
        for name in ["Upgrade", "Connection"] {
            for bad in [without(&base, name), replace(&base, name, "close")] {
                let refused = request(&bad);
                assert!(matches!(refused.status(), 400 | 426), "{version} {name}");
            }
        }
    }
}

#[test]
fn cve_2014_0193_continuations_are_validated_as_they_come() {
    let text = [frame(0x01, b"ok"), frame(0x00, b"\xC3"), frame(0x00, b"\x28")].concat();
    let seen = every_way(&config(), &[RFC6455.as_bytes(), &text].concat());
    assert_eq!(close_code(&seen), 1007);
}

#[test]
fn cve_2022_21676_reserved_bits_end_one_connection_with_1002() {
    for first in [0x91, 0xA1, 0xC1, 0xF1] {
        let seen = every_way(&config(), &[RFC6455.as_bytes(), &frame(first, b"x")].concat());
        assert_eq!(close_code(&seen), 1002);
    }
}

#[test]
fn cve_2026_50020_nothing_may_stand_before_the_request_line() {
    for before in ["\r\n", "\0", " ", "\x0b", "\n\n"] {
        let refused = request(&format!("{before}{RFC6455}"));
        assert_eq!(refused.status(), 400, "{before:?}: {}", refused.text());
    }
}

#[test]
fn cwe_1385_the_default_is_the_same_origin() {
    for evil in ["http://evil.com", "null", "http://example.com.evil.com", "http://example.com:81"]
    {
        assert_eq!(request(&replace(RFC6455, "Origin", evil)).status(), 403, "{evil}");
    }
    assert_eq!(request(RFC6455).status(), 101);
    assert_eq!(request(&without(RFC6455, "Origin")).status(), 101, "not a browser");
}

#[test]
fn websockets_150_long_control_frames_are_refused() {
    for first in [0x88, 0x89, 0x8A] {
        let seen = every_way(&config(), &[RFC6455.as_bytes(), &frame(first, &[0; 126])].concat());
        assert_eq!(close_code(&seen), 1002);
    }
}

#[test]
fn floods_of_control_frames_end_with_1008_and_only_the_newest_ping_is_answered() {
    let mut echo = Echo::new(&config());
    let pings: Vec<u8> = (0..100u8).flat_map(|n| frame(0x89, &[n])).collect();
    echo.feed(&[RFC6455.as_bytes(), &pings].concat());
    let outcome = echo.outcome();
    let answers = outcome.after_head();
    assert_eq!(answers.len(), 17 * 3, "16 pongs for one write, and the newest");
    assert!(answers.starts_with(&[0x8A, 1, 0]) && answers.ends_with(&[0x8A, 1, 99]));
    let flood = frame(0x89, b"").repeat(1001);
    let mut echo = Echo::new(&config());
    echo.feed(RFC6455.as_bytes());
    echo.feed(&flood);
    assert_eq!(close_code(&echo.outcome()), 1008);
}

#[test]
fn requests_with_bodies_are_refused() {
    for field in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        assert_eq!(request(&with(RFC6455, field)).status(), 400, "{field}");
    }
    let draft = with(DRAFT76, "Content-Length: 9");
    let refused = every_way(&config(), &[draft.as_bytes(), KEY3].concat());
    assert_eq!(refused.status(), 400);
}

#[test]
fn each_fault_of_a_head_has_its_status() {
    let cases = [
        (RFC6455.replacen("GET", "POST", 1), 405),
        (RFC6455.replacen("HTTP/1.1", "HTTP/1.0", 1), 426),
        (RFC6455.replacen("HTTP/1.1", "HTTP/2.0", 1), 505),
        (RFC6455.replacen("HTTP/1.1", "HTTQ/1.1", 1), 400),
        (RFC6455.replacen("\r\n", "\n", 1), 400),
        (with(RFC6455, "no colon"), 400),
        (with(RFC6455, "Folded: a\r\n b"), 400),
        (with(RFC6455, "Host: second.com"), 400),
        (with(RFC6455, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (with(RFC6455, "Sec-WebSocket-Version: 13"), 400),
        (replace(RFC6455, "Sec-WebSocket-Key", "dGhlIHNhbXBsZQ=="), 400),
        ("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".into(), 426),
    ];
    for (bytes, status) in cases {
        let refused = request(&bytes);
        assert_eq!(refused.status(), status, "{bytes:?}: {}", refused.text());
        assert!(refused.ended, "{bytes:?}");
        let text = refused.text();
        let connection = text.lines().find_map(|line| line.strip_prefix("Connection: "));
        assert!(connection.is_some_and(|tokens| tokens.ends_with("close")), "{text}");
    }
    let refused = request(&RFC6455.replacen("GET", "POST", 1));
    assert!(refused.text().contains("\r\nAllow: GET\r\n"), "{}", refused.text());
}
