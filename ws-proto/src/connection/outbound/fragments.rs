use bytes::Bytes;

use super::Outbound;
use crate::connection::partial::{Part, Partial};
use crate::wire::rfc6455::{Header, Opcode};
use crate::wire::sentinel;
use crate::{SendErrorKind, Version};

impl Outbound {
    pub(crate) fn begin(&mut self, partial: Partial) {
        self.rare.get_or_insert_default().partial = Some(partial);
    }

    /// Whether a message was begun and is not finished.
    pub(crate) fn is_partial(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.partial.is_some())
    }

    /// Whether the peer waits for the rest of a message.
    pub(crate) fn is_half_sent(&self) -> bool {
        let partial = self.rare.as_ref().and_then(|rare| rare.partial.as_ref());
        partial.is_some_and(|partial| partial.begun)
    }

    /// Forgets a message of which nothing was sent; `false` when it is too late for that.
    pub(crate) fn forget_partial(&mut self) -> bool {
        if self.partial().is_none_or(|partial| partial.begun) {
            return false;
        }
        self.end_partial();
        true
    }

    pub(crate) fn check_part(&mut self, part: &Part<'_>) -> Result<(), SendErrorKind> {
        let Some(partial) = self.partial() else { return Err(SendErrorKind::NotBegun) };
        match part {
            Part::Next(payload) => partial.check(payload),
            Part::End => partial.check_end(),
        }
    }

    /// Queues what was checked.
    pub(crate) fn put_part(&mut self, part: &Part<'_>, version: Version) {
        let can_compress = self.deflater().is_some();
        let Some(partial) = self.partial() else { return };
        let first = !core::mem::replace(&mut partial.begun, true);
        // What begins while a batch has the compressor goes on without it.
        partial.compressed &= can_compress || !first;
        let (kind, compressed) = (partial.kind, partial.compressed);
        let empty = Bytes::new();
        let (payload, last) = match part {
            Part::Next(payload) => (*payload, false),
            Part::End => (&empty, true),
        };
        if last {
            self.end_partial();
        }
        if !version.has_frames() {
            return self.put_text_part(payload, first, last);
        }
        let opcode = if first { Opcode::of(kind) } else { Opcode::Continuation };
        // A message without any byte does not get shorter.
        let deflater = self.deflater().filter(|_| compressed && !(first && last));
        let shorter = deflater.map(|deflater| deflater.deflate_part(payload, last));
        let Ok(key) = self.key() else { return };
        let frame = shorter.as_ref().unwrap_or(payload);
        let mut header = Header::new(opcode, frame.len(), key);
        if first && shorter.is_some() {
            header = header.deflated();
        }
        if !last {
            header = header.unfinished();
        }
        self.put_keyed(&header, key, frame);
    }

    fn end_partial(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.partial = None;
        }
        self.tidy();
    }

    /// draft75 and draft76 need no fragments: what ends a text is a byte, not a length.
    fn put_text_part(&mut self, payload: &Bytes, first: bool, last: bool) {
        let start: &[u8] = if first { &[sentinel::START] } else { &[] };
        self.buf.put_frame(start, payload);
        if last {
            self.buf.put(&[sentinel::END]);
        }
    }
}
