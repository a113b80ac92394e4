use crate::ConfigError;
use crate::positive::positive;

/// How much a [`MemoryStorage`](crate::MemoryStorage) holds. All limits are inclusive; what is
/// over one is refused with [`StorageError::Full`](crate::StorageError::Full).
///
/// The defaults are for the store of one connection. A store for many needs more. Each field is set
/// by the method of its name, or in place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`max_entries`](Self#structfield.max_entries).
    pub fn max_entries(mut self, max: usize) -> Self {
        self.max_entries = max;
        self
    }

    /// Sets [`max_bytes`](Self#structfield.max_bytes), with 128 for each key, field and value.
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = max;
        self
    }

    /// Sets [`max_value`](Self#structfield.max_value), in bytes.
    pub fn max_value(mut self, max: usize) -> Self {
        self.max_value = max;
        self
    }

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
