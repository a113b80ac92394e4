use super::Connection;
use crate::{DeflateParams, Message, Prepared, SendError, SendStatus};

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
        match self.check_send(&message) {
            Ok(version) => {
                self.out.put_prepared(&Prepared::uncompressed(message), version, self.role);
                Ok(self.out.status(&self.config.limits))
            }
            Err(kind) => Err(SendError::new(kind, message)),
        }
    }

    /// What both sides agreed to about compression, if they did (RFC 7692).
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.agreed.as_ref()?.deflate
    }
}
