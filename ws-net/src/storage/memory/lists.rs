use std::ops::Range;

use super::data::{Kind, List};
use super::keyspace::Keyspace;
use super::ledger::Cost;
use crate::{StorageError, StorageValue};

impl Keyspace {
    pub(super) fn push_front(&mut self, key: &str, element: &[u8]) -> Result<usize, StorageError> {
        self.push(key, element, List::push_front)
    }

    pub(super) fn push_back(&mut self, key: &str, element: &[u8]) -> Result<usize, StorageError> {
        self.push(key, element, List::push_back)
    }

    pub(super) fn pop_front(&mut self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        self.pop(key, List::pop_front)
    }

    pub(super) fn pop_back(&mut self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        self.pop(key, List::pop_back)
    }

    /// Keeps the elements from `start` to `stop`.
    pub(super) fn trim(&mut self, key: &str, start: i64, stop: i64) -> Result<(), StorageError> {
        self.edit(key, |list: &mut List, ledger| {
            let kept = span(list.len(), start, stop);
            let dropped = list.range(kept.end..).chain(list.range(..kept.start));
            ledger.give(dropped.map(Kind::cost).sum());
            list.truncate(kept.end);
            list.drain(..kept.start);
            Ok(())
        })
    }

    /// The elements from `start` to `stop`.
    pub(super) fn range(
        &self,
        key: &str,
        start: i64,
        stop: i64,
    ) -> Result<Vec<StorageValue>, StorageError> {
        let Some(list) = self.read::<List>(key)? else { return Ok(vec![]) };
        Ok(list.range(span(list.len(), start, stop)).cloned().collect())
    }

    pub(super) fn list_len(&self, key: &str) -> Result<usize, StorageError> {
        Ok(self.read::<List>(key)?.map_or(0, List::len))
    }

    fn push(
        &mut self,
        key: &str,
        element: &[u8],
        put: impl FnOnce(&mut List, StorageValue),
    ) -> Result<usize, StorageError> {
        self.edit(key, |list: &mut List, ledger| {
            ledger.take(Cost::value(element.len()))?;
            put(list, element.into());
            Ok(list.len())
        })
    }

    fn pop(
        &mut self,
        key: &str,
        take: impl FnOnce(&mut List) -> Option<StorageValue>,
    ) -> Result<Option<StorageValue>, StorageError> {
        self.edit(key, |list: &mut List, ledger| {
            let element = take(list);
            if let Some(element) = &element {
                ledger.give(element.cost());
            }
            Ok(element)
        })
    }
}

/// The indices from `start` to `stop`, both included and counted from the end when negative, as
/// far as there are any.
fn span(len: usize, start: i64, stop: i64) -> Range<usize> {
    let index = |at: i64| {
        let distance = usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX);
        if at < 0 { len.checked_sub(distance) } else { Some(distance) }
    };
    let end = index(stop).map_or(0, |stop| stop.saturating_add(1).min(len));
    index(start).unwrap_or(0).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn indices_count_from_both_ends() {
        let cases = [
            ((0, -1), 0..5),
            ((1, 3), 1..4),
            ((-3, -2), 2..4),
            ((-100, 100), 0..5),
            ((i64::MIN, i64::MAX), 0..5),
            ((4, 4), 4..5),
            ((-5, -5), 0..1),
        ];
        for ((start, stop), expected) in cases {
            assert_eq!(span(5, start, stop), expected, "{start} {stop}");
        }
        for (start, stop) in [(5, 9), (3, 2), (-1, -2), (0, -6), (i64::MAX, i64::MAX)] {
            assert!(span(5, start, stop).is_empty(), "{start} {stop}");
        }
        assert!(span(0, 0, -1).is_empty());
    }
}
