//! A generator that repeats itself, so that every test does.

use ws_proto::Entropy;

/// A linear congruential generator: no secret, but well spread and the same in every run.
#[derive(Clone, Debug)]
pub struct Repeatable(u64);

impl Repeatable {
    /// A generator whose bytes follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    /// The next number below `limit`, or 0 for a limit of 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        (u64::from_le_bytes(bytes) as usize).checked_rem(limit).unwrap_or(0)
    }
}

impl Entropy for Repeatable {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// So many bytes that do not compress, always the same.
pub fn noise(n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    Repeatable::new(n as u64).fill(&mut bytes);
    bytes
}
