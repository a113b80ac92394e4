//! Any bytes in any cuts, and then the end, to a server and to a client: the same events and the
//! same answers, also when messages are taken in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_fuzz::{Frames, Framing, Small, config, frames, same_when_cut};
use ws_proto::Version;
use ws_tests::feed::{Echo, answer};
use ws_tests::requests::{DRAFT75, DRAFT76, KEY3, RFC6455};

fuzz_target!(|input: (u8, Option<Small>, &[u8], Frames)| {
    let (opening, small, cuts, pieces) = input;
    let config = config(small.as_ref());
    let (opening, framing, client) = match opening % 9 {
        0 => (Vec::new(), Framing::Masked, None),
        1 => (DRAFT75.into(), Framing::Sentinel, None),
        2 => ([DRAFT76.as_bytes(), KEY3].concat(), Framing::Sentinel, None),
        3 => (RFC6455.into(), Framing::Masked, None),
        other => {
            let version = Version::ALL[usize::from(other - 4)];
            let framing = if version.has_frames() { Framing::Unmasked } else { Framing::Sentinel };
            (answer(&config, version), framing, Some(version))
        }
    };
    let bytes = [opening, frames(framing, pieces)].concat();
    let start = || match client {
        Some(version) => Echo::client(&config, version),
        None => Echo::new(&config),
    };
    // Long bytes one by one take too long.
    let scale = 1 + bytes.len() / 1024;
    same_when_cut(&bytes, start, |seed| {
        let mut cuts = cuts.iter().cycle().skip(seed as usize);
        move || scale * cuts.next().map_or(1, |cut| usize::from(*cut).max(1))
    });
});
