/// How messages are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// As wholes.
    Whole,
    /// In pieces, when they are not there as a whole.
    Pieces,
    /// A reader takes the message at hand in pieces.
    Begun,
    /// Its reader is gone: what is left of the message at hand is discarded.
    Discarded,
}

/// Whether a message is being sent in pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Writing {
    No,
    Begun,
    /// Its writer waits for room.
    Waiting,
}
