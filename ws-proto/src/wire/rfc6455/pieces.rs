//! Messages in pieces: what is there of a message is handed out before the rest arrives.

use bytes::Bytes;

use super::Decoder;
use crate::wire::item::Item;
use crate::wire::pieces::{ENOUGH, MOST, Pieces, too_big};
use crate::wire::{growth, mask, utf8};
use crate::{Limits, Message, MessageKind, Piece, ProtocolError, RecvBuf, Utf8Bytes};

/// What is decompressed at a time. A byte can become a thousand.
const SLICE: usize = 4 << 10;

/// The bit of the opcode that control frames have (section 5.5).
const CONTROL: u8 = 0x08;

/// What came of one step.
enum Step {
    Item(Item),
    Again,
    /// The input is used up.
    Starved,
}

impl Decoder {
    /// Says whether messages are to be handed out in pieces. Of one that has begun in pieces the
    /// rest is; what is there of another becomes a piece, or is joined with what comes.
    pub(crate) fn set_streaming(&mut self, on: bool, limits: &Limits) -> Result<(), ProtocolError> {
        let long_frame = self.pieces.as_ref().is_some_and(|pieces| pieces.long_frame);
        let joins = Pieces::set(&mut self.pieces, on)?;
        if joins
            && long_frame
            && let Some(longest) = limits.longest_frame(self.deflated)
        {
            return Err(ProtocolError::FrameTooBig(longest));
        }
        if on {
            self.offer();
        }
        let data = self.frame.as_ref().filter(|frame| !frame.opcode.is_control());
        let coming = data.map_or(0, |frame| if self.deflated { 0 } else { frame.remaining });
        if joins && self.payload.len().saturating_add(coming) > limits.max_message {
            return Err(ProtocolError::MessageTooBig(limits.max_message));
        }
        Ok(())
    }

