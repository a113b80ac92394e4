use bytes::Bytes;

use super::Connection;
use super::partial::{Part, Partial};
use crate::{Cause, Instant, MessageKind, SendError, SendErrorKind, SendStatus, State};

/// Sending a message whose length is not known.
impl Connection {
    /// Begins a message that is sent as it comes into being: any number of
    /// [`send_fragment`](Self::send_fragment), then [`finish_message`](Self::finish_message).
    ///
    /// Its fragments (RFC 6455 section 5.4) leave as they are queued, so neither side has to hold
    /// the whole. Until it is finished pings, pongs and a close may go between them, other messages
    /// are refused with `SendErrorKind::Unfinished`: there is nothing to wait for but the caller.
    /// draft75 and draft76 carry text of any length without fragments.
    ///
    /// ```
    /// use ws_proto::{Connection, MessageKind, SendError};
    ///
    /// fn send_log(connection: &mut Connection, lines: &[&'static str]) -> Result<(), SendError<()>> {
    ///     connection.begin_message(MessageKind::Text)?;
    ///     for line in lines {
    ///         let sent = connection.send_fragment((*line).into());
    ///         sent.map_err(|error| error.map(|_line| ()))?;
    ///     }
    ///     connection.finish_message()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When the connection is not open, when the version cannot carry it, or when another message
    /// is not finished.
    pub fn begin_message(&mut self, kind: MessageKind) -> Result<(), SendError<()>> {
        self.begin(kind, true)
    }

    /// The same for a message that is not compressed, whatever was agreed to, see
    /// [`send_uncompressed`](Self::send_uncompressed).
    ///
    /// # Errors
    /// As [`begin_message`](Self::begin_message).
    #[cfg(feature = "deflate")]
    pub fn begin_message_uncompressed(&mut self, kind: MessageKind) -> Result<(), SendError<()>> {
        self.begin(kind, false)
    }

    /// Queues the next bytes of the message that was begun: one fragment. Of none, nothing is
    /// queued. A fragment of text may end inside a character.
    ///
    /// Peers may limit how many fragments a message has; ours take
    /// [`Limits::max_fragments`](crate::Limits). So gather small ones when there are many.
    ///
    /// # Errors
    /// The bytes come back when no message was begun, when the connection is not open, when text
    /// is not UTF-8, and when the outbound buffer is at its high-water mark (wait for
    /// [`Event::Writable`](crate::Event::Writable)). The message is as it was before.
    pub fn send_fragment(&mut self, payload: Bytes) -> Result<SendStatus, SendError<Bytes>> {
        self.queue_fragment(&payload).map_err(|kind| SendError::new(kind, payload))
    }

    /// The same without taking the bytes, see [`queue`](Self::queue).
    ///
    /// # Errors
    /// As [`send_fragment`](Self::send_fragment).
    pub fn queue_fragment(&mut self, payload: &Bytes) -> Result<SendStatus, SendErrorKind> {
        self.put_part(&Part::Next(payload))
    }

    /// Ends the message that was begun. There is always room for that.
    ///
    /// # Errors
    /// When no message was begun, when the connection is not open, or when text ends inside a
    /// character: then the message is not finished.
    pub fn finish_message(&mut self) -> Result<SendStatus, SendError<()>> {
        self.put_part(&Part::End).map_err(|kind| SendError::new(kind, ()))
    }

    /// Gives up the message that was begun. One of which nothing was queued is forgotten.
    /// Otherwise the peer can never get what it waits for, so that the connection is closed with
    /// code 1011 and [`Cause::Abandoned`]. draft75 and draft76 end the stream inside the text: their
    /// closing handshakes would make it look whole. Does nothing when no message was begun.
    pub fn abandon_message(&mut self, now: Instant) {
        self.now = now;
        if !self.out.forget_partial() && self.out.is_partial() && self.state() == State::Connected {
            self.close_for(Cause::Abandoned);
        }
    }

    /// Whether a message was begun and is neither finished nor forgotten.
    pub fn is_sending_fragments(&self) -> bool {
        self.out.is_partial()
    }

    fn begin(&mut self, kind: MessageKind, compressed: bool) -> Result<(), SendError<()>> {
        self.check_kind(kind).map_err(|kind| SendError::new(kind, ()))?;
        self.out.begin(Partial::new(kind, compressed));
        Ok(())
    }

    fn put_part(&mut self, part: &Part<'_>) -> Result<SendStatus, SendErrorKind> {
        let version = self.check_open()?;
        if self.out.is_partial() {
            if matches!(part, Part::Next(_)) {
                self.out.check_room(&self.config.limits)?;
            }
            self.check_key(version)?;
        }
        // Last, for what passes it is remembered.
        self.out.check_part(part)?;
        if !matches!(part, Part::Next(payload) if payload.is_empty()) {
            self.out.put_part(part, version);
        }
        Ok(self.out.status(&self.config.limits))
    }
}
