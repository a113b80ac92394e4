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

/// Masking with this changes nothing.
const NO_KEY: [u8; 4] = [0; 4];

/// How long the unfragmented frame is that comes first, if it is there to its end.
#[inline]
pub(crate) fn whole_len(input: &RecvBuf) -> Option<usize> {
    let unread = input.unread();
    let [TEXT | BINARY, second, rest @ ..] = unread else { return None };
    let key = if second & 0x80 == 0 { 0 } else { 4 };
    let len = match second & 0x7F {
        LENGTH_16 => 4 + usize::from(u16::from_be_bytes(*rest.first_chunk()?)),
        LENGTH_64 => {
            usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?.checked_add(10)?
        }
        len => 2 + usize::from(len),
    };
    let len = len.checked_add(key)?;
    (len <= unread.len()).then_some(len)
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
        (Role::Client, false) => (2, NO_KEY),
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
            let len = u16::from_be_bytes(*len);
            if len < u16::from(LENGTH_16) {
                return None;
            }
            (usize::from(len), rest)
        }
        LENGTH_64 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = usize::try_from(u64::from_be_bytes(*len)).ok()?;
            if u16::try_from(len).is_ok() {
                return None;
            }
            (len, rest)
        }
        len => (usize::from(len), rest),
    };
    if len > most {
        return None;
    }
    let (key, rest) = match (role, second & 0x80 != 0) {
        (Role::Server, true) => rest.split_first_chunk().map(|(key, rest)| (*key, rest))?,
        (Role::Client, false) => (NO_KEY, rest),
        _ => return None,
    };
    let masked = rest.get(..len)?;
    let end = unread.len() - rest.len() + len;
    let is_text = *first == TEXT;
    if input.is_made_for(end) {
        return take_with_memory(key, input, (end - len, len), is_text);
    }
    let mut payload = Vec::with_capacity(len);
    match role {
        Role::Server => mask::append(key, masked, &mut payload),
        Role::Client => payload.extend_from_slice(masked),
    }
    if is_text && utf8::validate(&payload).is_err() {
        return None;
    }
    input.consume(end);
    Some(message(is_text, Bytes::from(payload)))
}

/// The same where the memory that it was read into was made for it.
#[inline(never)]
fn take_with_memory(
    key: [u8; 4],
    input: &mut RecvBuf,
    (header, len): (usize, usize),
    is_text: bool,
) -> Option<Message> {
    let payload = input.unread_mut(header + len).get_mut(header..)?;
    if key != NO_KEY {
        mask::apply(key, payload);
    }
    if is_text && utf8::validate(payload).is_err() {
        // Who judges it finds it as it came.
        mask::apply(key, payload);
        return None;
    }
    Some(message(is_text, input.give_away(header, len)))
}

#[inline]
fn message(is_text: bool, payload: Bytes) -> Message {
    if is_text {
        Message::Text(Utf8Bytes::from_validated(payload))
    } else {
        Message::Binary(payload)
    }
}
