use crate::serials::spread;

/// Where the entries of a list are, by their serial numbers, of which each is there once.
///
/// A place takes 4 bytes, since the list has the serial numbers already; in a `HashMap` it would be
/// 17. Nobody can choose serial numbers to make it slow, see
/// [`BySerial`](crate::serials::BySerial).
#[derive(Default)]
pub(crate) struct Index {
    /// One more than the place of an entry, or 0; from its home on the first slot that was free.
    /// There are a power of two, or none.
    slots: Vec<u32>,
}

impl Index {
    /// The place of an entry.
    pub(crate) fn find<T>(&self, serial: u64, entries: &[(u64, T)]) -> Option<usize> {
        self.slot_of(serial, entries).map(|(_, place)| place)
    }

    /// Notes the last entry, which was put in just now.
    pub(crate) fn push<T>(&mut self, entries: &[(u64, T)]) {
        // One slot in four stays free, so that searches are short.
        if entries.len() > self.slots.len() * 3 / 4 {
            return self.rebuild(entries, entries.len());
        }
        if let Some((serial, _)) = entries.last() {
            self.put(*serial, entries.len() as u32);
        }
    }

    /// Forgets an entry, and answers its place, which the last one has to take.
    pub(crate) fn swap_remove<T>(&mut self, serial: u64, entries: &[(u64, T)]) -> Option<usize> {
        let (slot, place) = self.slot_of(serial, entries)?;
        self.free(slot, entries);
        if let Some((last, _)) = entries.last()
            && let Some((slot, _)) = self.slot_of(*last, entries)
        {
            self.set(slot, place as u32 + 1);
        }
        Some(place)
    }

    /// Makes it anew with room for so many entries.
    pub(crate) fn rebuild<T>(&mut self, entries: &[(u64, T)], room: usize) {
        self.slots = vec![0; (room * 4 / 3 + 1).next_power_of_two()];
        for ((serial, _), number) in entries.iter().zip(1..) {
            self.put(*serial, number);
        }
    }

    /// The slot and the place of an entry.
    fn slot_of<T>(&self, serial: u64, entries: &[(u64, T)]) -> Option<(usize, usize)> {
        let mut slot = self.home(serial);
        loop {
            let place = (*self.slots.get(slot)? as usize).checked_sub(1)?;
            if entries.get(place)?.0 == serial {
                return Some((slot, place));
            }
            slot = self.behind(slot);
        }
    }

    fn put(&mut self, serial: u64, number: u32) {
        let mut slot = self.home(serial);
        while self.slots.get(slot).is_some_and(|taken| *taken != 0) {
            slot = self.behind(slot);
        }
        self.set(slot, number);
    }

    /// Frees a slot. What lies behind it moves up, unless its home is behind it as well.
    fn free<T>(&mut self, mut hole: usize, entries: &[(u64, T)]) {
        let mut slot = hole;
        loop {
            slot = self.behind(slot);
            let number = self.slots.get(slot).copied().unwrap_or_default();
            let entry = (number as usize).checked_sub(1).and_then(|place| entries.get(place));
            let Some((serial, _)) = entry else { break };
            if self.way(self.home(*serial), slot) >= self.way(hole, slot) {
                self.set(hole, number);
                hole = slot;
            }
        }
        self.set(hole, 0);
    }

    fn set(&mut self, slot: usize, number: u32) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = number;
        }
    }

    fn home(&self, serial: u64) -> usize {
        spread(serial) as usize & self.slots.len().wrapping_sub(1)
    }

    fn behind(&self, slot: usize) -> usize {
        (slot + 1) & self.slots.len().wrapping_sub(1)
    }

    /// Steps from one slot to another.
    fn way(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.slots.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Finds every entry, and no other.
    fn check(index: &Index, entries: &[(u64, ())]) {
        for (place, (serial, ())) in entries.iter().enumerate() {
            assert_eq!(index.find(*serial, entries), Some(place));
        }
        assert_eq!(index.slots.iter().filter(|slot| **slot != 0).count(), entries.len());
    }

    #[test]
    fn searches_are_short() {
        for step in [1, 2, 16, 1000, 1024] {
            let (mut index, mut entries) = (Index::default(), Vec::new());
            for serial in 1..=10_000 {
                entries.push((serial * step + 7, ()));
                index.push(&entries);
            }
            check(&index, &entries);
            assert_eq!(index.slots.len(), 16_384);
            let steps = entries.iter().map(|(serial, ())| {
                let (slot, _) = index.slot_of(*serial, &entries).unwrap();
                index.way(index.home(*serial), slot)
            });
            let steps: usize = steps.sum();
            assert!(steps < 2 * entries.len(), "every {step}th: {steps}");
        }
    }

    proptest! {
        #[test]
        fn like_a_set(steps in prop::collection::vec((any::<bool>(), 0..40_u64), 0..400)) {
            let (mut index, mut entries) = (Index::default(), Vec::new());
            let mut twin = HashSet::new();
            for (comes, serial) in steps {
                prop_assert_eq!(index.find(serial, &entries).is_some(), twin.contains(&serial));
                if comes && twin.insert(serial) {
                    entries.push((serial, ()));
                    index.push(&entries);
                } else if !comes {
                    let place = index.swap_remove(serial, &entries);
                    prop_assert_eq!(place.is_some(), twin.remove(&serial));
                    if let Some(place) = place {
                        entries.swap_remove(place);
                    }
                }
                check(&index, &entries);
            }
            index.rebuild(&entries, 100);
            check(&index, &entries);
        }
    }
}
