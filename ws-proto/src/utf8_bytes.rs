use alloc::string::String;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

use crate::unchecked::ValidBytes;

/// Text in shared bytes: always valid UTF-8, cheap to clone, read as a `str` without a check.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Utf8Bytes(ValidBytes);

impl Utf8Bytes {
    /// Text that lives as long as the program, without an allocation.
    pub const fn from_static(text: &'static str) -> Self {
        Self(ValidBytes::from_static(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// Takes bytes that the UTF-8 validator has passed.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        Self(ValidBytes::from_validated(bytes))
    }

    pub(crate) fn as_shared(&self) -> &Bytes {
        self.0.as_bytes()
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self::from_validated(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self::from_validated(text.into_bytes().into())
    }
}

/// Checks the bytes; the error is that of `core::str`.
impl TryFrom<Bytes> for Utf8Bytes {
    type Error = core::str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        core::str::from_utf8(&bytes)?;
        Ok(Self::from_validated(bytes))
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
