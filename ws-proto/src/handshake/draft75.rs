//! draft-hixie-thewebsocketprotocol-75: neither side proves anything, so both compare fixed bytes.

use alloc::vec::Vec;

use super::agreed::Agreed;
use super::client_request::ClientRequest;
use super::hixie;
use super::request::Request;
use crate::http::first_line::StatusLine;
use crate::http::{Head, Headers, write_field};
use crate::{HandshakeError, Version};

/// What an answer begins with; "Web Socket" is two words here and one in draft76 (section 3.1).
const PREAMBLE: &[u8] = b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
                          Upgrade: WebSocket\r\n\
                          Connection: Upgrade\r\n";

/// Whether the request can be one of draft75: exact values, an origin, and no header that only
/// later versions have.
pub(super) fn is_request(headers: &Headers) -> bool {
    const LATER: &str = "Sec-WebSocket-";
    let is_later = |(name, _): (&str, &[u8])| {
        name.get(..LATER.len()).is_some_and(|start| start.eq_ignore_ascii_case(LATER))
    };
    headers.get("Upgrade") == Some(b"WebSocket")
        && headers.get("Connection") == Some(b"Upgrade")
        && headers.contains("Origin")
        && !headers.iter().any(is_later)
}

/// Checks what draft75 wants of a request beside what all versions want.
pub(super) fn check_request(headers: &Headers) -> Result<(), HandshakeError> {
    headers.required("Upgrade")?;
    headers.required("Connection")?;
    headers.required("Origin")?;
    hixie::check_subprotocol(headers, "WebSocket-Protocol")
}

/// Appends the answer that accepts (section 4.2).
pub(super) fn write_answer(
    request: &Request,
    subprotocol: Option<&str>,
    extra: &[u8],
    secure: bool,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(PREAMBLE);
    write_field(out, "WebSocket-Origin", request.origin().unwrap_or_default().as_bytes());
    write_field(out, "WebSocket-Location", hixie::url(request, secure).as_bytes());
    if let Some(name) = subprotocol {
        write_field(out, "WebSocket-Protocol", name.as_bytes());
    }
    out.extend_from_slice(extra);
    out.extend_from_slice(b"\r\n");
}

