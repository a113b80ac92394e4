//! What a server may send and what it may not, to a client, in every cut.

use std::sync::Arc;

use ws_proto::{Config, Deflate, Version};
use ws_tests::feed::{Outcome, config, every_way_to_client};

const FRAMED: [Version; 3] = [Version::Hybi07, Version::Hybi08, Version::Rfc6455];

/// What was told behind the step to state 4.
fn told(outcome: &Outcome) -> Vec<&str> {
    let open = outcome.events.iter().position(|event| event == "state 3 -> 4");
    let open = open.unwrap_or_else(|| panic!("it was not opened: {:?}", outcome.events));
    outcome.events[open + 1..].iter().map(String::as_str).collect()
}

/// The close code in the last frame that was sent, without its mask.
fn close_code(outcome: Outcome) -> u16 {
    let outcome = outcome.without_pongs();
    let frames = outcome.after_head();
    let at = frames.iter().rposition(|byte| *byte == 0x88).expect("a close frame");
    // The mask bit and its key: `without_pongs` takes off the key alone.
    u16::from_be_bytes([frames[at + 2], frames[at + 3]])
}

#[test]
fn frames_that_a_server_may_send() {
    let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
    let vectors: [(&[u8], &[&str]); 9] = [
        (b"\x81\x05Hello", &["text Hello"]),
        (b"\x81\x00\x82\x00", &["text ", "binary of 0 bytes"]),
        (b"\x01\x03Hel\x80\x02lo", &["text Hello"]),
        (b"\x01\x01\xC3\x00\x00\x80\x01\xA9", &["text é"]),
        (b"\x89\x01?\x8A\x01!", &["ping b\"?\"", "pong b\"!\""]),
        (b"\x02\x01a\x89\x00\x80\x01b", &["ping b\"\"", "binary of 2 bytes"]),
        (&long, &["binary of 256 bytes"]),
        (b"\x88\x00", &["state 4 -> 5"]),
        (b"\x88\x05\x0F\xA1bye\x81\x04late", &["state 4 -> 5"]),
    ];
    for version in FRAMED {
        for (frames, expected) in vectors {
            let outcome = every_way_to_client(&config(), version, frames);
            assert_eq!(told(&outcome), expected, "{version}: {frames:?}");
        }
    }
}

#[test]
fn frames_that_a_server_may_not_send() {
    let vectors: [(&[u8], u16); 13] = [
        (b"\x81\x85\0\0\0\0Hello", 1002),
        (b"\xC1\x05Hello", 1002),
        (b"\x83\x00", 1002),
        (b"\x8B\x00", 1002),
        (b"\x80\x00", 1002),
        (b"\x01\x00\x81\x00", 1002),
        (b"\x09\x00", 1002),
        (b"\x89\x7E\x00\x7E", 1002),
        (b"\x82\x7E\x00\x7D", 1002),
        (b"\x82\x7F\x80\0\0\0\0\0\0\0", 1002),
        (b"\x88\x01\x03", 1002),
        (b"\x81\x02\xC3\x28", 1007),
        (b"\x82\x7F\0\0\0\0\x10\0\0\0", 1009),
    ];
    for version in FRAMED {
        for (frames, code) in vectors {
            let outcome = every_way_to_client(&config(), version, frames);
            assert_eq!(told(&outcome), ["state 4 -> 5"], "{version}: {frames:?}");
            assert_eq!(close_code(outcome), code, "{version}: {frames:?}");
        }
    }
}

#[test]
fn compressed_frames_of_a_server() {
    let good: [(&[u8], &[&str]); 4] = [
        (b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00", &["text Hello"]),
        (b"\x41\x03\xF2\x48\xCD\x89\x00\x80\x04\xC9\xC9\x07\x00", &["ping b\"\"", "text Hello"]),
        (b"\xC1\x08\xF3\x48\xCD\xC9\xC9\x07\x00\x00\x81\x02ok", &["text Hello", "text ok"]),
        (b"\xC2\x01\x00\xC1\x00", &["binary of 0 bytes", "text "]),
    ];
    let bad: [(&[u8], u16); 5] = [
        (b"\xC1\x03\xFF\xFF\xFF", 1007),
        (b"\xC1\x05\x00\x05\x00\xFA\xFE", 1007),
        (b"\x41\x03\xF2\x48\xCD\xC0\x04\xC9\xC9\x07\x00", 1002),
        (b"\xC9\x00", 1002),
        (b"\xE1\x00", 1002),
    ];
    for options in [
        Deflate::new(),
        Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false),
    ] {
        let config = Arc::new(Config::builder().deflate(options).build().expect("good options"));
        for (frames, expected) in good {
            let outcome = every_way_to_client(&config, Version::Rfc6455, frames);
            assert_eq!(told(&outcome), expected, "{frames:?}");
        }
        for (frames, code) in bad {
            let outcome = every_way_to_client(&config, Version::Rfc6455, frames);
            assert_eq!(close_code(outcome), code, "{frames:?}");
        }
    }
}

/// Clients repair what is no UTF-8 (draft-hixie-76 section 5.3).
#[test]
fn frames_of_the_drafts() {
    let vectors: [(&[u8], &[&str]); 5] = [
        (b"\0Hello\xFF\0\xFF", &["text Hello", "text "]),
        (b"\0\xC3\xFF", &["text \u{FFFD}"]),
        (b"\0a\xC3\xA9\xC3(\xFF", &["text aé\u{FFFD}("]),
        (b"\x05low\xFF\0ok\xFF", &["text ok"]),
        (b"\x80\x03\xFF\0\xFF\0ok\xFF", &["text ok"]),
    ];
    for version in [Version::Draft75, Version::Draft76] {
        for (frames, expected) in vectors {
            let outcome = every_way_to_client(&config(), version, frames);
            assert_eq!(told(&outcome), expected, "{version}: {frames:?}");
        }
        let closing = every_way_to_client(&config(), version, b"\xFF\0\0late\xFF");
        let expected = if version == Version::Draft76 { ["state 4 -> 5"] } else { ["text late"] };
        assert_eq!(told(&closing), expected, "{version}");
    }
}
