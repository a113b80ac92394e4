use std::future::Future;

use ws_proto::{DeflateParams, Message, SendError};

use crate::Connection;
use crate::shared::Wants;

impl Connection {
    /// Sends a message to this client alone, as [`send`](Self::send) does, and never compressed:
    /// for payloads that are compressed already, and for secrets beside something that an attacker
    /// may choose. For many receivers: [`Prepared::uncompressed`](crate::Prepared::uncompressed).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_uncompressed(
        &self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), SendError<Message>>> + Send {
        let mut message = Some(message.into());
        let queue = ws_proto::Connection::queue_uncompressed;
        let sent =
            self.shared().wait(Wants::Room, move |inner, _| inner.poll_send(&mut message, queue));
        async move { sent.await.map(drop) }
    }

    /// What both sides agreed to about compression, if they did (RFC 7692).
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.shared().lock().core.deflate()
    }
}
