use alloc::boxed::Box;
use std::sync::OnceLock;

use bytes::Bytes;

use super::params::Direction;

const WINDOWS: usize = (Direction::MAX_BITS - Direction::MIN_OWN_BITS + 1) as usize;

/// The compressed forms of a message for many, one for each size of the window: made when the
/// first connection wants it.
#[derive(Debug, Default)]
pub(crate) struct Forms(OnceLock<Box<[OnceLock<Option<Bytes>>; WINDOWS]>>);

impl Forms {
    /// The form for this window; `None` when it is no shorter than the message.
    pub(super) fn of(
        &self,
        window_bits: u8,
        make: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        let at = usize::from(window_bits.checked_sub(Direction::MIN_OWN_BITS)?);
        self.0.get_or_init(Box::default).get(at)?.get_or_init(make).clone()
    }
}
