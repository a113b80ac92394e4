//! Any bytes in any cuts: the same events and the same answers, also when messages are taken in
//! pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_tests::feed::{Echo, config, cut};
use ws_tests::requests::{DRAFT75, DRAFT76, KEY3, RFC6455};

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (opening, cuts, bytes) = input;
    let opening = match opening % 4 {
        0 => Vec::new(),
        1 => DRAFT75.into(),
        2 => [DRAFT76.as_bytes(), KEY3].concat(),
        _ => RFC6455.into(),
    };
    let bytes = [&opening, bytes].concat();
    for start in [Echo::new, Echo::streaming] {
        let mut cuts = cuts.iter().cycle();
        let next = |_| cuts.next().map_or(1, |cut| usize::from(*cut));
        let whole = cut(start(&config()), &bytes, |rest| rest);
        let cut = cut(start(&config()), &bytes, next);
        assert_eq!(whole.without_pongs(), cut.without_pongs());
    }
});
