//! The one file with `unsafe` in this crate: what was checked once is not checked again.
#![allow(unsafe_code)]

use bytes::Bytes;

/// Bytes that are UTF-8, read as a `str` without a look at each of them.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ValidBytes(Bytes);

impl ValidBytes {
    /// Those of a text that lives as long as the program.
    pub(crate) const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Takes bytes that a validator has passed.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(
            core::str::from_utf8(&bytes).is_ok(),
            "the validator passed bytes that are not UTF-8"
        );
        Self(bytes)
    }

    pub(crate) fn as_str(&self) -> &str {
        // SAFETY: the field is private and each constructor has its bytes from a `str`, or from who
        // says that they were checked: a `String`, `core::str`, or the validator of the wire, whose
        // naive twin is the debug assertion above.
        unsafe { core::str::from_utf8_unchecked(&self.0) }
    }

    pub(crate) fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// A loop that is worth a look at what the processor has. It has to be inlined always, with all that
/// it calls, to be compiled for that.
pub(crate) trait Loop {
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a loop, in registers of 32 bytes where the processor has them.
#[inline]
pub(crate) fn run_wide<L: Loop>(work: L) -> L::Output {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn run<L: Loop>(work: L) -> L::Output {
            work.run()
        }
        // SAFETY: the processor was asked just now whether it has what the function needs.
        return unsafe { run(work) };
    }
    work.run()
}
