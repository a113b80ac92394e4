//! Any bytes to a server, from the first on: no panic, no lost step, `Closed` last.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_fuzz::{Piece, Small, config, joined};
use ws_tests::feed::Echo;

fuzz_target!(|input: (Option<Small>, Vec<Piece>)| {
    let (small, pieces) = input;
    let mut echo = Echo::new(&config(small.as_ref()));
    echo.feed(&joined(&pieces));
    echo.eof();
    echo.wait();
    assert!(echo.outcome().last().starts_with("closed"));
});
