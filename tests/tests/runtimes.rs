//! Every conformance case on every runtime, with real sockets. The runtimes that can be told how
//! many threads they have run everything on one thread, too.

use std::fs;
use std::path::Path;

use ws_tests::conformance;

conformance!(tokio_on_one_thread, ws_tokio::Tokio, 1);
conformance!(tokio_on_two_threads, ws_tokio::Tokio, 2);
conformance!(smol_on_one_thread, ws_smol::Smol, 1);
conformance!(smol_on_two_threads, ws_smol::Smol, 2);
conformance!(async_std, ws_async_std::AsyncStd, 2);

// What many clients do at the same time, on more threads than most machines of a CI have.
conformance! { tokio_on_four_threads, ws_tokio::Tokio, 4;
    crowd {
        everybody_hears_broadcasts_in_the_same_order,
        a_crowd_hears_every_source_once_and_in_order,
    }
    doors {
        serve_runs_the_handler_for_every_client,
        tasks_of_their_own_may_receive_and_send,
    }
    faults {
        a_handler_that_panics_ends_its_own_connection_alone,
    }
}

#[test]
fn every_case_is_listed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let list = fs::read_to_string(source.join("suite.rs")).unwrap();
    let mut cases = 0;
    let files = fs::read_dir(source.join("suite")).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| !file.ends_with("support.rs")) {
        let text = fs::read_to_string(file).unwrap();
        for case in text.split("\npub async fn ").skip(1) {
            let name = case.split(['<', '(']).next().unwrap();
            let lines = list.lines().filter(|line| line.trim() == format!("{name},"));
            assert_eq!(lines.count(), 1, "{name} is not listed once in suite.rs");
            cases += 1;
        }
    }
    assert!(cases > 50, "only {cases} cases were found");
}
