use std::collections::{BTreeMap, VecDeque};

use ws_proto::Instant;

/// What waits for its time, in order. Most of it comes behind all others, and nothing twice.
///
/// It lies in runs that are filled before the next one begins. A `BTreeMap` by itself leaves its
/// nodes half empty when keys come in order, and so takes twice the memory.
pub(crate) struct Queue<T> {
    /// Each run under a key that is not above its own, and above those of the runs before it. The
    /// last one keeps its memory when it is the only one, also when nothing is in it, so that a few
    /// that come and go cost no allocations.
    runs: BTreeMap<Key, VecDeque<(Key, T)>>,
}

/// The time; serial numbers tell those of the same time apart.
pub(crate) type Key = (Instant, u64);

/// Not above any other.
const LOWEST: Key = (Instant::from_nanos(0), 0);

/// Entries of a run at most: so few that one more in their middle costs little.
const RUN: usize = 64;

impl<T> Queue<T> {
    /// Puts a value in.
    pub(crate) fn insert(&mut self, key: Key, value: T) {
        let entry = (key, value);
        let Some((_, run)) = self.runs.range_mut(..=key).next_back() else {
            // Everything below the next run has its place in this one.
            self.runs.insert(LOWEST, VecDeque::from([entry]));
            return;
        };
        let is_last = run.back().is_none_or(|last| last.0 <= key);
        if is_last && run.len() < RUN {
            return run.push_back(entry);
        }
        let at = run.partition_point(|other| other.0 <= key);
        if run.len() < RUN {
            return run.insert(at, entry);
        }
        let mut behind = run.split_off(if at == RUN { at } else { RUN / 2 });
        behind.reserve_exact(RUN - behind.len());
        match at.checked_sub(run.len()) {
            Some(at) => behind.insert(at, entry),
            None => run.insert(at, entry),
        }
        if let Some(first) = behind.front() {
            self.runs.insert(first.0, behind);
        }
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let alone = self.runs.len() == 1;
        let (bound, run) = self.runs.range_mut(..=key).next_back()?;
        let bound = *bound;
        let at = run.binary_search_by_key(&key, |entry| entry.0).ok()?;
        let (_, value) = run.remove(at)?;
        if !alone && !tidy(run) {
            self.runs.remove(&bound);
        }
        Some(value)
    }

    /// Takes the first value out if its time is not behind `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let alone = self.runs.len() == 1;
        let (bound, run) = self.runs.iter_mut().next()?;
        let bound = *bound;
        run.front().filter(|first| first.0.0 <= now)?;
        let (_, value) = run.pop_front()?;
        if !alone && !tidy(run) {
            self.runs.remove(&bound);
        }
        Some(value)
    }

    /// The first time.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.runs.values().next()?.front().map(|first| first.0.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// All values, in order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.runs.into_values().flatten().map(|entry| entry.1)
    }
}

/// Gives memory back for a run from which something was taken; `false` when nothing is left in it.
fn tidy<T>(run: &mut VecDeque<T>) -> bool {
    if run.len() <= run.capacity() / 4 {
        run.shrink_to(run.len() * 2);
    }
    !run.is_empty()
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { runs: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::btree_map::{BTreeMap, OccupiedEntry};

    use proptest::prelude::*;

    use super::*;

    fn key(nanos: u64) -> Key {
        (Instant::from_nanos(nanos / 4), nanos % 4)
    }

    #[test]
    fn runs_of_keys_in_order_are_full() {
        let mut queue = Queue::default();
        (0..1000).for_each(|n| queue.insert(key(n), n));
        let room: usize = queue.runs.values().map(VecDeque::capacity).sum();
        assert!(room <= 1000 + RUN, "{room}");
        (0..990).for_each(|n| assert_eq!(queue.remove(key(n)), Some(n)));
        let room: usize = queue.runs.values().map(VecDeque::capacity).sum();
        assert!(room <= RUN, "{room}");
        assert!(queue.into_values().eq(990..1000));
    }

    #[test]
    fn a_few_that_come_and_go_take_no_new_memory() {
        let mut queue = Queue::default();
        let mut rooms = Vec::new();
        for round in 0..5 {
            (0..50).for_each(|n| queue.insert(key(round * 50 + n), n));
            rooms.push(queue.runs.values().map(VecDeque::capacity).collect::<Vec<_>>());
            (0..50).for_each(|n| assert_eq!(queue.remove(key(round * 50 + n)), Some(n)));
            assert!(queue.is_empty() && queue.first().is_none());
        }
        assert_eq!(rooms, [[RUN]; 5]);
    }

    proptest! {
        #[test]
        fn like_a_map(steps in prop::collection::vec((0..5_u8, 0..600_u64), 0..1500)) {
            let (mut queue, mut twin, mut next) = (Queue::default(), BTreeMap::<Key, u64>::new(), 600);
            for (step, n) in steps {
                match step {
                    0 => {
                        prop_assert_eq!(queue.remove(key(n)), twin.remove(&key(n)));
                    }
                    1 => {
                        let now = Instant::from_nanos(n / 8);
                        let first = twin.first_entry().filter(|first| first.key().0 <= now);
                        prop_assert_eq!(queue.pop(now), first.map(OccupiedEntry::remove));
                    }
                    2 if !twin.contains_key(&key(n)) => {
                        queue.insert(key(n), n);
                        twin.insert(key(n), n);
                    }
                    _ => {
                        next += 1;
                        queue.insert(key(next), next);
                        twin.insert(key(next), next);
                    }
                }
                prop_assert_eq!(queue.first(), twin.first_key_value().map(|(key, _)| key.0));
                prop_assert_eq!(queue.is_empty(), twin.is_empty());
            }
            prop_assert!(queue.into_values().eq(twin.into_values()));
        }
    }
}
