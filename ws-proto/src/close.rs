use core::fmt;

use crate::Utf8Bytes;

/// A close code that may travel on the wire (RFC 6455 section 7.4 and its registry).
///
/// 1004, 1005, 1006 and 1015 mean things that only an endpoint tells itself, so no value of this
/// type holds them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server stops, a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: the peer sent a kind of data that is not taken here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: text that is not UTF-8, or other content at odds with its type.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: against a policy that no other code names.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client expected an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met something unexpected.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the service restarts (registered after RFC 6455).
    pub const RESTART: Self = Self(1012);
    /// 1013: try again later, also for receivers that are too slow.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 1014: a gateway got a bad answer from behind it.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code `code`, or `None` when it may not be sent: 1000–1003, 1007–1014 and 3000–4999 may.
    /// hybi 7 and 8 are held to the same: 1004, which named messages that were too long in them, is
    /// refused too.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says: nothing, or a code with a reason (RFC 6455 section 5.5.1).
///
/// draft75 and draft76 have no place for either; there the values show only in local events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Close {
    body: Option<(CloseCode, Utf8Bytes)>,
}

impl Close {
    /// A close frame without code and reason.
    pub const EMPTY: Self = Self { body: None };

    /// The longest reason: what fits in a control frame beside the code.
    pub const MAX_REASON: usize = 123;

    /// The longest payload.
    pub(crate) const MAX_PAYLOAD: usize = 2 + Self::MAX_REASON;

    /// Code 1000 without a reason.
    pub fn normal() -> Self {
        CloseCode::NORMAL.into()
    }

    /// A code with a reason of at most 123 bytes.
    ///
    /// # Errors
    /// [`InvalidClose::Code`] when the code may not be sent, [`InvalidClose::Reason`] when the
    /// reason is longer than 123 bytes.
    pub fn new(code: u16, reason: impl Into<Utf8Bytes>) -> Result<Self, InvalidClose> {
        let code = CloseCode::new(code).ok_or(InvalidClose::Code(code))?;
        let reason = reason.into();
        if reason.len() > Self::MAX_REASON {
            return Err(InvalidClose::Reason(reason.len()));
        }
        Ok(Self { body: Some((code, reason)) })
    }

    /// A code with as much of `reason` as fits, cut at a character boundary.
    pub fn truncated(code: CloseCode, reason: &str) -> Self {
        let end = (0..=reason.len().min(Self::MAX_REASON))
            .rev()
            .find(|&end| reason.is_char_boundary(end))
            .unwrap_or(0);
        let reason = reason.get(..end).unwrap_or_default();
        Self { body: Some((code, reason.into())) }
    }

    /// The code, or `None` when the frame was empty (what RFC 6455 section 7.1.5 reports as 1005).
    pub fn code(&self) -> Option<CloseCode> {
        self.body.as_ref().map(|(code, _)| *code)
    }

    /// The reason, empty when there is none.
    pub fn reason(&self) -> &str {
        self.body.as_ref().map_or("", |(_, reason)| reason.as_str())
    }

    /// Reads the payload of a close frame. Who calls has limited it to 125 bytes.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, InvalidClose> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(Self::EMPTY) } else { Err(InvalidClose::Short) };
        };
        let number = u16::from_be_bytes(*code);
        let code = CloseCode::new(number).ok_or(InvalidClose::Code(number))?;
        let reason = core::str::from_utf8(reason).map_err(|_| InvalidClose::Utf8)?;
        Ok(Self { body: Some((code, reason.into())) })
    }

    /// Writes the payload of the close frame to `room`, and answers it.
    pub(crate) fn payload<'a>(&self, room: &'a mut [u8; Self::MAX_PAYLOAD]) -> &'a [u8] {
        let Some((code, reason)) = &self.body else { return &[] };
        let reason = reason.as_str().as_bytes();
        let len = 2 + reason.len();
        if let Some((first, rest)) = room.split_first_chunk_mut()
            && let Some(rest) = rest.get_mut(..reason.len())
        {
            *first = code.0.to_be_bytes();
            rest.copy_from_slice(reason);
        }
        room.get(..len).unwrap_or_default()
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { body: Some((code, Utf8Bytes::default())) }
    }
}

/// The code and the reason with control characters escaped, so that it can go into a log.
impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            None => f.write_str("no code"),
            Some((code, reason)) if reason.is_empty() => write!(f, "{code}"),
            Some((code, reason)) => write!(f, "{code} {:?}", reason.as_str()),
        }
    }
}

/// Why something cannot be the content of a close frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidClose {
    /// The code may not be on the wire (RFC 6455 section 7.4).
    #[error("close code {0} may not be sent: use 1000-1003, 1007-1014 or 3000-4999")]
    Code(u16),
    /// The reason does not fit in a control frame (RFC 6455 section 5.5).
    #[error("a close reason of {0} bytes is too long: at most 123 fit")]
    Reason(usize),
    /// A close frame of one byte (RFC 6455 section 5.5.1).
    #[error("a close frame of 1 byte has no room for a code")]
    Short,
    /// The reason is not UTF-8 (RFC 6455 section 5.5.1).
    #[error("the close reason is not UTF-8")]
    Utf8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_the_wire_exist() {
        let allowed = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::new(code).is_some(), allowed(code), "{code}");
        }
    }

    #[test]
    fn payloads_round_trip() {
        for close in [Close::EMPTY, Close::normal(), Close::new(4999, "grüße").unwrap()] {
            assert_eq!(Close::from_payload(close.payload(&mut [0; Close::MAX_PAYLOAD])), Ok(close));
        }
    }

    #[test]
    fn bad_payloads_are_named() {
        let parse = Close::from_payload;
        assert_eq!(parse(&[3]), Err(InvalidClose::Short));
        assert_eq!(parse(&[3, 0xED]), Err(InvalidClose::Code(1005)));
        assert_eq!(parse(&[3, 0xE8, 0xFF]), Err(InvalidClose::Utf8));
    }

    #[test]
    fn long_reasons_are_refused_or_cut_at_a_character() {
        let long = "é".repeat(62);
        assert_eq!(Close::new(1000, long.as_str()), Err(InvalidClose::Reason(124)));
        let cut = Close::truncated(CloseCode::NORMAL, &long);
        assert_eq!(cut.reason(), "é".repeat(61));
    }
}
