//! What other implementations of the old drafts got wrong, each as a regression test named after
//! who got it wrong. Every vector arrives whole, byte by byte and in random cuts.

use std::sync::Arc;

use ws_proto::{Config, OriginPolicy, SubprotocolPolicy, Version, Versions};
use ws_tests::feed::{Echo, Outcome, config, every_way};
use ws_tests::requests::{
    ANSWER76, DRAFT75, DRAFT76, KEY3, RFC6455, frame, replace, with, without,
};

fn outcome(request: &str, behind: &[u8]) -> Outcome {
    every_way(&config(), &[request.as_bytes(), behind].concat())
}

fn versions(versions: impl Into<Versions>) -> Arc<Config> {
    Arc::new(Config::builder().versions(versions).build().unwrap())
}

fn opened(outcome: &Outcome) -> bool {
    outcome.has("state 3 -> 4")
}

#[test]
fn the_answers_of_the_drafts_have_these_bytes() {
    let answer75 = "HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\n\
        Connection: Upgrade\r\nWebSocket-Origin: http://example.com\r\n\
        WebSocket-Location: ws://example.com/demo\r\n\r\n";
    assert_eq!(outcome(DRAFT75, b"").text(), answer75);
    let answer76 = outcome(DRAFT76, KEY3);
    assert!(answer76.text().starts_with("HTTP/1.1 101 WebSocket Protocol Handshake\r\n"));
    for field in [
        "Upgrade: WebSocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Origin: http://example.com",
        "Sec-WebSocket-Location: ws://example.com/demo",
    ] {
        assert_eq!(answer76.text().matches(&format!("\r\n{field}\r\n")).count(), 1, "{field}");
    }
    assert_eq!(answer76.after_head(), ANSWER76);
    let answer = outcome(RFC6455, b"").text();
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(answer.contains("\r\nUpgrade: websocket\r\n"), "clients compare: {answer}");
}

#[test]
fn node_websocket_server_rfc6455_is_never_answered_as_an_older_version() {
    let served = versions(Versions::from(Version::Draft75).with(Version::Draft76));
    let refused = every_way(&served, RFC6455.as_bytes());
    assert_eq!(refused.status(), 426, "{}", refused.text());
    for missing in ["Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        let refused = outcome(&without(RFC6455, missing), b"");
        assert!(matches!(refused.status(), 400 | 426), "{missing}: {}", refused.text());
        assert!(!opened(&refused));
    }
}

#[test]
fn node_websocket_server_connection_may_be_a_list() {
    for value in ["keep-alive, Upgrade", "Upgrade", "upgrade,keep-alive", "keep-alive ,\tUPGRADE"] {
        assert!(opened(&outcome(&replace(RFC6455, "Connection", value), b"")), "{value}");
    }
    for value in ["keep-alive", "upgraded", "keep-alive; Upgrade"] {
        let refused = outcome(&replace(RFC6455, "Connection", value), b"");
        assert!(refused.status() >= 400 && refused.ended, "{value}: {}", refused.text());
    }
}

#[test]
fn node_websocket_server_origins_are_refused_on_every_version() {
    let hybi = replace(RFC6455, "Sec-WebSocket-Version", "8");
    let hybi = with(&without(&hybi, "Origin"), "Sec-WebSocket-Origin: http://example.com");
    for request in [DRAFT75, DRAFT76, RFC6455, &hybi] {
        let evil = request.replace("Origin: http://example.com", "Origin: http://evil.com");
        let refused = outcome(&evil, KEY3);
        assert_eq!(refused.status(), 403, "{}", refused.text());
        assert!(refused.ended && !opened(&refused));
    }
    let list = OriginPolicy::list(["http://a.com", "http://b.com"]);
    let listed = Arc::new(Config::builder().origin(list).build().unwrap());
    assert_eq!(every_way(&listed, RFC6455.as_bytes()).status(), 403);
}

#[test]
fn node_websocket_server_subprotocols_are_negotiated() {
    let list = SubprotocolPolicy::list(["superchat", "chat"]);
    let config = Arc::new(Config::builder().subprotocols(list).build().unwrap());
    let answer = |request: &str| every_way(&config, request.as_bytes()).text();
    let chosen = answer(&with(RFC6455, "Sec-WebSocket-Protocol: x, chat,superchat"));
    assert!(chosen.contains("\r\nSec-WebSocket-Protocol: superchat\r\n"), "{chosen}");
    for unasked in [RFC6455.into(), with(RFC6455, "Sec-WebSocket-Protocol: x")] {
        assert!(!answer(&unasked).contains("Sec-WebSocket-Protocol"));
    }
    let old = answer(&with(DRAFT75, "WebSocket-Protocol: chat"));
    assert!(old.contains("\r\nWebSocket-Protocol: chat\r\n"), "{old}");
}

