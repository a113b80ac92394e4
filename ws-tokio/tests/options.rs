//! The command line of the echo example, and the example itself.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use ws_tokio as ws;

#[path = "../../ws-net/examples-support/echo.rs"]
#[expect(dead_code, reason = "the program reads its own command line")]
mod options;
#[path = "../../ws-net/examples-support/mod.rs"]
mod support;

use options::Options;
use ws::{Version, Versions};

fn parse(args: &str) -> Result<Options, String> {
    Options::parse(args.split_whitespace().map(Into::into))
}

#[test]
fn every_option_is_taken() {
    let options = parse(
        "--listen [::1]:80 --versions draft76,rfc6455 --origin https://a.example \
         --origin=https://b.example --subprotocol chat --close-on bye --max-message 77 \
         --handshake-timeout 1.5 --close-timeout 2 --threads 3",
    )
    .unwrap();
    assert_eq!(options.listen, "[::1]:80");
    assert_eq!(options.versions, Versions::from(Version::Draft76).with(Version::Rfc6455));
    assert_eq!(options.close_on.as_deref(), Some("bye"));
    assert_eq!(options.limits.max_message, 77);
    assert_eq!(options.timeouts.handshake, Duration::from_millis(1500));
    assert_eq!(options.timeouts.close, Duration::from_secs(2));
    assert_eq!(options.threads, 3);
    let policies = format!("{:?} {:?}", options.origin, options.subprotocols);
    for part in ["https://a.example", "https://b.example", "chat"] {
        assert!(policies.contains(part), "{policies}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (args, named) in [
        ("--lisen 127.0.0.1:1", "--lisen"),
        ("stray", "stray"),
        ("--listen", "--listen"),
        ("--threads many", "--threads"),
        ("--threads 0", "--threads"),
        ("--versions draft77", "draft77"),
        ("--handshake-timeout -1", "--handshake-timeout"),
        ("--tls-cert cert.pem", "--tls-key"),
        ("--tls-cert missing.pem --tls-key missing.pem", "missing.pem"),
    ] {
        let error = parse(args).unwrap_err();
        assert!(error.contains(named), "{args}: {error}");
    }
}

#[test]
fn a_port_in_use_names_the_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = ws::block_on(1, ws::Server::bind(address)).unwrap().unwrap_err();
    let text = support::cannot_start(&address.to_string(), &error);
    assert!(text.contains("--listen") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn what_is_no_address_names_the_option_and_the_value() {
    for listen in ["nonsense", "127.0.0.1:99999"] {
        let error = ws::block_on(1, ws::Server::bind(listen)).unwrap().unwrap_err();
        let text = support::cannot_start(listen, &error);
        assert!(text.starts_with(&format!("--listen: {listen:?}: invalid ")), "{text}");
    }
    // An option of the server names itself.
    let wrong = ws::Server::builder().max_connections(0).bind("127.0.0.1:0");
    let text = support::cannot_start("127.0.0.1:0", &ws::block_on(1, wrong).unwrap().unwrap_err());
    assert!(text.starts_with("option `max_connections` "), "{text}");
}

/// The program says when it is ready, and ends on a signal.
#[cfg(unix)]
#[expect(clippy::disallowed_types, reason = "this is the client")]
#[test]
fn the_example_starts_and_stops() {
    let mut program = std::env::current_exe().unwrap();
    program.pop();
    program.pop();
    program.push("examples/echo");
    let mut echo = Command::new(&program)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: build the examples", program.display()));
    let mut lines = BufReader::new(echo.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let signalled = Command::new("kill").arg(echo.id().to_string()).status().unwrap();
    assert!(signalled.success());
    assert!(echo.wait().unwrap().success());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}
