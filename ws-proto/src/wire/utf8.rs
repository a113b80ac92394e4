//! UTF-8 (RFC 3629), checked as bytes arrive.

#![expect(clippy::inline_always, reason = "to be compiled for the registers of who calls it")]

use crate::unchecked::{Loop, run_wide};

/// Bytes that no UTF-8 text can begin or go on with.
#[derive(Debug, PartialEq)]
pub(crate) struct Invalid;

/// Up to this length ASCII is looked for first, which costs less than to begin anything wider.
const SHORT: usize = 256;

/// The bits that ASCII does not have.
const HIGH: u64 = 0x8080_8080_8080_8080;

#[inline]
pub(crate) fn validate(bytes: &[u8]) -> Result<(), Invalid> {
    if bytes.len() <= SHORT && is_ascii(bytes) {
        return Ok(());
    }
    simdutf8::basic::from_utf8(bytes).map(|_| ()).map_err(|_| Invalid)
}

/// The last word overlaps the others, so that there is no loop over what they leave: that is what
/// the standard library's spends most of its time with here.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else { return bytes.iter().all(u8::is_ascii) };
    let join = |all, word: &[u8; 8]| all | u64::from_ne_bytes(*word);
    bytes.as_chunks().0.iter().fold(u64::from_ne_bytes(*last), join) & HIGH == 0
}

/// Bytes per step of the loop that looks for the end of ASCII.
const STEP: usize = 64;

struct AsciiLen<'a>(&'a [u8]);

impl Loop for AsciiLen<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let mut start = 0;
        for step in self.0.as_chunks::<STEP>().0 {
            // By words, since for single bytes the compiler joins all of a register in many steps.
            let mut all = 0;
            for word in step.as_chunks().0 {
                all |= u64::from_ne_bytes(*word);
            }
            if all & HIGH != 0 {
                break;
            }
            start += STEP;
        }
        for word in self.0.get(start..).unwrap_or_default().as_chunks().0 {
            let high = u64::from_le_bytes(*word) & HIGH;
            if high != 0 {
                return start + high.trailing_zeros() as usize / 8;
            }
            start += size_of::<u64>();
        }
        let rest = self.0.get(start..).unwrap_or_default();
        start + rest.iter().position(|byte| !byte.is_ascii()).unwrap_or(rest.len())
    }
}

/// How many bytes at the beginning are ASCII.
#[inline]
pub(crate) fn ascii_len(bytes: &[u8]) -> usize {
    run_wide(AsciiLen(bytes))
}

/// How many bytes at the beginning are text.
pub(crate) fn valid_up_to(bytes: &[u8]) -> usize {
    core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)
}

/// Checks text in pieces and fails at the first byte that cannot be right, whatever the cuts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Validator {
    /// A character's first bytes, cut off at the end of the last piece.
    cut: [u8; 3],
    cut_len: u8,
}

impl Validator {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Invalid> {
        while self.cut_len > 0 {
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            self.complete_cut(*first)?;
            bytes = rest;
        }
        let cut = incomplete_tail(bytes);
        let (whole, tail) = bytes.split_at(bytes.len() - cut);
        validate(whole)?;
        tail.iter().try_for_each(|byte| self.complete_cut(*byte))
    }

    /// The same for bytes the first `ascii` of which are known to be ASCII.
    pub(crate) fn feed_behind(&mut self, ascii: usize, bytes: &[u8]) -> Result<(), Invalid> {
        let known = if self.cut_len == 0 { ascii } else { 0 };
        self.feed(bytes.get(known..).unwrap_or_default())
    }

    /// How many bytes at the end begin a character without finishing it.
    pub(crate) fn pending(&self) -> usize {
        usize::from(self.cut_len)
    }

    /// Whether the text may end here.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.cut_len == 0
    }

    fn complete_cut(&mut self, byte: u8) -> Result<(), Invalid> {
        let mut bytes = [0; 4];
        let len = usize::from(self.cut_len);
        for (to, from) in bytes.iter_mut().zip(self.cut.iter().take(len).chain([&byte])) {
            *to = *from;
        }
        match core::str::from_utf8(bytes.get(..=len).unwrap_or_default()) {
            Ok(_) => self.cut_len = 0,
            Err(error) if error.error_len().is_some() => return Err(Invalid),
            Err(_) => {
                if let Some(slot) = self.cut.get_mut(len) {
                    *slot = byte;
                }
                self.cut_len += 1;
            }
        }
        Ok(())
    }
}

/// How many bytes at the end begin a character without finishing it.
pub(super) fn incomplete_tail(bytes: &[u8]) -> usize {
    let lead = bytes.iter().rev().take(3).position(|byte| *byte >= 0xC0);
    let Some(behind) = lead else { return 0 };
    let width = match bytes.iter().rev().nth(behind) {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        _ => 4,
    };
    if behind + 1 < width { behind + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive twin: the longest prefix that could still become text.
    fn could_become_text(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    fn check_cuts(bytes: &[u8], cuts: &[usize]) {
        let mut validator = Validator::default();
        let mut behind = Validator::default();
        let mut at = 0;
        for cut in cuts.iter().chain([&bytes.len()]) {
            let to = at + cut % (bytes.len() - at + 1);
            let fed = validator.feed(&bytes[at..to]);
            let piece = &bytes[at..to];
            assert_eq!(behind.feed_behind(ascii_len(piece), piece), fed);
            assert_eq!(behind.pending(), validator.pending());
            assert_eq!(fed.is_ok(), could_become_text(&bytes[..to]), "{bytes:x?} to {to}");
            if fed.is_err() {
                return;
            }
            at = to;
            assert_eq!(validator.is_at_boundary(), core::str::from_utf8(&bytes[..at]).is_ok());
        }
    }

    #[test]
    fn ascii_is_told_from_everything_else_at_every_place() {
        for len in 0..70 {
            let mut bytes = alloc::vec![b'~'; len];
            assert!(is_ascii(&bytes));
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes), "{at} of {len}");
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn ascii_ends_at_the_first_other_byte() {
        let step = if cfg!(miri) { 41 } else { 1 };
        for len in (0..3 * STEP).step_by(step) {
            let mut bytes = alloc::vec![b'~'; len];
            assert_eq!(ascii_len(&bytes), len);
            for at in (0..len).rev().step_by(step) {
                bytes[at] = if at % 2 == 0 { 0x80 } else { 0xFF };
                assert_eq!(ascii_len(&bytes), at, "of {len}");
            }
        }
    }

    #[test]
    fn every_start_of_up_to_three_bytes_is_judged_at_the_first_bad_byte() {
        // Miri takes a thousand times as long: it gets every 34th byte, leads of two and of three and
        // continuations among them.
        let step = if cfg!(miri) { 34 } else { 1 };
        for first in (0..=u8::MAX).step_by(step) {
            for second in (0..=u8::MAX).step_by(step) {
                for third in [0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF] {
                    check_cuts(&[first, second, third], &[1, 1, 1]);
                    check_cuts(&[first, second, third], &[2]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(text in ".{0,90}", cuts in prop::collection::vec(0usize..90, 0..9)) {
            check_cuts(text.as_bytes(), &cuts);
        }

        #[test]
        fn a_bad_byte_is_seen_when_it_arrives(
            text in ".{1,40}", at in 0usize..40, byte: u8,
            cuts in prop::collection::vec(0usize..40, 0..9),
        ) {
            let mut bytes = text.into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            check_cuts(&bytes, &cuts);
        }
    }
}
