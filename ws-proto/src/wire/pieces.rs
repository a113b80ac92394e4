use alloc::boxed::Box;

use crate::{Limits, ProtocolError};

/// From this much on a piece is handed out although more of it is there.
pub(super) const ENOUGH: usize = 32 << 10;

/// What is not compressed makes no longer pieces than this.
pub(super) const MOST: usize = 64 << 10;

/// How far a decoder is with handing out messages in pieces.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Pieces {
    /// Messages that are not whole at once are handed out in pieces.
    pub(super) on: bool,
    /// A piece of the message at hand was taken, so that the rest comes in pieces, too.
    pub(super) begun: bool,
    /// What is there has to be taken before anything else is parsed.
    pub(super) ready: bool,
    /// The message is complete.
    pub(super) ended: bool,
    /// Bytes of it that were taken.
    pub(super) taken: u64,
    /// A frame of it is longer than those of messages that are not handed out in pieces may be.
    pub(super) long_frame: bool,
    /// What is wrong behind what is there.
    pub(super) fault: Option<ProtocolError>,
}

impl Pieces {
    /// For a decoder that begins with it turned on.
    pub(super) fn streaming() -> Self {
        Self { on: true, ..Self::default() }
    }

    /// Turns it on or off. Answers whether what is there is joined with the rest of its message;
    /// the error is one that was held back for a piece.
    pub(super) fn set(slot: &mut Option<Box<Self>>, on: bool) -> Result<bool, ProtocolError> {
        if !on && slot.is_none() {
            return Ok(false);
        }
        let pieces = slot.get_or_insert_default();
        pieces.on = on;
        if on || pieces.begun {
            return Ok(false);
        }
        pieces.ready = false;
        let fault = pieces.fault.take();
        if !pieces.ended {
            *slot = None;
        }
        fault.map_or(Ok(true), Err)
    }

    /// Keeps a fault for later when there is a piece before it: that comes out first, however the
    /// input is cut.
    pub(super) fn hold(&mut self, fault: ProtocolError) -> Result<(), ProtocolError> {
        if !self.ready {
            return Err(fault);
        }
        self.fault = Some(fault);
        Ok(())
    }

    /// Whether the message at hand is handed out in pieces.
    pub(super) fn is_active(&self) -> bool {
        self.on || self.begun
    }

    /// How many bytes the message may still have, when `held` are there and were not taken.
    pub(super) fn room(&self, limits: &Limits, held: usize) -> usize {
        let Some(most) = limits.max_streamed else { return usize::MAX };
        let room = most.saturating_sub(self.taken).saturating_sub(held as u64);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Says that `len` bytes are taken. Answers whether they are the first, and the last.
    pub(super) fn take(&mut self, len: usize) -> (bool, bool) {
        let (first, last) = (!self.begun, self.ended);
        if last {
            *self = Self { on: self.on, ..Self::default() };
        } else {
            self.begun = true;
            self.ready = false;
            self.taken = self.taken.saturating_add(len as u64);
        }
        (first, last)
    }
}

/// The error of a message over the limit.
pub(super) fn too_big(limits: &Limits) -> ProtocolError {
    let most = limits.max_streamed.unwrap_or(u64::MAX);
    ProtocolError::MessageTooBig(usize::try_from(most).unwrap_or(usize::MAX))
}
