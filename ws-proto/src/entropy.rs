/// Where a client's masking keys and nonces come from.
///
/// RFC 6455 section 5.3 asks for masking keys that the application's data cannot predict, so an
/// implementation must be a cryptographic generator seeded by the operating system. Tests hand
/// in a counter to be repeatable.
pub trait Entropy: Send {
    /// Fills `bytes` with unpredictable bytes. Must not wait for long.
    fn fill(&mut self, bytes: &mut [u8]);

    /// Whether [`fill`](Self::fill) can give the four bytes of a masking key now. It is asked
    /// before each frame: a message is refused with
    /// [`SendErrorKind::NoEntropy`](crate::SendErrorKind::NoEntropy) when it cannot, and pings,
    /// pongs and close frames are left out, since a predictable key is worse than none. Default:
    /// always.
    fn is_ready(&mut self) -> bool {
        true
    }
}

impl<F: FnMut(&mut [u8]) + Send> Entropy for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}
