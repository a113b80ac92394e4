/// How much room the next message needs, by those before it that came alone, each in one read, which
/// takes no more than 64 KiB.
///
/// What is read into memory of that size makes it the message's own, see
/// [`RecvBuf::for_message`](ws_proto::RecvBuf::for_message). Where it is too small another read
/// follows, so two messages in a row have to agree first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Expected(u32);

/// Shorter messages are copied in less time than it takes to find memory for them.
const LEAST: usize = 8 << 10;

/// This lies beside the room when two messages have agreed.
const AGREED: u32 = 1 << 31;

/// The stream cannot read into such memory without touching all of it, or its messages do not come
/// alone although it seems so.
const NEVER: u32 = AGREED - 1;

impl Expected {
    /// Whether one is expected.
    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self.0 & AGREED != 0
    }

    /// The room to read it into.
    pub(crate) fn room(self) -> usize {
        (self.0 & !AGREED) as usize
    }

    /// Notes what a read has brought: one message of this length with its framing, or 0 for anything
    /// else.
    #[inline]
    pub(crate) fn note(&mut self, alone: usize) {
        if self.0 != 0 || alone >= LEAST {
            self.note_long(alone);
        }
    }

    #[inline(never)]
    fn note_long(&mut self, len: usize) {
        let room = self.room();
        self.0 = match len {
            _ if self.0 == NEVER => NEVER,
            // As the buffer judges it.
            _ if len < room && len >= room / 4 * 3 => self.0 | AGREED,
            LEAST.. => u32::try_from((len + len / 8).next_multiple_of(64)).unwrap_or(0),
            _ => 0,
        };
    }

    /// From now on nothing is expected.
    #[cold]
    pub(crate) fn give_up(&mut self) {
        self.0 = NEVER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lengths: &[usize]) -> Option<usize> {
        let mut expected = Expected::default();
        for &len in lengths {
            expected.note(len);
        }
        expected.is_some().then(|| expected.room())
    }

    #[test]
    fn two_messages_that_agree_make_one_expected() {
        assert_eq!(after(&[16_392]), None);
        assert_eq!(after(&[16_392, 16_392]), Some(18_496));
        assert_eq!(after(&[16_392, 18_400, 14_000]), Some(18_496));
        assert_eq!(after(&[LEAST, LEAST]), Some(LEAST + LEAST / 8));
    }

    #[test]
    fn whatever_is_unlike_them_makes_it_forgotten() {
        for other in [0, 125, LEAST - 1, 12_000, 18_496, 65_550] {
            assert_eq!(after(&[16_392, 16_392, other]), None, "{other}");
        }
        assert_eq!(after(&[16_392, 32_776, 16_392, 32_776]), None);
        assert_eq!(after(&[16_392, 32_776, 32_776]), Some(36_928));
        assert_eq!(after(&[LEAST - 1, LEAST - 1]), None);
        assert_eq!(after(&[usize::MAX / 2; 3]), None);
    }

    #[test]
    fn who_gave_up_expects_nothing() {
        let mut expected = Expected::default();
        expected.give_up();
        for alone in [16_392, 16_392, 0, 16_392, 16_392] {
            expected.note(alone);
            assert!(!expected.is_some());
        }
    }
}
