use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::data::{Data, Kind, is_loose};
use super::glob;
use super::ledger::{Cost, Ledger};
use crate::{Instant, StorageError, StorageLimits, StorageValue};

/// All keys of a store. The commands of each type are in the file of that type.
pub(super) struct Keyspace {
    entries: HashMap<Arc<str>, Entry>,
    /// The keys that expire, the next one first.
    deadlines: BTreeSet<(Instant, Arc<str>)>,
    ledger: Ledger,
}

#[derive(Debug)]
struct Entry {
    data: Data,
    deadline: Option<Instant>,
}

impl Keyspace {
    pub(super) fn new(limits: StorageLimits) -> Self {
        Self { entries: HashMap::new(), deadlines: BTreeSet::new(), ledger: Ledger::new(limits) }
    }

    /// Drops what has expired. Called before every command, so no command meets such a key; each
    /// key that is dropped was paid for when it was given its deadline.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= now) {
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.remove(&key);
            }
        }
    }

    /// Stores a string in the place of anything, without a deadline.
    pub(super) fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StorageError> {
        let cost = Cost::value(value.len());
        if let Some(entry) = self.entries.get_mut(key) {
            self.ledger.exchange(entry.data.cost(), cost)?;
            entry.data = Data::String(value.into());
            if entry.deadline.is_some() {
                self.persist(key);
            }
        } else {
            self.ledger.take(Cost::name(key.as_bytes()) + cost)?;
            self.insert(key, Data::String(value.into()));
        }
        Ok(())
    }

    /// Changes what the key holds, which must be a `T`. A key that does not exist starts with the
    /// default, and one that is left with nothing goes. When `change` fails it must have changed
    /// nothing; it takes from the ledger what it adds, and gives back what it removes.
    pub(super) fn edit<T: Kind, R>(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut T, &mut Ledger) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let Some(entry) = self.entries.get_mut(key) else { return self.create(key, change) };
        let held = T::of_mut(&mut entry.data).ok_or(StorageError::WrongType)?;
        let answer = change(held, &mut self.ledger)?;
        if held.is_spent() {
            self.remove(key);
        } else {
            held.shrink();
        }
        Ok(answer)
    }

    /// Removes a key, and answers whether it existed.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return false };
        self.ledger.give(Cost::name(key.as_bytes()) + entry.data.cost());
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        if is_loose(self.entries.len(), self.entries.capacity()) {
            self.entries.shrink_to(2 * self.entries.len());
        }
        true
    }

    /// Sets the deadline of a key; `time` is rounded up to milliseconds, and zero removes the
    /// key. Answers whether it existed.
    pub(super) fn expire(&mut self, key: &str, time: Duration, now: Instant) -> bool {
        if time.is_zero() {
            return self.remove(key);
        }
        self.persist(key);
        let Some((shared, _)) = self.entries.get_key_value(key) else { return false };
        let shared = Arc::clone(shared);
        let millis = time.as_nanos().div_ceil(NANOS_PER_MILLI.into());
        let millis = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let deadline = now + millis;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.deadline = Some(deadline);
            self.deadlines.insert((deadline, shared));
        }
        true
    }

    /// Takes the deadline of a key away, and answers whether there was one.
    pub(super) fn persist(&mut self, key: &str) -> bool {
        let Some((shared, _)) = self.entries.get_key_value(key) else { return false };
        let shared = Arc::clone(shared);
        let deadline = self.entries.get_mut(key).and_then(|entry| entry.deadline.take());
        deadline.is_some_and(|deadline| self.deadlines.remove(&(deadline, shared)))
    }

    /// What the key holds, which must be a `T`.
    pub(super) fn read<T: Kind>(&self, key: &str) -> Result<Option<&T>, StorageError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        T::of(&entry.data).ok_or(StorageError::WrongType).map(Some)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn type_name(&self, key: &str) -> &'static str {
        self.entries.get(key).map_or("none", |entry| entry.data.type_name())
    }

    /// The keys that match a glob pattern.
    pub(super) fn matching(&self, pattern: &str) -> Vec<StorageValue> {
        let matches = |key: &&Arc<str>| glob::matches(pattern.as_bytes(), key.as_bytes());
        self.entries.keys().filter(matches).map(|key| (&**key).into()).collect()
    }

    /// Milliseconds to the deadline, rounded up; -1 without a deadline, -2 without a key.
    pub(super) fn millis_left(&self, key: &str, now: Instant) -> i64 {
        let Some(entry) = self.entries.get(key) else { return -2 };
        let Some(deadline) = entry.deadline else { return -1 };
        let nanos = deadline.as_nanos().saturating_sub(now.as_nanos());
        i64::try_from(nanos.div_ceil(NANOS_PER_MILLI)).unwrap_or(i64::MAX)
    }

    /// Panics where the books differ from what is held, or memory was not given back.
    #[cfg(test)]
    pub(super) fn audit(&self) {
        let cost = |(key, entry): (&Arc<str>, &Entry)| {
            let (len, capacity) = match &entry.data {
                Data::String(_) => (1, 1),
                Data::List(list) => (list.len(), list.capacity()),
                Data::Hash(hash) => (hash.len(), hash.capacity()),
                Data::Set(set) => (set.len(), set.capacity()),
            };
            assert!(len > 0 && !is_loose(len, capacity), "{len} of {capacity}: {entry:?}");
            Cost::name(key.as_bytes()) + entry.data.cost()
        };
        assert!(self.ledger.holds(self.entries.iter().map(cost).sum()), "{:?}", self.ledger);
        let deadline = |(key, entry): (&Arc<str>, &Entry)| Some((entry.deadline?, key.clone()));
        let deadlines: BTreeSet<_> = self.entries.iter().filter_map(deadline).collect();
        assert_eq!(self.deadlines, deadlines);
        assert!(!is_loose(self.entries.len(), self.entries.capacity()));
    }

    fn create<T: Kind, R>(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut T, &mut Ledger) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let mut made = T::default();
        self.ledger.take(made.cost())?;
        let answer = change(&mut made, &mut self.ledger).and_then(|answer| {
            if !made.is_spent() {
                self.ledger.take(Cost::name(key.as_bytes()))?;
            }
            Ok(answer)
        });
        if answer.is_err() || made.is_spent() {
            self.ledger.give(made.cost());
        } else {
            self.insert(key, made.into_data());
        }
        answer
    }

    fn insert(&mut self, key: &str, data: Data) {
        self.entries.insert(key.into(), Entry { data, deadline: None });
    }
}

const NANOS_PER_MILLI: u64 = 1_000_000;
