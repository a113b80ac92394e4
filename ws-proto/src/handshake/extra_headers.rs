use alloc::string::String;
use alloc::vec::Vec;

use crate::http::grammar::{excerpt, is_token, is_value};
use crate::http::write_field;

/// A header or a value for one that may not be sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is no token (RFC 9110 section 5.1).
    #[error("{0:?} is no header name: use letters, digits and hyphens")]
    Name(String),
    /// The value of the header named here has a control byte, which could end the line and begin
    /// another header (RFC 9110 section 5.5).
    #[error("the value of the header {0:?} has a line end, a NUL or another control byte")]
    Value(String),
    /// The handshake writes the header itself; [`Accept::header`](crate::Accept::header) names those
    /// that are reserved.
    #[error("the header {0:?} is written by the handshake: leave it out")]
    Reserved(String),
    /// A client's origin that is not `scheme://host[:port]` or `null`.
    #[error("{0:?} is no origin: use scheme://host[:port] or null")]
    Origin(String),
    /// A client's subprotocol that is no token (RFC 6455 section 4.1).
    #[error("{0:?} is no subprotocol: use letters, digits and -._")]
    Subprotocol(String),
}

/// Headers of the application as they are written, `Name: value CRLF` each. All of them are valid.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtraHeaders(Vec<u8>);

impl ExtraHeaders {
    pub(crate) fn push(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name(excerpt(name.as_bytes())));
        }
        if is_reserved(name) {
            return Err(InvalidHeader::Reserved(name.into()));
        }
        if !is_value(value.as_bytes()) {
            return Err(InvalidHeader::Value(name.into()));
        }
        write_field(&mut self.0, name, value.as_bytes());
        Ok(())
    }

    /// Adds those of `others`.
    pub(super) fn append(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.split(|byte| *byte == b'\n').any(|line| {
            line.split_at_checked(name.len()).is_some_and(|(found, rest)| {
                found.eq_ignore_ascii_case(name.as_bytes()) && rest.first() == Some(&b':')
            })
        })
    }
}

/// Whether a header decides what the handshake means or where the message ends.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "Connection",
        "Content-Length",
        "Host",
        "Origin",
        "Transfer-Encoding",
        "Trailer",
        "Upgrade",
    ];
    const FAMILIES: [&str; 2] = ["Sec-WebSocket-", "WebSocket-"];
    let in_family = |family: &&str| {
        name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
    };
    NAMES.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
        || FAMILIES.iter().any(in_family)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::{Accept, Reject};

    #[test]
    fn header_injection_is_refused() {
        for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7F", "\x1B[2J"] {
            let error = Accept::new().header("X-A", value).unwrap_err();
            assert_eq!(error, InvalidHeader::Value("X-A".to_string()), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\nb", "é", "X-A\n"] {
            let error = Reject::new(403).header(name, "v").unwrap_err();
            assert_eq!(error, InvalidHeader::Name(name.to_string()), "{name:?}");
        }
    }

    #[test]
    fn headers_of_the_handshake_are_not_the_applications() {
        for name in ["upgrade", "Connection", "SEC-WEBSOCKET-ACCEPT", "WebSocket-Origin", "Host"] {
            let error = Accept::new().header(name, "v").unwrap_err();
            assert_eq!(error, InvalidHeader::Reserved(name.to_string()));
        }
    }

    #[test]
    fn headers_are_kept_as_they_are_written() {
        let accept =
            Accept::new().header("X-A", "1\t2").unwrap().header("Set-Cookie", "é").unwrap();
        assert_eq!(accept.headers.as_bytes(), "X-A: 1\t2\r\nSet-Cookie: é\r\n".as_bytes());
        assert!(accept.headers.contains("set-cookie") && !accept.headers.contains("set"));
    }
}
