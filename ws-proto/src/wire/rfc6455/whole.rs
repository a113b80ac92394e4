use alloc::vec::Vec;

use bytes::Bytes;

use super::header::{LENGTH_16, LENGTH_64};
use crate::wire::{mask, utf8};
use crate::{Message, RecvBuf, Role, Utf8Bytes};

/// FIN and the opcode of text.
const TEXT: u8 = 0x81;

/// FIN and the opcode of binary.
const BINARY: u8 = 0x82;

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
