//! The frames of draft-hixie-75 and draft-hixie-76: text between `0x00` and `0xFF`, frames of
//! reserved types to be discarded, and `FF 00` as draft76's closing handshake.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

mod direct;
mod pieces;

use super::growth;
use super::item::Item;
use super::pieces::Pieces;
use super::utf8::{self, Validator};
use crate::buffer::Loan;
use crate::{Close, Limits, Message, ProtocolError, RecvBuf, Role, Utf8Bytes, Version};

/// The byte before text.
pub(crate) const START: u8 = 0x00;

/// The byte behind text, which UTF-8 never contains.
pub(crate) const END: u8 = 0xFF;

/// draft76's closing handshake (draft-hixie-76 section 5.3, "Closing").
pub(crate) const CLOSE: [u8; 2] = [0xFF, 0x00];

/// Bytes of a length, each with 7 bits; more are refused, for zeros may go on for ever.
const MAX_LENGTH_BYTES: u8 = 9;

/// Reads frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    has_close: bool,
    role: Role,
    frame: Frame,
    payload: Vec<u8>,
    /// Whether `payload` is lent to the receive buffer.
    lent: Option<Loan>,
    /// How long the last text was that did not come whole, if it was long.
    last: usize,
    utf8: Validator,
    /// From the moment messages are to come in pieces.
    pieces: Option<Box<Pieces>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Frame {
    /// The type byte comes next.
    Type,
    /// Text up to `0xFF`.
    Text,
    /// A reserved low type: this many bytes were discarded of it, up to `0xFF`.
    Low { discarded: usize },
    /// The length of a high type.
    Length { kind: u8, length: usize, bytes: u8 },
    /// This many bytes of a high type are still to be discarded.
    Skip { remaining: usize },
}

/// How long all texts are, if nothing else is there, and the last to its end.
#[inline]
pub(super) fn whole_len(input: &RecvBuf) -> Option<usize> {
    let unread = input.unread();
    matches!(unread, [START, .., END]).then_some(unread.len())
}

/// Text that was received whole, of up to `most` bytes, and keeps every rule.
#[inline]
pub(super) fn take_whole(input: &mut RecvBuf, most: usize) -> Option<Message> {
    let [START, rest @ ..] = input.unread() else { return None };
    let (ascii, end) = find_end(rest);
    let text = rest.get(..end?)?;
    if text.len() > most || utf8::validate(text.get(ascii..)?).is_err() {
        return None;
    }
    let len = text.len();
    let text = if input.is_made_for(len + 2) {
        input.give_away(1, len)
    } else {
        let text = Bytes::copy_from_slice(text);
        input.consume(len + 2);
        text
    };
    Some(Message::Text(Utf8Bytes::from_validated(text)))
}

/// How many bytes in front are ASCII, and where the text ends, if it does. Most texts are nothing
/// else up to their end, so that one pass finds both.
#[inline]
fn find_end(bytes: &[u8]) -> (usize, Option<usize>) {
    let ascii = utf8::ascii_len(bytes);
    let end = match bytes.get(ascii..) {
        None | Some([]) => None,
        Some([END, ..]) => Some(ascii),
        Some(rest) => memchr::memchr(END, rest).map(|at| ascii + at),
    };
    (ascii, end)
}

impl Decoder {
    pub(crate) fn new(version: Version, role: Role) -> Self {
        Self {
            has_close: version == Version::Draft76,
            role,
            frame: Frame::Type,
            payload: Vec::new(),
            lent: None,
            last: 0,
            utf8: Validator::default(),
            pieces: None,
        }
    }

    pub(crate) fn is_at_boundary(&self) -> bool {
        self.frame == Frame::Type
    }

