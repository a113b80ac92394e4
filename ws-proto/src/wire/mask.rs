//! Masking (RFC 6455 section 5.3): XOR with a key of four bytes, repeated.
//!
//! The loops run over fixed-size arrays, which the compiler turns into the widest registers the
//! target has without any `unsafe`.

use alloc::vec::Vec;

/// Bytes per step of the wide loop.
const WIDE: usize = 32;

/// What is copied and masked at a time, so that the second pass finds it in the first cache.
const BLOCK: usize = 8 << 10;

/// Masks or unmasks in place; `key` is that of the first byte.
pub(crate) fn apply(key: [u8; 4], bytes: &mut [u8]) {
    let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let (wide, rest) = bytes.as_chunks_mut::<WIDE>();
    for chunk in wide {
        for part in chunk.as_chunks_mut::<8>().0 {
            *part = (u64::from_ne_bytes(*part) ^ word).to_ne_bytes();
        }
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for part in words {
        *part = (u64::from_ne_bytes(*part) ^ word).to_ne_bytes();
    }
    let (half, rest) = rest.as_chunks_mut::<4>();
    for part in half {
        *part = (u32::from_ne_bytes(*part) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Appends `bytes` to `out`, masked or unmasked.
#[inline]
pub(crate) fn append(key: [u8; 4], bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len());
    if bytes.len() <= BLOCK {
        let start = out.len();
        out.extend_from_slice(bytes);
        return apply(key, out.get_mut(start..).unwrap_or_default());
    }
    for block in bytes.chunks(BLOCK) {
        let start = out.len();
        out.extend_from_slice(block);
        apply(key, out.get_mut(start..).unwrap_or_default());
    }
}

/// The key for what follows after `n` masked bytes.
pub(crate) fn rotate(key: [u8; 4], n: usize) -> [u8; 4] {
    let mut key = key;
    key.rotate_left(n % 4);
    key
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
        fn like_the_rfc(key: [u8; 4], bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..300) {
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
    fn blocks_join_without_a_seam() {
        let bytes: Vec<u8> = (0..BLOCK * 2 + 77).map(|i| i as u8).collect();
        let mut out = Vec::new();
        append([1, 2, 3, 4], &bytes, &mut out);
        assert_eq!(out, naive([1, 2, 3, 4], &bytes));
    }
}
