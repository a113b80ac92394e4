//! What a receiver makes of bytes, in words that all three libraries share.

/// What an application is told before the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

impl Item {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(payload) | Self::Ping(payload) | Self::Pong(payload) => payload.len(),
        }
    }
}

/// The code and the reason of a close frame that is not empty.
pub(crate) type CloseBody = Option<(u16, String)>;

/// What became of the connection when all bytes were read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// It waits for more.
    Open,
    /// The peer closed it, with a code and a reason unless the frame was empty.
    Closed(CloseBody),
    /// It failed (RFC 6455 section 7.1.7), and this close code says why.
    Failed(u16),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) items: Vec<Item>,
    pub(crate) end: End,
}

/// The longest frame and the longest message that any of the three takes.
pub(crate) const LIMIT: usize = 100_000;

/// Text of a peer that says it is text.
pub(crate) fn text(payload: Vec<u8>) -> String {
    String::from_utf8(payload).expect("what is delivered as text is UTF-8")
}
