use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use bytes::Bytes;

use crate::Message;
use crate::buffer::COPY_MAX;
use crate::deflate::Forms;
use crate::wire::rfc6455::{Header, Opcode};

/// Payloads that are framed in one piece for all. Shorter ones are copied to each receiver in less
/// time than a reference takes; longer ones are shared as they are, behind a header of their own.
const SHARED: RangeInclusive<usize> = 256..=COPY_MAX;

/// A message framed once, for sending to many connections.
///
/// Servers send everybody on the same framing the same bytes, so the frame is made once; all but
/// small ones are shared, so that what waits for many receivers is in memory once. Where compression
/// was agreed to, it is compressed once for each size of the window, with the level of the first
/// connection that wants it.
///
/// Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Framed>);

#[derive(Debug)]
struct Framed {
    message: Message,
    header: Header,
    /// Header and payload in one piece, for sizes at which both are worth it.
    frame: Option<Bytes>,
    /// `None` when it is never compressed.
    forms: Option<Forms>,
}

impl Prepared {
    /// Frames `message` for every version that can carry it.
    pub fn new(message: impl Into<Message>) -> Self {
        Self::with_forms(message.into(), Some(Forms::default()))
    }

    /// The same without compression, see
    /// [`Connection::send_uncompressed`](crate::Connection::send_uncompressed).
    #[cfg(feature = "deflate")]
    pub fn uncompressed(message: impl Into<Message>) -> Self {
        Self::with_forms(message.into(), None)
    }

    fn with_forms(message: Message, forms: Option<Forms>) -> Self {
        let header = Header::new(Opcode::of(message.kind()), message.len(), None);
        let payload = message.payload();
        let frame = SHARED.contains(&payload.len()).then(|| {
            let mut frame = Vec::with_capacity(header.as_bytes().len() + payload.len());
            frame.extend_from_slice(header.as_bytes());
            frame.extend_from_slice(payload);
            Bytes::from(frame)
        });
        Self(Arc::new(Framed { message, header, frame, forms }))
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    pub(crate) fn forms(&self) -> Option<&Forms> {
        self.0.forms.as_ref()
    }

    /// The ready header, and the ready frame if all are to share it, for those whose frames are not
    /// masked one by one.
    pub(crate) fn unmasked(&self) -> (&Header, Option<&Bytes>) {
        (&self.0.header, self.0.frame.as_ref())
    }
}

impl<M: Into<Message>> From<M> for Prepared {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bytes::Buf;

    use super::*;
    use crate::connection::outbound::Outbound;
    use crate::{Role, Transmit, Version};

    #[test]
    fn every_size_gives_the_bytes_of_a_message_that_is_sent_to_one() {
        for len in [0, 255, 256, COPY_MAX, COPY_MAX + 1] {
            let message = Message::from(vec![7; len]);
            let bytes_of = |put: &dyn Fn(&mut Outbound)| {
                let mut out = Outbound::default();
                put(&mut out);
                let Some(Transmit::Data(mut data)) = out.poll() else { panic!("it is queued") };
                data.copy_to_bytes(data.remaining())
            };
            let prepared = Prepared::new(message.clone());
            for version in [Version::Rfc6455, Version::Draft76] {
                assert_eq!(
                    bytes_of(&|out| out.put_prepared(&prepared, version, Role::Server)),
                    bytes_of(&|out| out.put_message(&message, version)),
                    "{len} {version}"
                );
            }
        }
    }
}
