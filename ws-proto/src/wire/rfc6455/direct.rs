//! Long frames, which are read straight into the message that they belong to.

use super::Decoder;
use crate::wire::{growth, mask};
use crate::{Limits, MessageKind, ProtocolError, RecvBuf};

impl Decoder {
    /// Has the rest of a large frame read straight into its message.
    pub(super) fn lend(&mut self, input: &mut RecvBuf, limits: &Limits) {
        let Some(frame) = self.frame.as_ref().filter(|_| !self.deflated) else { return };
        let len = self.payload.len();
        if !frame.opcode.is_control() && growth::is_direct(len, frame.remaining) {
            if !frame.is_most(len) {
                growth::reserve(&mut self.payload, frame.remaining, limits.max_message);
            }
            let want = len + frame.remaining;
            self.lent = Some(input.lend(core::mem::take(&mut self.payload), want, usize::MAX));
        }
    }

    /// Takes what was read into the message. It comes back when the rest of its frame is short.
    pub(super) fn read_lent(&mut self, input: &mut RecvBuf) -> Result<(), ProtocolError> {
        let loan = self.lent.take().ok_or(ProtocolError::BufferExchanged)?;
        let fresh = input.fresh_mut(&loan).ok_or(ProtocolError::BufferExchanged)?;
        if let Some(frame) = &mut self.frame {
            let n = fresh.len();
            if let Some(key) = &mut frame.key {
                mask::apply(*key, fresh);
                *key = mask::rotate(*key, n);
            }
            frame.remaining -= n.min(frame.remaining);
        }
        let is_text = self.message == Some(MessageKind::Text);
        let valid = if is_text { self.utf8.feed(fresh) } else { Ok(()) };
        input.consume_fresh();
        let remaining = self.frame.as_ref().map_or(0, |frame| frame.remaining);
        if valid.is_ok() && remaining >= growth::DIRECT_MIN && !self.is_streaming() {
            self.lent = Some(loan);
            return Ok(());
        }
        self.payload = input.reclaim(&loan).ok_or(ProtocolError::BufferExchanged)?;
        valid.map_err(|_| ProtocolError::InvalidUtf8)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::Role;
    use crate::wire::Item;
    use crate::wire::rfc6455::tests::frame;

    #[test]
    fn a_large_frame_is_read_straight_into_its_message() {
        // Longer than what one read is trusted with after the first.
        let rounds = if cfg!(miri) { 1_300 } else { 3_600 };
        let payload: Vec<u8> = (0..=250).collect::<Vec<u8>>().repeat(rounds);
        let bytes = frame(0x82, &payload);
        let mut decoder = Decoder::new(Role::Server, false, None);
        let limits = Limits::default();
        let mut input = RecvBuf::with_capacity(17_000);
        let mut at = 0;
        let mut direct = 0;
        let message = loop {
            let n = input.feed(&bytes[at..]);
            at += n;
            if let Some(Item::Message(message)) = decoder.poll(&mut input, &limits).unwrap() {
                break message;
            }
            direct += usize::from(!input.is_idle());
        };
        assert!(direct >= 2, "only {direct} direct reads");
        assert!(message.as_bytes() == payload);
    }
}
