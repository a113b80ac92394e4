//! Any bytes to a client, before and after its handshake, on every version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_proto::Version;
use ws_tests::pair::Pair;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (version, connected, bytes) = input;
    let version = Version::ALL[usize::from(version) % Version::ALL.len()];
    let mut pair = if connected { Pair::connected(version) } else { Pair::new(version) };
    pair.inject(bytes);
    pair.pass(std::time::Duration::from_secs(1000));
});