#[test]
fn node_websocket_server_key3_may_come_in_any_chunk() {
    let config = config();
    for cut in 0..=8 {
        let mut echo = Echo::new(&config);
        echo.feed(&[DRAFT76.as_bytes(), &KEY3[..cut]].concat());
        echo.feed(&KEY3[cut..]);
        assert_eq!(echo.outcome().after_head(), ANSWER76);
    }
}

#[test]
fn ws_687_the_head_does_not_wait_for_key3_behind_haproxy() {
    let mut echo = Echo::new(&config());
    echo.feed(DRAFT76.as_bytes());
    let outcome = echo.outcome();
    assert!(outcome.text().ends_with("\r\n\r\n"), "{}", outcome.text());
    assert_eq!(outcome.events.last().unwrap(), "state 1 -> 2");
}

#[test]
fn a_key3_that_never_comes_falls_under_the_handshake_deadline() {
    let mut echo = Echo::new(&config());
    echo.feed(DRAFT76.as_bytes());
    echo.feed(&KEY3[..7]);
    echo.wait();
    let last = "closed 1006 the handshake was not complete in time";
    assert_eq!(echo.outcome().last(), last);
}

#[test]
fn some_stacks_send_content_length_8_with_key3() {
    let request = with(DRAFT76, "Content-Length: 8");
    assert_eq!(outcome(&request, KEY3).after_head(), ANSWER76);
}

#[test]
fn node_websocket_server_frames_are_told_apart_by_their_high_bit() {
    let frames = b"\x80\x01a\x81\x01b\0text\xFF";
    let seen = outcome(DRAFT76, &[KEY3.as_slice(), frames].concat());
    assert_eq!(seen.last(), "text text");
    assert!(!seen.has("text a") && !seen.has("text b"));
}

#[test]
fn node_websocket_server_nul_is_kept_and_low_types_are_not_text() {
    let seen = outcome(DRAFT75, b"\x02no\xFF\x04no\xFF\0a\0b\xFF");
    let texts: Vec<_> = seen.events.iter().filter(|event| event.starts_with("text")).collect();
    assert_eq!(texts, ["text a\0b"]);
}

#[test]
fn node_websocket_server_ff_00_is_echoed() {
    let closing = [KEY3.as_slice(), b"\xFF\0ignored"].concat();
    let seen = outcome(DRAFT76, &closing);
    assert_eq!(seen.after_head(), [ANSWER76.as_slice(), b"\xFF\0"].concat());
    assert!(seen.ended && seen.has("state 4 -> 5") && !seen.has("text"));
}

#[test]
fn ws_2016_a_close_is_seen_in_any_chunk() {
    let seen = outcome(DRAFT76, &[KEY3.as_slice(), b"\0a\xFF\xFF\0"].concat());
    assert!(seen.has("text a") && seen.ended);
}

#[test]
fn node_websocket_server_messages_have_a_limit() {
    let mut limits = Config::default().limits().clone();
    limits.max_message = 10;
    let config = Arc::new(Config::builder().limits(limits).build().unwrap());
    let seen = every_way(&config, &[DRAFT75.as_bytes(), b"\0abcdefghijk\xFF"].concat());
    assert!(seen.ended && !seen.has("text"));
    let seen = every_way(&config, &[RFC6455.as_bytes(), &frame(0x82, &[0; 11])].concat());
    assert_eq!(seen.after_head()[2..4], 1009u16.to_be_bytes());
}

#[test]
fn node_websocket_server_ipv6_hosts_keep_their_brackets() {
    let request = replace(DRAFT75, "Host", "[::1]:8080");
    let answer = outcome(&replace(&request, "Origin", "http://[::1]:8080"), b"").text();
    assert!(answer.contains("\r\nWebSocket-Location: ws://[::1]:8080/demo\r\n"), "{answer}");
}

#[test]
fn locations_leave_out_the_default_port_of_their_scheme() {
    let request = replace(DRAFT76, "Host", "example.com:80");
    let answer = outcome(&request, KEY3).text();
    assert!(answer.contains("\r\nSec-WebSocket-Location: ws://example.com/demo\r\n"), "{answer}");
    let secure = Arc::new(Config::builder().secure(true).build().unwrap());
    let request = replace(DRAFT76, "Host", "example.com:443");
    let request = replace(&request, "Origin", "https://example.com");
    let answer = every_way(&secure, &[request.as_bytes(), KEY3].concat()).text();
    assert!(answer.contains("\r\nSec-WebSocket-Location: wss://example.com/demo\r\n"), "{answer}");
}

#[test]
fn faye_27_keys_without_digits_or_spaces_are_refused() {
    for key in ["abc", "a b c", "12345", "", " ", "1 2 3x"] {
        let refused = outcome(&replace(DRAFT76, "Sec-WebSocket-Key1", key), KEY3);
        assert_eq!(refused.status(), 400, "{key:?}: {}", refused.text());
    }
}

