//! Any bytes as frames of RFC 6455, masked so that they pass the first checks more often.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_tests::feed::{config, every_way};
use ws_tests::requests::{RFC6455, frame};

fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, &[u8])| {
    let (frames, noise) = input;
    let mut bytes = RFC6455.as_bytes().to_vec();
    for (first, payload) in &frames {
        bytes.extend(frame(*first, payload));
    }
    bytes.extend_from_slice(noise);
    every_way(&config(), &bytes);
});
