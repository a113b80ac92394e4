//! Masking (RFC 6455 section 5.3): XOR with a key of four bytes, repeated.
//!
//! The loops run over fixed-size arrays, which the compiler turns into the widest registers that it
//! may use: those that every processor of the target has, and for what is long those of this one.

#![expect(clippy::inline_always, reason = "to be compiled for the registers of who calls it")]

use alloc::vec::Vec;

use crate::unchecked::{Loop, run_wide};

/// Bytes per step of the wide loop.
const WIDE: usize = 64;

/// The same for what is long.
const WIDER: usize = 256;

struct Apply<'a> {
    key: [u8; 4],
    steps: &'a mut [[u8; WIDER]],
}

impl Loop for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for step in self.steps {
            *step = masked(self.key, step);
        }
    }
}

struct Append<'a> {
    key: [u8; 4],
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Loop for Append<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        append_in_steps::<WIDER>(self.key, self.bytes, self.out);
    }
}

/// Masks or unmasks in place; `key` is that of the first byte.
pub(crate) fn apply(key: [u8; 4], bytes: &mut [u8]) {
    let (wider, rest) = bytes.as_chunks_mut::<WIDER>();
    if !wider.is_empty() {
        run_wide(Apply { key, steps: wider });
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for word in words {
        *word = masked(key, word);
    }
    let (half, rest) = rest.as_chunks_mut::<4>();
    for half in half {
        *half = masked(key, half);
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Appends `bytes` to `out`, masked or unmasked, in one pass.
#[inline]
pub(crate) fn append(key: [u8; 4], bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len());
    match bytes.len() {
        WIDER.. => run_wide(Append { key, bytes, out }),
        WIDE.. => append_in_steps::<WIDE>(key, bytes, out),
        16.. => append_in_steps::<16>(key, bytes, out),
        4.. => append_in_steps::<4>(key, bytes, out),
        _ => bytes.iter().zip(&key).for_each(|(byte, key)| out.push(byte ^ key)),
    }
}

/// The same for at least `N` bytes, a multiple of four. What no step is left for is in the last
/// one, which begins before the end of the one before it.
#[inline(always)]
fn append_in_steps<const N: usize>(key: [u8; 4], bytes: &[u8], out: &mut Vec<u8>) {
    let (steps, rest) = bytes.as_chunks::<N>();
    for step in steps {
        out.extend_from_slice(&masked(key, step));
    }
    if let (1.., Some(last)) = (rest.len(), bytes.last_chunk::<N>()) {
        out.truncate(out.len() + rest.len() - N);
        out.extend_from_slice(&masked(rotate(key, rest.len()), last));
    }
}

#[inline(always)]
fn masked<const N: usize>(key: [u8; 4], bytes: &[u8; N]) -> [u8; N] {
    let mut bytes = *bytes;
    let (words, half) = bytes.as_chunks_mut::<8>();
    for part in words {
        *part = (u64::from_ne_bytes(*part) ^ word(key)).to_ne_bytes();
    }
    for part in half.as_chunks_mut::<4>().0 {
        *part = (u32::from_ne_bytes(*part) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    bytes
}

/// The key twice.
fn word(key: [u8; 4]) -> u64 {
    u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001
}

/// The key for what follows after `n` masked bytes.
#[inline]
pub(crate) fn rotate(key: [u8; 4], n: usize) -> [u8; 4] {
    u32::from_le_bytes(key).rotate_right(8 * (n % 4) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive twin, as the RFC writes it.
    fn naive(key: [u8; 4], bytes: &[u8]) -> Vec<u8> {
        bytes.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    proptest! {
        #[test]
        fn like_the_rfc(key: [u8; 4], bytes in prop::collection::vec(any::<u8>(), 0..900), at in 0usize..900) {
            let expected = naive(key, &bytes);
            let mut in_place = bytes.clone();
            apply(key, &mut in_place);
            prop_assert_eq!(&in_place, &expected);

            let mut copied = Vec::from(*b"before");
            append(key, &bytes, &mut copied);
            prop_assert_eq!(&copied[6..], &expected);

            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            let mut in_two = Vec::new();
            append(key, head, &mut in_two);
            append(rotate(key, head.len()), tail, &mut in_two);
            prop_assert_eq!(&in_two, &expected);
        }
    }

    #[test]
    fn every_length_up_to_three_steps() {
        let bytes: Vec<u8> = (0..=3 * WIDER).map(|i| i as u8).collect();
        // Miri takes a thousand times as long.
        let smallest = if cfg!(miri) { 37 } else { 1 };
        for len in (0..=3 * WIDER).step_by(smallest) {
            let mut out = Vec::new();
            append([1, 2, 3, 4], &bytes[..len], &mut out);
            assert_eq!(out, naive([1, 2, 3, 4], &bytes[..len]), "{len} bytes");
        }
    }
}
