//! The two framings behind one enum.

mod growth;
mod item;
pub(crate) use item::Item;

pub(crate) mod mask;
pub(crate) mod rfc6455;
pub(crate) mod sentinel;
pub(crate) mod utf8;

use alloc::boxed::Box;

use crate::deflate::{DeflateParams, Inflater};
use crate::{Limits, ProtocolError, RecvBuf, Role, Version};

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) enum Decoder {
    Sentinel(Box<sentinel::Decoder>),
    Rfc6455 {
        role: Role,
        /// Only while a frame or a message is unfinished: an idle connection holds none.
        busy: Option<Box<rfc6455::Decoder>>,
        /// Only when compression was agreed to; `busy` has it meanwhile.
        inflater: Option<Box<Inflater>>,
    },
}

impl Decoder {
    pub(crate) fn new(version: Version, role: Role, deflate: Option<DeflateParams>) -> Self {
        if version.has_frames() {
            let inflater = deflate.map(|params| Box::new(Inflater::new(params, role)));
            Self::Rfc6455 { role, busy: None, inflater }
        } else {
            Self::Sentinel(Box::new(sentinel::Decoder::new(version, role)))
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
            Self::Rfc6455 { role, busy, inflater } => {
                if busy.is_none()
                    && !input.is_lent()
                    && let Some(message) = rfc6455::take_whole(*role, input, limits)
                {
                    return Ok(Some(Item::Message(message)));
                }
                let decoder = busy
                    .get_or_insert_with(|| Box::new(rfc6455::Decoder::new(*role, inflater.take())));
                let item = decoder.poll(input, limits);
                if decoder.is_at_boundary() {
                    *inflater = decoder.take_inflater();
                    *busy = None;
                }
                item
            }
        }
    }

    /// Whether no frame and no message is unfinished.
    pub(crate) fn is_at_boundary(&self) -> bool {
        match self {
            Self::Sentinel(decoder) => decoder.is_at_boundary(),
            Self::Rfc6455 { busy, .. } => {
                busy.as_ref().is_none_or(|decoder| decoder.is_at_boundary())
            }
        }
    }
}
