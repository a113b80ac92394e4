/// What a connection knows about what it has lent to a thread, see [`burst`](crate::burst).
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Loan {
    /// A thread has what was received, and a batch of this connection.
    pub(crate) lent: bool,
    /// Somebody else wanted a message meanwhile.
    pub(crate) wanted: bool,
    /// It came back: tell those who wait for messages if some are left.
    pub(crate) settled: bool,
    /// The handler takes messages, so it is worth while to lend before it is polled.
    pub(crate) handler_takes: bool,
    /// Whoever found no more messages since the last look of the driver may wait for that.
    pub(crate) drained: bool,
}
