use bytes::Bytes;

use super::Connection;
use crate::{Message, MessageKind, Prepared, SendError, SendErrorKind, SendStatus, State, Version};

/// Sending messages as wholes, and control frames.
impl Connection {
    /// Queues a message.
    ///
    /// # Errors
    /// The message comes back when the connection is not open, when the outbound buffer is at its
    /// high-water mark (wait for [`Event::Writable`](crate::Event::Writable)), or when the version
    /// cannot carry it: draft75 and draft76 have no binary messages.
    #[inline]
    pub fn send(&mut self, message: Message) -> Result<SendStatus, SendError<Message>> {
        self.queue(&message).map_err(|kind| SendError::new(kind, message))
    }

    /// The same without taking the message: for callers behind a lock, since dropping a payload
    /// may run code of its owner.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn queue(&mut self, message: &Message) -> Result<SendStatus, SendErrorKind> {
        let version = self.check_send(message)?;
        self.out.put_message(message, version);
        Ok(self.out.status(&self.config.limits))
    }

    /// Queues a message that was framed beforehand.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<SendStatus, SendError<()>> {
        let version =
            self.check_send(prepared.message()).map_err(|kind| SendError::new(kind, ()))?;
        self.out.put_prepared(prepared, version, self.role);
        Ok(self.out.status(&self.config.limits))
    }

    /// Queues a message that was framed beforehand, also when the outbound buffer is at its
    /// high-water mark: for callers that bound what they hold, and have to let go of it.
    ///
    /// # Errors
    /// As [`send`](Self::send), but never `SendErrorKind::Full`.
    pub fn push_prepared(&mut self, prepared: &Prepared) -> Result<SendStatus, SendError<()>> {
        let version =
            self.check_kind(prepared.message().kind()).and_then(|version| self.check_key(version));
        let version = version.map_err(|kind| SendError::new(kind, ()))?;
        self.out.put_prepared(prepared, version, self.role);
        Ok(self.out.status(&self.config.limits))
    }

    /// Queues a ping (RFC 6455 section 5.5.2) of at most 125 bytes.
    ///
    /// # Errors
    /// The payload comes back when it is too long, the connection is not open, the outbound buffer
    /// is at its high-water mark, or the version has no pings (draft75, draft76).
    pub fn ping(&mut self, payload: Bytes) -> Result<SendStatus, SendError<Bytes>> {
        self.queue_ping(&payload).map_err(|kind| SendError::new(kind, payload))
    }

    /// The same without taking the payload, see [`queue`](Self::queue).
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn queue_ping(&mut self, payload: &Bytes) -> Result<SendStatus, SendErrorKind> {
        self.check_control(payload)?;
        self.out.put_ping(payload);
        // Its pong may come behind the close frame.
        self.linger();
        Ok(self.out.status(&self.config.limits))
    }

    /// Queues a pong that answers no ping (RFC 6455 section 5.5.3). Pings are answered without it.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: Bytes) -> Result<SendStatus, SendError<Bytes>> {
        self.queue_pong(&payload).map_err(|kind| SendError::new(kind, payload))
    }

    /// The same without taking the payload, see [`queue`](Self::queue).
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn queue_pong(&mut self, payload: &Bytes) -> Result<SendStatus, SendErrorKind> {
        self.check_control(payload)?;
        self.out.put_pong(payload);
        Ok(self.out.status(&self.config.limits))
    }

    #[inline]
    pub(super) fn check_send(&mut self, message: &Message) -> Result<Version, SendErrorKind> {
        let version = self.check_kind(message.kind())?;
        self.out.check_room(&self.config.limits)?;
        self.check_key(version)
    }

    /// The last check before a frame is queued.
    #[inline]
    pub(super) fn check_key(&mut self, version: Version) -> Result<Version, SendErrorKind> {
        if version.has_frames() {
            self.out.check_entropy()?;
        }
        Ok(version)
    }

    /// Whether a message of this kind may begin.
    pub(super) fn check_kind(&self, kind: MessageKind) -> Result<Version, SendErrorKind> {
        let version = self.check_open()?;
        if !version.has_frames() && kind != MessageKind::Text {
            return Err(SendErrorKind::TextOnly);
        }
        if self.out.is_partial() {
            return Err(SendErrorKind::Unfinished);
        }
        Ok(version)
    }

    fn check_control(&mut self, payload: &Bytes) -> Result<(), SendErrorKind> {
        if !self.check_open()?.has_frames() {
            return Err(SendErrorKind::TextOnly);
        }
        if payload.len() > crate::wire::rfc6455::MAX_CONTROL {
            return Err(SendErrorKind::ControlTooLong);
        }
        self.out.check_room(&self.config.limits)?;
        self.out.check_entropy()
    }

    pub(super) fn check_open(&self) -> Result<Version, SendErrorKind> {
        match (self.state(), &self.agreed) {
            (State::Connected, Some(agreed)) => Ok(agreed.version),
            (state, _) => Err(SendErrorKind::NotConnected(state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec;

    use bytes::Buf;

    use crate::{
        Accept, Close, Config, Connection, Event, Instant, Message, RecvBuf, SendErrorKind, State,
        Transmit,
    };

    const REQUEST: &[u8] =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    /// The server's side behind its handshake.
    fn connected(now: Instant) -> Connection {
        let mut connection = Connection::server(Arc::new(Config::default()), now);
        let mut input = RecvBuf::with_capacity(1024);
        assert_eq!(input.feed(REQUEST), REQUEST.len());
        while let Some(event) = connection.poll_event(&mut input, now) {
            if let Event::Request(_) = event {
                connection.accept(&Accept::new(), now).unwrap();
            }
        }
        while connection.poll_transmit().is_some() {}
        connection
    }

    #[test]
    fn what_was_queued_is_there_when_the_connection_is_over() {
        let now = Instant::from_nanos(0);
        let mut connection = connected(now);
        let message = Message::binary(vec![0; 10_000]);
        assert!(connection.queue(&message).is_ok() && connection.take_unsent().is_none());
        connection.abort();
        connection.handle_eof(now);
        let closed = SendErrorKind::NotConnected(State::Closed);
        assert_eq!((connection.queue(&message), connection.buffered_amount()), (Err(closed), 0));
        let unsent = connection.take_unsent().unwrap();
        assert_eq!(unsent.remaining(), 10_004);
        assert!(connection.take_unsent().is_none() && connection.poll_transmit().is_none());
    }

    #[test]
    fn what_is_queued_can_be_written_in_place() {
        let now = Instant::from_nanos(0);
        let mut connection = connected(now);
        let unreported = connection.transmit_with(|_| panic!("the answer is not yet written"));
        assert!(unreported.is_err());
        connection.handle_transmitted(usize::MAX);
        let nothing = connection.transmit_with(|_| panic!("nothing is queued"));
        assert!(nothing.is_ok_and(|sent| !sent.has_remaining()));

        let message = Message::binary(vec![7; 10_000]);
        assert!(connection.queue(&message).is_ok());
        let deadline = connection.poll_timeout();
        assert!(connection.transmit_with(|_| 0).is_err());
        assert_eq!(connection.buffered_amount(), 10_004);
        let part = connection.transmit_with(|queued| queued.remaining() - 1);
        assert!(part.is_err_and(|payloads| payloads.remaining() == 10_000));
        assert_eq!(connection.buffered_amount(), 1);
        let sent = connection.transmit_with(|queued| {
            assert_eq!(queued.chunk(), [7]);
            1
        });
        assert!(sent.is_ok_and(|sent| sent.remaining() == 1));
        assert_eq!((connection.buffered_amount(), connection.poll_timeout()), (0, deadline));
        assert!(connection.poll_transmit().is_none());

        assert!(connection.queue(&message).is_ok());
        let Some(Transmit::Data(mut first)) = connection.poll_transmit() else { panic!("queued") };
        assert!(connection.queue(&message).is_ok());
        assert!(connection.transmit_with(|_| panic!("the first is not written")).is_err());
        first.advance(10_004);
        connection.handle_transmitted(10_004);
        assert!(connection.transmit_with(Buf::remaining).is_ok());
        connection.close(Close::normal(), now);
        assert!(connection.transmit_with(|_| panic!("it is closing")).is_err());
    }

    #[test]
    fn nothing_is_written_behind_what_was_lost() {
        let now = Instant::from_nanos(0);
        let mut connection = connected(now);
        connection.handle_transmitted(usize::MAX);
        connection.handle_write_failure(now);
        assert!(connection.queue(&Message::from("late")).is_ok());
        assert!(connection.transmit_with(|_| panic!("a frame may have been cut")).is_err());
    }

    #[test]
    fn writing_in_place_tells_that_there_is_room() {
        let now = Instant::from_nanos(0);
        let mut connection = connected(now);
        connection.handle_transmitted(usize::MAX);
        let message = Message::binary(vec![7; 100_000]);
        while connection.queue(&message).is_ok() {}
        assert!(connection.transmit_with(|_| 1).is_err());
        let mut input = RecvBuf::with_capacity(1024);
        assert!(connection.poll_event(&mut input, now).is_none());
        assert!(connection.transmit_with(Buf::remaining).is_ok());
        assert!(matches!(connection.poll_event(&mut input, now), Some(Event::Writable)));
        assert!(connection.queue(&message).is_ok());
    }
}
