//! A message that is sent in pieces.

use std::fmt;
use std::future::Future;
use std::task::Poll;

use bytes::Bytes;
use ws_proto::{Instant, MessageKind, SendError, SendErrorKind};

use crate::Connection;
use crate::backlog::Freed;
use crate::shared::{Inner, Wants};
use crate::streaming::Writing;

/// A message of unknown length on its way, see [`Connection::send_stream`].
///
/// It keeps the connection as a handle does. Dropped before [`finish`](Self::finish), it gives the
/// message up: one of which nothing was written is forgotten; otherwise the peer can never get the
/// rest, so that the connection is closed with code 1011 (draft75 and draft76 end the stream
/// inside the text, for their closing handshakes would make it look whole).
pub struct MessageWriter {
    connection: Connection,
    kind: MessageKind,
    done: bool,
}

/// How the core begins a message.
type BeginFn = fn(&mut ws_proto::Connection, MessageKind) -> Result<(), SendError<()>>;

impl Connection {
    /// Begins a message that is sent as it comes into being, in fragments (RFC 6455 section 5.4);
    /// draft75 and draft76 carry text of any length without them.
    ///
    /// No other message can come between its chunks. Until it is finished or given up
    /// [`send`](Self::send) of others waits, [`try_send`](Self::try_send) answers
    /// `SendErrorKind::Unfinished`, and messages to many go by the policy for slow receivers:
    /// they are skipped or wait in the backlog, and with [`SlowReceivers::Close`] they wait as
    /// long as the backlog holds them. Pings, pongs and a close go between the chunks; what waits
    /// in the backlog is lost when the connection is closed meanwhile.
    ///
    /// Waits until no other message is on its way in pieces and until those who wait for room had
    /// it. Cancel-safe: a dropped future has begun nothing.
    ///
    /// [`SlowReceivers::Close`]: crate::SlowReceivers::Close
    ///
    /// # Errors
    /// When the connection is not open (any more), or its version cannot carry it: draft75 and
    /// draft76 have no binary messages.
    ///
    /// ```no_run
    /// use ws_net::{Connection, MessageKind, SendError};
    ///
    /// async fn count(connection: &Connection, to: u64) -> Result<(), SendError<()>> {
    ///     let mut message = connection.send_stream(MessageKind::Text).await?;
    ///     for n in 0..to {
    ///         message.write(format!("{n} ")).await.map_err(|error| error.map(drop))?;
    ///     }
    ///     message.finish()
    /// }
    /// ```
    pub fn send_stream(
        &self,
        kind: MessageKind,
    ) -> impl Future<Output = Result<MessageWriter, SendError<()>>> + Send {
        self.begin_stream(kind, ws_proto::Connection::begin_message)
    }

    /// The same for a message that is never compressed, see
    /// [`send_uncompressed`](Self::send_uncompressed).
    ///
    /// # Errors
    /// As [`send_stream`](Self::send_stream).
    #[cfg(feature = "deflate")]
    pub fn send_stream_uncompressed(
        &self,
        kind: MessageKind,
    ) -> impl Future<Output = Result<MessageWriter, SendError<()>>> + Send {
        self.begin_stream(kind, ws_proto::Connection::begin_message_uncompressed)
    }

    async fn begin_stream(
        &self,
        kind: MessageKind,
        start: BeginFn,
    ) -> Result<MessageWriter, SendError<()>> {
        let begun = self.shared().wait(Wants::Room, move |inner, _| inner.poll_begin(kind, start));
        begun.await?;
        Ok(MessageWriter { connection: self.clone(), kind, done: false })
    }
}

impl MessageWriter {
    /// Whether it is text or binary.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Sends the next bytes of the message: one fragment, or nothing when there are none. Those
    /// of text may end inside a character.
    ///
    /// Peers may limit how many fragments a message has; ours take
    /// [`Limits::max_fragments`](crate::Limits). So gather small chunks when there are many. Where
    /// compression was agreed to each is compressed, and can be read as soon as it has arrived.
    ///
    /// Waits while the outbound buffer is full. Cancel-safe: a dropped future has either queued
    /// the chunk, or nothing of it.
    ///
    /// # Errors
    /// The chunk comes back when the connection is not open any more, or when it makes text that
    /// is not UTF-8; the message can go on with another one then.
    pub fn write(
        &mut self,
        chunk: impl Into<Bytes>,
    ) -> impl Future<Output = Result<(), SendError<Bytes>>> + Send {
        let mut chunk = Some(chunk.into());
        let shared = self.connection.shared();
        let written = shared.wait(Wants::Piece, move |inner, _| inner.poll_write(&mut chunk));
        async move { written.await.map(drop) }
    }

    /// Ends the message. Does not wait.
    ///
    /// # Errors
    /// When the connection is not open any more, or when text ends inside a character: then the
    /// message is given up, as if the writer was dropped.
    pub fn finish(mut self) -> Result<(), SendError<()>> {
        self.settle(|inner, _| inner.core.finish_message())?;
        self.done = true;
        Ok(())
    }

    /// Ends or gives up the message. If it is over, those who waited for that come next.
    fn settle<T>(&self, end: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        let mut freed = Freed::default();
        let answer = self.connection.shared().command(|inner, now| {
            let answer = end(inner, now);
            if !inner.core.is_sending_fragments() || !inner.is_open() {
                inner.streaming.set_writing(Writing::No);
                inner.move_backlog(&mut freed);
            }
            answer
        });
        freed.release();
        answer
    }

    /// The handle behind it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        if !self.done {
            self.settle(|inner, now| inner.core.abandon_message(now));
        }
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("connection", &self.connection)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Begins a message as soon as those who came before have sent theirs.
    fn poll_begin(&mut self, kind: MessageKind, start: BeginFn) -> Poll<Result<(), SendError<()>>> {
        let behind =
            self.room_wanted || self.backlog.is_some() || self.streaming.writing() != Writing::No;
        if behind && self.is_open() {
            self.want_room();
            return Poll::Pending;
        }
        let begun = start(&mut self.core, kind);
        if begun.is_ok() {
            self.streaming.set_writing(Writing::Begun);
        }
        Poll::Ready(begun)
    }

    /// Queues `chunk`; it is taken out unless there is no room, and comes back to be dropped
    /// without the lock, since it may have an owner.
    fn poll_write(
        &mut self,
        chunk: &mut Option<Bytes>,
    ) -> Poll<Result<Option<Bytes>, SendError<Bytes>>> {
        // Once refused, chunks wait until the buffer is low, so that writes stay large.
        if self.streaming.writing() == Writing::Waiting && self.is_open() {
            return Poll::Pending;
        }
        let Some(own) = chunk.take() else { return Poll::Ready(Ok(None)) };
        match self.core.queue_fragment(&own) {
            Ok(_) => {
                self.called = true;
                Poll::Ready(Ok(Some(own)))
            }
            Err(SendErrorKind::Full) => {
                *chunk = Some(own);
                // As for whole messages.
                self.called = true;
                self.streaming.set_writing(Writing::Waiting);
                Poll::Pending
            }
            Err(kind) => Poll::Ready(Err(SendError { message: own, kind })),
        }
    }
}