/// Appends a request, in the order and case that the draft fixes (section 3.1).
pub(super) fn write_request(request: &ClientRequest, out: &mut Vec<u8>) {
    request.write_request_line(out);
    out.extend_from_slice(b"Upgrade: WebSocket\r\nConnection: Upgrade\r\n");
    request.write_host(out);
    write_field(out, "Origin", request.page().as_bytes());
    if let Some(name) = request.subprotocols().first() {
        write_field(out, "WebSocket-Protocol", name.as_bytes());
    }
    out.extend_from_slice(request.extra_headers().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Checks the answer to a request (section 3.1).
pub(super) fn check_answer(
    head: &Head<StatusLine>,
    request: &ClientRequest,
) -> Result<Agreed, HandshakeError> {
    let headers = &head.headers;
    if !headers.head().starts_with(PREAMBLE) {
        return Err(HandshakeError::WrongPreamble);
    }
    hixie::check_echo(headers, "WebSocket-Origin", &request.page())?;
    hixie::check_echo(headers, "WebSocket-Location", &request.url())?;
    let subprotocol = hixie::check_answered_subprotocol(headers, "WebSocket-Protocol", request)?;
    Ok(Agreed::new(Version::Draft75, subprotocol, None))
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::handshake::answer;
    use crate::handshake::testing::{answered, ask, serve};
    use crate::{Accept, Config, SubprotocolPolicy};

    const REQUEST: &str = "GET /demo?a=b HTTP/1.1\r\n\
        Upgrade: WebSocket\r\n\
        Connection: Upgrade\r\n\
        Host: example.com:8080\r\n\
        Origin: http://example.com:8080\r\n\
        WebSocket-Protocol: sample\r\n\
        Cookie: a=1\r\n\r\n";

    const ANSWER: &str = "HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
        Upgrade: WebSocket\r\n\
        Connection: Upgrade\r\n\
        WebSocket-Origin: http://example.com:8080\r\n\
        WebSocket-Location: ws://example.com:8080/demo?a=b\r\n\
        WebSocket-Protocol: sample\r\n\r\n";

    fn request() -> ClientRequest {
        let request = ClientRequest::new("ws://Example.com:8080/demo?a=b").unwrap();
        let request = request.version(Version::Draft75).subprotocol("sample").unwrap();
        request.header("Cookie", "a=1").unwrap()
    }

    #[test]
    fn the_request_is_the_bytes_of_the_draft() {
        let (_, bytes) = ask(&request());
        assert_eq!(String::from_utf8(bytes).unwrap(), REQUEST);
    }

    #[test]
    fn the_answer_is_the_bytes_of_the_draft() {
        let policy = SubprotocolPolicy::list(["sample"]);
        let config = Config::builder().subprotocols(policy).build().unwrap();
        let mut out = Vec::new();
        let accept = Accept::new().header("Set-Cookie", "b=2").unwrap();
        answer(&serve(REQUEST, &config).unwrap(), &accept, &config, &mut out).unwrap();
        let with_cookie = ANSWER.replace("sample\r\n", "sample\r\nSet-Cookie: b=2\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), with_cookie);
    }

    #[test]
    fn the_client_takes_that_answer_and_no_other() {
        let agreed = answered(&request(), ANSWER).unwrap();
        assert_eq!(agreed.subprotocol(), Some("sample"));
        for (from, to, error) in [
            ("Web Socket", "WebSocket", HandshakeError::WrongPreamble),
            ("HTTP/1.1", "HTTP/1.0", HandshakeError::WrongPreamble),
            ("Upgrade: WebSocket", "upgrade: WebSocket", HandshakeError::WrongPreamble),
            ("Upgrade: WebSocket", "Upgrade: websocket", HandshakeError::WrongPreamble),
            ("101", "404", HandshakeError::Status(404)),
            ("WebSocket-Origin", "X", HandshakeError::Missing("WebSocket-Origin")),
            ("WebSocket-Location", "X", HandshakeError::Missing("WebSocket-Location")),
            ("WebSocket-Protocol", "X", HandshakeError::Missing("WebSocket-Protocol")),
            (
                "WebSocket-Location",
                "WebSocket-Origin: http://example.com:8080\r\nWebSocket-Location",
                HandshakeError::Duplicate("WebSocket-Origin"),
            ),
            (
                "WebSocket-Protocol",
                "WebSocket-Protocol: sample\r\nWebSocket-Protocol",
                HandshakeError::Duplicate("WebSocket-Protocol"),
            ),
        ] {
            let answer = ANSWER.replacen(from, to, 1);
            assert_ne!(answer, ANSWER);
            assert_eq!(answered(&request(), answer), Err(error), "{from}");
        }
    }

    #[test]
    fn origin_location_and_protocol_are_compared_byte_for_byte() {
        for (from, to) in [
            ("Origin: http://example.com:8080", "Origin: http://example.com"),
            ("Origin: http://example.com:8080", "Origin: http://Example.com:8080"),
            ("ws://example.com:8080/demo?a=b", "ws://example.com:8080/demo"),
            ("ws://example.com:8080/demo?a=b", "wss://example.com:8080/demo?a=b"),
            (": sample", ": Sample"),
        ] {
            let answer = ANSWER.replace(from, to);
            let error = answered(&request(), &answer).unwrap_err();
            assert!(matches!(error, HandshakeError::WrongEcho { .. }), "{error}");
            assert!(error.to_string().contains("was asked for"), "{error}");
        }
    }

    #[test]
    fn a_subprotocol_that_was_not_asked_for_is_not_looked_at() {
        let request = ClientRequest::new("ws://example.com:8080/demo?a=b").unwrap();
        let agreed = answered(&request.version(Version::Draft75), ANSWER).unwrap();
        let none = Agreed::new(Version::Draft75, None, None);
        assert_eq!(agreed, none);
    }
}
