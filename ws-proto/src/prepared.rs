use crate::wire::rfc6455::{Header, Opcode};
use crate::{Message, Role, Version};

/// A message framed once, for sending to many connections.
///
/// Servers send everybody on the same framing the same bytes, so the header is made once; large
/// payloads are shared and never copied.
#[derive(Clone, Debug)]
pub struct Prepared {
    message: Message,
    header: Header,
}

impl Prepared {
    /// Frames `message` for every version that can carry it.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let header = Header::new(Opcode::of(&message), message.len(), None);
        Self { message, header }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The ready header, for those whose frames are not masked one by one.
    pub(crate) fn header(&self, version: Version, role: Role) -> Option<&Header> {
        (version.has_frames() && role == Role::Server).then_some(&self.header)
    }
}

impl<M: Into<Message>> From<M> for Prepared {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}
