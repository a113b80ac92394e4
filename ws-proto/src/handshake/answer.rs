use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use memchr::{memchr, memmem};

use super::decision::Reject;
use super::refusal::{refuse, reject};
use crate::{Config, HandshakeError};

/// An answer to a request, taken apart so that an HTTP server of another make can write it.
///
/// The connection ends behind every answer but 101, and each of them says `Connection: close`:
/// what follows a refused request may be draft76 key bytes and must not be read as a request.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    head: Bytes,
    body: Bytes,
}

impl Answer {
    /// Refuses a request that broke a rule, as [`Request::from_parts`](crate::Request::from_parts)
    /// says: with its status, the versions that are spoken if that helps, and the reason in words.
    pub fn refuse(error: &HandshakeError, config: &Config) -> Self {
        let mut out = Vec::new();
        refuse(error, config, &mut out);
        Self::take_apart(out)
    }

    /// Refuses a request in the name of the application.
    pub fn reject(with: &Reject) -> Self {
        let mut out = Vec::new();
        reject(with, &mut out);
        Self::take_apart(out)
    }

    /// Takes apart what this crate has written.
    pub(crate) fn take_apart(written: Vec<u8>) -> Self {
        let mut head = Bytes::from(written);
        let end = memmem::find(&head, b"\r\n\r\n").map_or(head.len(), |at| at + 4);
        let body = head.split_off(end);
        let digits = head.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
        let status = digits.and_then(|digits| digits.parse().ok()).unwrap_or(500);
        Self { status, head, body }
    }

    /// The status; 101 accepts.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields in order, as name and value. `Connection` and `Content-Length` are among
    /// them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
            Some((str::from_utf8(name).ok()?, value))
        })
    }

    /// The body, empty for 101. An answer to HEAD is sent without it, as HTTP servers do by
    /// themselves (RFC 9110 section 9.3.2).
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// The head, escaped so that it can go into a log, and the length of the body.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("head", &String::from_utf8_lossy(&self.head))
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_taken_apart() {
        let error = HandshakeError::UnsupportedVersion("99".into());
        let answer = Answer::refuse(&error, &Config::default());
        assert_eq!(answer.status(), 426);
        let length = alloc::format!("{}", answer.body().len());
        let headers: Vec<_> = answer.headers().collect();
        let expected: [(&str, &[u8]); 5] = [
            ("Upgrade", b"websocket"),
            ("Connection", b"Upgrade, close"),
            ("Sec-WebSocket-Version", b"13, 8, 7"),
            ("Content-Type", b"text/plain; charset=utf-8"),
            ("Content-Length", length.as_bytes()),
        ];
        assert_eq!(headers, expected);
        assert!(answer.body().starts_with(b"the client asks for WebSocket version \"99\""));
    }

    #[test]
    fn a_rejection_keeps_headers_and_body() {
        let with = Reject::new(401).header("WWW-Authenticate", "Basic realm=\"a:b\"").unwrap();
        let answer = Answer::reject(&with.body("a\r\n\r\nb: c\r\n"));
        assert_eq!((answer.status(), answer.body().as_ref()), (401, &b"a\r\n\r\nb: c\r\n"[..]));
        let value = answer.headers().find(|(name, _)| *name == "WWW-Authenticate");
        assert_eq!(value.map(|(_, value)| value), Some(&b"Basic realm=\"a:b\""[..]));
        assert_eq!(answer.headers().count(), 4);
    }

    #[test]
    fn a_fault_of_an_answer_is_a_500() {
        let answer = Answer::refuse(&HandshakeError::WrongAccept, &Config::default());
        assert_eq!(answer.status(), 500);
    }
}
