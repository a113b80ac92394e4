use alloc::vec::Vec;

use bytes::Bytes;

use super::header::{FIN, LENGTH_16, LENGTH_64, MAX_CONTROL, Opcode};
use crate::wire::{Item, mask, utf8};
use crate::{Close, Message, ProtocolError, RecvBuf, Role, Utf8Bytes};

/// FIN and the opcode of each kind of frame that stands alone.
const TEXT: u8 = FIN | Opcode::Text as u8;
const BINARY: u8 = FIN | Opcode::Binary as u8;
const CLOSE: u8 = FIN | Opcode::Close as u8;
const PING: u8 = FIN | Opcode::Ping as u8;
const PONG: u8 = FIN | Opcode::Pong as u8;

/// Whether what comes first is an unfragmented frame of less than 64 KiB that is there to its end.
#[inline]
pub(crate) fn begins_whole(input: &RecvBuf) -> bool {
    let unread = input.unread();
    let [TEXT | BINARY, second, rest @ ..] = unread else { return false };
    let needed = match (second & 0x7F, rest) {
        (LENGTH_16, [high, low, ..]) => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        (LENGTH_16 | LENGTH_64, _) => return false,
        (len, _) => 2 + usize::from(len),
    };
    let key = if second & 0x80 == 0 { 0 } else { 4 };
    needed + key <= unread.len()
}

/// A control frame that is there to its end, and is good up to its payload.
pub(crate) fn take_whole_control(
    role: Role,
    input: &mut RecvBuf,
) -> Option<Result<Item, ProtocolError>> {
    let [first, second, rest @ ..] = input.unread() else { return None };
    let opcode = match *first {
        CLOSE => Opcode::Close,
        PING => Opcode::Ping,
        PONG => Opcode::Pong,
        _ => return None,
    };
    let len = usize::from(second & 0x7F);
    let (header, key) = match (role, second & 0x80 != 0) {
        (Role::Server, true) => (6, *rest.first_chunk()?),
        (Role::Client, false) => (2, [0; 4]),
        _ => return None,
    };
    if len > MAX_CONTROL || input.unread().len() < header + len {
        return None;
    }
    input.consume(header);
    let payload = input.unread_mut(len);
    mask::apply(key, payload);
    let item = control(opcode, payload);
    input.consume(len);
    Some(item)
}

/// What a control frame with this payload says.
pub(super) fn control(opcode: Opcode, payload: &[u8]) -> Result<Item, ProtocolError> {
    Ok(match opcode {
        Opcode::Ping => Item::Ping(Bytes::copy_from_slice(payload)),
        Opcode::Pong => Item::Pong(Bytes::copy_from_slice(payload)),
        _ => Item::Close(Close::from_payload(payload).map_err(ProtocolError::InvalidClose)?),
    })
}

/// A message in one unfragmented frame that was received whole, of up to `most` bytes, and keeps
/// every rule.
#[inline]
pub(crate) fn take_whole(role: Role, input: &mut RecvBuf, most: usize) -> Option<Message> {
    let unread = input.unread();
    let [first @ (TEXT | BINARY), second, rest @ ..] = unread else { return None };
    let (len, rest) = match second & 0x7F {
        LENGTH_16 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        LENGTH_64 => return None,
        len => (usize::from(len), rest),
    };
    let minimal = second & 0x7F != LENGTH_16 || len >= usize::from(LENGTH_16);
    if !minimal || len > most {
        return None;
    }
    let (key, rest) = match (role, second & 0x80 != 0) {
        (Role::Server, true) => rest.split_first_chunk().map(|(key, rest)| (*key, rest))?,
        (Role::Client, false) => ([0; 4], rest),
        _ => return None,
    };
    let masked = rest.get(..len)?;
    let end = unread.len() - rest.len() + len;
    let mut payload = Vec::with_capacity(len);
    match role {
        Role::Server => mask::append(key, masked, &mut payload),
        Role::Client => payload.extend_from_slice(masked),
    }
    let is_text = *first == TEXT;
    if is_text && utf8::validate(&payload).is_err() {
        return None;
    }
    input.consume(end);
    let payload = Bytes::from(payload);
    Some(if is_text {
        Message::Text(Utf8Bytes::from_validated(payload))
    } else {
        Message::Binary(payload)
    })
}
