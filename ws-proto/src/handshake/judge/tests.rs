use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::handshake::testing::{serve, serve_default};
use crate::{
    Config, ConfigBuilder, HandshakeError, Limits, OriginPolicy, Request, SubprotocolPolicy,
    Version, Versions,
};

const RFC6455: &str = "GET /chat HTTP/1.1\r\n\
    Host: example.org\r\n\
    Upgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const DRAFT76: &str = "GET /demo HTTP/1.1\r\n\
    Host: example.org\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\
    Upgrade: WebSocket\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
    Origin: http://example.org\r\n\r\n";

const DRAFT75: &str = "GET /demo HTTP/1.1\r\n\
    Upgrade: WebSocket\r\n\
    Connection: Upgrade\r\n\
    Host: example.org\r\n\
    Origin: http://example.org\r\n\r\n";

/// A good request of each version.
fn requests() -> [(Version, String); 5] {
    let hybi = |number: &str| {
        RFC6455.replace("Version: 13", number).replace("Origin", "Sec-WebSocket-Origin")
    };
    [
        (Version::Draft75, DRAFT75.into()),
        (Version::Draft76, DRAFT76.into()),
        (Version::Hybi07, hybi("Version: 7")),
        (Version::Hybi08, hybi("Version: 8")),
        (Version::Rfc6455, RFC6455.into()),
    ]
}

fn with(builder: ConfigBuilder) -> Config {
    builder.build().unwrap()
}

/// The error of a request in which one piece of text is exchanged.
fn changed(request: &str, from: &str, to: &str) -> HandshakeError {
    assert!(request.contains(from), "{from:?} is in the request");
    serve_default(request.replace(from, to)).unwrap_err()
}

fn without(request: &str, header: &str) -> String {
    let wanted = |line: &&str| !line.starts_with(&format!("{header}:"));
    request.split_inclusive("\r\n").filter(wanted).collect()
}

fn with_line(request: &str, line: &str) -> String {
    request.replacen("\r\n", &format!("\r\n{line}\r\n"), 1)
}

#[test]
fn every_version_is_told_by_its_own_headers() {
    for (version, request) in requests() {
        let request = serve_default(&request).unwrap();
        assert_eq!(request.version(), version);
        assert_eq!(request.host(), "example.org");
        assert_eq!(request.origin(), Some("http://example.org"));
    }
}

#[test]
fn a_version_that_is_switched_off_is_refused_with_426() {
    for (version, request) in requests() {
        let config = with(Config::builder().versions(Versions::AUTO.without(version)));
        let error = serve(&request, &config).unwrap_err();
        assert_eq!(error, HandshakeError::UnsupportedVersion(version.name().into()));
        assert_eq!(error.status(), Some(426));
        assert!(serve(&request, &with(Config::builder().versions(version))).is_ok());
    }
}

#[test]
fn rfc6455_client_never_gets_a_draft75_answer() {
    let config = with(Config::builder().versions(Version::Draft75));
    let drafted =
        RFC6455.replace("websocket", "WebSocket").replace("keep-alive, Upgrade", "Upgrade");
    for request in [
        drafted.clone(),
        without(&drafted, "Sec-WebSocket-Key"),
        without(&drafted, "Sec-WebSocket-Version"),
        with_line(DRAFT75, "Sec-WebSocket-Protocol: chat"),
        with_line(DRAFT75, "SEC-WEBSOCKET-EXTENSIONS: x"),
    ] {
        assert_eq!(serve(&request, &config).unwrap_err().status(), Some(426), "{request}");
    }
}

#[test]
fn a_request_without_version_and_origin_is_no_draft() {
    let request = without(&without(RFC6455, "Sec-WebSocket-Version"), "Origin");
    assert_eq!(serve_default(&request).unwrap_err(), HandshakeError::NoVersion);
    assert_eq!(serve_default(without(DRAFT75, "Origin")).unwrap_err(), HandshakeError::NoVersion);
    assert_eq!(
        serve_default(without(DRAFT76, "Origin")).unwrap_err(),
        HandshakeError::Missing("Origin")
    );
}

