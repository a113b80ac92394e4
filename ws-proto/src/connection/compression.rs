use super::Connection;
use crate::{DeflateParams, Message, SendError, SendErrorKind, SendStatus};

impl Connection {
    /// Queues a message that is not compressed, whatever was agreed to: for payloads that are
    /// compressed already, and for secrets beside something that an attacker may choose.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_uncompressed(
        &mut self,
        message: Message,
    ) -> Result<SendStatus, SendError<Message>> {
        self.queue_uncompressed(&message).map_err(|kind| SendError::new(kind, message))
    }

    /// The same without taking the message, see [`queue`](Self::queue).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn queue_uncompressed(&mut self, message: &Message) -> Result<SendStatus, SendErrorKind> {
        let version = self.check_send(message)?;
        self.out.put_plain(message, version);
        Ok(self.out.status(&self.config.limits))
    }

    /// What both sides agreed to about compression, if they did (RFC 7692).
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.agreed.as_ref()?.deflate()
    }
}
