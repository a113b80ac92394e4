use bytes::Bytes;

use crate::wire::utf8::Validator;
use crate::{MessageKind, SendErrorKind};

/// A message that is being sent in fragments.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(super) kind: MessageKind,
    /// A part of it is queued, so that the peer waits for the rest.
    pub(super) begun: bool,
    /// It is compressed, if that was agreed to.
    pub(super) compressed: bool,
    utf8: Validator,
}

/// What comes next of it.
pub(crate) enum Part<'a> {
    Next(&'a Bytes),
    End,
}

impl Partial {
    pub(super) fn new(kind: MessageKind, compressed: bool) -> Self {
        Self { kind, begun: false, compressed, utf8: Validator::default() }
    }

    /// Judges the next bytes, which may end inside a character. Bytes that are refused leave
    /// nothing behind, so that others can take their place.
    pub(super) fn check(&mut self, payload: &[u8]) -> Result<(), SendErrorKind> {
        if self.kind == MessageKind::Text {
            let mut utf8 = self.utf8.clone();
            utf8.feed(payload).map_err(|_| SendErrorKind::InvalidUtf8)?;
            self.utf8 = utf8;
        }
        Ok(())
    }

    /// Whether the message may end here.
    pub(super) fn check_end(&self) -> Result<(), SendErrorKind> {
        if self.utf8.is_at_boundary() { Ok(()) } else { Err(SendErrorKind::InvalidUtf8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_be_cut_inside_a_character_and_not_end_there() {
        let mut partial = Partial::new(MessageKind::Text, true);
        assert_eq!(partial.check(b"gr\xC3"), Ok(()));
        assert_eq!(partial.check_end(), Err(SendErrorKind::InvalidUtf8));
        assert_eq!(partial.check(b"x"), Err(SendErrorKind::InvalidUtf8));
        assert_eq!(partial.check(b"\xBC\xE2\x82"), Ok(()), "what was refused left nothing behind");
        assert_eq!(partial.check(b"\xAC"), Ok(()));
        assert_eq!(partial.check_end(), Ok(()));
    }

    #[test]
    fn binary_may_be_anything() {
        let mut partial = Partial::new(MessageKind::Binary, true);
        assert_eq!((partial.check(b"\xFF\xC3"), partial.check_end()), (Ok(()), Ok(())));
    }
}
