//! The two framings behind one enum.

mod growth;
mod item;
pub(crate) use item::Item;

pub(crate) mod mask;
mod pieces;
pub(crate) mod rfc6455;
pub(crate) mod sentinel;
pub(crate) mod utf8;
mod whole;
pub(crate) use whole::Whole;

use alloc::boxed::Box;

use crate::deflate::{DeflateParams, Inflater};
use crate::{Limits, Piece, ProtocolError, RecvBuf, Role, Version};

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) enum Decoder {
    Sentinel(Box<sentinel::Decoder>),
    Rfc6455 {
        role: Role,
        /// Messages are to come in pieces.
        streaming: bool,
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
            Self::Rfc6455 { role, streaming: false, busy: None, inflater }
        } else {
            Self::Sentinel(Box::new(sentinel::Decoder::new(version, role)))
        }
    }

    /// Takes bytes from `input` up to the end of the next item; `None` when all are used up. This is
    /// the long way: what [`whole`](Self::whole) takes costs more here, and comes to the same.
    pub(crate) fn poll(
        &mut self,
        input: &mut RecvBuf,
        limits: &Limits,
    ) -> Result<Option<Item>, ProtocolError> {
        match self {
            Self::Sentinel(decoder) => decoder.poll(input, limits),
            Self::Rfc6455 { role, streaming, busy, inflater } => {
                if busy.is_none()
                    && !input.is_lent()
                    && let Some(item) = rfc6455::take_whole_control(*role, input)
                {
                    return item.map(Some);
                }
                let decoder = busy.get_or_insert_with(|| {
                    Box::new(rfc6455::Decoder::new(*role, *streaming, inflater.take()))
                });
                let item = decoder.poll(input, limits);
                if decoder.is_at_boundary() {
                    *inflater = decoder.take_inflater();
                    *busy = None;
                }
                item
            }
        }
    }

    /// Says whether messages are handed out in pieces from now on.
    pub(crate) fn set_streaming(&mut self, on: bool, limits: &Limits) -> Result<(), ProtocolError> {
        match self {
            Self::Sentinel(decoder) => decoder.set_streaming(on, limits),
            Self::Rfc6455 { streaming, busy, .. } => {
                *streaming = on;
                busy.as_mut().map_or(Ok(()), |decoder| decoder.set_streaming(on, limits))
            }
        }
    }

    /// Whether there is a piece. Nothing is parsed until it is taken.
    pub(crate) fn has_piece(&self) -> bool {
        match self {
            Self::Sentinel(decoder) => decoder.has_piece(),
            Self::Rfc6455 { busy, .. } => busy.as_ref().is_some_and(|decoder| decoder.has_piece()),
        }
    }

    /// Takes the piece, and what is wrong behind it.
    pub(crate) fn take_piece(&mut self) -> Option<(Piece, Option<ProtocolError>)> {
        match self {
            Self::Sentinel(decoder) => decoder.take_piece(),
            Self::Rfc6455 { busy, inflater, .. } => {
                let decoder = busy.as_mut()?;
                let piece = decoder.take_piece();
                if decoder.is_at_boundary() {
                    *inflater = decoder.take_inflater();
                    *busy = None;
                }
                piece
            }
        }
    }

    /// How messages that are received whole can be taken, while nothing has to be judged before
    /// them.
    #[inline]
    pub(crate) fn whole(&self, limits: &Limits) -> Option<Whole> {
        match self {
            Self::Sentinel(decoder) => {
                decoder.is_idle().then(|| Whole::text(limits, decoder.is_streaming()))
            }
            Self::Rfc6455 { role, streaming, busy, .. } => {
                busy.is_none().then(|| Whole::frames(*role, limits, *streaming))
            }
        }
    }

    /// How long the next message in `input` is with its framing, if it seems to be one for that.
    #[inline]
    pub(crate) fn whole_len(&self, input: &RecvBuf) -> Option<usize> {
        match self {
            Self::Sentinel(decoder) if decoder.is_idle() => sentinel::whole_len(input),
            Self::Rfc6455 { busy: None, .. } => rfc6455::whole_len(input),
            _ => None,
        }
    }

    /// Whether no frame and no message is unfinished.
    pub(crate) fn is_at_boundary(&self) -> bool {
        match self {
            Self::Sentinel(decoder) => decoder.is_at_boundary(),
            Self::Rfc6455 { busy, .. } => busy.is_none(),
        }
    }
}
