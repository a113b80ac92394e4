use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by the serial numbers of connections. They are counted by this process, so nobody can
/// choose them to make a table slow, and spreading them takes one multiplication.
pub(crate) type BySerial<V> = HashMap<u64, V, BuildHasherDefault<SerialHasher>>;

/// Hashes one serial number.
#[derive(Clone, Default)]
pub(crate) struct SerialHasher(u64);

/// 2^64 divided by the golden ratio: the numbers in a row end far from each other.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for SerialHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, serial: u64) {
        self.0 = (self.0 ^ serial).wrapping_mul(SPREAD);
    }

    /// Tables take the place of an entry from the low bits, which a product mixes least.
    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// The hash of one serial number, for tables of other kinds.
pub(crate) fn spread(serial: u64) -> u64 {
    let mut hasher = SerialHasher::default();
    hasher.write_u64(serial);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn serial_numbers_are_spread_over_the_low_and_the_high_bits() {
        let hasher = BuildHasherDefault::<SerialHasher>::default();
        for step in [1, 2, 16, 1000, 1024] {
            let spread: Vec<_> = (1..=1024).map(|n| hasher.hash_one(n * step + 7)).collect();
            let places: HashSet<_> = spread.iter().map(|hash| hash & 0x7FF).collect();
            assert!(places.len() > 600, "steps of {step}: {} places", places.len());
            // They tell entries of one place apart by the seven highest.
            let tags: HashSet<_> = spread.iter().map(|hash| hash >> 57).collect();
            assert!(tags.len() > 100, "steps of {step}: {} tags", tags.len());
        }
        assert_ne!(hasher.hash_one("ab"), hasher.hash_one("ba"));
    }
}
