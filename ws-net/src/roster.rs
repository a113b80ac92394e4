use std::sync::Mutex;

use crate::index::Index;
use crate::relay::Member;
use crate::relay::seats::Seats;
use crate::waiters::lock;

/// Entries under serial numbers: found and taken out in constant time, gone through without gaps.
pub(crate) struct Roster<T> {
    table: Mutex<Table<T>>,
    /// Entries for which room is kept, so that a few who come and go cost no allocations.
    kept: usize,
}

struct Table<T> {
    entries: Vec<(u64, T)>,
    index: Index,
    seats: Seats<T>,
}

/// A roster while nobody can come, leave or look.
pub(crate) struct Circle<'a, T> {
    pub(crate) entries: &'a [(u64, T)],
    pub(crate) seats: &'a mut Seats<T>,
    index: &'a Index,
}

impl<T> Circle<'_, T> {
    /// The place of an entry.
    pub(crate) fn find(&self, serial: u64) -> Option<usize> {
        self.index.find(serial, self.entries)
    }
}

impl<T: Member> Roster<T> {
    /// One that keeps room for `kept` entries.
    pub(crate) fn keeping(kept: usize) -> Self {
        let table = Table { entries: Vec::new(), index: Index::default(), seats: Seats::default() };
        Self { table: Mutex::new(table), kept }
    }

    /// Puts an entry in. One with the same serial number is replaced.
    pub(crate) fn insert(&self, serial: u64, entry: T) {
        let table = &mut *lock(&self.table);
        let at = table.index.find(serial, &table.entries);
        if let Some(old) = at.and_then(|at| table.entries.get_mut(at)) {
            old.1 = entry;
            return;
        }
        table.entries.push((serial, entry));
        table.index.push(&table.entries);
    }

    /// Takes an entry out.
    pub(crate) fn remove(&self, serial: u64) -> Option<T> {
        lock(&self.table).remove(serial, self.kept)
    }

