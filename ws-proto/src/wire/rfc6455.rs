//! The frames of RFC 6455 section 5, which hybi 7 and 8 share.

mod direct;

mod header;
pub(crate) use header::{FIN, Header, LENGTH_16, MAX_CONTROL, MAX_HEADER, Opcode};

mod pieces;
mod whole;
pub(super) use whole::{take_whole, take_whole_control, whole_len};

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use header::{LENGTH_64, RSV1};

use super::item::Item;
use super::pieces::Pieces;
use super::utf8::Validator;
use super::{growth, mask, utf8};
use crate::buffer::Loan;
use crate::deflate::Inflater;
use crate::{Limits, Message, MessageKind, ProtocolError, RecvBuf, Role, Utf8Bytes};

/// Reads frames and joins fragments.
#[derive(Debug)]
pub(crate) struct Decoder {
    role: Role,
    /// The first bytes of a header that was cut.
    cut: [u8; MAX_HEADER],
    cut_len: u8,
    frame: Option<Frame>,
    control: Vec<u8>,
    message: Option<MessageKind>,
    /// Whether the message is compressed.
    deflated: bool,
    fragments: u32,
    utf8: Validator,
    payload: Vec<u8>,
    /// Whether `payload` is lent to the receive buffer.
    lent: Option<Loan>,
    /// Only when compression was agreed to.
    inflater: Option<Box<Inflater>>,
    /// From the moment messages are to come in pieces.
    pieces: Option<Box<Pieces>>,
}

/// The frame whose payload is being read.
#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// Whether a compressed message begins with it.
    rsv1: bool,
    /// Rotated to the next byte of the payload.
    key: Option<[u8; 4]>,
    remaining: usize,
}

impl Frame {
    /// Whether memory may grow for this frame alone, behind `received` bytes: nothing follows it, or
    /// it makes them more than double. Otherwise each of many fragments could move all of them.
    fn is_most(&self, received: usize) -> bool {
        self.fin || self.remaining > received
    }
}

impl Decoder {
    pub(crate) fn new(role: Role, streaming: bool, inflater: Option<Box<Inflater>>) -> Self {
        Self {
            role,
            cut: [0; MAX_HEADER],
            cut_len: 0,
            frame: None,
            control: Vec::new(),
            message: None,
            deflated: false,
            fragments: 0,
            utf8: Validator::default(),
            payload: Vec::new(),
            lent: None,
            inflater,
            pieces: streaming.then(|| Box::new(Pieces::streaming())),
        }
    }

    /// Takes the decompressor out, when nothing is unfinished.
    pub(crate) fn take_inflater(&mut self) -> Option<Box<Inflater>> {
        self.inflater.take()
    }

    pub(crate) fn is_at_boundary(&self) -> bool {
        self.cut_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        if self.lent.is_some() || input.is_lent() {
            self.read_lent(input).or_else(|fault| self.hold(fault))?;
            if self.lent.is_some() {
                return Ok(None);
            }
        }
        if self.is_streaming() {
            return self.poll_pieces(input, limits);
        }
        loop {
            if self.frame.is_none() && !self.read_header(input, limits)? {
                return Ok(None);
            }
            if !self.read_payload(input, limits, usize::MAX)? {
                self.lend(input, limits);
                return Ok(None);
            }
            if let Some(item) = self.finish_frame()? {
                return Ok(Some(item));
            }
        }
    }