#[test]
fn netty_numbers_that_do_not_divide_are_refused() {
    let refused = outcome(&replace(DRAFT76, "Sec-WebSocket-Key1", "4 3 1"), KEY3);
    assert_eq!(refused.status(), 400, "431 by 2 leaves a rest: {}", refused.text());
}

#[test]
fn keys_beyond_32_bits_are_refused() {
    for key in ["42949672 96", "99999999999999999999999 9", "4294967296 "] {
        let refused = outcome(&replace(DRAFT76, "Sec-WebSocket-Key2", key), KEY3);
        assert_eq!(refused.status(), 400, "{key:?}");
    }
}

#[test]
fn chrome_6_keys_may_begin_with_a_space() {
    // One more space: 829309203 * 6 does not fit in the same digits, so the number is another.
    let key = " 1 2";
    let seen = outcome(&replace(DRAFT76, "Sec-WebSocket-Key1", key), KEY3);
    assert_eq!(seen.status(), 101, "12 by 2 spaces, one of them first: {}", seen.text());
}

#[test]
fn netty_8864_no_version_and_no_origin_is_not_draft75() {
    let refused = outcome(&without(DRAFT75, "Origin"), b"");
    assert!(matches!(refused.status(), 400 | 426), "{}", refused.text());
    let mixed = with(DRAFT75, "Sec-WebSocket-Protocol: chat");
    assert!(!opened(&outcome(&mixed, b"")), "draft75 has no Sec-WebSocket fields");
}

#[test]
fn netty_both_keys_are_needed() {
    let refused = outcome(&without(DRAFT76, "Sec-WebSocket-Key2"), KEY3);
    assert_eq!(refused.status(), 400, "{}", refused.text());
}

#[test]
fn autobahn_python_2012_an_empty_message_completes() {
    assert_eq!(outcome(DRAFT75, b"\0\xFF").last(), "text ");
}

#[test]
fn frames_may_come_in_three_writes() {
    let mut echo = Echo::new(&config());
    for piece in [DRAFT76.as_bytes(), KEY3, b"\0", b"text", b"\xFF"] {
        echo.feed(piece);
    }
    assert_eq!(echo.outcome().last(), "text text");
}

#[test]
fn a_refused_draft76_request_is_not_followed_by_another() {
    let evil = DRAFT76.replace("http://example.com", "http://evil.com");
    let smuggled = [evil.as_bytes(), b"GET /x H", RFC6455.as_bytes()].concat();
    let refused = every_way(&config(), &smuggled);
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.text().matches("HTTP/1.1").count(), 1, "{}", refused.text());
    assert!(refused.ended);
}

#[test]
fn version_8_clients_may_send_a_key_of_15_bytes_and_13_may_not() {
    let short = "AAAAAAAAAAAAAAAAAAAA";
    let request = replace(RFC6455, "Sec-WebSocket-Key", short);
    assert_eq!(outcome(&request, b"").status(), 400);
    for version in ["7", "8"] {
        let request = replace(&request, "Sec-WebSocket-Version", version);
        assert_eq!(outcome(&request, b"").status(), 101, "version {version}");
    }
}

#[test]
fn endless_lengths_and_sentinels_inside_skipped_frames_do_no_harm() {
    let endless = [KEY3.as_slice(), &[0x80; 100]].concat();
    assert!(outcome(DRAFT76, &endless).ended);
    let inside = [KEY3.as_slice(), b"\x80\x02\xFF\xFF\0ok\xFF"].concat();
    assert_eq!(outcome(DRAFT76, &inside).last(), "text ok");
}

#[test]
fn node_websocket_server_a_mismatch_of_version_is_answered() {
    let served = versions(Version::Rfc6455);
    for request in [DRAFT75, DRAFT76] {
        let refused = every_way(&served, request.as_bytes());
        assert_eq!(refused.status(), 426, "{}", refused.text());
        assert!(refused.text().contains("\r\nSec-WebSocket-Version: 13\r\n"));
    }
    let nine = replace(RFC6455, "Sec-WebSocket-Version", "9");
    let refused = outcome(&nine, b"");
    assert_eq!(refused.status(), 426);
    assert!(refused.text().contains("Sec-WebSocket-Version: 13"), "{}", refused.text());
}

#[test]
fn node_websocket_server_5_comes_before_6_and_close_after_both() {
    let mut echo = Echo::new(&config());
    echo.feed(&[DRAFT76.as_bytes(), KEY3, b"\xFF\0"].concat());
    echo.eof();
    let events = echo.outcome().events;
    let tail: Vec<_> = events.iter().rev().take(3).rev().collect();
    assert_eq!(tail[..2], ["state 4 -> 5", "state 5 -> 6"]);
    assert!(tail[2].starts_with("closed"));
}