    /// Moves an entry. Who goes through this roster and then through the other one meets it.
    pub(crate) fn pass_on(&self, serial: u64, other: &Self) {
        let mut table = lock(&self.table);
        if let Some(entry) = table.remove(serial, self.kept) {
            other.insert(serial, entry);
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        lock(&self.table).entries.len()
    }

    /// Looks at one entry.
    pub(crate) fn find<V>(&self, serial: u64, f: impl FnOnce(&T) -> V) -> Option<V> {
        let table = lock(&self.table);
        let at = table.index.find(serial, &table.entries)?;
        table.entries.get(at).map(|(_, entry)| f(entry))
    }

    /// Looks at every entry, in no order, under the lock: `f` runs no code of users.
    pub(crate) fn each(&self, mut f: impl FnMut(u64, &T)) {
        for (serial, entry) in &lock(&self.table).entries {
            f(*serial, entry);
        }
    }

    /// Calls `f` while nobody can come, leave or look: it runs no code of users.
    pub(crate) fn hold<V>(&self, f: impl FnOnce(Circle<'_, T>) -> V) -> V {
        let Table { entries, index, seats } = &mut *lock(&self.table);
        seats.set_len(entries.len());
        f(Circle { entries, seats, index })
    }
}

impl<T: Member> Table<T> {
    fn remove(&mut self, serial: u64, kept: usize) -> Option<T> {
        let at = self.index.swap_remove(serial, &self.entries)?;
        let (_, entry) = self.entries.swap_remove(at);
        self.seats.swap_remove(at, self.entries.len() + 1);
        if self.entries.len().max(kept / 4) < self.entries.capacity() / 4 {
            let room = kept.max(self.entries.len() * 2);
            self.entries.shrink_to(room);
            self.seats.shrink_to(room);
            self.index.rebuild(&self.entries, room);
        }
        Some(entry)
    }
}

impl<T: Member> Default for Roster<T> {
    fn default() -> Self {
        Self::keeping(0)
    }
}

/// Nobody that anything is sent to.
#[cfg(test)]
impl Member for u64 {
    fn leave(&self) {}

    fn summon(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::iter;

    use ws_proto::Prepared;

    use super::*;
    use crate::relay::Sleeper;

    fn serials(roster: &Roster<u64>) -> Vec<u64> {
        let mut serials = Vec::new();
        roster.each(|serial, entry| {
            assert_eq!(*entry, serial * 10);
            serials.push(serial);
        });
        serials.sort_unstable();
        serials
    }

    #[test]
    fn entries_are_found_after_others_left() {
        let roster = Roster::default();
        (1..=100).for_each(|serial| roster.insert(serial, serial * 10));
        for serial in (1..=100).filter(|serial| serial % 3 != 0) {
            assert_eq!(roster.remove(serial), Some(serial * 10));
            assert_eq!(roster.remove(serial), None);
        }
        let left: Vec<_> = (1..=100).filter(|serial| serial % 3 == 0).collect();
        assert_eq!((serials(&roster), roster.len()), (left.clone(), 33));
        for serial in left {
            assert_eq!(roster.find(serial, |entry| *entry), Some(serial * 10));
        }
        assert_eq!(roster.find(1, |entry| *entry), None);
    }

    #[test]
    fn memory_follows_the_number_of_entries() {
        let roster = Roster::default();
        (0..10_000).for_each(|serial| roster.insert(serial, serial * 10));
        (10..10_000).for_each(|serial| assert!(roster.remove(serial).is_some()));
        assert!(lock(&roster.table).entries.capacity() < 100);
        assert_eq!(serials(&roster), (0..10).collect::<Vec<_>>());
    }

    /// Gives all of them seats.
    fn seat(roster: &Roster<u64>) {
        roster.hold(|circle| {
            let sleeper = Sleeper { home: 1, format: None, queued: 0 };
            for (at, (_, entry)) in circle.entries.iter().enumerate() {
                assert!(circle.seats.take_in(at, entry, &sleeper).is_some());
            }
        });
    }

    #[test]
    fn seats_follow_the_number_of_entries() {
        let (roster, message) = (Roster::default(), Prepared::new("one"));
        (0..10_000).for_each(|serial| roster.insert(serial, serial * 10));
        seat(&roster);
        roster.hold(|circle| assert_eq!(circle.seats.push(&message, 1000, None), 0));
        (10..10_000).rev().for_each(|serial| assert!(roster.remove(serial).is_some()));
        roster.hold(|circle| {
            assert_eq!(circle.seats.push(&message, 1000, None), 0);
            assert!(circle.seats.capacity() < 100, "{}", circle.seats.capacity());
            let missed = iter::from_fn(|| circle.seats.next_missed());
            assert_eq!(missed.collect::<BTreeSet<_>>(), (0..10).collect());
        });
    }

    #[test]
    fn a_roster_in_which_all_have_seats_is_not_gone_through() {
        let roster = Roster::default();
        (0..100).for_each(|serial| roster.insert(serial, serial * 10));
        seat(&roster);
        roster.hold(|circle| assert!(!circle.seats.are_short(None)));
        roster.insert(100, 1000);
        roster.hold(|circle| {
            assert!(circle.seats.are_short(None) && circle.seats.are_short(Some(1)));
            assert!(!circle.seats.are_short(Some(100)));
        });
        // The newcomer takes the place of one who leaves.
        assert_eq!(roster.remove(1), Some(10));
        roster.hold(|circle| {
            assert!(circle.seats.are_short(Some(99)) && !circle.seats.are_short(Some(1)));
        });
    }

    #[test]
    fn entries_are_passed_on() {
        let [one, other] = [Roster::default(), Roster::default()];
        one.insert(1, 10);
        one.pass_on(1, &other);
        one.pass_on(2, &other);
        assert_eq!((one.len(), serials(&other)), (0, vec![1]));
    }

    #[test]
    fn a_serial_number_has_one_entry() {
        let roster = Roster::default();
        roster.insert(1, 0);
        roster.insert(1, 10);
        assert_eq!((serials(&roster), roster.len()), (vec![1], 1));
    }
}
