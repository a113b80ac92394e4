//! Long texts, which are read straight into the message that they become.

use super::{Decoder, Frame, find_end};
use crate::wire::growth;
use crate::{Limits, ProtocolError, RecvBuf, Role};

/// A text is long from this length on. The others are read with what follows them.
pub(super) const LONG: usize = 128 << 10;

/// No more is read before it is parsed: what comes behind the text may be read with it, and is
/// copied then.
const AT_ONCE: usize = 1 << 20;

impl Decoder {
    /// Has what comes of a long text read straight into its message. The next one is probably as
    /// long as the last, so the reads stop there; otherwise as much is trusted as has come.
    pub(super) fn lend(&mut self, input: &mut RecvBuf, limits: &Limits) {
        let len = self.payload.len();
        let likely = match self.last {
            last if len < last => last,
            _ if len >= LONG => len.saturating_mul(2),
            _ => return,
        };
        let want = likely.min(limits.max_message);
        if self.frame == Frame::Text && growth::is_direct(len, want.saturating_sub(len)) {
            let payload = core::mem::take(&mut self.payload);
            self.lent = Some(input.lend(payload, want, AT_ONCE));
        }
    }

    /// Takes what was read into the message. It comes back when there is no more room or when its
    /// end is there, which is unread again with all that follows.
    pub(super) fn read_lent(&mut self, input: &mut RecvBuf) -> Result<(), ProtocolError> {
        let loan = self.lent.take().ok_or(ProtocolError::BufferExchanged)?;
        let fresh = input.fresh_mut(&loan).ok_or(ProtocolError::BufferExchanged)?;
        let (ascii, end) = find_end(fresh);
        let text = end.and_then(|end| fresh.get(..end)).unwrap_or(fresh);
        let n = text.len();
        let valid =
            if self.role == Role::Server { self.utf8.feed_behind(ascii, text) } else { Ok(()) };
        if valid.is_ok() && end.is_none() && !self.is_streaming() && !input.is_full() {
            input.consume_fresh();
            self.lent = Some(loan);
            return Ok(());
        }
        self.payload = input.reclaim_start(&loan, n).ok_or(ProtocolError::BufferExchanged)?;
        match valid.map_err(|_| ProtocolError::InvalidUtf8) {
            Err(fault) if self.is_streaming() => self.hold(fault),
            valid => valid,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::Version;
    use crate::wire::Item;
    use crate::wire::sentinel::tests::poll_all;

    const LIMIT: usize = 400_000;

    /// Reads into the slice that is there.
    fn fill(input: &mut RecvBuf, bytes: &[u8]) -> usize {
        let spare = input.spare_mut();
        let n = spare.len().min(bytes.len());
        spare[..n].copy_from_slice(&bytes[..n]);
        input.filled(n);
        n
    }

    /// What came out, and how many reads went straight into a message.
    fn decode(role: Role, bytes: &[u8], chunk: usize, cuts: &[usize]) -> (Vec<String>, usize) {
        let limits = Limits { max_message: LIMIT, ..Limits::default() };
        let mut decoder = Decoder::new(Version::Draft76, role);
        let mut input = RecvBuf::with_capacity(chunk);
        let (mut seen, mut direct, mut at) = (Vec::new(), 0, 0);
        let mut cuts = cuts.iter().cycle();
        while at < bytes.len() {
            direct += usize::from(input.is_lent());
            let cut = cuts.next().map_or(usize::MAX, |cut| at.saturating_add(*cut));
            if at % 3 == 1
                && let Some(mut chunk) = input.take_chunk()
                && at % 2 == 1
            {
                input.put_chunk(&mut chunk);
            }
            let next = &bytes[at..cut.min(bytes.len())];
            let n = if at % 4 < 2 { input.feed(next) } else { fill(&mut input, next) };
            assert!(n > 0, "{input:?}");
            at += n;
            if !poll_all(&mut decoder, &mut input, &limits, &mut seen) {
                return (seen, direct);
            }
            assert!(input.is_empty(), "something was left lying");
            if !input.has_room() {
                input = RecvBuf::with_capacity(chunk);
            }
        }
        (seen, direct)
    }

    /// The naive twin: everything is there.
    fn whole(role: Role, bytes: &[u8]) -> Vec<String> {
        decode(role, bytes, bytes.len().max(16), &[usize::MAX]).0
    }

    /// The beginning of a long text, which was read so far.
    fn lent() -> (Decoder, RecvBuf) {
        let mut decoder = Decoder::new(Version::Draft76, Role::Server);
        let mut input = RecvBuf::with_capacity(LONG + 1);
        input.feed(&[&[0][..], &vec![b'x'; LONG]].concat());
        assert!(decoder.poll(&mut input, &Limits::default()).unwrap().is_none());
        assert!(input.is_lent());
        (decoder, input)
    }

    fn frame(text: &str) -> Vec<u8> {
        [b"\0", text.as_bytes(), b"\xFF"].concat()
    }

    #[test]
    fn a_long_text_is_read_straight_into_its_message() {
        let one = frame(&"grüß ".repeat(50_000));
        let bytes = [&one[..], &one, b"\0a\xFF\0b\xFF", &one, b"\0tail\xFF"].concat();
        for chunk in [5_000, RecvBuf::DEFAULT_CAPACITY, 300_000] {
            let (seen, direct) = decode(Role::Server, &bytes, chunk, &[usize::MAX]);
            assert!(seen == whole(Role::Server, &bytes));
            assert!(direct >= 3 || chunk == 300_000, "only {direct} direct reads");
        }
    }

    #[test]
    fn the_next_text_is_read_up_to_where_the_last_one_ended() {
        let (one, beginning) = (frame(&"x".repeat(LONG)), 20_000);
        let limits = Limits::default();
        let mut decoder = Decoder::new(Version::Draft76, Role::Server);
        let mut input = RecvBuf::with_capacity(beginning + 1);
        let mut at = 0;
        let bytes = one.repeat(2);
        while at < bytes.len() {
            at += input.feed(&bytes[at..]);
            let item = decoder.poll(&mut input, &limits).unwrap();
            if let Some(Item::Message(message)) = item {
                assert_eq!(message.len(), LONG);
            }
            if input.is_lent() && at > one.len() {
                assert_eq!(input.feed(&bytes[at..]), LONG - beginning);
                return;
            }
        }
        panic!("it was not lent");
    }

    #[test]
    fn what_is_read_behind_a_text_finds_room_without_a_chunk() {
        let limits = Limits::default();
        let (mut decoder, mut input) = lent();
        assert!(input.take_chunk().is_some());
        input.feed(b"yz\xFF\0next\xFF\0rest");
        let text = |item| match item {
            Some(Item::Message(message)) => message.as_text().unwrap().len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(decoder.poll(&mut input, &limits).unwrap()), LONG + 2);
        assert_eq!(text(decoder.poll(&mut input, &limits).unwrap()), 4);
        assert!(decoder.poll(&mut input, &limits).unwrap().is_none());
        assert!(input.is_idle() && input.has_room());
    }

    #[test]
    fn what_was_read_of_a_text_can_be_taken_in_pieces() {
        let limits = Limits::default();
        for (rest, is_last, fault) in [
            (&b"yz\xFF\0next\xFF"[..], true, None),
            (b"y\x80z", false, Some(ProtocolError::InvalidUtf8)),
            (b"y", false, None),
        ] {
            let (mut decoder, mut input) = lent();
            decoder.set_streaming(true, &limits).unwrap();
            assert!(!decoder.has_piece());
            input.feed(rest);
            let mut text = 0;
            let (last, seen) = loop {
                assert!(decoder.poll(&mut input, &limits).unwrap().is_none());
                let Some((piece, fault)) = decoder.take_piece() else { break (false, None) };
                text += piece.part.len();
                if piece.is_last || fault.is_some() {
                    break (piece.is_last, fault);
                }
            };
            assert!(!input.is_lent());
            assert_eq!((text, last, seen), (LONG + 1 + usize::from(is_last), is_last, fault));
        }
    }

    #[test]
    fn a_buffer_that_was_exchanged_is_noticed() {
        let limits = Limits::default();
        let (mut decoder, mut input) = lent();
        let mut other = RecvBuf::default();
        other.feed(b"y\xFF");
        let error = Some(ProtocolError::BufferExchanged);
        assert_eq!(decoder.poll(&mut other, &limits).err(), error);
        input.feed(b"y\xFF");
        let mut another = Decoder::new(Version::Draft76, Role::Server);
        assert_eq!(another.poll(&mut input, &limits).err(), error);
    }

    /// A text of some length, right or wrong, or something else.
    fn piece(kind: u8, len: usize) -> Vec<u8> {
        let text = ["a", "aß€", "€uro"][usize::from(kind % 3)].repeat(len / 5 + 1);
        match kind {
            0 => frame(&"x".repeat(LIMIT)),
            1 => frame(&"x".repeat(LIMIT + 1)),
            2 => [b"\0", text.as_bytes(), b"\xC3\xFF"].concat(),
            3 => [b"\0", text.as_bytes(), b"\x80", text.as_bytes(), b"\xFF"].concat(),
            4 => b"\x80\x03\xFF\0\xFF\x05low\xFF".to_vec(),
            5 => frame("short"),
            _ => frame(&text),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 40,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn cuts_change_nothing_of_long_texts(
            pieces in prop::collection::vec((0u8..16, 0usize..LIMIT + 9_000), 1..5),
            cuts in prop::collection::vec(1usize..90_000, 1..9),
            chunk in prop::sample::select(vec![1000, RecvBuf::DEFAULT_CAPACITY, 263_000]),
            client: bool,
        ) {
            let bytes: Vec<_> = pieces.iter().flat_map(|(kind, len)| piece(*kind, *len)).collect();
            let role = if client { Role::Client } else { Role::Server };
            let expected = whole(role, &bytes);
            prop_assert!(decode(role, &bytes, chunk, &cuts).0 == expected);
            prop_assert!(decode(role, &bytes, chunk, &[usize::MAX]).0 == expected);
        }
    }
}
