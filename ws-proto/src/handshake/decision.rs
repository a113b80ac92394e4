use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::http::grammar::{excerpt, is_token, is_value};
use crate::http::write_field;

/// How a request is accepted: with which subprotocol, and with which headers beside those of the
/// handshake.
///
/// ```
/// use ws_proto::Accept;
///
/// let accept = Accept::new().subprotocol("chat").header("Set-Cookie", "seat=7; HttpOnly")?;
/// # Ok::<(), ws_proto::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Accept {
    pub(super) subprotocol: Chosen,
    pub(super) headers: ExtraHeaders,
}

/// Who chooses the subprotocol.
#[derive(Clone, Debug, Default)]
pub(super) enum Chosen {
    #[default]
    ByPolicy,
    Nothing,
    This(Arc<str>),
}

impl Accept {
    /// The subprotocol of the configured policy, no further headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses this subprotocol. When the client did not offer it, accepting fails with
    /// [`CommandError::NotOffered`](crate::CommandError::NotOffered).
    pub fn subprotocol(mut self, name: impl Into<Arc<str>>) -> Self {
        self.subprotocol = Chosen::This(name.into());
        self
    }

    /// Chooses no subprotocol, whatever the policy says. When a draft75 or draft76 client asked
    /// for one, accepting fails with
    /// [`CommandError::SubprotocolNeeded`](crate::CommandError::SubprotocolNeeded).
    pub fn no_subprotocol(mut self) -> Self {
        self.subprotocol = Chosen::Nothing;
        self
    }

    /// Adds a header to the answer, such as `Set-Cookie`.
    ///
    /// These are reserved, for they decide what the handshake means or where the answer ends:
    /// `Connection`, `Content-Length`, `Host`, `Origin`, `Trailer`, `Transfer-Encoding`, `Upgrade`,
    /// and all that begin with `Sec-WebSocket-` or `WebSocket-`.
    ///
    /// # Errors
    /// [`InvalidHeader`] when it could be read as something else, or is reserved.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Adds a later decision: its headers come behind those of this one, and the subprotocol is
    /// its own if it chose one or none, and otherwise the one of this.
    pub fn then(mut self, later: &Self) -> Self {
        if !matches!(later.subprotocol, Chosen::ByPolicy) {
            self.subprotocol = later.subprotocol.clone();
        }
        self.headers.0.extend_from_slice(later.headers.as_bytes());
        self
    }
}

/// How a request is refused: an HTTP status, headers and a body.
///
/// ```
/// use ws_proto::Reject;
///
/// let reject = Reject::new(401).header("WWW-Authenticate", "Basic realm=\"chat\"")?;
/// # Ok::<(), ws_proto::InvalidHeader>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reject {
    status: u16,
    pub(super) headers: ExtraHeaders,
    pub(super) body: Option<Bytes>,
    reason: Option<Arc<str>>,
}

impl Reject {
    /// Refuses with a status from 300 to 599, such as 401, 403, 404 or 503. Any other number
    /// refuses nothing; it is a mistake of this side and is sent as 500, which says so.
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 300..=599) { status } else { 500 };
        Self { status, headers: ExtraHeaders::default(), body: None, reason: None }
    }

    /// Adds a header to the answer, such as `Retry-After`, or `Content-Type` when the body is not
    /// plain text in UTF-8.
    ///
    /// # Errors
    /// [`InvalidHeader`] when it could be read as something else, or is one of those that
    /// [`Accept::header`] names as reserved.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// The body. Without one the answer says what its status means; a 304 has none in either case
    /// (RFC 9110 section 15.4.5).
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Says why, for the log of this side. It is never sent.
    pub fn because(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The status that is sent.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason for the log, if one was given.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

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
    /// The handshake writes the header itself; [`Accept::header`] names those that are reserved.
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

    #[test]
    fn later_decisions_come_behind_earlier_ones() {
        let first = || Accept::new().subprotocol("a").header("X-A", "1").unwrap();
        let both = first().then(&Accept::new().header("X-B", "2").unwrap());
        assert_eq!(both.headers.as_bytes(), b"X-A: 1\r\nX-B: 2\r\n");
        assert!(matches!(&both.subprotocol, Chosen::This(name) if &**name == "a"));
        let other = first().then(&Accept::new().subprotocol("b"));
        assert!(matches!(&other.subprotocol, Chosen::This(name) if &**name == "b"));
        assert!(matches!(
            first().then(&Accept::new().no_subprotocol()).subprotocol,
            Chosen::Nothing
        ));
    }

    #[test]
    fn a_status_that_refuses_nothing_is_a_500() {
        for (status, sent) in [(300, 300), (599, 599), (101, 500), (200, 500), (600, 500)] {
            assert_eq!(Reject::new(status).status(), sent);
        }
    }
}