    /// Reads the header of the next frame; `false` when it is not complete.
    fn read_header(&mut self, input: &mut RecvBuf, limits: &Limits) -> Result<bool, ProtocolError> {
        if self.cut_len == 0
            && let Some((frame, len)) = self.parse_header(input.unread(), limits)?
        {
            input.consume(len);
            self.begin(frame, limits);
            return Ok(true);
        }
        while let Some(byte) = input.unread().first().copied() {
            input.consume(1);
            if let Some(slot) = self.cut.get_mut(usize::from(self.cut_len)) {
                *slot = byte;
            }
            self.cut_len += 1;
            let cut = self.cut;
            let bytes = cut.get(..usize::from(self.cut_len)).unwrap_or_default();
            if let Some((frame, _)) = self.parse_header(bytes, limits)? {
                self.cut_len = 0;
                self.begin(frame, limits);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Judges a header in the order of its bytes, so that the cuts do not change the verdict.
    fn parse_header(
        &self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Frame, usize)>, ProtocolError> {
        let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
        let (opcode, fin, rsv1) = self.parse_first(*first, limits)?;
        let Some((second, rest)) = rest.split_first() else { return Ok(None) };
        match (self.role, second & 0x80 != 0) {
            (Role::Server, false) => return Err(ProtocolError::Unmasked),
            (Role::Client, true) => return Err(ProtocolError::Masked),
            _ => {}
        }
        let short = second & 0x7F;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(ProtocolError::ControlTooLong);
        }
        let (length, rest) = match short {
            LENGTH_16 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            LENGTH_64 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            _ => (u64::from(short), rest),
        };
        let remaining = self.check_length(short, length, (opcode, rsv1), limits)?;
        let (key, rest) = match self.role {
            Role::Client => (None, rest),
            Role::Server => match rest.split_first_chunk() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        Ok(Some((Frame { opcode, fin, rsv1, key, remaining }, bytes.len() - rest.len())))
    }

    /// Answers the opcode, FIN and RSV1.
    fn parse_first(
        &self,
        byte: u8,
        limits: &Limits,
    ) -> Result<(Opcode, bool, bool), ProtocolError> {
        let rsv = byte >> 4 & 0b111;
        let rsv1 = rsv == RSV1 && self.inflater.is_some() && matches!(byte & 0xF, 1 | 2);
        if rsv != 0 && !rsv1 {
            return Err(ProtocolError::ReservedBits(rsv));
        }
        let opcode = Opcode::parse(byte & 0xF)?;
        let fin = byte & 0x80 != 0;
        if opcode.is_control() {
            return if fin {
                Ok((opcode, fin, false))
            } else {
                Err(ProtocolError::ControlFragmented)
            };
        }
        match (opcode, self.message.is_some()) {
            (Opcode::Continuation, false) => Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, true) => Err(ProtocolError::ExpectedContinuation),
            _ if self.fragments >= limits.max_fragments => {
                Err(ProtocolError::TooManyFragments(limits.max_fragments))
            }
            _ => Ok((opcode, fin, rsv1)),
        }
    }

    fn check_length(
        &self,
        short: u8,
        length: u64,
        (opcode, rsv1): (Opcode, bool),
        limits: &Limits,
    ) -> Result<usize, ProtocolError> {
        if length >> 63 != 0 {
            return Err(ProtocolError::LengthTopBit);
        }
        if (short == LENGTH_16 && length < 126) || (short == LENGTH_64 && length <= 0xFFFF) {
            return Err(ProtocolError::LengthNotMinimal(length));
        }
        let frame = usize::try_from(length).unwrap_or(usize::MAX);
        if opcode.is_control() {
            return Ok(frame);
        }
        // What is compressed is counted when it is not any more.
        let deflated = rsv1 || (opcode == Opcode::Continuation && self.deflated);
        if self.is_streaming() {
            return self.check_streamed(length, deflated, limits);
        }
        if let Some(max) = limits.longest_frame(deflated).filter(|max| frame > *max) {
            return Err(ProtocolError::FrameTooBig(max));
        }
        let too_big = !deflated && frame > limits.max_message.saturating_sub(self.payload.len());
        if too_big || usize::try_from(length).is_err() {
            return Err(ProtocolError::MessageTooBig(limits.max_message));
        }
        Ok(frame)
    }

    fn begin(&mut self, frame: Frame, limits: &Limits) {
        let kind = match frame.opcode {
            Opcode::Text => Some(MessageKind::Text),
            Opcode::Binary => Some(MessageKind::Binary),
            _ => None,
        };
        if kind.is_some() {
            self.message = kind;
            self.deflated = frame.rsv1;
        }
        if !frame.opcode.is_control() {
            self.fragments += 1;
            if let Some(pieces) = &mut self.pieces {
                let longest = limits.longest_frame(self.deflated);
                pieces.long_frame |= longest.is_some_and(|max| frame.remaining > max);
            }
        }
        self.frame = Some(frame);
    }

    /// Takes what is there of the payload, at most `room`; `true` when the frame is complete.
    fn read_payload(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
        room: usize,
    ) -> Result<bool, ProtocolError> {
        let Some(frame) = &mut self.frame else { return Ok(false) };
        if self.deflated && !frame.opcode.is_control() {
            return self.read_deflated(input, limits);
        }
        let unread = input.unread();
        let bytes = unread.get(..frame.remaining.min(room)).unwrap_or(unread);
        let n = bytes.len();
        let out = if frame.opcode.is_control() { &mut self.control } else { &mut self.payload };
        let start = out.len();
        let end = out.len().saturating_add(frame.remaining);
        let direct = room == usize::MAX && growth::is_direct(out.len() + n, frame.remaining - n);
        if direct && frame.is_most(out.len()) {
            growth::reserve_direct(out, n, end);
        } else {
            // Many fragments must not each be given just their own room.
            let most = if frame.fin { end } else { end.max(limits.max_message) };
            growth::reserve(out, n, most);
        }
        match frame.key {
            Some(key) => mask::append(key, bytes, out),
            None => out.extend_from_slice(bytes),
        }
        input.consume(n);
        self.received(start, n)
    }

    /// The same for a compressed message, which is charged for what comes out of it.
    fn read_deflated(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<bool, ProtocolError> {
        let (Some(frame), Some(inflater)) = (&mut self.frame, &mut self.inflater) else {
            return Ok(false);
        };
        let bytes = input.unread_mut(frame.remaining);
        let n = bytes.len();
        if let Some(key) = &mut frame.key {
            mask::apply(*key, bytes);
            *key = mask::rotate(*key, n);
        }
        frame.remaining -= n;
        let is_text = self.message == Some(MessageKind::Text);
        let mut take = |piece: &[u8]| {
            let room = limits.max_message.saturating_sub(self.payload.len());
            if is_text {
                let judged = piece.get(..room).unwrap_or(piece);
                self.utf8.feed(judged).map_err(|_| ProtocolError::InvalidUtf8)?;
            }
            if piece.len() > room {
                return Err(ProtocolError::MessageTooBig(limits.max_message));
            }
            growth::reserve(&mut self.payload, piece.len(), limits.max_message);
            self.payload.extend_from_slice(piece);
            Ok(())
        };
        if frame.fin && frame.remaining == 0 {
            inflater.inflate_last(bytes, &mut take)?;
        } else {
            inflater.inflate(bytes, &mut take)?;
        }
        input.consume(n);
        Ok(frame.remaining == 0)
    }

    /// Accounts for `n` unmasked bytes behind `start`; `true` when the frame is complete.
    fn received(&mut self, start: usize, n: usize) -> Result<bool, ProtocolError> {
        let Some(frame) = &mut self.frame else { return Ok(false) };
        frame.remaining -= n.min(frame.remaining);
        frame.key = frame.key.map(|key| mask::rotate(key, n));
        if !frame.opcode.is_control() && self.message == Some(MessageKind::Text) {
            let fresh = self.payload.get(start..).unwrap_or_default();
            let whole = start == 0 && frame.fin && frame.remaining == 0;
            let valid = if whole { utf8::validate(fresh) } else { self.utf8.feed(fresh) };
            valid.map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(frame.remaining == 0)
    }

    fn finish_frame(&mut self) -> Result<Option<Item>, ProtocolError> {
        let Some(frame) = self.frame.take() else { return Ok(None) };
        if frame.opcode.is_control() {
            return whole::control(frame.opcode, &core::mem::take(&mut self.control)).map(Some);
        }
        if !frame.fin {
            return Ok(None);
        }
        self.fragments = 0;
        let payload = Bytes::from(core::mem::take(&mut self.payload));
        Ok(match self.message.take() {
            Some(MessageKind::Text) if !self.utf8.is_at_boundary() => {
                return Err(ProtocolError::InvalidUtf8);
            }
            Some(MessageKind::Text) => {
                Some(Item::Message(Message::Text(Utf8Bytes::from_validated(payload))))
            }
            _ => Some(Item::Message(Message::Binary(payload))),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    use super::*;
    use crate::{InvalidClose, Version};

    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    fn limits() -> Limits {
        Limits {
            max_message: 40_000,
            max_frame: Some(30_000),
            max_fragments: 4,
            ..Limits::default()
        }
    }

    /// A masked frame with any first byte.
    pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let header = Header::new(Opcode::Text, payload.len(), Some(KEY));
        let mut bytes = header.as_bytes().to_vec();
        bytes[0] = first;
        mask::append(KEY, payload, &mut bytes);
        bytes
    }

    fn describe(item: Item) -> String {
        match item {
            Item::Message(Message::Text(text)) if text.len() < 40 => format!("text {text}"),
            Item::Message(message) => {
                format!("{} {}", if message.is_text() { "text" } else { "binary" }, message.len())
            }
            Item::Ping(payload) => format!("ping {}", payload.len()),
            Item::Pong(payload) => format!("pong {}", payload.len()),
            Item::Close(close) => format!("close {close}"),
            Item::Discarded => "discarded".into(),
        }
    }

    /// Takes the short way where it is open, as a connection does.
    fn next(
        decoder: &mut crate::wire::Decoder,
        input: &mut RecvBuf,
    ) -> Result<Option<Item>, ProtocolError> {
        let whole = decoder.whole(&limits()).and_then(|whole| whole.take(input));
        whole.map_or_else(
            || decoder.poll(input, &limits()),
            |message| Ok(Some(Item::Message(message))),
        )
    }

    fn decode(role: Role, bytes: &[u8], step: usize) -> Result<Vec<String>, ProtocolError> {
        let mut decoder = crate::wire::Decoder::new(Version::Rfc6455, role, None);
        let mut input = RecvBuf::with_capacity(20_000);
        let mut seen = Vec::new();
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let n = input.feed(piece);
                piece = &piece[n..];
                while let Some(item) = next(&mut decoder, &mut input)? {
                    seen.push(describe(item));
                }
                assert!(input.unread().is_empty());
            }
        }
        Ok(seen)
    }

    /// Feeds a vector whole, in cuts, and with a tail.
    fn check(bytes: &[u8], expected: Result<&[&str], ProtocolError>) {
        let strings = |items: &[&str]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
        for step in [usize::MAX, 1, 2, 3, 4096] {
            // Miri takes a thousand times as long: it gets long frames in long pieces.
            if cfg!(miri) && bytes.len() / step > 1000 {
                continue;
            }
            assert_eq!(decode(Role::Server, bytes, step), expected.map(strings), "step {step}");
        }
        let tail = [bytes, &frame(0x81, b"tail")].concat();
        let with_tail = expected.map(|items| strings(&[items, &["text tail"]].concat()));
        assert_eq!(decode(Role::Server, &tail, usize::MAX), with_tail);
    }

    #[test]
    fn the_examples_of_section_5_7() {
        let masked = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58];
        check(&masked, Ok(&["text Hello"]));
        let unmasked = [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F];
        assert_eq!(decode(Role::Client, &unmasked, 1), Ok(vec!["text Hello".into()]));
        let fragments = [0x01, 0x03, 0x48, 0x65, 0x6C, 0x80, 0x02, 0x6C, 0x6F];
        assert_eq!(decode(Role::Client, &fragments, 2), Ok(vec!["text Hello".into()]));
        let ping = [0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F];
        assert_eq!(decode(Role::Client, &ping, 3), Ok(vec!["ping 5".into()]));
        assert_eq!(Header::new(Opcode::Binary, 256, None).as_bytes(), [0x82, 0x7E, 1, 0]);
        assert_eq!(
            Header::new(Opcode::Binary, 65_536, None).as_bytes(),
            [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }

    #[test]
    fn control_frames_sit_between_fragments() {
        let bytes = [
            frame(0x01, "gr\u{fc}".as_bytes().split_at(3).0),
            frame(0x89, b"?"),
            frame(0x00, &"gr\u{fc}".as_bytes()[3..]),
            frame(0x80, b""),
            frame(0x8A, b""),
            frame(0x88, &[]),
        ];
        check(&bytes.concat(), Ok(&["ping 1", "text grü", "pong 0", "close no code"]));
    }

    #[test]
    fn large_frames_pass_in_both_kinds_of_length() {
        for len in [0, 125, 126, 20_000, 30_000] {
            check(&frame(0x82, &vec![7; len]), Ok(&[&format!("binary {len}")]));
        }
        let two = [frame(0x02, &vec![1; 30_000]), frame(0x80, &[2; 10_000])].concat();
        check(&two, Ok(&["binary 40000"]));
    }

    #[test]
    fn each_broken_rule_has_its_error() {
        use ProtocolError as E;
        let unmasked = [0x81, 0x00];
        check(&unmasked, Err(E::Unmasked));
        for control in [0x88, 0x89, 0x8A] {
            check(&[control, 0x00], Err(E::Unmasked));
            for step in [1, usize::MAX] {
                assert_eq!(decode(Role::Client, &frame(control, b""), step), Err(E::Masked));
            }
        }
        assert_eq!(decode(Role::Client, &frame(0x81, b""), 1), Err(E::Masked));
        check(&frame(0xC1, b""), Err(E::ReservedBits(0b100)));
        check(&frame(0x83, b""), Err(E::ReservedOpcode(3)));
        check(&frame(0x8B, b""), Err(E::ReservedOpcode(11)));
        check(&frame(0x09, b""), Err(E::ControlFragmented));
        check(&frame(0x89, &[0; 126]), Err(E::ControlTooLong));
        check(&frame(0x80, b""), Err(E::UnexpectedContinuation));
        check(&[frame(0x01, b""), frame(0x81, b"")].concat(), Err(E::ExpectedContinuation));
        check(&[0x82, 0xFE, 0, 125], Err(E::LengthNotMinimal(125)));
        check(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], Err(E::LengthNotMinimal(0xFFFF)));
        check(&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(E::LengthTopBit));
        check(&[0x82, 0xFE, 0x75, 0x31], Err(E::FrameTooBig(30_000)));
        let long = [frame(0x02, &vec![0; 30_000]), vec![0x80, 0xFE, 0x27, 0x11]].concat();
        check(&long, Err(E::MessageTooBig(40_000)));
        let many = [frame(0x01, b""), frame(0x00, b"").repeat(4)].concat();
        check(&many, Err(E::TooManyFragments(4)));
        check(&frame(0x81, b"\xFF"), Err(E::InvalidUtf8));
        check(&frame(0x81, b"\xC3"), Err(E::InvalidUtf8));
        check(&frame(0x88, b"\x03"), Err(E::InvalidClose(InvalidClose::Short)));
        check(&frame(0x88, &[3, 0xEE]), Err(E::InvalidClose(InvalidClose::Code(1006))));
    }

    #[test]
    fn bad_text_fails_inside_an_unfinished_frame() {
        let mut bytes = frame(0x81, b"ab\xFFcdefgh");
        bytes.truncate(9);
        check_unfinished(&bytes, ProtocolError::InvalidUtf8);
    }

    fn check_unfinished(bytes: &[u8], expected: ProtocolError) {
        for step in [usize::MAX, 1] {
            assert_eq!(decode(Role::Server, bytes, step), Err(expected));
        }
    }

    #[test]
    fn rust_websocket_2022_a_claimed_length_reserves_nothing() {
        let limits = Limits { max_message: usize::MAX, ..Limits::default() };
        let mut decoder = Decoder::new(Role::Server, false, None);
        let mut input = RecvBuf::default();
        input.feed(&[0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 9]);
        assert!(decoder.poll(&mut input, &limits).unwrap().is_none());
        assert!(decoder.payload.capacity() < 64);
        assert!(input.is_idle());
    }
}
