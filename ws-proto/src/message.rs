use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::Utf8Bytes;

/// The two kinds of messages.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MessageKind {
    /// Text, on every version.
    Text,
    /// Binary. draft75 and draft76 cannot carry it.
    Binary,
}

/// A message: text or binary, never a control frame.
///
/// Cloning shares the payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Text, on every version.
    Text(Utf8Bytes),
    /// Binary. draft75 and draft76 cannot carry it.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::Binary(payload.into())
    }

    /// The text, or `None` for a binary message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// The payload, whatever its kind.
    pub fn as_bytes(&self) -> &[u8] {
        self.payload()
    }

    /// The payload, whatever its kind, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// Whether this is a text message.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Its kind.
    pub fn kind(&self) -> MessageKind {
        if self.is_text() { MessageKind::Text } else { MessageKind::Binary }
    }

    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.payload().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }

    /// Moves the payload out and leaves an empty message.
    pub(crate) fn take_payload(&mut self) -> Bytes {
        match self {
            Self::Text(text) => core::mem::take(text).into_bytes(),
            Self::Binary(payload) => core::mem::take(payload),
        }
    }

    pub(crate) fn payload(&self) -> &Bytes {
        match self {
            Self::Text(text) => text.as_shared(),
            Self::Binary(payload) => payload,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(payload: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(payload))
    }
}

impl From<Vec<u8>> for Message {
    fn from(payload: Vec<u8>) -> Self {
        Self::binary(payload)
    }
}

impl From<Bytes> for Message {
    fn from(payload: Bytes) -> Self {
        Self::Binary(payload)
    }
}