    pub(crate) fn has_piece(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.ready)
    }

    /// Takes the piece that is there, and what is wrong behind it.
    pub(crate) fn take_piece(&mut self) -> Option<(Piece, Option<ProtocolError>)> {
        // While a frame is read straight into it, nothing is there.
        let end = self.payload.len().saturating_sub(self.utf8.pending());
        let pieces = self.pieces.as_mut().filter(|pieces| pieces.ready)?;
        let kind = self.message?;
        let mut payload = core::mem::take(&mut self.payload);
        if end < payload.len() {
            self.payload = payload.split_off(end);
        }
        let fault = pieces.fault.take();
        let (is_first, is_last) = pieces.take(end);
        if is_last {
            self.message = None;
            self.fragments = 0;
        }
        let payload = Bytes::from(payload);
        let part = match kind {
            MessageKind::Text => Message::Text(Utf8Bytes::from_validated(payload)),
            MessageKind::Binary => Message::Binary(payload),
        };
        Some((Piece { part, is_first, is_last }, fault))
    }

    /// Whether the message at hand, or the next, is handed out in pieces.
    pub(super) fn is_streaming(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.is_active())
    }

    /// As `poll`, and stops as soon as there is a piece.
    pub(super) fn poll_pieces(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        loop {
            if self.has_piece() {
                return Ok(None);
            }
            match self.step(input, limits) {
                Ok(Step::Item(item)) => return Ok(Some(item)),
                Ok(Step::Again) => {}
                Ok(Step::Starved) => {
                    self.offer();
                    return Ok(None);
                }
                Err(fault) => self.hold(fault)?,
            }
        }
    }

    /// Makes a piece of what is valid before a fault, which is kept for later then.
    pub(super) fn hold(&mut self, fault: ProtocolError) -> Result<(), ProtocolError> {
        if !self.is_streaming() {
            return Err(fault);
        }
        if self.message == Some(MessageKind::Text) {
            self.payload.truncate(utf8::valid_up_to(&self.payload));
            self.utf8 = utf8::Validator::default();
        }
        self.offer();
        self.pieces.as_mut().map_or(Err(fault), |pieces| pieces.hold(fault))
    }

    /// The length of a frame of a streamed message. It is read through the receive buffer, so
    /// that only the message has a limit.
    pub(super) fn check_streamed(
        &self,
        length: u64,
        deflated: bool,
        limits: &Limits,
    ) -> Result<usize, ProtocolError> {
        let frame = usize::try_from(length).map_err(|_| ProtocolError::FrameTooBig(usize::MAX))?;
        let room = match &self.pieces {
            Some(pieces) if !deflated => pieces.room(limits, self.payload.len()),
            // What has come out of it is charged elsewhere.
            _ => Pieces::default().room(limits, 0),
        };
        if frame > room { Err(too_big(limits)) } else { Ok(frame) }
    }

    /// Makes a piece of what is there, if it is more than a part of a character.
    fn offer(&mut self) {
        if let Some(pieces) = &mut self.pieces {
            pieces.ready |= self.payload.len() > self.utf8.pending();
        }
    }

    fn step(&mut self, input: &mut RecvBuf, limits: &Limits) -> Result<Step, ProtocolError> {
        if self.payload.len() >= ENOUGH {
            self.offer();
            return Ok(Step::Again);
        }
        let Some(frame) = &self.frame else {
            if input.unread().first().is_some_and(|first| first & CONTROL != 0) {
                // What came before a control frame comes out before any of it is read.
                self.offer();
            }
            let stops = self.has_piece();
            let begins = stops || self.read_header(input, limits)?;
            return Ok(if begins { Step::Again } else { Step::Starved });
        };
        let (data, fin) = (!frame.opcode.is_control(), frame.fin);
        let complete = if data && self.deflated {
            self.read_deflated_some(input, limits)?
        } else {
            let room = if data { MOST - self.payload.len() } else { usize::MAX };
            self.read_payload(input, limits, room)?
        };
        if !complete {
            return Ok(if input.unread().is_empty() { Step::Starved } else { Step::Again });
        }
        if data && fin && !self.ends_whole(limits)? {
            self.frame = None;
            return Ok(Step::Again);
        }
        Ok(self.finish_frame()?.map_or(Step::Again, Step::Item))
    }

    /// The message at hand is complete. Answers whether it is handed out as one.
    fn ends_whole(&mut self, limits: &Limits) -> Result<bool, ProtocolError> {
        if !self.utf8.is_at_boundary() {
            return Err(ProtocolError::InvalidUtf8);
        }
        let Some(pieces) = &mut self.pieces else { return Ok(true) };
        let fits = self.payload.len() <= limits.max_message && !pieces.long_frame;
        let whole = fits && !pieces.begun;
        (pieces.ended, pieces.ready) = (!whole, !whole);
        Ok(whole)
    }

    /// Decompresses some of the frame; `true` when it is complete.
    fn read_deflated_some(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<bool, ProtocolError> {
        let (Some(frame), Some(inflater), Some(pieces)) =
            (&mut self.frame, &mut self.inflater, &self.pieces)
        else {
            return Ok(false);
        };
        let is_text = self.message == Some(MessageKind::Text);
        let mut take = |piece: &[u8]| {
            let room = pieces.room(limits, self.payload.len());
            let judged = piece.get(..room).unwrap_or(piece);
            growth::reserve(&mut self.payload, judged.len(), MOST);
            self.payload.extend_from_slice(judged);
            if is_text {
                self.utf8.feed(judged).map_err(|_| ProtocolError::InvalidUtf8)?;
            }
            if piece.len() > room { Err(too_big(limits)) } else { Ok(()) }
        };
        let bytes = input.unread_mut(frame.remaining.min(SLICE));
        if let Some(key) = frame.key {
            mask::apply(key, bytes);
        }
        let used = inflater.inflate_some(bytes, &mut take)?;
        if let Some(key) = &mut frame.key {
            *key = mask::rotate(*key, used);
            // The rest stays as it was received.
            mask::apply(*key, bytes.get_mut(used..).unwrap_or_default());
        }
        frame.remaining -= used;
        input.consume(used);
        if frame.fin && frame.remaining == 0 {
            inflater.finish(&mut take)?;
        }
        Ok(frame.remaining == 0)
    }
}
