//! Any bytes as frames of draft75 and draft76: texts come out as a naive reader finds them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_fuzz::{Frames, Framing, Small, config, frames, ways};
use ws_tests::requests::{DRAFT75, DRAFT76, KEY3};

/// The texts before anything that is not a short text frame.
fn plain_texts(mut bytes: &[u8], longest: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some((0, rest)) = bytes.split_first() {
        let Some(end) = rest.iter().position(|byte| *byte == 0xFF) else { break };
        let Ok(text) = std::str::from_utf8(&rest[..end]) else { break };
        if text.len() > longest {
            break;
        }
        texts.push(format!("text {text}"));
        bytes = &rest[end + 1..];
    }
    texts
}

fuzz_target!(|input: (bool, Option<Small>, Frames)| {
    let (old, small, pieces) = input;
    let (config, bytes) = (config(small.as_ref()), frames(Framing::Sentinel, pieces));
    let opening = if old { DRAFT75.into() } else { [DRAFT76.as_bytes(), KEY3].concat() };
    let outcome = ways(&config, &[&opening, &bytes[..]].concat());
    let seen: Vec<_> = outcome.events.iter().filter(|event| event.starts_with("text")).collect();
    let expected = plain_texts(&bytes, config.limits().max_message.min(99));
    assert!(seen.iter().zip(&expected).all(|(seen, expected)| *seen == expected));
    assert!(seen.len() >= expected.len());
});