    /// Whether text that was received whole may be taken by [`take_whole`].
    pub(crate) fn is_idle(&self) -> bool {
        self.frame == Frame::Type && self.role == Role::Server && self.pieces.is_none()
    }

    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        if self.lent.is_some() || input.is_lent() {
            self.read_lent(input)?;
            if input.is_empty() && !self.is_streaming() {
                return Ok(None);
            }
        }
        while let Some(first) = input.unread().first().copied() {
            if self.has_piece() {
                return Ok(None);
            }
            let item = match self.frame {
                Frame::Type => {
                    input.consume(1);
                    self.frame = match first {
                        START => Frame::Text,
                        0x01..=0x7F => Frame::Low { discarded: 0 },
                        kind => Frame::Length { kind, length: 0, bytes: 0 },
                    };
                    None
                }
                Frame::Text if self.is_streaming() => self.read_text_piece(input, limits)?,
                Frame::Text => self.read_text(input, limits)?,
                Frame::Low { discarded } => self.discard_low(discarded, input, limits)?,
                Frame::Length { kind, length, bytes } => {
                    input.consume(1);
                    self.read_length(first, kind, length, bytes, limits)?
                }
                Frame::Skip { remaining } => self.skip(remaining, input),
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        if self.is_streaming() {
            self.offer();
        } else {
            self.lend(input, limits);
        }
        Ok(None)
    }

    fn read_text(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        let unread = input.unread();
        let (ascii, end) = find_end(unread);
        let text = end.and_then(|end| unread.get(..end)).unwrap_or(unread);
        let room = limits.max_message.saturating_sub(self.payload.len());
        let whole = self.payload.is_empty() && end.is_some() && text.len() <= room;
        if self.role == Role::Server {
            // What lies over the limit is not judged, so that the cuts do not change the verdict.
            let judged = text.get(..room).unwrap_or(text);
            let valid = self.utf8.feed_behind(ascii, judged);
            valid.map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        if text.len() > room {
            return Err(ProtocolError::MessageTooBig(limits.max_message));
        }
        let most = if whole { text.len() } else { limits.max_message };
        growth::reserve(&mut self.payload, text.len(), most);
        self.payload.extend_from_slice(text);
        let n = text.len();
        input.consume(n);
        if end.is_none() {
            return Ok(None);
        }
        input.consume(1);
        self.finish_text(limits).map(Some)
    }

    fn finish_text(&mut self, limits: &Limits) -> Result<Item, ProtocolError> {
        self.frame = Frame::Type;
        let payload = core::mem::take(&mut self.payload);
        self.last = if payload.len() >= direct::LONG { payload.len() } else { 0 };
        if self.role == Role::Client {
            if lossy_len(&payload) > limits.max_message {
                return Err(ProtocolError::MessageTooBig(limits.max_message));
            }
            // draft-hixie-76 section 4.2: a client replaces what is not UTF-8.
            let text = String::from_utf8(payload)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
            return Ok(Item::Message(Message::text(text)));
        }
        if !self.utf8.is_at_boundary() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(Item::Message(Message::Text(Utf8Bytes::from_validated(Bytes::from(payload)))))
    }

    fn discard_low(
        &mut self,
        discarded: usize,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        let end = memchr::memchr(END, input.unread());
        let n = end.unwrap_or(input.unread().len());
        let most = limits.longest_discarded();
        if n > most.saturating_sub(discarded) {
            return Err(ProtocolError::SkippedTooBig(most));
        }
        input.consume(n);
        if end.is_none() {
            self.frame = Frame::Low { discarded: discarded + n };
            return Ok(None);
        }
        input.consume(1);
        self.frame = Frame::Type;
        Ok(Some(Item::Discarded))
    }

    fn read_length(
        &mut self,
        byte: u8,
        kind: u8,
        length: usize,
        bytes: u8,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        let most = limits.longest_discarded();
        let too_big = ProtocolError::SkippedTooBig(most);
        let length = length.checked_mul(128).ok_or(too_big)? | usize::from(byte & 0x7F);
        if bytes == MAX_LENGTH_BYTES || length > most {
            return Err(too_big);
        }
        if byte & 0x80 != 0 {
            self.frame = Frame::Length { kind, length, bytes: bytes + 1 };
            return Ok(None);
        }
        if length > 0 {
            self.frame = Frame::Skip { remaining: length };
            return Ok(None);
        }
        self.frame = Frame::Type;
        let closes = self.has_close && kind == END;
        Ok(Some(if closes { Item::Close(Close::EMPTY) } else { Item::Discarded }))
    }

    fn skip(&mut self, remaining: usize, input: &mut RecvBuf) -> Option<Item> {
        let n = remaining.min(input.unread().len());
        input.consume(n);
        if n < remaining {
            self.frame = Frame::Skip { remaining: remaining - n };
            return None;
        }
        self.frame = Frame::Type;
        Some(Item::Discarded)
    }
}

/// How long the text is when U+FFFD stands for what is not UTF-8.
fn lossy_len(payload: &[u8]) -> usize {
    let replaced = |invalid: &[u8]| if invalid.is_empty() { 0 } else { '\u{FFFD}'.len_utf8() };
    payload.utf8_chunks().map(|chunk| chunk.valid().len() + replaced(chunk.invalid())).sum()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;

    /// Takes all that comes out, as text. `false` when the last of it was an error.
    pub(super) fn poll_all(
        decoder: &mut Decoder,
        input: &mut RecvBuf,
        limits: &Limits,
        seen: &mut Vec<String>,
    ) -> bool {
        loop {
            match decoder.poll(input, limits) {
                Ok(Some(Item::Message(message))) => seen.push(message.as_text().unwrap().into()),
                Ok(Some(item)) => seen.push(format!("{item:?}")),
                Ok(None) => return true,
                Err(error) => {
                    seen.push(format!("{error:?}"));
                    return false;
                }
            }
        }
    }

    /// What comes out when `bytes` go in `step` at a time, as text.
    fn decode(version: Version, role: Role, bytes: &[u8], step: usize) -> Vec<String> {
        let limits = Limits { max_message: 20, max_frame: Some(300), ..Limits::default() };
        let mut decoder = Decoder::new(version, role);
        let mut input = RecvBuf::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(step) {
            assert_eq!(input.feed(piece), piece.len());
            if !poll_all(&mut decoder, &mut input, &limits, &mut seen) {
                return seen;
            }
            assert!(input.is_idle());
        }
        if !decoder.is_at_boundary() {
            seen.push("unfinished".into());
        }
        seen
    }

    /// Feeds a vector whole, byte by byte, and with a tail.
    fn check(version: Version, bytes: &[u8], expected: &[&str]) {
        for step in [usize::MAX, 1, 2, 3] {
            assert_eq!(decode(version, Role::Server, bytes, step), expected, "step {step}");
        }
        let tail = [bytes, b"\0tail\xFF"].concat();
        if expected.last().is_some_and(|last| last.contains("TooBig") || last.contains("Invalid")) {
            return;
        }
        let expected = [expected, &["tail"]].concat();
        assert_eq!(decode(version, Role::Server, &tail, usize::MAX), expected);
    }

    const DISCARDED: &str = "Discarded";
    const CLOSED: &str = "Close(Close { body: None })";
    const TOO_BIG: &str = "SkippedTooBig(300)";

    #[test]
    fn text_frames() {
        check(Version::Draft76, b"\0hello\xFF\0\xC3\xA9\xFF", &["hello", "é"]);
    }

    #[test]
    fn autobahn_python_2012_an_empty_message_completes() {
        check(Version::Draft75, b"\0\xFF", &[""]);
    }

    #[test]
    fn node_websocket_server_nul_inside_text_is_kept() {
        check(Version::Draft75, b"\0a\0b\xFF", &["a\0b"]);
    }

    #[test]
    fn node_websocket_server_low_types_are_not_text() {
        check(Version::Draft76, b"\x02no\xFF\x7F\xFF\0yes\xFF", &[DISCARDED, DISCARDED, "yes"]);
    }

    #[test]
    fn node_websocket_server_high_types_are_skipped_by_length() {
        check(
            Version::Draft76,
            b"\x80\x03\0no\x81\x02\0\xFF\0yes\xFF",
            &[DISCARDED, DISCARDED, "yes"],
        );
    }

    #[test]
    fn a_sentinel_inside_a_skipped_frame_ends_nothing() {
        check(Version::Draft76, b"\x80\x03\xFF\xFF\xFF\0yes\xFF", &[DISCARDED, "yes"]);
    }

    #[test]
    fn ff_00_closes_draft76_and_is_nothing_in_draft75() {
        check(Version::Draft76, &CLOSE, &[CLOSED]);
        check(Version::Draft75, &CLOSE, &[DISCARDED]);
    }

    #[test]
    fn lengths_follow_the_grammar_81_00_is_128() {
        let frame = [&[0x80, 0x81, 0x00][..], &[b'x'; 128], b"\0y\xFF"].concat();
        check(Version::Draft76, &frame, &[DISCARDED, "y"]);
    }

    #[test]
    fn endless_and_huge_lengths_are_refused() {
        check(Version::Draft76, &[0x80; 40], &[TOO_BIG]);
        check(Version::Draft76, &[0xFF; 200], &[TOO_BIG]);
        check(Version::Draft75, &[0x90, 0x82, 0x2D], &[TOO_BIG]);
        let largest = [&[0x90, 0x82, 0x2C][..], &[b'x'; 300]].concat();
        check(Version::Draft76, &largest, &[DISCARDED]);
    }

    #[test]
    fn low_frames_without_end_are_refused() {
        check(Version::Draft76, &vec![1; 400], &[TOO_BIG]);
    }

    #[test]
    fn messages_over_the_limit_are_refused_before_they_end() {
        let text = [&[0][..], &[b'x'; 21]].concat();
        check(Version::Draft76, &text, &["MessageTooBig(20)"]);
    }

    #[test]
    fn a_server_refuses_what_is_not_utf8_at_the_first_bad_byte() {
        check(Version::Draft76, b"\0a\x80", &["InvalidUtf8"]);
        check(Version::Draft76, b"\0\xC3\xFF", &["InvalidUtf8"]);
        check(Version::Draft76, b"\0\xC3A\xA9\xFF", &["InvalidUtf8"]);
    }

    #[test]
    fn a_text_that_is_too_long_once_it_is_repaired_is_not_joined_with_the_next() {
        let limits = Limits { max_message: 20, ..Limits::default() };
        let mut decoder = Decoder::new(Version::Draft76, Role::Client);
        let mut input = RecvBuf::default();
        decoder.set_streaming(true, &limits).unwrap();
        input.feed(b"\0\x80\x80\x80\x80\x80\x80\x80\xFF\0next\xFF");
        assert!(decoder.poll(&mut input, &limits).unwrap().is_none() && decoder.has_piece());
        let too_big = ProtocolError::MessageTooBig(limits.max_message);
        assert_eq!(decoder.set_streaming(false, &limits), Err(too_big));
    }

    #[test]
    fn a_client_replaces_what_is_not_utf8() {
        for step in [9, 1] {
            let seen = decode(Version::Draft76, Role::Client, b"\0a\x80b\xC3\xFF", step);
            assert_eq!(seen, ["a\u{FFFD}b\u{FFFD}"]);
            let most =
                decode(Version::Draft76, Role::Client, b"\0\x80\x80\x80\x80\x80\x80\xFF", step);
            assert_eq!(most, ["\u{FFFD}".repeat(6)]);
            let over =
                decode(Version::Draft76, Role::Client, b"\0\x80\x80\x80\x80\x80\x80\x80\xFF", step);
            assert_eq!(over, ["MessageTooBig(20)"]);
        }
    }
}
