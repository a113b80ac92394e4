//! RFC 6455 section 4, and hybi 7 and 8, which differ in the name of one header and in a number.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::iter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::agreed::Agreed;
use super::client_request::ClientRequest;
use super::extensions;
use super::request::Request;
use crate::deflate::{Deflate, DeflateParams};
use crate::http::first_line::{RequestLine, StatusLine};
use crate::http::grammar::{excerpt, is_token, list};
use crate::http::{Head, is_same, write_field};
use crate::{Entropy, HandshakeError, Version};

/// The base64 of a SHA-1 digest.
pub(crate) type AcceptHash = [u8; 28];

/// Bytes of an answer without extension, with room for a subprotocol.
const ANSWER: usize = 192;

/// The version that a `Sec-WebSocket-Version` names.
pub(super) fn version(number: &[u8]) -> Option<Version> {
    match number {
        b"7" => Some(Version::Hybi07),
        b"8" => Some(Version::Hybi08),
        b"13" => Some(Version::Rfc6455),
        _ => None,
    }
}

/// Checks what these versions want of a request beside what all versions want, and beside the
/// `Upgrade` (section 4.2.1).
pub(super) fn check_request(
    head: &Head<RequestLine>,
    version: Version,
) -> Result<(), HandshakeError> {
    if !has_member(head, "Connection", "Upgrade") {
        return Err(HandshakeError::ConnectionMissing);
    }
    let key = head.required("Sec-WebSocket-Key")?;
    let good = match version {
        Version::Rfc6455 => is_key(key),
        // Some clients of that time sent 15 bytes, and nothing hangs on the length.
        _ => !key.is_empty() && key.iter().all(|byte| is_base64(*byte) || *byte == b'='),
    };
    if !good {
        return Err(HandshakeError::InvalidKey(excerpt(key)));
    }
    extensions::check(head.get_all(extensions::HEADER))?;
    let mut offers = head.get_all("Sec-WebSocket-Protocol").flat_map(list);
    match offers.find(|name| !is_token(name)) {
        Some(name) => Err(HandshakeError::InvalidSubprotocol(excerpt(name))),
        None => Ok(()),
    }
}

/// Appends the answer that accepts (section 4.2.2).
pub(super) fn write_answer(
    request: &Request,
    subprotocol: Option<&str>,
    deflate: Option<DeflateParams>,
    extra: &[u8],
    out: &mut Vec<u8>,
) {
    let key = request.headers().get("Sec-WebSocket-Key").unwrap_or_default();
    // The usual answer takes one allocation.
    out.reserve(ANSWER + extra.len());
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n",
    );
    write_field(out, "Sec-WebSocket-Accept", &accept_hash(key));
    if let Some(name) = subprotocol {
        write_field(out, "Sec-WebSocket-Protocol", name.as_bytes());
    }
    if let Some(params) = deflate {
        write_field(out, "Sec-WebSocket-Extensions", params.to_string().as_bytes());
    }
    out.extend_from_slice(extra);
    out.extend_from_slice(b"\r\n");
}

/// Appends a request; answers the hash that the server has to prove itself with (section 4.1).
pub(super) fn write_request(
    request: &ClientRequest,
    number: u8,
    deflate: Option<&Deflate>,
    entropy: &mut dyn Entropy,
    out: &mut Vec<u8>,
) -> AcceptHash {
    let mut nonce = [0; 16];
    entropy.fill(&mut nonce);
    let mut key = [0; 24];
    encode(&nonce, &mut key);

    request.write_request_line(out);
    request.write_host(out);
    out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
    write_field(out, "Sec-WebSocket-Key", &key);
    write_field(out, "Sec-WebSocket-Version", number.to_string().as_bytes());
    if let Some(page) = request.named_page() {
        let name = if number == 13 { "Origin" } else { "Sec-WebSocket-Origin" };
        write_field(out, name, page.as_bytes());
    }
    if !request.subprotocols().is_empty() {
        write_field(out, "Sec-WebSocket-Protocol", request.subprotocols().join(", ").as_bytes());
    }
    if let Some(options) = deflate {
        write_field(out, "Sec-WebSocket-Extensions", options.offer().as_bytes());
    }
    out.extend_from_slice(request.extra_headers().as_bytes());
    out.extend_from_slice(b"\r\n");
    accept_hash(&key)
}

