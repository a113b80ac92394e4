//! Any bytes as frames of RFC 6455, masked so that they pass the first checks more often.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_fuzz::{Frames, Framing, Small, config, frames, ways};
use ws_tests::requests::RFC6455;

fuzz_target!(|input: (Option<Small>, Frames)| {
    let (small, pieces) = input;
    let bytes = [RFC6455.as_bytes(), &frames(Framing::Masked, pieces)].concat();
    ways(&config(small.as_ref()), &bytes);
});
