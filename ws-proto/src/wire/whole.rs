use super::{rfc6455, sentinel};
use crate::{Limits, Message, RecvBuf, Role};

/// The short way of what most messages are: received whole, in one frame, and keeping every rule.
/// Anything else is left in the input, and the decoder judges it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whole {
    /// Unfragmented frames for this side, with payloads of up to `most` bytes.
    Frames { role: Role, most: usize },
    /// Text between two bytes, for a server, of up to `most` bytes.
    Text { most: usize },
}

impl Whole {
    pub(super) fn frames(role: Role, limits: &Limits, streaming: bool) -> Self {
        let most = limits.longest_message(streaming);
        Self::Frames { role, most: limits.max_frame.map_or(most, |frame| frame.min(most)) }
    }

    pub(super) fn text(limits: &Limits, streaming: bool) -> Self {
        Self::Text { most: limits.longest_message(streaming) }
    }

    /// The next message.
    #[inline]
    pub(crate) fn take(self, input: &mut RecvBuf) -> Option<Message> {
        if input.is_lent() {
            return None;
        }
        match self {
            Self::Frames { role, most } => rfc6455::take_whole(role, input, most),
            Self::Text { most } => sentinel::take_whole(input, most),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::super::rfc6455::{Header, Opcode};
    use super::*;
    use crate::Version;
    use crate::wire::mask;

    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    /// How a peer sends a message.
    type Send = fn(&[u8]) -> Vec<u8>;

    /// All kinds of them, and who takes it.
    fn senders() -> [(Whole, Send); 3] {
        let limits = Limits::default();
        let frames = |role| Whole::frames(role, &limits, false);
        [
            (frames(Role::Server), |payload| frame(payload, Some(KEY))),
            (frames(Role::Client), |payload| frame(payload, None)),
            (Whole::text(&limits, false), |payload| [&[0], payload, &[0xFF]].concat()),
        ]
    }

    fn frame(payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = Header::new(Opcode::Text, payload.len(), key).as_bytes().to_vec();
        mask::append(key.unwrap_or_default(), payload, &mut bytes);
        bytes
    }

    /// A buffer for one message that has `bytes` in it, and where that lies.
    fn made_for(capacity: usize, bytes: &[u8]) -> (RecvBuf, *const u8) {
        let mut input = RecvBuf::for_message(capacity);
        assert_eq!(input.feed(bytes), bytes.len());
        let memory = input.unread().as_ptr();
        (input, memory)
    }

    #[test]
    fn a_message_takes_the_memory_that_was_made_for_it() {
        // Miri takes a thousand times as long.
        let lengths: &[usize] =
            if cfg!(miri) { &[1024, 5000] } else { &[1024, 5000, 65_535, 65_536, 70_000] };
        for (whole, sent) in senders() {
            for len in lengths {
                let text = format!("\u{e9}{}", "x".repeat(len - 2));
                let bytes = sent(text.as_bytes());
                for room in [1, bytes.len() / 3] {
                    let (mut input, memory) = made_for(bytes.len() + room, &bytes);
                    let message = whole.take(&mut input).unwrap();
                    assert_eq!(message.as_text(), Some(text.as_str()));
                    let header = message.as_bytes().as_ptr() as usize - memory as usize;
                    assert!(header <= bytes.len() - text.len(), "it was moved");
                    assert!(input.is_idle() && !input.has_room() && input.capacity() == 0);
                    assert!(input.spare_mut().is_empty() && input.message_mut().is_none());
                }
            }
        }
    }

    #[test]
    fn it_is_copied_where_that_is_not_all_or_much_too_long() {
        let text = "copied".repeat(300);
        for (whole, sent) in senders() {
            let bytes = sent(text.as_bytes());
            let two = bytes.repeat(2);
            let cases = [(two.len() + 1, &two), (3000, &bytes), (bytes.len(), &bytes)];
            for (capacity, bytes) in cases {
                let (mut input, _) = made_for(capacity, bytes);
                while !input.is_empty() {
                    let message = whole.take(&mut input).unwrap();
                    assert_eq!(message.as_text(), Some(text.as_str()));
                    assert_eq!(input.capacity(), capacity);
                }
                assert_eq!(input.spare_mut().len(), capacity);
            }
        }
    }

    #[test]
    fn a_slice_of_such_memory_is_initialised_and_stays() {
        let (whole, sent) = senders()[0];
        let bytes = sent(&[b'x'; 100]);
        let mut input = RecvBuf::for_message(128);
        assert!(input.appends());
        assert_eq!(input.spare_mut(), [0; 128]);
        assert!(!input.appends() && input.message_mut().is_none());
        assert_eq!(input.feed(&bytes), bytes.len());
        assert_eq!(whole.take(&mut input).unwrap().len(), 100);
        assert_eq!((input.is_idle(), input.capacity()), (true, 128));
    }

    #[test]
    fn what_breaks_a_rule_is_left_as_it_came() {
        for (whole, sent) in senders() {
            let bytes = sent(&[&[b'x'; 300][..], b"\xC0\x80"].concat());
            let (mut input, _) = made_for(bytes.len() + 1, &bytes);
            assert!(whole.take(&mut input).is_none());
            assert_eq!(input.unread(), bytes);
        }
        let limits = Limits { max_message: 200, ..Limits::default() };
        let short = Whole::frames(Role::Server, &limits, false);
        let bytes = frame(&[b'x'; 201], Some(KEY));
        let (mut input, _) = made_for(bytes.len() + 1, &bytes);
        assert!(short.take(&mut input).is_none());
        assert_eq!(input.unread(), bytes);
        // A length that could have been shorter.
        let mut bytes = vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
        bytes.extend(vec![0; 4 + 0xFFFF]);
        let (mut input, _) = made_for(bytes.len() + 1, &bytes);
        assert!(senders()[0].0.take(&mut input).is_none());
        assert_eq!(input.unread().len(), bytes.len());
    }

    #[test]
    fn a_message_goes_on_behind_what_such_memory_had_room_for() {
        let limits = Limits::default();
        // As above.
        let lengths: &[usize] = if cfg!(miri) { &[100, 5000] } else { &[100, 5000, 100_000] };
        for len in lengths {
            let text = "0123456789".repeat(len / 10);
            for (version, which) in [(Version::Rfc6455, 0), (Version::Draft76, 2)] {
                let bytes = senders()[which].1(text.as_bytes());
                let mut decoder = crate::wire::Decoder::new(version, Role::Server, None);
                let mut input = RecvBuf::for_message(bytes.len() / 3);
                let (mut at, mut taken) = (0, None);
                while at < bytes.len() {
                    at += input.feed(&bytes[at..]);
                    let item = decoder.poll(&mut input, &limits).unwrap();
                    taken = item.map(|item| format!("{item:?}"));
                }
                assert!(taken.is_some_and(|item| item.contains(&text)), "{version}, {len}");
            }
        }
    }
}
