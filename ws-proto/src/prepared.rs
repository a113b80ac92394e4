use alloc::sync::Arc;

use crate::deflate::Forms;
use crate::wire::rfc6455::{Header, Opcode};
use crate::{Message, Role, Version};

/// A message framed once, for sending to many connections.
///
/// Servers send everybody on the same framing the same bytes, so the header is made once; large
/// payloads are shared and never copied. Where compression was agreed to, it is compressed once for
/// each size of the window, with the level of the first connection that wants it.
///
/// Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Framed>);

#[derive(Debug)]
struct Framed {
    message: Message,
    header: Header,
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
        Self(Arc::new(Framed { message, header, forms }))
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    pub(crate) fn forms(&self) -> Option<&Forms> {
        self.0.forms.as_ref()
    }

    /// The ready header, for those whose frames are not masked one by one.
    pub(crate) fn header(&self, version: Version, role: Role) -> Option<&Header> {
        (version.has_frames() && role == Role::Server).then_some(&self.0.header)
    }
}

impl<M: Into<Message>> From<M> for Prepared {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}
