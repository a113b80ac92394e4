use bytes::Bytes;

use crate::{Close, Message};

/// Something complete that a peer said.
#[derive(Debug)]
pub(crate) enum Item {
    Message(Message),
    Ping(Bytes),
    Pong(Bytes),
    Close(Close),
    /// draft75 and draft76: a frame that is to be ignored.
    Discarded,
}