/// Checks the answer to a request (section 4.1, the second list).
pub(super) fn check_answer(
    head: &Head<StatusLine>,
    request: &ClientRequest,
    accept: &AcceptHash,
    deflate: Option<&Deflate>,
) -> Result<Agreed, HandshakeError> {
    if head.line.http.minor == 0 {
        return Err(head.line.http.refused());
    }
    let upgrade = head.required("Upgrade")?;
    if !upgrade.eq_ignore_ascii_case(b"websocket") {
        return Err(HandshakeError::WrongUpgrade(excerpt(upgrade)));
    }
    if !has_member(head, "Connection", "Upgrade") {
        let connection = head.headers.get("Connection").unwrap_or_default();
        return Err(HandshakeError::WrongConnection(excerpt(connection)));
    }
    if head.required("Sec-WebSocket-Accept")? != accept {
        return Err(HandshakeError::WrongAccept);
    }
    let deflate = check_extensions(head, deflate)?;
    let subprotocol = match head.single("Sec-WebSocket-Protocol")? {
        None => None,
        Some(answered) => {
            let offered = request.subprotocols().iter().find(|name| name.as_bytes() == answered);
            let not_offered = || HandshakeError::SubprotocolNotOffered(excerpt(answered));
            Some(Arc::clone(offered.ok_or_else(not_offered)?))
        }
    };
    Ok(Agreed::new(request.asked_version(), subprotocol, deflate))
}

/// Checks what the answer says of the extensions that were offered (sections 9.1 and 11.3.2).
fn check_extensions(
    head: &Head<StatusLine>,
    offered: Option<&Deflate>,
) -> Result<Option<DeflateParams>, HandshakeError> {
    let Some(answered) = head.single(extensions::HEADER)? else { return Ok(None) };
    extensions::check(iter::once(answered))?;
    match (offered, extensions::elements(answered).next()) {
        (Some(options), _) => options.check_answer(answered),
        (None, None) => Ok(None),
        (None, Some(other)) => Err(HandshakeError::ExtensionNotOffered(excerpt(other.text))),
    }
}

/// Proves that the key was read as part of this protocol (section 4.2.2, point 5.4).
fn accept_hash(key: &[u8]) -> AcceptHash {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut hash = [0; 28];
    encode(&digest, &mut hash);
    hash
}

/// Encodes into an array of the fitting length.
fn encode(bytes: &[u8], out: &mut [u8]) {
    let written = STANDARD.encode_slice(bytes, out);
    debug_assert!(written.is_ok(), "the array has the length of the encoded bytes");
}

/// The base64 of 16 bytes: 22 digits, which end in the middle of a group, and two signs of that.
fn is_key(key: &[u8]) -> bool {
    // Without an early exit, so that it is done many bytes at a time.
    let all = |digits: &[u8; 22]| digits.iter().fold(true, |good, byte| good & is_base64(*byte));
    key.strip_suffix(b"==").and_then(|digits| digits.try_into().ok()).is_some_and(all)
}

const fn is_base64(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/')
}

/// Whether this asks for this protocol, as requests of these versions have to.
pub(super) fn has_upgrade(head: &Head<RequestLine>) -> bool {
    has_member(head, "Upgrade", "websocket")
}

