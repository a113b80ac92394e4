/// Where a client's masking keys and nonces come from.
///
/// RFC 6455 section 5.3 asks for masking keys that the application's data cannot predict, so an
/// implementation must be a cryptographic generator seeded by the operating system. Tests hand
/// in a counter to be repeatable.
pub trait Entropy: Send {
    /// Fills `bytes` with unpredictable bytes. Must not fail and must not wait for long.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8]) + Send> Entropy for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}
