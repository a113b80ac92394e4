use alloc::boxed::Box;

use crate::Answer;

/// Who writes the answer to the request.
pub(super) enum Writer {
    /// This connection, in front of its frames.
    Own,
    /// Somebody else, with the answer that was not taken yet.
    Other(Box<Option<Answer>>),
}

impl Writer {
    pub(super) fn is_other(&self) -> bool {
        matches!(self, Self::Other(_))
    }

    /// Whether somebody else has an answer to write that was not taken yet.
    pub(super) fn has_answer(&self) -> bool {
        matches!(self, Self::Other(answer) if answer.is_some())
    }

    /// Takes back an answer that accepts and was not taken: the connection ends instead.
    pub(super) fn withdraw(&mut self) {
        if let Self::Other(answer) = self {
            answer.take_if(|answer| answer.status() == 101);
        }
    }
}
