use alloc::boxed::Box;
use alloc::vec::Vec;

use flate2::{Decompress, FlushDecompress, Status};

use super::params::DeflateParams;
use super::pool;
use crate::{ProtocolError, Role};

/// What the sender left out at the end of each message (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The same and an empty last block. Behind a complete message that is the end of the stream; behind
/// one that was cut off it is not.
const END: [u8; 9] = [0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF];

/// What is decompressed at a time: over the limit of a message by no more than this.
const STEP: usize = 32 << 10;

/// Takes what was decompressed, and may refuse it.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), ProtocolError> + 'a;

/// What one step did.
struct Step {
    /// How many bytes it took.
    used: usize,
    /// Whether there is more to come of them.
    more: bool,
}

/// Decompresses what the peer sends (RFC 7692 section 7.2.2).
///
/// Always with the largest window: a decompressor takes the same memory for each.
#[derive(Debug)]
pub(crate) struct Inflater {
    no_context_takeover: bool,
    /// Made at the first compressed message; without context takeover held during a message only.
    context: Option<Box<Decompress>>,
    /// A last block ended exactly where the bytes so far end.
    ended: bool,
    /// Nothing of the message has come yet.
    empty: bool,
}

impl Inflater {
    pub(crate) fn new(params: DeflateParams, role: Role) -> Self {
        let no_context_takeover = params.received_by(role).no_context_takeover;
        Self { no_context_takeover, context: None, ended: false, empty: true }
    }

    /// Decompresses the next bytes of a message.
    pub(crate) fn inflate(
        &mut self,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), ProtocolError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.empty = false;
        pool::with_buffer(STEP, |buffer| {
            let mut rest = bytes;
            loop {
                let Step { used, more } = self.step(rest, buffer, sink)?;
                rest = rest.get(used..).unwrap_or_default();
                if rest.is_empty() && !more {
                    return Ok(());
                }
            }
        })
    }

    /// Decompresses the next bytes of a message, and stops when that is much. Answers how many of
    /// them were used. When all were, nothing is left in the decompressor either.
    pub(crate) fn inflate_some(
        &mut self,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<usize, ProtocolError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.empty = false;
        pool::with_buffer(STEP, |buffer| {
            let Step { used, mut more } = self.step(bytes, buffer, sink)?;
            while more && used == bytes.len() {
                more = self.step(&[], buffer, sink)?.more;
            }
            Ok(used)
        })
    }

    /// Fills the buffer once.
    fn step(
        &mut self,
        bytes: &[u8],
        buffer: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Result<Step, ProtocolError> {
        let context = self.context.get_or_insert_with(pool::decompressor);
        if core::mem::take(&mut self.ended) {
            // Behind a last block (section 7.2.3.4) nothing before it can be referred to.
            context.reset(false);
        }
        let before = context.total_in();
        let status = context.decompress_vec(bytes, buffer, FlushDecompress::None);
        let used = (context.total_in() - before) as usize;
        let full = buffer.len() == buffer.capacity();
        // What comes before the fault is judged first, so that the cuts change nothing.
        sink(buffer)?;
        buffer.clear();
        let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
        self.ended = status == Status::StreamEnd;
        let stuck = used == 0 && !full && !self.ended;
        Ok(Step { used: if stuck { bytes.len() } else { used }, more: full && !self.ended })
    }

    /// Says that the message is complete.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), ProtocolError> {
        // Some send an empty message as no byte at all, which would leave the tail half read.
        if self.empty {
            return Ok(());
        }
        // A sender may end with a last block and forget the empty one behind it.
        if !self.ended {
            self.inflate(if self.no_context_takeover { &END } else { &TAIL }, sink)?;
        }
        self.empty = true;
        if self.no_context_takeover { self.end() } else { Ok(()) }
    }

    /// Gives the context back, if the message did not end in the middle of a block.
    fn end(&mut self) -> Result<(), ProtocolError> {
        if !core::mem::take(&mut self.ended) {
            return Err(ProtocolError::InvalidDeflate);
        }
        if let Some(context) = self.context.take() {
            pool::put_decompressor(context);
        }
        Ok(())
    }
}
