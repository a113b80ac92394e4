//! Options that make no sense: an error when the server is built, which names the option.

use std::io::ErrorKind;
use std::time::Duration;

use ws_net::{
    Builder, ClientBuilder, ConfigError, Deflate, InvalidOption, Limits, OriginPolicy, Runtime,
    StorageLimits, SubprotocolPolicy, Timeouts, Version, Versions,
};

use super::support::{Running, aside, echo};
use crate::client::{Client, addressed, exchange, request};
use crate::requests::{DRAFT75, RFC6455};

/// A wrong setting, with the name that the error has to say.
type Wrong<R> = (&'static str, Builder<R>);

/// Every option that can be wrong, one by one, in every way that is told apart.
#[expect(clippy::unused_async, reason = "every case is a future")]
pub async fn every_option_is_named_when_it_makes_no_sense<R: Runtime>(runtime: R) {
    let new = || Builder::new(runtime.clone());
    let wrong = [protocol(new), limits(new), timeouts(new), rooms(new)].into_iter().flatten();
    let mut count = 0;
    for (option, builder) in wrong {
        let error = builder.build().expect_err(option);
        assert_eq!(error.option, option, "{error}");
        assert!(error.to_string().starts_with(&format!("option `{option}` ")), "{error}");
        count += 1;
    }
    assert_eq!(count, 43);
    assert!(new().build().is_ok());
}

fn protocol<R: Runtime>(new: impl Fn() -> Builder<R>) -> Vec<Wrong<R>> {
    let no_names: [&str; 0] = [];
    vec![
        ("versions", new().versions("draft74")),
        ("versions", new().versions("draft76,")),
        ("versions", new().versions(Versions::NONE)),
        ("origin", new().origin(OriginPolicy::list(no_names))),
        ("origin", new().origin(OriginPolicy::list(["example.org"]))),
        ("subprotocols", new().subprotocols(SubprotocolPolicy::list(no_names))),
        ("subprotocols", new().subprotocols(SubprotocolPolicy::list(["chat", "two words"]))),
        ("subprotocols", new().subprotocols(SubprotocolPolicy::list([""]))),
        ("subprotocols", new().subprotocols(SubprotocolPolicy::none().required())),
        ("server_max_window_bits", new().deflate(Deflate::new().server_max_window_bits(8))),
        ("client_max_window_bits", new().deflate(Deflate::new().client_max_window_bits(16))),
        ("level", new().deflate(Deflate::new().level(0))),
    ]
}

fn limits<R: Runtime>(new: impl Fn() -> Builder<R>) -> Vec<Wrong<R>> {
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        new().limits(limits)
    };
    vec![
        ("max_head", with(|limits| limits.max_head = 0)),
        ("max_uri", with(|limits| limits.max_uri = 0)),
        ("max_headers", with(|limits| limits.max_headers = 0)),
        ("max_message", with(|limits| limits.max_message = 0)),
        ("max_frame", with(|limits| limits.max_frame = Some(0))),
        ("max_fragments", with(|limits| limits.max_fragments = 0)),
        ("max_control_per_second", with(|limits| limits.max_control_per_second = 0)),
        ("outbound_high", with(|limits| limits.outbound_high = 0)),
        ("outbound_low", with(|limits| limits.outbound_low = limits.outbound_high)),
        ("max_connections", new().max_connections(0)),
        ("max_handshakes", new().max_handshakes(0)),
        ("max_connections_per_ip", new().max_connections_per_ip(0)),
        ("max_handshakes_per_ip", new().max_handshakes_per_ip(0)),
    ]
}

fn timeouts<R: Runtime>(new: impl Fn() -> Builder<R>) -> Vec<Wrong<R>> {
    let with = |change: fn(&mut Timeouts)| {
        let mut timeouts = Timeouts::default();
        change(&mut timeouts);
        new().timeouts(timeouts)
    };
    vec![
        ("handshake", with(|timeouts| timeouts.handshake = Duration::ZERO)),
        ("close", with(|timeouts| timeouts.close = Duration::ZERO)),
        ("close_sentinel", with(|timeouts| timeouts.close_sentinel = Duration::ZERO)),
        ("linger", with(|timeouts| timeouts.linger = Duration::ZERO)),
        ("stall", with(|timeouts| timeouts.stall = Duration::ZERO)),
        ("ping_interval", with(|timeouts| timeouts.ping_interval = Some(Duration::ZERO))),
        ("pong", with(|timeouts| timeouts.pong = Duration::ZERO)),
        ("idle", with(|timeouts| timeouts.idle = Some(Duration::ZERO))),
        ("idle_drafts", with(|timeouts| timeouts.idle_drafts = Some(Duration::ZERO))),
        ("lifetime", with(|timeouts| timeouts.lifetime = Some(Duration::ZERO))),
    ]
}

