use crate::Message;

/// A part of a message, in the order in which it arrives, see
/// [`Connection::set_streaming`](crate::Connection::set_streaming).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Piece {
    /// The part. One of a text message ends at the end of a character, so it is text by itself.
    /// The last one may be empty.
    pub part: Message,
    /// Whether the message begins with it.
    pub is_first: bool,
    /// Whether the message ends with it.
    pub is_last: bool,
}
