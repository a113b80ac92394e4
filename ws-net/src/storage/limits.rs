use crate::ConfigError;
use crate::positive::positive;

/// How much a [`MemoryStorage`](crate::MemoryStorage) holds. All limits are inclusive; what is
/// over one is refused with [`StorageError::Full`](crate::StorageError::Full).
///
/// The defaults are for the store of one connection. A store for many needs more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StorageLimits {
    /// Strings, list elements, hash fields and set members together. Default 4,096: a hash for
    /// the user and a long chat history.
    pub max_entries: usize,
    /// Bytes of all keys, fields and values together, each with 128 more for its bookkeeping.
    /// Many keys with one element each, or strings that were appended to, take up to twice as
    /// much memory; the rest takes about this much. Default 256 KiB, as much as the outbound
    /// buffer of a connection may hold.
    pub max_bytes: usize,
    /// Bytes of one key, field or value. Default 64 KiB.
    pub max_value: usize,
}

impl StorageLimits {
    /// Names the first limit that makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let options = [
            ("storage.max_entries", self.max_entries),
            ("storage.max_bytes", self.max_bytes),
            ("storage.max_value", self.max_value),
        ];
        positive(&options, "is zero: nothing could be stored; turn storage off instead")
    }
}

impl Default for StorageLimits {
    fn default() -> Self {
        Self { max_entries: 4_096, max_bytes: 256 << 10, max_value: 64 << 10 }
    }
}
