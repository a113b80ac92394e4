use alloc::vec::Vec;

use super::agreed::Agreed;
use super::client_request::ClientRequest;
use super::draft76::Expected;
use super::rfc6455::AcceptHash;
use super::{draft75, draft76, rfc6455};
use crate::deflate::Deflate;
use crate::http::first_line::StatusLine;
use crate::http::grammar::excerpt;
use crate::http::{Head, HeadReader};
use crate::{Config, Entropy, HandshakeError, RecvBuf, Response, Version};

/// The client's half of a handshake.
pub(crate) struct ClientHandshake {
    request: ClientRequest,
    reader: HeadReader<StatusLine>,
    /// Interim answers that were read.
    interim: u8,
    proof: Proof,
    /// draft76: what the head of the answer says, while its 16 bytes are awaited.
    agreed: Option<Agreed>,
    /// The answer, once its head was read.
    response: Option<Response>,
}

/// More interim answers than this are taken for a refusal.
const MAX_INTERIM: u8 = 8;

/// What the server has to prove that it read the request.
enum Proof {
    Nothing,
    Behind(Expected),
    Accept(AcceptHash),
}

/// What came of the bytes so far.
#[derive(Debug)]
pub(crate) enum ClientStep {
    /// More bytes are needed.
    NeedInput,
    /// draft76: the head of the answer is good, its 16 bytes are awaited. Told once.
    Waiting,
    /// The server accepted; what is left in the input are frames.
    Done(Agreed),
}

impl ClientHandshake {
    /// Writes the request.
    pub(crate) fn new(
        request: ClientRequest,
        config: &Config,
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Self {
        let proof = match (request.asked_version(), request.asked_version().number()) {
            (_, Some(number)) => {
                let deflate = offered(&request, config);
                Proof::Accept(rfc6455::write_request(&request, number, deflate, entropy, out))
            }
            (Version::Draft76, _) => Proof::Behind(draft76::write_request(&request, entropy, out)),
            _ => {
                draft75::write_request(&request, out);
                Proof::Nothing
            }
        };
        let reader = HeadReader::default();
        Self { request, reader, interim: 0, proof, agreed: None, response: None }
    }

    /// Reads on.
    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        config: &Config,
    ) -> Result<ClientStep, HandshakeError> {
        if self.agreed.is_none() {
            let Some(head) = self.poll_head(input, config)? else {
                return Ok(ClientStep::NeedInput);
            };
            self.response = Some(Response::new(&head));
            check_status(&head)?;
            let agreed = match &self.proof {
                Proof::Nothing => draft75::check_answer(&head, &self.request)?,
                Proof::Accept(accept) => {
                    let deflate = offered(&self.request, config);
                    rfc6455::check_answer(&head, &self.request, accept, deflate)?
                }
                Proof::Behind(_) => {
                    self.agreed = Some(draft76::check_answer(&head, &self.request)?);
                    return Ok(ClientStep::Waiting);
                }
            };
            return Ok(ClientStep::Done(agreed));
        }
        if let Proof::Behind(expected) = &mut self.proof
            && !expected.poll(input)?
        {
            return Ok(ClientStep::NeedInput);
        }
        Ok(self.agreed.take().map_or(ClientStep::NeedInput, ClientStep::Done))
    }

    /// The answer, also when it is wrong, if its head was read.
    pub(crate) fn take_response(&mut self) -> Option<Response> {
        self.response.take()
    }

    /// The head of the answer. Those of interim answers before it say nothing that matters here
    /// (RFC 9110 section 15.2); the drafts before hybi know none.
    fn poll_head(
        &mut self,
        input: &mut RecvBuf,
        config: &Config,
    ) -> Result<Option<Head<StatusLine>>, HandshakeError> {
        while let Some(head) = self.reader.poll(input, &config.limits)? {
            let interim = matches!(head.line.status, 100 | 102..=199);
            if !interim || self.interim == MAX_INTERIM || !matches!(self.proof, Proof::Accept(_)) {
                return Ok(Some(head));
            }
            self.interim += 1;
            self.reader = HeadReader::default();
        }
        Ok(None)
    }
}

/// permessage-deflate belongs to RFC 6455; the drafts before it had another extension.
fn offered<'a>(request: &ClientRequest, config: &'a Config) -> Option<&'a Deflate> {
    config.deflate.as_ref().filter(|_| request.asked_version() == Version::Rfc6455)
}

