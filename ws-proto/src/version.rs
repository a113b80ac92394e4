use alloc::string::String;
use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

/// One of the WebSocket protocols that were ever shipped.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Version {
    /// draft-hixie-thewebsocketprotocol-75: `0x00…0xFF` framing, text only, no closing handshake.
    Draft75 = 0,
    /// draft-hixie-thewebsocketprotocol-76, the same text as draft-ietf-hybi-00: the framing of
    /// draft75 with a key exchange and `FF 00` as closing handshake.
    Draft76 = 1,
    /// draft-ietf-hybi-thewebsocketprotocol-07, `Sec-WebSocket-Version: 7`.
    Hybi07 = 2,
    /// draft-ietf-hybi-thewebsocketprotocol-08 to -12, `Sec-WebSocket-Version: 8`.
    Hybi08 = 3,
    /// RFC 6455, `Sec-WebSocket-Version: 13`.
    Rfc6455 = 4,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Self; 5] =
        [Self::Draft75, Self::Draft76, Self::Hybi07, Self::Hybi08, Self::Rfc6455];

    /// The name used on command lines and in logs: `draft75`, `draft76`, `hybi-07`, `hybi-08`
    /// or `rfc6455`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft75 => "draft75",
            Self::Draft76 => "draft76",
            Self::Hybi07 => "hybi-07",
            Self::Hybi08 => "hybi-08",
            Self::Rfc6455 => "rfc6455",
        }
    }

    /// The value of `Sec-WebSocket-Version`, which draft75 and draft76 do not have.
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::Draft75 | Self::Draft76 => None,
            Self::Hybi07 => Some(7),
            Self::Hybi08 => Some(8),
            Self::Rfc6455 => Some(13),
        }
    }

    /// Whether frames are those of RFC 6455 section 5: binary messages, pings and close codes
    /// exist. False for draft75 and draft76, which carry text only.
    pub const fn has_frames(self) -> bool {
        !matches!(self, Self::Draft75 | Self::Draft76)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(name: &str) -> Result<Self, UnknownVersion> {
        Self::ALL
            .into_iter()
            .find(|version| version.name() == name)
            .ok_or_else(|| UnknownVersion { name: name.into() })
    }
}

/// A set of versions that an endpoint speaks.
///
/// ```
/// use ws_proto::{Version, Versions};
///
/// let old: Versions = "draft75,draft76".parse()?;
/// assert!(old.contains(Version::Draft76) && !old.contains(Version::Rfc6455));
/// assert_eq!("auto".parse::<Versions>()?, Versions::AUTO);
/// # Ok::<(), ws_proto::UnknownVersion>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Versions(u8);

impl Versions {
    /// Every version, each told apart strictly by its own request headers. The default.
    pub const AUTO: Self = Self(0b1_1111);

    /// RFC 6455 alone. Choose it when no client of 2009–2011 is expected: draft75 proves nothing
    /// about the peer's intent to speak WebSocket, and draft76 proves it with MD5.
    pub const RFC6455: Self = Self(1 << Version::Rfc6455 as u8);

    /// The empty set, to start from with [`with`](Self::with). A configuration refuses it.
    pub const NONE: Self = Self(0);

    /// Whether `version` is in the set.
    pub const fn contains(self, version: Version) -> bool {
        self.0 & (1 << version as u8) != 0
    }

    /// The set with `version` added.
    #[must_use]
    pub const fn with(self, version: Version) -> Self {
        Self(self.0 | (1 << version as u8))
    }

    /// The set with `version` taken out.
    #[must_use]
    pub const fn without(self, version: Version) -> Self {
        Self(self.0 & !(1 << version as u8))
    }

    /// Whether no version is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The versions in the set, oldest first.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Version> {
        Version::ALL.into_iter().filter(move |version| self.contains(*version))
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self::AUTO
    }
}

impl From<Version> for Versions {
    fn from(version: Version) -> Self {
        Self::NONE.with(version)
    }
}

impl FromIterator<Version> for Versions {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Self {
        versions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// `auto` for all, `none` for the empty set, otherwise the names with commas between them.
impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AUTO => f.write_str("auto"),
            Self::NONE => f.write_str("none"),
            _ => {
                for (index, version) in self.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    f.write_str(version.name())?;
                }
                Ok(())
            }
        }
    }
}

/// Takes `auto` or names with commas between them, as in `draft76,rfc6455`.
impl FromStr for Versions {
    type Err = UnknownVersion;

    fn from_str(names: &str) -> Result<Self, UnknownVersion> {
        if names == "auto" {
            return Ok(Self::AUTO);
        }
        names.split(',').map(|name| name.trim().parse::<Version>()).collect()
    }
}

impl TryFrom<&str> for Versions {
    type Error = UnknownVersion;

    fn try_from(names: &str) -> Result<Self, UnknownVersion> {
        names.parse()
    }
}

impl TryFrom<String> for Versions {
    type Error = UnknownVersion;

    fn try_from(names: String) -> Result<Self, UnknownVersion> {
        names.parse()
    }
}

/// A version name that is not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "unknown WebSocket version {name:?}: use auto, draft75, draft76, hybi-07, hybi-08 or rfc6455"
)]
pub struct UnknownVersion {
    name: String,
}

/// So that what cannot fail fits where a name may.
impl From<Infallible> for UnknownVersion {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_round_trip() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(version.number().is_some(), version.has_frames());
        }
        for bits in 1..=Versions::AUTO.0 {
            let set = Versions(bits);
            assert_eq!(set.to_string().parse(), Ok(set));
        }
    }

    #[test]
    fn unknown_names_are_named() {
        for name in ["", "Auto", "draft74", "rfc6455,", "none"] {
            let error = name.parse::<Versions>().unwrap_err().to_string();
            assert!(error.contains("use auto"), "{error}");
        }
    }
}
