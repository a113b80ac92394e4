//! Any bytes to a server, from the first on: no panic, no lost step, `Closed` last.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_tests::feed::{Echo, config};

fuzz_target!(|bytes: &[u8]| {
    let mut echo = Echo::new(&config());
    echo.feed(bytes);
    echo.eof();
    echo.wait();
    assert!(echo.outcome().last().starts_with("closed"));
});