/// Anything but 101 is a refusal; one that lists versions or points elsewhere says why.
fn check_status(head: &Head<StatusLine>) -> Result<(), HandshakeError> {
    let status = head.line.status;
    if let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, head.headers.text("Location")) {
        return Err(HandshakeError::Redirect { status, location: location.into() });
    }
    match head.headers.get("Sec-WebSocket-Version") {
        _ if status == 101 => Ok(()),
        Some(versions) => {
            Err(HandshakeError::VersionRefused { status, versions: excerpt(versions) })
        }
        None => Err(HandshakeError::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;
    use crate::handshake::draft76::Challenge;
    use crate::handshake::testing::{answered, ask};
    use crate::handshake::{ServerHandshake, ServerStep, answer};
    use crate::{Accept, OriginPolicy, SubprotocolPolicy};

    /// Takes a request through a server, and gives its whole answer.
    fn served(bytes: &[u8], config: &Config) -> (Agreed, Vec<u8>) {
        let mut handshake = ServerHandshake::default();
        let mut input = RecvBuf::with_capacity(bytes.len());
        input.feed(bytes);
        let Ok(ServerStep::Request(request)) = handshake.poll(&mut input, config) else {
            panic!("the server refuses \"{}\"", bytes.escape_ascii());
        };
        let mut out = Vec::new();
        let agreed = answer(&request, &Accept::new(), config, &mut out).unwrap();
        if agreed.version == Version::Draft76 {
            out.extend(Challenge::new(&request).poll(&mut input).expect("key3 is there"));
        }
        assert!(input.is_idle());
        (agreed, out)
    }

    #[test]
    fn every_version_agrees_with_itself() {
        for version in Version::ALL {
            for url in ["ws://[::1]:8080/a?b", "wss://Example.org/", "ws://example.org:80?x"] {
                for origin in [None, Some("https://Page.example:8443")] {
                    let request = ClientRequest::new(url).unwrap().version(version);
                    let request = request.subprotocol("v2").unwrap().subprotocol("chat").unwrap();
                    let request = match origin {
                        Some(page) => request.origin(page).unwrap(),
                        None => request,
                    };
                    let config = Config::builder()
                        .secure(request.is_secure())
                        .origin(OriginPolicy::any())
                        .subprotocols(SubprotocolPolicy::list(["v2"]))
                        .build()
                        .unwrap();
                    let (_, bytes) = ask(&request);
                    let (agreed, answer) = served(&bytes, &config);
                    assert_eq!(agreed.subprotocol(), Some("v2"));
                    assert_eq!(answered(&request, &answer), Ok(agreed), "{version} {url}");
                }
            }
        }
    }

    #[test]
    fn interim_answers_are_passed_over_where_http_has_them() {
        for version in Version::ALL {
            let request = ClientRequest::new("ws://a/").unwrap().version(version);
            let config = Config::default();
            let (_, bytes) = ask(&request);
            let (agreed, answer) = served(&bytes, &config);
            let behind = |interim: &str| {
                let bytes = [interim.as_bytes(), &answer].concat();
                answered(&request, &bytes)
            };
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
            let two = behind(&format!("HTTP/1.1 100 Continue\r\n\r\n{hints}"));
            if version.has_frames() {
                assert_eq!(two, Ok(agreed), "{version}");
                assert_eq!(behind(&hints.repeat(9)), Err(HandshakeError::Status(103)));
            } else {
                assert_eq!(two, Err(HandshakeError::Status(100)), "{version}");
            }
        }
    }

    #[test]
    fn a_client_without_a_page_passes_the_default_policy() {
        for version in Version::ALL {
            for url in ["ws://localhost:8080/", "wss://example.org/"] {
                let request = ClientRequest::new(url).unwrap().version(version);
                let config = Config::builder().secure(request.is_secure()).build().unwrap();
                let (_, bytes) = ask(&request);
                let (agreed, answer) = served(&bytes, &config);
                assert_eq!(answered(&request, &answer), Ok(agreed));
            }
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_status() {
        for version in Version::ALL {
            let request = ClientRequest::new("ws://a/").unwrap().version(version);
            let error = answered(&request, "HTTP/1.1 403 Forbidden\r\n\r\n").unwrap_err();
            assert_eq!(error, HandshakeError::Status(403));
            let other = "HTTP/1.1 426 x\r\nSec-WebSocket-Version: 13, 8\r\n\r\n";
            let expected =
                HandshakeError::VersionRefused { status: 426, versions: "13, 8".to_string() };
            assert_eq!(answered(&request, other), Err(expected));
        }
    }

    #[test]
    fn a_redirect_tells_where_to() {
        for version in Version::ALL {
            let request = ClientRequest::new("ws://a/").unwrap().version(version);
            for status in [301, 302, 303, 307, 308] {
                let to = "wss://b.example/".to_string() + &"x".repeat(200);
                let answer = format!("HTTP/1.1 {status} x\r\nLocation: {to}\r\n\r\n");
                let expected = HandshakeError::Redirect { status, location: to };
                assert_eq!(answered(&request, &answer), Err(expected));
            }
            for answer in ["HTTP/1.1 300 x\r\nLocation: /\r\n\r\n", "HTTP/1.1 301 x\r\n\r\n"] {
                let error = answered(&request, answer).unwrap_err();
                assert!(matches!(error, HandshakeError::Status(300 | 301)), "{error:?}");
            }
        }
    }

    #[test]
    fn something_else_than_http_is_noticed_at_the_first_byte() {
        let request = ClientRequest::new("ws://a/").unwrap();
        let error = answered(&request, "SSH-2.0-OpenSSH").unwrap_err();
        assert_eq!(error, HandshakeError::StatusLine { at: 0, byte: b'S' });
    }

    #[test]
    fn an_endless_answer_is_refused() {
        let request = ClientRequest::new("ws://a/").unwrap();
        let endless = ["HTTP/1.1 101 ", &"x".repeat(20_000)].concat();
        let error = answered(&request, endless).unwrap_err();
        assert_eq!(error, HandshakeError::HeadTooLong(16 << 10));
    }

    #[test]
    fn what_a_client_sends_is_checked_beforehand() {
        let request = || ClientRequest::new("ws://a/").unwrap();
        assert!(request().origin("null").is_ok());
        for origin in ["", "example.org", "http://a/", "http://a\r\nX: y"] {
            assert!(request().origin(origin).is_err(), "{origin:?}");
        }
        for name in ["", "two words", "a,b", "a\r\nX: y"] {
            assert!(request().subprotocol(name).is_err(), "{name:?}");
        }
        assert!(request().header("Cookie", "a\r\nX: y").is_err());
        assert!(request().header("Sec-WebSocket-Key", "x").is_err());
    }

    #[test]
    fn a_resolver_gets_an_ipv6_address_without_brackets() {
        let request = ClientRequest::new("ws://[2001:DB8::1]/").unwrap();
        assert_eq!((request.host(), request.port()), ("2001:db8::1", 80));
        assert_eq!(request.url(), "ws://[2001:db8::1]/");
    }
}
