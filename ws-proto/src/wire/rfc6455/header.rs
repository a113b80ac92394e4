use crate::{MessageKind, ProtocolError};

/// Opcodes of RFC 6455 section 5.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    pub(super) fn parse(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return Err(ProtocolError::ReservedOpcode(bits)),
        })
    }

    pub(crate) fn of(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The longest payload of a control frame (section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The first byte's bit of a message's last frame.
pub(crate) const FIN: u8 = 0x80;

/// Of the three reserved bits: the message is compressed (RFC 7692 section 6).
pub(super) const RSV1: u8 = 0b100;

/// Says that the length follows in 16 bits.
pub(crate) const LENGTH_16: u8 = 126;

/// Says that the length follows in 64 bits.
pub(super) const LENGTH_64: u8 = 127;

/// The longest header: two bytes, 64-bit length, masking key.
pub(crate) const MAX_HEADER: usize = 14;

/// A header that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl Header {
    /// The header of an unfragmented frame, in the shortest form.
    pub(crate) fn new(opcode: Opcode, payload: usize, key: Option<[u8; 4]>) -> Self {
        let first = FIN | opcode as u8;
        let masked = if key.is_some() { 0x80 } else { 0 };
        let [k0, k1, k2, k3] = key.unwrap_or_default();
        let (bytes, len) = match payload {
            0..=125 => {
                let short = masked | payload as u8;
                ([first, short, k0, k1, k2, k3, 0, 0, 0, 0, 0, 0, 0, 0], 2)
            }
            126..=0xFFFF => {
                let [l0, l1] = (payload as u16).to_be_bytes();
                let short = masked | LENGTH_16;
                ([first, short, l0, l1, k0, k1, k2, k3, 0, 0, 0, 0, 0, 0], 4)
            }
            _ => {
                let [l0, l1, l2, l3, l4, l5, l6, l7] = (payload as u64).to_be_bytes();
                let short = masked | LENGTH_64;
                ([first, short, l0, l1, l2, l3, l4, l5, l6, l7, k0, k1, k2, k3], 10)
            }
        };
        Self { bytes, len: len + if key.is_some() { 4 } else { 0 } }
    }

    /// The same for a compressed payload (RFC 7692 section 6): with RSV1.
    pub(crate) fn deflated(mut self) -> Self {
        if let Some(first) = self.bytes.first_mut() {
            *first |= RSV1 << 4;
        }
        self
    }

    /// The same for a fragment that others follow (RFC 6455 section 5.4): without FIN.
    pub(crate) fn unfinished(mut self) -> Self {
        if let Some(first) = self.bytes.first_mut() {
            *first &= 0x7F;
        }
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}
