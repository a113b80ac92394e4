use std::ops::Add;

use crate::{StorageError, StorageLimits};

/// What the bookkeeping of one key, field or value takes: its place in a table that has just
/// grown, its header, and the rounding of the allocator.
const OVERHEAD: usize = 128;

/// What something takes of the limits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Cost {
    entries: usize,
    bytes: usize,
    longest: usize,
}

impl Cost {
    /// A key or a field, which is no entry without its value.
    pub(super) fn name(name: &[u8]) -> Self {
        Self { entries: 0, bytes: name.len() + OVERHEAD, longest: name.len() }
    }

    /// A string, an element, the value of a field or a member, of `len` bytes.
    pub(super) fn value(len: usize) -> Self {
        Self { entries: 1, bytes: len.saturating_add(OVERHEAD), longest: len }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
            longest: self.longest.max(other.longest),
        }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// What a store holds, and may hold.
#[derive(Debug)]
pub(super) struct Ledger {
    limits: StorageLimits,
    entries: usize,
    bytes: usize,
}

impl Ledger {
    pub(super) fn new(limits: StorageLimits) -> Self {
        Self { limits, entries: 0, bytes: 0 }
    }

    /// Takes `cost` on, or names the limit that it would break.
    pub(super) fn take(&mut self, cost: Cost) -> Result<(), StorageError> {
        self.exchange(Cost::default(), cost)
    }

    /// Gives `cost` back, which was taken before.
    pub(super) fn give(&mut self, cost: Cost) {
        self.entries -= cost.entries;
        self.bytes -= cost.bytes;
    }

    /// Gives `old` back and takes `new` on; if that would break a limit, nothing changes.
    pub(super) fn exchange(&mut self, old: Cost, new: Cost) -> Result<(), StorageError> {
        let entries = (self.entries - old.entries).saturating_add(new.entries);
        let bytes = (self.bytes - old.bytes).saturating_add(new.bytes);
        let StorageLimits { max_entries, max_bytes, max_value } = self.limits;
        let full = |limit, max| Err(StorageError::Full { limit, max });
        if new.longest > max_value {
            return full("max_value", max_value);
        }
        if entries > max_entries {
            return full("max_entries", max_entries);
        }
        if bytes > max_bytes {
            return full("max_bytes", max_bytes);
        }
        (self.entries, self.bytes) = (entries, bytes);
        Ok(())
    }

    /// Whether this is all that was taken.
    #[cfg(test)]
    pub(super) fn holds(&self, cost: Cost) -> bool {
        (self.entries, self.bytes) == (cost.entries, cost.bytes)
    }
}
