//! Any bytes in any cuts, and then the end, to a server and to a client: the same events and the
//! same answers, also when messages are taken in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_proto::Version;
use ws_tests::feed::{Echo, Outcome, answer, config, cut};
use ws_tests::requests::{DRAFT75, DRAFT76, KEY3, RFC6455};

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (opening, cuts, bytes) = input;
    let config = config();
    let (opening, client) = match opening % 9 {
        0 => (Vec::new(), None),
        1 => (DRAFT75.into(), None),
        2 => ([DRAFT76.as_bytes(), KEY3].concat(), None),
        3 => (RFC6455.into(), None),
        other => {
            let version = Version::ALL[usize::from(other - 4)];
            (answer(&config, version), Some(version))
        }
    };
    let bytes = [&opening, bytes].concat();
    for in_pieces in [false, true] {
        let start = || {
            let echo = match client {
                Some(version) => Echo::client(&config, version),
                None => Echo::new(&config),
            };
            if in_pieces { echo.in_pieces() } else { echo }
        };
        let mut cuts = cuts.iter().cycle();
        let next = |_| cuts.next().map_or(1, |cut| usize::from(*cut));
        let whole = cut(start(), &bytes, |rest| rest);
        let cut = cut(start(), &bytes, next);
        assert_eq!(whole.map(Outcome::without_pongs), cut.map(Outcome::without_pongs));
    }
});
