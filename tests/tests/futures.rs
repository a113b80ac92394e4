//! Every public future has a case of the suite that drops it at every await point.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where a public future is made, and the case that drops it. A client's builder and the extractor
/// for axum pass on the futures of others, so do the halves and the way that never compresses, and
/// the commands of a store are those of its `execute`.
const DROPPED: [(&str, &str); 41] = [
    ("audience.rs deliver", "deliveries_that_are_dropped_come_once_or_never"),
    ("bind.rs listen", "futures_that_were_never_polled_do_nothing"),
    ("bind.rs listen_unix", "futures_of_unix_sockets_may_be_dropped"),
    ("bind.rs run_on", "threads_may_share_a_server_and_no_socket"),
    ("bind.rs serve_on", "threads_may_share_a_server_and_no_socket"),
    ("builder.rs bind", "futures_that_were_never_polled_do_nothing"),
    ("client.rs connect", "an_attempt_can_be_dropped_at_every_point"),
    ("client.rs connect_over", "futures_of_unix_sockets_may_be_dropped"),
    ("client.rs connect_unix", "futures_of_unix_sockets_may_be_dropped"),
    ("client/builder.rs connect", "an_attempt_can_be_dropped_at_every_point"),
    ("client/reconnect.rs connect", "reconnecting_may_be_dropped_at_every_point"),
    ("connection.rs closed", "closed_tells_after_all"),
    ("connection.rs ready", "ready_waits_for_room_and_takes_none"),
    ("connection.rs recv", "recv_loses_no_message"),
    ("connection.rs send", "send_neither_loses_nor_doubles"),
    (
        "connection/compression.rs send_uncompressed",
        "sending_uncompressed_neither_loses_nor_doubles",
    ),
    ("http/upgrade.rs incoming", "upgrades_behind_hyper_may_be_dropped_at_every_point"),
    ("http/upgrade.rs run", "upgrades_behind_hyper_may_be_dropped_at_every_point"),
    ("http/upgrade.rs serve", "upgrades_behind_hyper_may_be_dropped_at_every_point"),
    ("incoming.rs accept", "an_accept_that_is_dropped_ends_the_connection"),
    ("reader.rs chunk", "readers_and_writers_that_are_dropped_lose_nothing"),
    ("reader.rs recv_stream", "readers_and_writers_that_are_dropped_lose_nothing"),
    ("server.rs accept", "accept_loses_no_client"),
    ("server.rs run", "serve_and_run_stop_accepting_when_dropped"),
    ("server.rs send", "halves_and_ids_lose_no_message"),
    ("server.rs serve", "serve_and_run_stop_accepting_when_dropped"),
    ("server.rs shutdown", "a_shutdown_that_is_dropped_leaves_out_the_rest"),
    ("split.rs ready", "halves_and_ids_lose_no_message"),
    ("split.rs recv", "halves_and_ids_lose_no_message"),
    ("split.rs recv_stream", "readers_and_writers_that_are_dropped_lose_nothing"),
    ("split.rs send", "halves_and_ids_lose_no_message"),
    ("split.rs send_stream", "readers_and_writers_that_are_dropped_lose_nothing"),
    ("storage.rs execute", "commands_may_be_dropped_at_every_point"),
    ("stream.rs poll_close", "polls_that_are_given_up_lose_no_message"),
    ("stream.rs poll_next", "polls_that_are_given_up_lose_no_message"),
    ("stream.rs poll_ready", "polls_that_are_given_up_lose_no_message"),
    ("upgrade.rs accept", "upgrades_may_be_dropped_at_every_point"),
    ("upgrade.rs incoming", "upgrades_may_be_dropped_at_every_point"),
    ("writer.rs send_stream", "readers_and_writers_that_are_dropped_lose_nothing"),
    ("writer.rs send_stream_uncompressed", "readers_and_writers_that_are_dropped_lose_nothing"),
    ("writer.rs write", "readers_and_writers_that_are_dropped_lose_nothing"),
];

/// The functions of this file that answer futures, as `file name`.
fn futures(root: &Path, file: &Path, found: &mut BTreeSet<String>) {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let relative = file.strip_prefix(root).unwrap().display();
    for item in code.split("\n    pub ").skip(1) {
        let signature = item.split(" {\n").next().unwrap_or_default();
        let name = signature.split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next());
        if signature.starts_with("async fn") || signature.contains("-> impl Future") {
            found.insert(format!("{relative} {}", name.unwrap()));
        }
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "storage" {
            walk(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests.rs"
        {
            futures(root, &path, found);
        }
    }
}

#[test]
fn every_public_future_is_dropped_by_a_case() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join("../ws-net/src");
    let mut found = BTreeSet::new();
    walk(&source, &source, &mut found);
    assert!(found.len() > 20, "only {found:?} were found");
    for future in &found {
        let named = DROPPED.iter().any(|(name, _)| name == future);
        assert!(named, "{future} has no case that drops it at every await point: write one");
    }
    let suite = fs::read_to_string(here.join("src/suite.rs")).unwrap();
    for (future, case) in DROPPED {
        let listed = suite.lines().any(|line| line.trim() == format!("{case},"));
        assert!(listed, "{case}, which drops {future}, is not in the suite");
        let polled = future.contains("stream.rs ") || future == "storage.rs execute";
        assert!(polled || found.contains(future), "{future} is no public future any more");
    }
}
