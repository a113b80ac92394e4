use alloc::boxed::Box;

use flate2::{Decompress, FlushDecompress, Status};

use super::params::DeflateParams;
use super::pool;
use crate::{ProtocolError, Role};

/// What the sender left out at the end of each message (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// An empty last block. Behind a complete message it is the end of the stream; behind one that was
/// cut off it is not.
const END: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];

/// What is decompressed at a time: over the limit of a message by no more than this.
const STEP: usize = 32 << 10;

/// Takes what was decompressed, and may refuse it.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), ProtocolError> + 'a;

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
                let context = self.context.get_or_insert_with(pool::decompressor);
                if core::mem::take(&mut self.ended) {
                    // Behind a last block (section 7.2.3.4) nothing before it can be referred to.
                    context.reset(false);
                }
                let before = context.total_in();
                let status = context.decompress_vec(rest, buffer, FlushDecompress::None);
                let used = context.total_in() - before;
                rest = rest.get(used as usize..).unwrap_or_default();
                let more = buffer.len() == buffer.capacity();
                // What comes before the fault is judged first, so that the cuts change nothing.
                sink(buffer)?;
                buffer.clear();
                let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
                self.ended = status == Status::StreamEnd;
                let stuck = used == 0 && !more && !self.ended;
                if stuck || (rest.is_empty() && (self.ended || !more)) {
                    return Ok(());
                }
            }
        })
    }

    /// Says that the message is complete.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), ProtocolError> {
        // Some send an empty message as no byte at all, which would leave the tail half read.
        if self.empty {
            return Ok(());
        }
        // A sender may end with a last block and forget the empty one behind it.
        if !self.ended {
            self.inflate(&TAIL, sink)?;
        }
        self.empty = true;
        if self.no_context_takeover { self.end(sink) } else { Ok(()) }
    }

    /// Gives the context back, if the message does not end in the middle of a block.
    fn end(&mut self, sink: &mut Sink<'_>) -> Result<(), ProtocolError> {
        if !self.ended {
            self.inflate(&END, sink)?;
            self.empty = true;
        }
        if !core::mem::take(&mut self.ended) {
            return Err(ProtocolError::InvalidDeflate);
        }
        if let Some(context) = self.context.take() {
            pool::put_decompressor(context);
        }
        Ok(())
    }
}