/// Whether one of the lists under this name has this member, in any case.
fn has_member<L>(head: &Head<L>, name: &str, member: &str) -> bool {
    let is_it = |found: &[u8]| is_same(found, member.as_bytes());
    // Most lists have one member.
    head.get_all(name).any(|value| is_it(value) || list(value).any(is_it))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::handshake::testing::{answered, ask};

    fn request() -> ClientRequest {
        let request = ClientRequest::new("ws://example.com/chat").unwrap();
        request.subprotocol("chat").unwrap().subprotocol("superchat").unwrap()
    }

    /// The answer that fits the key of [`request`].
    fn good_answer() -> String {
        let (_, bytes) = ask(&request());
        let text = String::from_utf8(bytes).unwrap();
        let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = accept_hash(key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\
             Connection: keep-alive, UPGRADE\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Protocol: superchat\r\n\r\n",
            accept.escape_ascii()
        )
    }

    #[test]
    fn the_accept_hash_is_that_of_the_rfc() {
        assert_eq!(accept_hash(b"dGhlIHNhbXBsZSBub25jZQ=="), *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_the_base64_of_16_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZVE=",
            "dGhlIHNhbXBsZSBub25jZ!==",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25 ZQ==",
        ] {
            assert!(!is_key(key.as_bytes()), "{key:?}");
        }
    }

    #[test]
    fn requests_name_their_version_and_their_page() {
        for (version, number, header) in [
            (Version::Hybi07, 7, "Sec-WebSocket-Origin"),
            (Version::Hybi08, 8, "Sec-WebSocket-Origin"),
            (Version::Rfc6455, 13, "Origin"),
        ] {
            let asked = request().version(version).origin("http://Page.example").unwrap();
            let (_, bytes) = ask(&asked.header("Cookie", "a=1").unwrap());
            let text = String::from_utf8(bytes).unwrap();
            let (before, rest) = text.split_once("Sec-WebSocket-Key: ").unwrap();
            let (key, after) = rest.split_once("\r\n").unwrap();
            assert!(is_key(key.as_bytes()), "{key}");
            assert_eq!(
                before,
                "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\n"
            );
            assert_eq!(
                after,
                format!(
                    "Sec-WebSocket-Version: {number}\r\n{header}: http://page.example\r\n\
                     Sec-WebSocket-Protocol: chat, superchat\r\nCookie: a=1\r\n\r\n"
                )
            );
        }
    }

    #[test]
    fn the_client_takes_a_good_answer_and_no_other() {
        let answer = good_answer();
        let agreed = answered(&request(), &answer).unwrap();
        assert_eq!(agreed.subprotocol(), Some("superchat"));
        for (from, to, error) in [
            ("HTTP/1.1 101", "HTTP/1.1 200", HandshakeError::Status(200)),
            ("HTTP/1.1", "HTTP/1.0", HandshakeError::HttpVersion { major: 1, minor: 0 }),
            ("upgrade", "X", HandshakeError::Missing("Upgrade")),
            ("WebSocket\r", "h2c\r", HandshakeError::WrongUpgrade("h2c".into())),
            (", UPGRADE", "", HandshakeError::WrongConnection("keep-alive".into())),
            ("Connection", "X", HandshakeError::WrongConnection(String::new())),
            ("Sec-WebSocket-Accept", "X", HandshakeError::Missing("Sec-WebSocket-Accept")),
            ("Accept: ", "Accept: x", HandshakeError::WrongAccept),
            (
                "Sec-WebSocket-Accept",
                "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Accept",
                HandshakeError::Duplicate("Sec-WebSocket-Accept"),
            ),
            (
                "Sec-WebSocket-Protocol",
                "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol",
                HandshakeError::Duplicate("Sec-WebSocket-Protocol"),
            ),
            (": superchat", ": other", HandshakeError::SubprotocolNotOffered("other".into())),
            (
                ": superchat",
                ": chat, superchat",
                HandshakeError::SubprotocolNotOffered("chat, superchat".into()),
            ),
            (
                "Connection",
                "Sec-WebSocket-Extensions: permessage-deflate; x\r\nConnection",
                HandshakeError::ExtensionNotOffered("permessage-deflate; x".into()),
            ),
            (
                "Connection",
                "Sec-WebSocket-Extensions: a;\r\nConnection",
                HandshakeError::InvalidExtensions("a;".into()),
            ),
            (
                "Connection",
                "Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions:\r\nConnection",
                HandshakeError::Duplicate("Sec-WebSocket-Extensions"),
            ),
        ] {
            let changed = answer.replacen(from, to, 1);
            assert_ne!(changed, answer);
            assert_eq!(answered(&request(), changed), Err(error), "{from} -> {to}");
        }
    }

    #[test]
    fn a_client_may_be_left_without_its_subprotocol() {
        let answer = good_answer().replace("Sec-WebSocket-Protocol", "X");
        let agreed = answered(&request(), answer).unwrap();
        let none = Agreed::new(Version::Rfc6455, None, None);
        assert_eq!(agreed, none);
    }
}
