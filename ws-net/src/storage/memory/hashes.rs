use super::data::{Hash, Kind};
use super::keyspace::Keyspace;
use super::ledger::{Cost, Ledger};
use super::number;
use crate::{StorageError, StorageValue};

impl Keyspace {
    /// Stores a field, and answers whether it is new.
    pub(super) fn set_field(
        &mut self,
        key: &str,
        field: &[u8],
        value: &[u8],
    ) -> Result<bool, StorageError> {
        self.edit(key, |hash: &mut Hash, ledger| store(hash, ledger, field, value))
    }

    pub(super) fn remove_field(&mut self, key: &str, field: &[u8]) -> Result<bool, StorageError> {
        self.edit(key, |hash: &mut Hash, ledger| {
            let Some(value) = hash.remove(field) else { return Ok(false) };
            ledger.give(Cost::name(field) + value.cost());
            Ok(true)
        })
    }

    /// Adds to a field, which starts at 0, and answers its new value.
    pub(super) fn add_to_field(
        &mut self,
        key: &str,
        field: &[u8],
        by: i64,
    ) -> Result<i64, StorageError> {
        self.edit(key, |hash: &mut Hash, ledger| {
            let old = hash.get(field).map_or(Ok(0), |value| number::parse(value))?;
            let new = old.checked_add(by).ok_or(StorageError::Overflow)?;
            store(hash, ledger, field, new.to_string().as_bytes())?;
            Ok(new)
        })
    }

    pub(super) fn field(
        &self,
        key: &str,
        field: &[u8],
    ) -> Result<Option<StorageValue>, StorageError> {
        Ok(self.read::<Hash>(key)?.and_then(|hash| hash.get(field)).cloned())
    }

    /// Field, value, field, value and so on.
    pub(super) fn fields(&self, key: &str) -> Result<Vec<StorageValue>, StorageError> {
        let Some(hash) = self.read::<Hash>(key)? else { return Ok(vec![]) };
        let mut flat = Vec::with_capacity(2 * hash.len());
        flat.extend(hash.iter().flat_map(|(field, value)| [field.clone(), value.clone()]));
        Ok(flat)
    }

    pub(super) fn hash_len(&self, key: &str) -> Result<usize, StorageError> {
        Ok(self.read::<Hash>(key)?.map_or(0, Hash::len))
    }
}

fn store(
    hash: &mut Hash,
    ledger: &mut Ledger,
    field: &[u8],
    value: &[u8],
) -> Result<bool, StorageError> {
    let cost = Cost::value(value.len());
    if let Some(held) = hash.get_mut(field) {
        ledger.exchange(held.cost(), cost)?;
        *held = value.into();
        return Ok(false);
    }
    ledger.take(Cost::name(field) + cost)?;
    hash.insert(field.into(), value.into());
    Ok(true)
}
