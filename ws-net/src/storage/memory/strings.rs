use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::keyspace::Keyspace;
use super::ledger::Cost;
use super::number;
use crate::{Instant, StorageError, StorageValue};

impl Keyspace {
    pub(super) fn put_new(&mut self, key: &str, value: &[u8]) -> Result<bool, StorageError> {
        if self.contains(key) {
            return Ok(false);
        }
        self.put(key, value)?;
        Ok(true)
    }

    pub(super) fn put_until(
        &mut self,
        key: &str,
        value: &[u8],
        time: Duration,
        now: Instant,
    ) -> Result<(), StorageError> {
        if time.is_zero() {
            return Err(StorageError::InvalidExpiry);
        }
        self.put(key, value)?;
        self.expire(key, time, now);
        Ok(())
    }

    /// Stores a string and answers the one before.
    pub(super) fn exchange(
        &mut self,
        key: &str,
        value: &[u8],
    ) -> Result<Option<StorageValue>, StorageError> {
        let before = self.get(key)?;
        self.put(key, value)?;
        Ok(before)
    }

    pub(super) fn append(&mut self, key: &str, tail: &[u8]) -> Result<usize, StorageError> {
        self.edit(key, |value: &mut StorageValue, ledger| {
            let len = value.len().saturating_add(tail.len());
            ledger.exchange(Cost::value(value.len()), Cost::value(len))?;
            // In place, unless somebody still holds what was read before.
            let head = std::mem::take(value).into_bytes();
            let mut bytes = head.try_into_mut().unwrap_or_else(|head| BytesMut::from(&head[..]));
            bytes.extend_from_slice(tail);
            *value = Bytes::from(bytes).into();
            Ok(len)
        })
    }

    /// Adds to a counter, which starts at 0, and answers its new value.
    pub(super) fn add(&mut self, key: &str, by: i64) -> Result<i64, StorageError> {
        let old = self.read::<StorageValue>(key)?.map_or(Ok(0), |value| number::parse(value))?;
        let new = old.checked_add(by).ok_or(StorageError::Overflow)?;
        self.edit(key, |value: &mut StorageValue, ledger| {
            let text = new.to_string();
            ledger.exchange(Cost::value(value.len()), Cost::value(text.len()))?;
            *value = text.into();
            Ok(new)
        })
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        Ok(self.read::<StorageValue>(key)?.cloned())
    }

    pub(super) fn string_len(&self, key: &str) -> Result<usize, StorageError> {
        Ok(self.read::<StorageValue>(key)?.map_or(0, |value| value.len()))
    }
}
