//! The conformance cases against our core and against ws-tokio on a socket, strictly: what our own
//! servers promise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ws_proto::{Config, SubprotocolPolicy, Timeouts, Version, Versions};
use ws_tests::conformance::{Case, Core, Line, Server, Target, cases, counts, play, summary};
use ws_tests::suite::echo;

/// What is tried: everything is spoken, nothing but RFC 6455 is, and everything else is.
const SPOKEN: [Versions; 3] =
    [Versions::AUTO, Versions::RFC6455, Versions::AUTO.without(Version::Rfc6455)];

fn applicable(versions: Versions) -> Vec<Case> {
    let mut cases = cases().expect("the files of cases are in order");
    cases.retain(|case| case.not_for(versions, true).is_none());
    cases
}

fn subprotocols() -> SubprotocolPolicy {
    SubprotocolPolicy::list(["superchat", "chat"])
}

#[test]
fn the_files_are_in_order() {
    let cases = cases().unwrap();
    assert!(cases.len() > 350, "{} cases", cases.len());
    for case in &cases {
        assert!(case.entry.clause.len() > 4, "{} names no clause", case.name);
        let played = SPOKEN.iter().any(|versions| case.not_for(*versions, true).is_none());
        assert!(played, "{} is played nowhere", case.name);
        let target = Target { host: "example.com".into(), path: "/demo".into() };
        case.opening(&target).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
}

#[test]
fn the_core_passes_every_case_whole_and_byte_by_byte() {
    let target = Target { host: "example.com".into(), path: "/demo".into() };
    let mut failed = Vec::new();
    for versions in SPOKEN {
        let config = Config::builder().versions(versions).subprotocols(subprotocols());
        let config = Arc::new(config.build().unwrap());
        for case in applicable(versions) {
            for step in [usize::MAX, 1] {
                let mut core = Core::new(&config, step);
                if let Err(reason) = play(&case, &target, &mut core, true) {
                    failed.push(format!("{} in steps of {step}: {reason}", case.name));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_on_tokio_passes_every_case_on_a_socket() {
    for versions in SPOKEN {
        let mut timeouts = Timeouts::default();
        timeouts.handshake = Duration::from_secs(3);
        let server = ws_tokio::Server::builder()
            .versions(versions)
            .subprotocols(subprotocols())
            .timeouts(timeouts)
            .bind("127.0.0.1:0")
            .await
            .unwrap();
        let address = server.local_addr().unwrap();
        let serving = tokio::spawn(async move { server.serve(echo).await });
        let judged = tokio::task::spawn_blocking(move || judge(address, versions)).await;
        judged.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        serving.abort();
    }
}

fn judge(address: SocketAddr, versions: Versions) {
    let target = Target { host: address.to_string(), path: "/".into() };
    let server = Server { address, target, versions, strict: true };
    let cases = applicable(versions);
    let lines = server.judge(&cases);
    println!("ws-tokio with {versions:?}: {}", summary(&lines));
    let failed: Vec<_> =
        lines.iter().map(Line::text).filter(|text| text.starts_with("FAIL")).collect();
    assert_eq!(counts(&lines), [cases.len(), 0, 0], "{}", failed.join("\n"));
}
