//! Any bytes as compressed frames, with and without context takeover, behind any offer: no panic,
//! and the cuts change nothing.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use ws_proto::{Config, Deflate};
use ws_tests::feed::every_way;
use ws_tests::requests::{RFC6455, frame, with};

fuzz_target!(|input: (bool, &str, Vec<(u8, Vec<u8>)>)| {
    let (alone, parameters, frames) = input;
    let offers = parameters.chars().filter(|letter| !letter.is_control()).collect::<String>();
    let offers = format!("permessage-deflate; {offers}, permessage-deflate");
    let mut bytes = with(RFC6455, &format!("Sec-WebSocket-Extensions: {offers}")).into_bytes();
    for (first, payload) in &frames {
        bytes.extend(frame(*first, payload));
    }
    let deflate =
        Deflate::new().client_no_context_takeover(alone).server_no_context_takeover(alone);
    let config = Config::builder().deflate(deflate).build().expect("good options");
    every_way(&Arc::new(config), &bytes);
});
