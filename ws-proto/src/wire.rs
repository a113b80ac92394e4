//! The two framings behind one enum.

mod growth;
mod item;
pub(crate) use item::Item;

pub(crate) mod mask;
pub(crate) mod rfc6455;
pub(crate) mod sentinel;
pub(crate) mod utf8;

use crate::deflate::DeflateParams;
use crate::{Limits, ProtocolError, RecvBuf, Role, Version};

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) enum Decoder {
    Sentinel(sentinel::Decoder),
    Rfc6455(rfc6455::Decoder),
}

impl Decoder {
    pub(crate) fn new(version: Version, role: Role, deflate: Option<DeflateParams>) -> Self {
        if version.has_frames() {
            Self::Rfc6455(rfc6455::Decoder::new(role, deflate))
        } else {
            Self::Sentinel(sentinel::Decoder::new(version, role))
        }
    }

    /// Takes bytes from `input` up to the end of the next item; `None` when all are used up.
    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        match self {
            Self::Sentinel(decoder) => decoder.poll(input, limits),
            Self::Rfc6455(decoder) => decoder.poll(input, limits),
        }
    }

    /// Whether no frame and no message is unfinished.
    pub(crate) fn is_at_boundary(&self) -> bool {
        match self {
            Self::Sentinel(decoder) => decoder.is_at_boundary(),
            Self::Rfc6455(decoder) => decoder.is_at_boundary(),
        }
    }
}
