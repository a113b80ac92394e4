//! Proxies, played by the test.

use super::*;

#[test]
fn a_connect_proxy_passes_on() {
    let proxy = Proxy::new("http://proxy:3128").unwrap().credentials("me", "pw").unwrap();
    let (toy, slot) = connect(|builder| builder.proxy(proxy), "ws://example.org:81/");
    assert_eq!(toy.attempts()[0].1.port(), 3128);
    let (pipe, request) = stream(&toy);
    assert_eq!(
        request,
        "CONNECT example.org:81 HTTP/1.1\r\nHost: example.org:81\r\n\
         Proxy-Authorization: Basic bWU6cHc=\r\n\r\n"
    );
    for piece in ["HTTP/1.1 200 x\r\nA: b\r", "\n\r", "\n"] {
        assert_eq!(sent(&pipe), "");
        answer(&toy, &pipe, piece);
    }
    assert!(sent(&pipe).starts_with("GET / HTTP/1.1\r\n"));
    assert!(take(&slot).is_none());
}

#[test]
fn interim_answers_of_a_proxy_are_passed_over() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let eight = ["HTTP/1.1 100 Continue\r\n\r\n", &hints.repeat(7)].concat();
    for size in [1, 7, 4096] {
        let proxy = Proxy::new("http://proxy:3128").unwrap();
        let (toy, slot) = connect(|builder| builder.proxy(proxy), "ws://example.org/");
        let (pipe, _) = stream(&toy);
        let bytes = [&eight, "HTTP/1.1 200 x\r\n\r\n"].concat();
        for piece in bytes.as_bytes().chunks(size) {
            assert_eq!(sent(&pipe), "");
            answer(&toy, &pipe, piece);
        }
        assert!(sent(&pipe).starts_with("GET / HTTP/1.1\r\n"), "in pieces of {size}");
        assert!(take(&slot).is_none());
    }
}

#[test]
fn a_proxy_that_refuses_says_so() {
    let http = || Proxy::new("http://proxy:3128").unwrap();
    for (bytes, text, transient) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refuses with status 403 \"Forbidden\"", false),
        ("HTTP/1.1 407 Auth\r\n\r\n", "status 407 \"Auth\": set or check the credentials", false),
        ("HTTP/1.1 502 Bad\r\n\r\n", "refuses with status 502 \"Bad\"", true),
        ("HTTP/1.1 200 x\r\n\r\nx", "it sent bytes before the tunnel was used", false),
        ("HTTP/1.1 101 x\r\n\r\n", "refuses with status 101", false),
        (&"HTTP/1.1 103 x\r\n\r\n".repeat(9), "it sends interim answers only", false),
        (&"x".repeat(20_000), "its answer is longer than 16 KiB", false),
    ] {
        let (toy, slot) = connect(|builder| builder.proxy(http()), "ws://example.org/");
        let (pipe, _) = stream(&toy);
        answer(&toy, &pipe, bytes);
        let error = error(&slot);
        assert!(error.to_string().starts_with("the proxy proxy:3128 "), "{error}");
        assert!(error.to_string().contains(text) && error.is_transient() == transient, "{error}");
    }
    let (toy, slot) = connect(|builder| builder.proxy(http()), "ws://example.org/");
    drop(stream(&toy));
    toy.settle();
    let error = error(&slot);
    assert!(matches!(error, ConnectError::Proxy { problem: ProxyError::Io(_), .. }), "{error}");
}

#[test]
fn a_socks_proxy_passes_on() {
    let proxy = Proxy::new("socks5://proxy").unwrap().credentials("me", "pw").unwrap();
    let (toy, slot) = connect(|builder| builder.proxy(proxy), "ws://example.org:258/");
    assert_eq!(toy.attempts()[0].1.port(), 1080);
    let pipe = toy.take_stream().unwrap();
    assert_eq!(pipe.take().0, [5, 2, 0, 2]);
    answer(&toy, &pipe, [5, 2]);
    assert_eq!(pipe.take().0, b"\x01\x02me\x02pw");
    answer(&toy, &pipe, [1, 0]);
    assert_eq!(pipe.take().0, b"\x05\x01\x00\x03\x0bexample.org\x01\x02");
    for byte in b"\x05\x00\x00\x03\x02xy\x00\x00" {
        assert_eq!(sent(&pipe), "");
        answer(&toy, &pipe, [*byte]);
    }
    assert!(sent(&pipe).starts_with("GET / HTTP/1.1\r\nHost: example.org:258\r\n"));
    assert!(take(&slot).is_none());
}

#[test]
fn a_socks_proxy_that_refuses_says_so() {
    let plain = Proxy::new("socks5://proxy").unwrap();
    let named = plain.clone().credentials("me", "pw").unwrap();
    for (proxy, answers, text) in [
        (&plain, &[&[5, 0xFF][..]][..], "accepts none of the offered ways"),
        (&plain, &[&[5, 2]], "it chose a method that was not offered"),
        (&plain, &[&[4, 0]], "its answer has another version"),
        (&plain, &[&[5, 0], &[5, 5, 0, 1]], "refuses with SOCKS reply 5: connection refused"),
        (&plain, &[&[5, 0], &[5, 0, 0, 9]], "an address of an unknown kind"),
        (&named, &[&[5, 2], &[1, 1]], "does not accept the user and the password"),
    ] {
        let proxy = proxy.clone();
        let (toy, slot) = connect(|builder| builder.proxy(proxy), "ws://[2001:db8::1]/");
        let pipe = toy.take_stream().unwrap();
        for bytes in answers {
            answer(&toy, &pipe, bytes);
        }
        let error = error(&slot).to_string();
        assert!(error.starts_with("the proxy proxy:1080 ") && error.contains(text), "{error}");
    }
}