#[test]
fn draft75_wants_exact_values() {
    for (from, to) in [
        ("Upgrade: WebSocket", "Upgrade: websocket"),
        ("Connection: Upgrade", "Connection: upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
    ] {
        assert_eq!(changed(DRAFT75, from, to), HandshakeError::NoVersion);
    }
}

#[test]
fn a_newer_header_decides_over_an_older_one() {
    let both = with_line(DRAFT76, "Sec-WebSocket-Version: 13");
    assert_eq!(serve_default(both).unwrap_err(), HandshakeError::Missing("Sec-WebSocket-Key"));
    let key = with_line(DRAFT76, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(serve_default(key).unwrap_err(), HandshakeError::NoVersion);
}

#[test]
fn hybi_02_is_not_taken_for_draft76() {
    let request = with_line(DRAFT76, "Sec-WebSocket-Draft: 2");
    assert_eq!(serve_default(request).unwrap_err(), HandshakeError::UnsupportedVersion("2".into()));
}

#[test]
fn unknown_versions_are_refused_with_426() {
    for number in ["0", "6", "9", "14", "013", "+13", "13, 8", "x", ""] {
        let error = changed(RFC6455, "Version: 13", &format!("Version: {number}"));
        assert_eq!(error, HandshakeError::UnsupportedVersion(number.into()));
        assert_eq!(error.status(), Some(426));
    }
}

#[test]
fn both_draft76_keys_are_required() {
    for key in ["Sec-WebSocket-Key1", "Sec-WebSocket-Key2"] {
        assert_eq!(serve_default(without(DRAFT76, key)).unwrap_err(), HandshakeError::Missing(key));
    }
}

#[test]
fn connection_and_upgrade_lists_are_read_member_by_member() {
    for lines in [
        "Connection: keep-alive, Upgrade",
        "Connection: upgrade",
        "Connection: keep-alive\r\nConnection: ,UPGRADE ,",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nX: y",
    ] {
        let request = RFC6455.replace("Connection: keep-alive, Upgrade", lines);
        assert!(serve_default(&request).is_ok(), "{lines}");
    }
    for (from, to) in [
        ("keep-alive, Upgrade", "keep-alive"),
        ("keep-alive, Upgrade", "Upgraded, xUpgrade"),
        ("keep-alive, Upgrade", ""),
    ] {
        assert_eq!(changed(RFC6455, from, to), HandshakeError::ConnectionMissing);
    }
    let upgrade = changed(RFC6455, "Upgrade: websocket", "Upgrade: websocket2");
    assert_eq!(upgrade, HandshakeError::UpgradeMissing);
}

#[test]
fn old_drafts_need_connection_and_upgrade_too() {
    for (version, request) in requests().iter().skip(1) {
        for (header, error) in [
            ("Upgrade", HandshakeError::UpgradeMissing),
            ("Connection", HandshakeError::ConnectionMissing),
        ] {
            assert_eq!(serve_default(without(request, header)).unwrap_err(), error, "{version}");
        }
    }
}

#[test]
fn a_method_other_than_get_is_refused_with_405() {
    for (version, request) in requests() {
        for method in ["POST", "HEAD", "get", "OPTIONS"] {
            let error = changed(&request, "GET", method);
            assert_eq!(error, HandshakeError::Method(method.into()), "{version}");
            assert_eq!(error.status(), Some(405));
        }
    }
}

#[test]
fn http_1_0_cannot_ask_for_a_websocket() {
    for (version, request) in requests() {
        let error = changed(&request, "HTTP/1.1", "HTTP/1.0");
        assert_eq!(error, HandshakeError::HttpVersion { major: 1, minor: 0 }, "{version}");
        assert_eq!(error.status(), Some(426), "as for a request that does not ask");
        assert!(serve_default(request.replace("HTTP/1.1", "HTTP/1.2")).is_ok());
    }
}

#[test]
fn host_is_there_once_and_is_a_host() {
    for (version, request) in requests() {
        let missing = serve_default(without(&request, "Host"));
        assert_eq!(missing.unwrap_err(), HandshakeError::Missing("Host"), "{version}");
        let twice = serve_default(with_line(&request, "host: example.org"));
        assert_eq!(twice.unwrap_err(), HandshakeError::Duplicate("Host"), "{version}");
        for host in ["", "a b", "a/b", "a, b", "u@a", "a:x", "::1", "a:99999"] {
            let error = changed(&request, "Host: example.org", &format!("Host: {host}"));
            assert_eq!(error, HandshakeError::InvalidHost(host.into()), "{version}");
        }
    }
}

#[test]
fn the_target_is_a_path_or_a_url_of_the_host() {
    let serve = |target: &str| serve_default(RFC6455.replace("/chat", target));
    let request = serve("http://EXAMPLE.org/a/b?c=d?e").unwrap();
    assert_eq!((request.path(), request.query()), ("/a/b", Some("c=d?e")));
    assert_eq!(request.target(), "http://EXAMPLE.org/a/b?c=d?e");
    assert_eq!(serve("ws://example.org").unwrap().path(), "/");
    let request = serve("http://example.org?x=1").unwrap();
    assert_eq!((request.path(), request.query()), ("/", Some("x=1")));
    assert_eq!(serve("//a?").unwrap().query(), Some(""));
    for target in [
        "*",
        "chat",
        "example.org:80",
        "http://evil/",
        "http://example.org:8080/chat",
        "https://example.org:80/chat",
        "http://me@example.org/chat",
        "http:///chat",
        "http://example.org?#b",
        "/a#b",
        "evil/admin?x://example.org/chat",
        "?://example.org/chat",
        "://example.org/chat",
    ] {
        assert_eq!(serve(target).unwrap_err(), HandshakeError::InvalidTarget(target.into()));
    }
}

#[test]
fn a_port_that_is_left_out_is_that_of_the_scheme() {
    for (target, host) in [
        ("http://example.org:80/chat", "example.org"),
        ("http://example.org/chat", "example.org:80"),
        ("WSS://example.org:443/chat", "Example.org"),
        ("http://example.org:/chat", "example.org"),
        ("/chat", "example.org:"),
    ] {
        let request = RFC6455.replace("/chat", target);
        let request = request.replace("Host: example.org", &format!("Host: {host}"));
        let request = serve_default(without(&request, "Origin")).unwrap();
        assert_eq!((request.path(), request.target()), ("/chat", target));
    }
}

#[test]
fn a_body_is_refused_but_for_the_8_bytes_of_draft76() {
    for (version, request) in requests() {
        let with = |line: &str| serve_default(with_line(&request, line));
        assert!(with("Content-Length: 0").is_ok(), "{version}");
        assert_eq!(with("Content-Length: 8").is_ok(), version == Version::Draft76);
        for line in [
            "Content-Length: 1",
            "Content-Length: 08",
            "Content-Length: x",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity\r\nContent-Length: 0",
        ] {
            assert_eq!(with(line).unwrap_err(), HandshakeError::Body, "{version}: {line}");
        }
        let twice = with("Content-Length: 0\r\nContent-Length: 0");
        assert_eq!(twice.unwrap_err(), HandshakeError::Duplicate("Content-Length"));
    }
}

#[test]
fn single_headers_are_refused_when_they_repeat() {
    for (line, header) in [
        ("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==", "Sec-WebSocket-Key"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version"),
        ("Origin: http://example.org", "Origin"),
    ] {
        let error = HandshakeError::Duplicate(header);
        assert_eq!(serve_default(with_line(RFC6455, line)).unwrap_err(), error);
    }
    for line in ["Upgrade: WebSocket", "Connection: Upgrade", "Sec-WebSocket-Key1: 1 2"] {
        let error = serve_default(with_line(DRAFT76, line)).unwrap_err();
        assert!(matches!(error, HandshakeError::Duplicate(_)), "{error}");
    }
}

#[test]
fn rfc6455_keys_have_16_bytes_and_older_ones_may_have_15() {
    for (version, request) in requests().into_iter().skip(2) {
        let key =
            |key: &str| serve_default(request.replace("dGhlIHNhbXBsZSBub25jZQ==", key)).map(|_| ());
        let strict = version == Version::Rfc6455;
        assert_eq!(key("dGhlIHNhbXBsZSBub25j").is_ok(), !strict, "{version}");
        for wrong in ["", "dGhlIHNhbXBsZSBub25j!Q==", "a b", "\u{e9}"] {
            assert_eq!(key(wrong), Err(HandshakeError::InvalidKey(wrong.into())), "{version}");
        }
    }
}

#[test]
fn an_origin_is_never_accepted_unchecked() {
    for (version, request) in requests() {
        for origin in ["http://evil.example", "null", "http://example.org.evil.example"] {
            let error = changed(&request, "http://example.org", origin);
            assert_eq!(error, HandshakeError::OriginRefused(origin.into()), "{version}");
            assert_eq!(error.status(), Some(403));
        }
    }
    let binary = serve_default(RFC6455.replace("http://example.org", "http://\u{e9}"));
    assert_eq!(binary.unwrap_err(), HandshakeError::InvalidOrigin("http://\u{e9}".into()));
}

#[test]
fn a_missing_origin_passes_unless_it_is_required() {
    let request = without(RFC6455, "Origin");
    assert_eq!(serve_default(&request).unwrap().origin(), None);
    let list = OriginPolicy::list(["http://example.org"]);
    assert!(serve(&request, &with(Config::builder().origin(list.clone()))).is_ok());
    for policy in [list.required(), OriginPolicy::any().required()] {
        let error = serve(&request, &with(Config::builder().origin(policy))).unwrap_err();
        assert_eq!((&error, error.status()), (&HandshakeError::OriginRequired, Some(403)));
    }
}

#[test]
fn hybi_8_clients_that_send_both_origins_mean_the_first_name() {
    let request = with_line(
        &RFC6455.replace("Version: 13", "Version: 8"),
        "Sec-WebSocket-Origin: http://evil.example",
    );
    let error = HandshakeError::OriginRefused("http://evil.example".into());
    assert_eq!(serve_default(&request).unwrap_err(), error);
    assert!(serve_default(request.replace("Version: 8", "Version: 13")).is_ok());
}

#[test]
fn a_predicate_sees_the_whole_request() {
    let policy = OriginPolicy::predicate(|asked| {
        asked.host() == "example.org"
            && asked.origin().is_some()
            && asked.request().path() == "/chat"
    });
    let config = with(Config::builder().origin(policy));
    assert!(serve(RFC6455, &config).is_ok());
    assert!(serve(RFC6455.replace("/chat", "/"), &config).is_err());
    let nobody = without(RFC6455, "Origin");
    assert_eq!(serve(nobody, &config).unwrap_err(), HandshakeError::OriginRequired);
}

#[test]
fn offered_subprotocols_are_tokens_in_order() {
    let request = with_line(RFC6455, "Sec-WebSocket-Protocol: b ,, a");
    let request = with_line(&request, "sec-websocket-protocol: c,");
    let offered = |request: &Request| -> Vec<String> {
        request.subprotocols().map(ToString::to_string).collect()
    };
    assert_eq!(offered(&serve_default(&request).unwrap()), ["c", "b", "a"]);
    let wrong = serve_default(with_line(RFC6455, "Sec-WebSocket-Protocol: a, b c"));
    assert_eq!(wrong.unwrap_err(), HandshakeError::InvalidSubprotocol("b c".into()));

    let config = with(Config::builder().subprotocols(SubprotocolPolicy::application()));
    let request = with_line(DRAFT76, "Sec-WebSocket-Protocol: a, b c");
    assert_eq!(offered(&serve(&request, &config).unwrap()), ["a, b c"]);
    let request = with_line(DRAFT75, "WebSocket-Protocol: one text");
    assert_eq!(offered(&serve(&request, &config).unwrap()), ["one text"]);
    let binary = serve(with_line(DRAFT75, "WebSocket-Protocol: \u{e9}"), &config);
    assert_eq!(binary.unwrap_err(), HandshakeError::InvalidSubprotocol("\u{e9}".into()));
}

#[test]
fn extensions_follow_their_grammar_whether_they_are_spoken_or_not() {
    for (version, request) in requests().iter().filter(|(version, _)| version.has_frames()) {
        for (value, wrong) in [(";", ";"), ("a, b;;c", "b;;c"), ("a=\"", "a=\"")] {
            let line = format!("Sec-WebSocket-Extensions: {value}");
            let error = serve_default(with_line(request, &line)).unwrap_err();
            assert_eq!(error, HandshakeError::InvalidExtensions(wrong.into()), "{version}");
            assert_eq!((error.status(), error.clause()), (Some(400), "RFC 6455 section 9.1"));
        }
        for line in [
            "Sec-WebSocket-Extensions: ,x; a=\"\\b\",,\r\nSec-WebSocket-Extensions:",
            "Sec-WebSocket-Extensions: ",
        ] {
            assert!(serve_default(with_line(request, line)).is_ok(), "{version}: {line}");
        }
    }
}

#[test]
fn a_required_subprotocol_that_is_not_offered_is_refused() {
    let list = SubprotocolPolicy::list(["chat", "superchat"]).required();
    let config = with(Config::builder().subprotocols(list));
    assert_eq!(serve(RFC6455, &config).unwrap_err(), HandshakeError::SubprotocolRequired);
    let other = with_line(RFC6455, "Sec-WebSocket-Protocol: other");
    assert_eq!(serve(other, &config).unwrap_err(), HandshakeError::SubprotocolRequired);
    let good = with_line(RFC6455, "Sec-WebSocket-Protocol: other, chat");
    assert!(serve(good, &config).is_ok());
}

#[test]
fn drafts_that_would_give_up_without_their_subprotocol_are_refused() {
    let refused = HandshakeError::SubprotocolNotSpoken("chat".into());
    for (request, line) in
        [(DRAFT75, "WebSocket-Protocol: chat"), (DRAFT76, "Sec-WebSocket-Protocol: chat")]
    {
        assert_eq!(serve_default(with_line(request, line)).unwrap_err(), refused.clone());
        let config = with(Config::builder().subprotocols(SubprotocolPolicy::list(["chat"])));
        assert!(serve(with_line(request, line), &config).is_ok());
        assert!(serve(request, &config).is_ok());
    }
    assert!(serve_default(with_line(RFC6455, "Sec-WebSocket-Protocol: chat")).is_ok());
}

/// Long enough for quadratic time to never come back.
#[test]
fn a_huge_list_of_subprotocols_takes_linear_time() {
    let limits = Limits { max_head: 2 << 20, ..Limits::default() };
    let config = with(Config::builder().limits(limits));
    for hostile in [", ".repeat(1 << 19), " ".repeat(1 << 20), "a,".repeat(1 << 19)] {
        let line = format!("Sec-WebSocket-Protocol: x{hostile}");
        let request = with_line(RFC6455, &line);
        assert_eq!(serve(request, &config).unwrap().subprotocols().next().map(|_| ()), Some(()));
    }
}

#[test]
fn many_headers_do_not_lose_upgrade() {
    let filled =
        |count: usize| RFC6455.replacen("\r\n", &format!("\r\n{}", "X: y\r\n".repeat(count)), 1);
    assert!(serve_default(filled(94)).is_ok());
    let error = serve_default(filled(95)).unwrap_err();
    assert_eq!((&error, error.status()), (&HandshakeError::TooManyHeaders(100), Some(431)));
}

#[test]
fn a_request_for_something_else_is_told_to_upgrade() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let error = serve_default(request).unwrap_err();
        assert_eq!((&error, error.status()), (&HandshakeError::NoUpgrade, Some(426)));
    }
}

#[test]
fn a_proxy_that_drops_upgrade_is_named() {
    let error = serve_default(without(RFC6455, "Upgrade")).unwrap_err();
    assert_eq!((&error, error.status()), (&HandshakeError::UpgradeMissing, Some(400)));
    assert!(error.to_string().contains("proxy"), "{error}");
}

#[test]
fn parts_are_judged_like_bytes() {
    let config = Config::default();
    let judge = |text: &str| {
        let (first, lines) = text.split_once("\r\n").unwrap();
        let mut first = first.split(' ');
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let lines = lines.lines().filter_map(|line| line.split_once(": "));
        let fields: Vec<_> = lines.map(|(name, value)| (name, value.as_bytes())).collect();
        Request::from_parts(method, target, 1, fields, &config)
    };
    for (version, request) in requests() {
        assert_eq!(judge(&request).unwrap().version(), version);
        let error = serve_default(without(&request, "Host")).unwrap_err();
        assert_eq!(judge(&without(&request, "Host")).unwrap_err(), error);
    }
}
