/// How messages are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// As wholes.
    Whole,
    /// In pieces, when they are not there as a whole.
    Pieces,
    /// A reader takes the message at hand in pieces.
    Begun,
    /// Its reader is gone: what is left of the message at hand is discarded.
    Discarded,
}

/// Whether a message is being sent in pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Writing {
    No,
    Begun,
    /// Its writer waits for room.
    Waiting,
}

/// Both, and whether the end was told, in one byte: every idle connection holds it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streaming(u8);

impl Streaming {
    pub(crate) fn reading(self) -> Reading {
        match self.0 & READING {
            0 => Reading::Whole,
            1 => Reading::Pieces,
            2 => Reading::Begun,
            _ => Reading::Discarded,
        }
    }

    pub(crate) fn set_reading(&mut self, reading: Reading) {
        self.0 = self.0 & !READING | reading as u8;
    }

    pub(crate) fn writing(self) -> Writing {
        match self.0 & WRITING {
            0 => Writing::No,
            4 => Writing::Begun,
            _ => Writing::Waiting,
        }
    }

    pub(crate) fn is_writing(self) -> bool {
        self.0 & WRITING != 0
    }

    pub(crate) fn set_writing(&mut self, writing: Writing) {
        self.0 = self.0 & !WRITING | (writing as u8) << 2;
    }

    /// Whether messages are taken as wholes, and none is being sent in pieces.
    pub(crate) fn is_idle(self) -> bool {
        self.0 & (READING | WRITING) == 0
    }

    /// Notes that the end is told as an error. Answers whether it was before.
    pub(crate) fn tell_end(&mut self) -> bool {
        let told = self.0 & END_TOLD != 0;
        self.0 |= END_TOLD;
        told
    }
}

const READING: u8 = 0b11;
const WRITING: u8 = 0b1100;
const END_TOLD: u8 = 0b1_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_keeps_them_apart() {
        let mut all = Streaming::default();
        assert_eq!((all.reading(), all.writing()), (Reading::Whole, Writing::No));
        for reading in [Reading::Pieces, Reading::Begun, Reading::Discarded, Reading::Whole] {
            for writing in [Writing::Begun, Writing::Waiting, Writing::No] {
                all.set_reading(reading);
                all.set_writing(writing);
                assert_eq!((all.reading(), all.writing()), (reading, writing));
            }
        }
        assert_eq!([all.tell_end(), all.tell_end()], [false, true]);
    }
}
