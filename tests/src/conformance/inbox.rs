//! What comes from a server, made into items.

use ws_proto::Version;

use super::peer::{Patience, Peer, Received};
use super::step::Item;

/// Bytes that came and were not looked at.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    ended: bool,
    /// The first byte and the payload so far of a message in fragments.
    message: Option<(u8, Vec<u8>)>,
}

/// Why there is no item.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing came in time.
    Nothing,
    /// What came is no frame that a server may send.
    Wrong(String),
}

impl Inbox {
    /// The next head, up to its empty line; `None` when the stream ends before there is a byte.
    pub(super) fn head(
        &mut self,
        peer: &mut dyn Peer,
        patience: Patience,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        loop {
            let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                return Ok(Some(self.take(end + 4)));
            }
            if !self.more(peer, patience)? {
                return match self.bytes.len() {
                    0 => Ok(None),
                    _ => Err(Trouble::Wrong("the stream ended inside of a head".into())),
                };
            }
        }
    }

    /// The next `n` bytes.
    pub(super) fn exactly(&mut self, n: usize, peer: &mut dyn Peer) -> Result<Vec<u8>, Trouble> {
        while self.bytes.len() < n {
            if !self.more(peer, Patience::Case)? {
                let bytes = self.bytes.len();
                return Err(Trouble::Wrong(format!("the stream ended after {bytes} of {n} bytes")));
            }
        }
        Ok(self.take(n))
    }

    /// Everything up to the end of the stream.
    pub(super) fn rest(&mut self, peer: &mut dyn Peer) -> Result<Vec<u8>, Trouble> {
        while self.more(peer, Patience::Case)? {}
        Ok(self.take(self.bytes.len()))
    }

    /// The next item.
    pub(super) fn item(
        &mut self,
        version: Version,
        peer: &mut dyn Peer,
        patience: Patience,
    ) -> Result<Item, Trouble> {
        loop {
            let item = if version.has_frames() { self.frame()? } else { self.sentinel()? };
            if let Some(item) = item {
                return Ok(item);
            }
            if !self.more(peer, patience)? {
                return match self.bytes.len() {
                    0 => Ok(Item::End),
                    n => Err(Trouble::Wrong(format!(
                        "the stream ended inside of a frame, after {n} bytes"
                    ))),
                };
            }
        }
    }

    /// Takes what came; `false` at the end of the stream.
    fn more(&mut self, peer: &mut dyn Peer, patience: Patience) -> Result<bool, Trouble> {
        if self.ended {
            return Ok(false);
        }
        match peer.receive(patience) {
            Received::Bytes(bytes) => self.bytes.extend(bytes),
            Received::End => self.ended = true,
            Received::Nothing => return Err(Trouble::Nothing),
        }
        Ok(!self.ended)
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(n);
        std::mem::replace(&mut self.bytes, rest)
    }

    /// A message or a control frame, judged as RFC 6455 section 5 has it.
    fn frame(&mut self) -> Result<Option<Item>, Trouble> {
        while let Some((first, payload)) = self.one_frame()? {
            let control = first & 0x08 != 0;
            if control && (first & 0x80 == 0 || payload.len() > 125) {
                return Err(wrong("a control frame in fragments or longer than 125 bytes"));
            }
            if matches!(first & 0x0F, 0x8..=0xA) {
                return Ok(Some(Item::of(first, payload)));
            }
            let (opcode, payload) = match (first & 0x0F, self.message.take()) {
                (0, Some((opcode, begun))) => (opcode, [begun, payload].concat()),
                (opcode @ 1..=2, None) => (opcode, payload),
                (opcode, _) => {
                    return Err(wrong(&format!("a frame with opcode {opcode} out of place")));
                }
            };
            if first & 0x80 == 0 {
                self.message = Some((opcode, payload));
                continue;
            }
            return Ok(Some(Item::of(opcode, payload)));
        }
        Ok(None)
    }

    /// The first byte and the payload of the next frame, if it is whole.
    fn one_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, Trouble> {
        let [first, second, rest @ ..] = self.bytes.as_slice() else { return Ok(None) };
        let (first, second) = (*first, *second);
        if first & 0x70 != 0 {
            return Err(wrong(&format!("a frame with reserved bits: {first:02x}")));
        }
        if second & 0x80 != 0 {
            return Err(wrong("a masked frame"));
        }
        let (length, extra, least) = match (second, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2, 126),
            (127, bytes) if bytes.len() >= 8 => {
                let bytes: [u8; 8] = bytes[..8].try_into().unwrap_or_default();
                (u64::from_be_bytes(bytes), 8, 0x1_0000)
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (short.into(), 0, 0),
        };
        if length < least || length > MOST {
            return Err(wrong(&format!(
                "a frame of {length} bytes with {extra} more bytes of length"
            )));
        }
        let whole = 2 + extra + length as usize;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let mut frame = self.take(whole);
        Ok(Some((first, frame.split_off(2 + extra))))
    }

    /// A text or the closing bytes of draft75 and draft76.
    fn sentinel(&mut self) -> Result<Option<Item>, Trouble> {
        match self.bytes.as_slice() {
            [] | [0xFF] => Ok(None),
            [0xFF, 0, ..] => {
                self.take(2);
                Ok(Some(Item::Closing))
            }
            [0, ..] => {
                let Some(end) = self.bytes.iter().position(|byte| *byte == 0xFF) else {
                    return Ok(None);
                };
                let mut frame = self.take(end + 1);
                frame.pop();
                Ok(Some(Item::Text(frame.split_off(1))))
            }
            [other, ..] => Err(wrong(&format!("a frame of the reserved type {other:02x}"))),
        }
    }
}

/// More than any case makes a server send.
const MOST: u64 = 64 << 20;

fn wrong(what: &str) -> Trouble {
    Trouble::Wrong(what.into())
}

impl Item {
    fn of(opcode: u8, payload: Vec<u8>) -> Self {
        match opcode & 0x0F {
            0x1 => Self::Text(payload),
            0x2 => Self::Binary(payload),
            0x9 => Self::Ping(payload),
            0xA => Self::Pong(payload),
            _ => Self::Close(payload),
        }
    }
}
