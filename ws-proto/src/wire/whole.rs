use super::{rfc6455, sentinel};
use crate::{Limits, Message, RecvBuf, Role};

/// The short way of what most messages are: received whole, in one frame, and keeping every rule.
/// Anything else is left in the input, and the decoder judges it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whole {
    /// Unfragmented frames for this side, with payloads of up to `most` bytes.
    Frames { role: Role, most: usize },
    /// Text between two bytes, for a server, of up to `most` bytes.
    Text { most: usize },
}

impl Whole {
    pub(super) fn frames(role: Role, limits: &Limits, streaming: bool) -> Self {
        let most = limits.longest_message(streaming);
        Self::Frames { role, most: limits.max_frame.map_or(most, |frame| frame.min(most)) }
    }

    pub(super) fn text(limits: &Limits, streaming: bool) -> Self {
        Self::Text { most: limits.longest_message(streaming) }
    }

    /// The next message.
    #[inline]
    pub(crate) fn take(self, input: &mut RecvBuf) -> Option<Message> {
        if input.is_lent() {
            return None;
        }
        match self {
            Self::Frames { role, most } => rfc6455::take_whole(role, input, most),
            Self::Text { most } => sentinel::take_whole(input, most),
        }
    }
}
