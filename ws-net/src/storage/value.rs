use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// A value out of a store: bytes, cheap to clone, which compare with text and print as text.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StorageValue(Bytes);

impl StorageValue {
    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text, or `None` when the bytes are not UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl Deref for StorageValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for StorageValue {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for StorageValue {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for StorageValue {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for StorageValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for StorageValue {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Copies the bytes, so that a small value keeps no large buffer alive.
impl From<&[u8]> for StorageValue {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

/// Copies the text.
impl From<&str> for StorageValue {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl PartialEq<[u8]> for StorageValue {
    fn eq(&self, other: &[u8]) -> bool {
        self.0 == other
    }
}

impl PartialEq<str> for StorageValue {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for StorageValue {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// The text; bytes that are not UTF-8 show as U+FFFD.
impl fmt::Display for StorageValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for StorageValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_where_they_can_be() {
        let value = StorageValue::from("grüße");
        assert_eq!(value.as_str(), Some("grüße"));
        assert_eq!(format!("{value}, {value:>6}"), "grüße,  grüße");
        assert_eq!(value, *"grüße".as_bytes());
        let value = StorageValue::from(vec![b'a', 0xFF]);
        assert_eq!(value.as_str(), None);
        assert_eq!(value.to_string(), "a\u{FFFD}");
        assert_eq!(format!("{value:?}"), r#"b"a\xff""#);
    }
}