fn rooms<R: Runtime>(new: impl Fn() -> Builder<R>) -> Vec<Wrong<R>> {
    let store = |change: fn(&mut StorageLimits)| {
        let mut limits = StorageLimits::default();
        change(&mut limits);
        new().storage(limits)
    };
    vec![
        ("max_topics", new().max_topics(0)),
        ("max_topic_name", new().max_topic_name(0)),
        ("max_backlog_messages", new().max_backlog_messages(0)),
        ("max_backlog_bytes", new().max_backlog_bytes(0)),
        ("storage.max_entries", store(|limits| limits.max_entries = 0)),
        ("storage.max_bytes", store(|limits| limits.max_bytes = 0)),
        ("storage.max_value", store(|limits| limits.max_value = 0)),
        // The first that is wrong, when there are more.
        ("max_connections", new().max_connections(0).max_topics(0)),
    ]
}

/// Before any socket is opened, with the same error inside.
pub async fn a_wrong_option_opens_no_socket<R: Runtime>(runtime: R) {
    let named = Builder::new(runtime.clone()).versions("draft74");
    let error = named.bind("no address at all").await.expect_err("nobody knows it");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ConfigError>());
    assert_eq!(inner.expect("a ConfigError").option, "versions");
    assert!(error.to_string().contains("\"draft74\": use auto"), "{error}");
}

/// The client's, too.
pub async fn a_client_names_its_wrong_options<R: Runtime>(runtime: R) {
    let new = || ClientBuilder::new(runtime.clone());
    let mut limits = Limits::default();
    limits.max_message = 0;
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::ZERO;
    for (name, builder) in [
        ("max_message", new().limits(limits)),
        ("handshake", new().timeouts(timeouts)),
        ("level", new().deflate(Deflate::new().level(0))),
        ("origin", new().origin("example.org")),
        ("subprotocol", new().subprotocol("two words")),
        ("X Y", new().header("X Y", "1")),
        ("X-Line", new().header("X-Line", "a\r\nb")),
        ("Upgrade", new().header("Upgrade", "h2c")),
    ] {
        let error: InvalidOption = builder.build().expect_err(name);
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    let error = new().subprotocol("two words").connect("ws://127.0.0.1:1/").await;
    assert!(error.expect_err("nothing is sent").to_string().contains("two words"));
}

/// `auto` is the default; others are answered with what is spoken.
pub async fn versions_may_be_named_and_the_others_are_told_which<R: Runtime>(runtime: R) {
    let named = |builder: Builder<R>| builder.versions("draft76, hybi-08");
    let server = Running::bind(&runtime, named).await;
    server.start_serving(&runtime, echo);
    let address = server.address;
    aside(move || {
        for version in [Version::Draft76, Version::Hybi08] {
            assert_eq!(Client::open(address, version).ask_text("hello"), "hello");
        }
        for version in [Version::Draft75, Version::Hybi07, Version::Rfc6455] {
            let asked = request(address).version(version);
            assert!(Client::ask(address, asked).is_err(), "{version} is not spoken");
        }
        for asked in [RFC6455, DRAFT75] {
            let answer = exchange(address, addressed(asked, address).as_bytes());
            assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
            assert!(answer.contains("\r\nSec-WebSocket-Version: 8\r\n"), "{answer}");
            assert!(answer.ends_with("\nSpoken here: draft76, hybi-08\n"), "{answer}");
        }
    })
    .await;
    let auto = Running::bind(&runtime, |builder| builder.versions("auto")).await;
    auto.start_serving(&runtime, echo);
    let address = auto.address;
    aside(move || Version::ALL.map(|version| Client::open(address, version))).await;
}
