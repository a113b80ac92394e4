//! Any bytes to a client, before and after its handshake, on every version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_fuzz::{Frames, Framing, Small, config, frames};
use ws_proto::{State, Version};
use ws_tests::pair::Pair;

fuzz_target!(|input: (u8, bool, Option<Small>, Frames)| {
    let (version, connected, small, pieces) = input;
    let version = Version::ALL[usize::from(version) % Version::ALL.len()];
    let mut pair = Pair::with_configs(version, &config(small.as_ref()), &config(None));
    if connected {
        pair.drive();
        assert_eq!(pair.client.connection.state(), State::Connected);
    }
    let framing = if version.has_frames() { Framing::Unmasked } else { Framing::Sentinel };
    pair.inject(&frames(framing, pieces));
    pair.pass(std::time::Duration::from_secs(1000));
});
