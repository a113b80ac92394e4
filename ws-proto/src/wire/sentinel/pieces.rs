//! Texts in pieces: what is there of a text is handed out before the rest arrives.

use alloc::string::String;

use bytes::Bytes;

use super::{Decoder, Frame, find_end, lossy_len};
use crate::wire::item::Item;
use crate::wire::pieces::{ENOUGH, Pieces, too_big};
use crate::wire::{growth, utf8};
use crate::{Limits, Message, Piece, ProtocolError, RecvBuf, Role, Utf8Bytes};

impl Decoder {
    /// Says whether texts are to be handed out in pieces. Of one that has begun in pieces the rest
    /// is; what is there of another becomes a piece, or is joined with what comes.
    pub(crate) fn set_streaming(&mut self, on: bool, limits: &Limits) -> Result<(), ProtocolError> {
        let joins = Pieces::set(&mut self.pieces, on)?;
        if on {
            self.offer();
        }
        // A text that has ended and was no message is too long as a client repairs it.
        let ended = self.pieces.as_ref().is_some_and(|pieces| pieces.ended);
        if joins && (ended || self.payload.len() > limits.max_message) {
            return Err(ProtocolError::MessageTooBig(limits.max_message));
        }
        Ok(())
    }

    pub(crate) fn has_piece(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.ready)
    }

    /// Takes the piece that is there, and what is wrong behind it.
    pub(crate) fn take_piece(&mut self) -> Option<(Piece, Option<ProtocolError>)> {
        let pending = self.pending();
        let pieces = self.pieces.as_mut().filter(|pieces| pieces.ready)?;
        let end = if pieces.ended { self.payload.len() } else { self.payload.len() - pending };
        let mut payload = core::mem::take(&mut self.payload);
        if end < payload.len() {
            self.payload = payload.split_off(end);
        }
        let fault = pieces.fault.take();
        let (is_first, is_last) = pieces.take(end);
        if is_last {
            self.frame = Frame::Type;
        }
        let text = match self.role {
            Role::Server => Utf8Bytes::from_validated(Bytes::from(payload)),
            // draft-hixie-76 section 4.2: a client replaces what is not UTF-8.
            Role::Client => String::from_utf8_lossy(&payload).into_owned().into(),
        };
        Some((Piece { part: Message::Text(text), is_first, is_last }, fault))
    }

    pub(in crate::wire) fn is_streaming(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.is_active())
    }

    /// Makes a piece of what is there, if it is more than a part of a character.
    pub(super) fn offer(&mut self) {
        let some = self.payload.len() > self.pending();
        if let Some(pieces) = &mut self.pieces {
            pieces.ready |= some;
        }
    }

    /// As `read_text`, and stops as soon as there is a piece.
    pub(super) fn read_text_piece(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        match self.read_some(input, limits) {
            Err(fault) => self.hold(fault).map(|()| None),
            read => read,
        }
    }

    fn read_some(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        if self.payload.len() >= ENOUGH {
            self.offer();
            return Ok(None);
        }
        let unread = input.unread();
        // What a client replaces may become three times as long.
        let most = ENOUGH + 4 - self.payload.len();
        let unread = unread.get(..most).unwrap_or(unread);
        let (ascii, end) = find_end(unread);
        let text = end.and_then(|end| unread.get(..end)).unwrap_or(unread);
        let Some(pieces) = &mut self.pieces else { return Ok(None) };
        let room = pieces.room(limits, self.payload.len());
        // What lies over the limit is not judged, so that the cuts do not change the verdict.
        let judged = text.get(..room).unwrap_or(text);
        growth::reserve(&mut self.payload, judged.len(), ENOUGH + 4);
        self.payload.extend_from_slice(judged);
        if self.role == Role::Server {
            self.utf8.feed_behind(ascii, judged).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        if text.len() > room {
            return Err(too_big(limits));
        }
        let n = text.len();
        input.consume(n);
        if end.is_none() {
            return Ok(None);
        }
        input.consume(1);
        if !self.utf8.is_at_boundary() {
            return Err(ProtocolError::InvalidUtf8);
        }
        let length = match self.role {
            Role::Server => self.payload.len(),
            Role::Client => lossy_len(&self.payload),
        };
        if !pieces.begun && length <= limits.max_message {
            return self.finish_text(limits).map(Some);
        }
        (pieces.ended, pieces.ready) = (true, true);
        Ok(None)
    }

    /// Makes a piece of what is valid before a fault, which is kept for later then.
    pub(super) fn hold(&mut self, fault: ProtocolError) -> Result<(), ProtocolError> {
        if self.role == Role::Server {
            self.payload.truncate(utf8::valid_up_to(&self.payload));
            self.utf8 = utf8::Validator::default();
        }
        self.offer();
        self.pieces.as_mut().map_or(Err(fault), |pieces| pieces.hold(fault))
    }

    /// Bytes at the end that begin a character without finishing it.
    fn pending(&self) -> usize {
        match self.role {
            Role::Server => self.utf8.pending(),
            Role::Client => utf8::incomplete_tail(&self.payload),
        }
    }
}
