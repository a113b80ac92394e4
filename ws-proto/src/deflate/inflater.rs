use alloc::boxed::Box;
use core::fmt;

use bytes::BufMut;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::params::DeflateParams;
use super::pool;
use crate::{ProtocolError, Role};

/// What the sender left out at the end of each message (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The same and an empty last block. Behind a complete message that is the end of the stream; behind
/// one that was cut off it is not.
const END: [u8; 9] = [0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF];

/// What is decompressed at a time, or as much as the thread's buffer holds, which is at most twice
/// that: over the limit of a message by no more.
const STEP: usize = 32 << 10;

/// Room for a message whose tail is put behind it.
const SMALL: usize = 512;

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
pub(crate) struct Inflater {
    no_context_takeover: bool,
    /// Made at the first compressed message; without context takeover held during a message only.
    context: Option<Box<Inflate>>,
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
        self.take_steps(bytes, 0, sink)
    }

    /// Fills the buffer until all bytes are used, or a last block ends in front of the `tail`.
    fn take_steps(
        &mut self,
        bytes: &[u8],
        tail: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), ProtocolError> {
        pool::with_buffer(STEP, |buffer| {
            let mut rest = bytes;
            loop {
                let Step { used, more } = self.step(rest, buffer, sink)?;
                rest = rest.get(used..).unwrap_or_default();
                let complete = self.ended && rest.len() == tail;
                if complete || rest.is_empty() && !more {
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
        buffer: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> Result<Step, ProtocolError> {
        let context = self.context.get_or_insert_with(pool::decompressor);
        if core::mem::take(&mut self.ended) {
            // Behind a last block (section 7.2.3.4) nothing before it can be referred to.
            context.reset(false);
        }
        let (in_before, out_before) = (context.total_in(), context.total_out());
        let status = context.decompress(bytes, buffer, InflateFlush::NoFlush);
        let used = (context.total_in() - in_before) as usize;
        let filled = (context.total_out() - out_before) as usize;
        let full = filled == buffer.len();
        // What comes before the fault is judged first, so that the cuts change nothing.
        sink(buffer.get(..filled).unwrap_or_default())?;
        let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
        self.ended = status == Status::StreamEnd;
        let stuck = used == 0 && !full && !self.ended;
        Ok(Step { used: if stuck { bytes.len() } else { used }, more: full && !self.ended })
    }

    /// Decompresses the last bytes of a message. A short message that is there as a whole, as most
    /// are, takes one step with what the sender left out, where it would be two.
    pub(crate) fn inflate_last(
        &mut self,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), ProtocolError> {
        let tail = self.tail();
        if !self.empty || bytes.is_empty() || bytes.len() + tail.len() > SMALL {
            self.inflate(bytes, sink)?;
            return self.finish(sink);
        }
        let mut copy = [0; SMALL];
        let mut free = &mut copy[..];
        free.put_slice(bytes);
        free.put_slice(tail);
        let free = free.len();
        // The sender may have forgotten the empty block, as below.
        self.take_steps(copy.get(..SMALL - free).unwrap_or_default(), tail.len(), sink)?;
        self.end()
    }

    fn tail(&self) -> &'static [u8] {
        if self.no_context_takeover { &END } else { &TAIL }
    }

    /// Says that the message is complete.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), ProtocolError> {
        // Some send an empty message as no byte at all, which would leave the tail half read.
        if self.empty {
            return Ok(());
        }
        // A sender may end with a last block and forget the empty one behind it.
        if !self.ended {
            self.inflate(self.tail(), sink)?;
        }
        self.end()
    }

    /// Gives the context back, if there is no takeover and the message did not end in the middle of
    /// a block.
    fn end(&mut self) -> Result<(), ProtocolError> {
        self.empty = true;
        if !self.no_context_takeover {
            return Ok(());
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

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("no_context_takeover", &self.no_context_takeover)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use zlib_rs::{Deflate, DeflateFlush};

    use super::*;

    /// How a sender ends a message, and what becomes of it on the way.
    #[derive(Clone, Debug)]
    struct Sent {
        payload: Vec<u8>,
        end: DeflateFlush,
        more: bool,
        cut: usize,
        broken: Option<(usize, u8)>,
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let payload = prop_oneof![
            prop::collection::vec(b'a'..b'd', 0..300),
            prop::collection::vec(any::<u8>(), 0..100),
            (1..60_000_usize).prop_map(|len| vec![b'x'; len]),
        ];
        let end = prop_oneof![
            3 => Just(DeflateFlush::SyncFlush),
            1 => Just(DeflateFlush::FullFlush),
            1 => Just(DeflateFlush::Finish),
        ];
        let cut = prop_oneof![3 => Just(0_usize), 1 => 1..20_usize];
        let broken = prop::option::weighted(0.2, (0..300_usize, 1..255_u8));
        (payload, end, prop::bool::weighted(0.2), cut, broken)
            .prop_map(|(payload, end, more, cut, broken)| Sent { payload, end, more, cut, broken })
    }

    impl Sent {
        fn bytes(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            let mut flush = |payload: &[u8], end| {
                let mut sender = Deflate::new(6, false, 15);
                let mut part = vec![0; 70_000];
                sender.compress(payload, &mut part, end).unwrap();
                bytes.extend_from_slice(&part[..sender.total_out() as usize]);
            };
            flush(&self.payload, self.end);
            if self.more {
                flush(b"behind it", DeflateFlush::SyncFlush);
            }
            let whole = bytes.strip_suffix(&TAIL).unwrap_or(&bytes);
            let mut sent = whole[..whole.len() - self.cut.min(whole.len())].to_vec();
            if let Some((at, bits)) = self.broken
                && let Some(byte) = sent.get_mut(at)
            {
                *byte ^= bits;
            }
            sent
        }
    }

    proptest! {
        #[test]
        fn the_last_bytes_in_one_step_are_those_in_two(
            messages in prop::collection::vec(sent(), 1..4),
            no_context_takeover: bool,
        ) {
            let inflater = || Inflater {
                no_context_takeover,
                context: None,
                ended: false,
                empty: true,
            };
            let (mut one, mut two) = (inflater(), inflater());
            for bytes in messages.iter().map(Sent::bytes) {
                let mut out = [Vec::new(), Vec::new()];
                let [out_one, out_two] = &mut out;
                let mut take = |piece: &[u8]| {
                    out_one.extend_from_slice(piece);
                    Ok(())
                };
                let result = one.inflate_last(&bytes, &mut take);
                let mut take = |piece: &[u8]| {
                    out_two.extend_from_slice(piece);
                    Ok(())
                };
                let twin = two.inflate(&bytes, &mut take).and_then(|()| two.finish(&mut take));
                prop_assert_eq!(&result, &twin);
                prop_assert!(out[0] == out[1]);
                if result.is_err() {
                    break;
                }
            }
        }
    }
}
