use super::{Connection, Phase};
use crate::{Cause, Instant, Piece, State};

/// Receiving a message while it arrives.
impl Connection {
    /// Says whether messages are handed out in pieces while they arrive. Off at first, also during
    /// the handshake.
    ///
    /// While it is on, a message that is not there as a whole does not come as
    /// [`Event::Message`](crate::Event::Message): [`poll_event`](Self::poll_event) answers `None`
    /// as soon as something of it is there, and parses nothing more until
    /// [`poll_piece`](Self::poll_piece) has taken it. So call the two in turn until neither has
    /// anything; a caller that stops calling holds its peer back. Pings and the like keep their
    /// place between the pieces. How the bytes of the peer are cut makes no difference to what the
    /// pieces are together, not even before a fault.
    ///
    /// Such a message is never held as a whole. [`Limits::max_streamed`](crate::Limits) bounds it
    /// and neither `max_message` nor `max_frame` does; what is compressed is charged when it comes
    /// out. A piece has at most 128 KiB.
    ///
    /// It may be turned on in the middle of a message, whose first piece is then all that was
    /// collected of it, as soon as more of it comes, and off: a message of which a piece was taken
    /// comes in pieces to its end, and what is there of another is joined with the rest. If that is
    /// too long by now, the connection fails as it would have before.
    ///
    /// ```
    /// use ws_proto::{Connection, Event, Instant, RecvBuf};
    ///
    /// fn drain(connection: &mut Connection, input: &mut RecvBuf, now: Instant) -> usize {
    ///     let mut received = 0;
    ///     loop {
    ///         while let Some(event) = connection.poll_event(input, now) {
    ///             if let Event::Message(message) = event {
    ///                 received += message.len();
    ///             }
    ///         }
    ///         let Some(piece) = connection.poll_piece() else { return received };
    ///         received += piece.part.len();
    ///     }
    /// }
    /// ```
    pub fn set_streaming(&mut self, on: bool, now: Instant) {
        self.now = now;
        self.streaming = on;
        if let Phase::Open(decoder) = &mut self.phase
            && let Err(fault) = decoder.set_streaming(on, &self.config.limits)
        {
            self.fail(Cause::Protocol(fault));
        }
    }

    /// The piece that is there. `None` when [`poll_event`](Self::poll_event) has to find the next
    /// one first, and when the connection is closing, for then messages are discarded. May answer
    /// differently after any `&mut` call.
    #[must_use]
    pub fn poll_piece(&mut self) -> Option<Piece> {
        if self.has_piece() { self.take_piece() } else { None }
    }

    /// Whether [`poll_piece`](Self::poll_piece) has a piece, behind which nothing is parsed.
    pub fn has_piece(&self) -> bool {
        self.state() == State::Connected
            && matches!(&self.phase, Phase::Open(decoder) if decoder.has_piece())
    }

    /// Takes the piece, and fails for what is wrong behind it.
    pub(super) fn take_piece(&mut self) -> Option<Piece> {
        let Phase::Open(decoder) = &mut self.phase else { return None };
        let (piece, fault) = decoder.take_piece()?;
        if let Some(fault) = fault {
            self.fail(Cause::Protocol(fault));
        }
        Some(piece)
    }
}
