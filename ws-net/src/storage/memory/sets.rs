use super::data::Set;
use super::keyspace::Keyspace;
use super::ledger::Cost;
use crate::{StorageError, StorageValue};

impl Keyspace {
    /// Adds a member, and answers whether it is new.
    pub(super) fn add_member(&mut self, key: &str, member: &[u8]) -> Result<bool, StorageError> {
        self.edit(key, |set: &mut Set, ledger| {
            if set.contains(member) {
                return Ok(false);
            }
            ledger.take(Cost::value(member.len()))?;
            Ok(set.insert(member.into()))
        })
    }

    pub(super) fn remove_member(&mut self, key: &str, member: &[u8]) -> Result<bool, StorageError> {
        self.edit(key, |set: &mut Set, ledger| {
            if !set.remove(member) {
                return Ok(false);
            }
            ledger.give(Cost::value(member.len()));
            Ok(true)
        })
    }

    pub(super) fn members(&self, key: &str) -> Result<Vec<StorageValue>, StorageError> {
        Ok(self.read::<Set>(key)?.map_or_else(Vec::new, |set| set.iter().cloned().collect()))
    }

    pub(super) fn has_member(&self, key: &str, member: &[u8]) -> Result<bool, StorageError> {
        Ok(self.read::<Set>(key)?.is_some_and(|set| set.contains(member)))
    }

    pub(super) fn set_len(&self, key: &str) -> Result<usize, StorageError> {
        Ok(self.read::<Set>(key)?.map_or(0, Set::len))
    }
}
