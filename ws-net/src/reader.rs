//! A message that is received in pieces.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use ws_proto::{Closed, Instant, Message, MessageKind, Piece};

use crate::Connection;
use crate::shared::{Common, Inner, Reader, Wants};
use crate::streaming::Reading;
use crate::waiters::Key;

/// A message that is taken chunk by chunk while it arrives, see [`Connection::recv_stream`].
///
/// It keeps the connection as a handle does. Dropping it before the end discards the rest of the
/// message as it arrives; the next call gets the next message.
pub struct MessageReader {
    connection: Connection,
    kind: MessageKind,
    /// Came with the beginning.
    first: Option<Bytes>,
    /// Nothing more comes.
    done: bool,
    key: Key,
}

/// A part of a message, and whether it is the last.
type Part = (Message, bool);

impl Connection {
    /// The next message, of which a long one can be taken before the rest of it has arrived.
    ///
    /// A message that is there as a whole comes in one chunk, as it would from
    /// [`recv`](Self::recv); of any other the chunks come as they arrive, and it is bounded by
    /// [`Limits::max_streamed`](crate::Limits) and not by `max_message`. Ends as `recv` does. A
    /// reader holds its peer back: nothing more is read from the socket until the chunk that
    /// is there was taken. While there is a reader that has not come to its end, this and `recv`
    /// wait for that, also in the task that holds it.
    ///
    /// Until somebody first asks for a message, the first piece of a long one waits: this gets it
    /// in pieces, `recv` as a whole. A call of `recv` decides about the messages behind it, too:
    /// they are collected as wholes, before anybody asks for them, until this is called. One that
    /// exceeds [`Limits::max_message`](crate::Limits) while it is collected ends the connection
    /// (1009).
    ///
    /// Waits for the peer. Cancel-safe: until it returns the message can still be taken as a
    /// whole. With `run` the message listeners get the messages, and this waits for the end.
    ///
    /// ```no_run
    /// use ws_net::{Closed, Connection, MessageKind};
    ///
    /// async fn upload(connection: Connection) -> Result<usize, std::sync::Arc<Closed>> {
    ///     let mut received = 0;
    ///     while let Some(message) = connection.recv_stream().await {
    ///         let mut message = message?;
    ///         if message.kind() == MessageKind::Text {
    ///             continue;
    ///         }
    ///         while let Some(chunk) = message.chunk().await {
    ///             received += chunk?.len();
    ///         }
    ///     }
    ///     Ok(received)
    /// }
    /// ```
    pub async fn recv_stream(&self) -> Option<Result<MessageReader, Arc<Closed>>> {
        let next = self.shared().wait(Wants::Message, Inner::poll_recv_stream).await?;
        Some(next.map(|(part, done)| MessageReader {
            connection: self.clone(),
            kind: part.kind(),
            first: Some(part.into_bytes()),
            done,
            key: 0,
        }))
    }
}

impl MessageReader {
    /// Whether it is text or binary.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The next bytes of the message, never none and at most 128 KiB unless the message is there
    /// as a whole; `None` at its end. Chunks of text end at the end of a character, so each is
    /// text by itself.
    ///
    /// `Some(Err(closed))` once when the connection ended before the message did, however properly:
    /// what came of it is not all. Waits for the peer. Cancel-safe: a chunk is taken out only when
    /// it is returned.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Arc<Closed>>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The next bytes as [`chunk`](Self::chunk) answers them; pending as long as there are none.
    /// The task of the last call is woken when there are.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Arc<Closed>>>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.done {
            return Poll::Ready(None);
        }
        let shared = self.connection.shared();
        let next = ready!(shared.poll_wait(&mut self.key, Wants::Message, cx, Inner::poll_part));
        Poll::Ready(match next {
            Ok((part, last)) => {
                self.done = last;
                (!part.is_empty()).then(|| Ok(part.into_bytes()))
            }
            Err(closed) => {
                self.done = true;
                Some(Err(closed))
            }
        })
    }

    /// The handle behind it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for MessageReader {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        shared.forget(mem::take(&mut self.key));
        if !self.done {
            shared.command(|inner, _| {
                if inner.streaming.reading() == Reading::Begun {
                    inner.streaming.set_reading(Reading::Discarded);
                }
            });
        }
    }
}

/// The chunks; the end is that of the message.
#[cfg(feature = "stream")]
impl futures_core::Stream for MessageReader {
    type Item = Result<Bytes, Arc<Closed>>;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl fmt::Debug for MessageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("connection", &self.connection)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Has messages come as wholes; `false` as long as one is taken in pieces.
    pub(crate) fn join_messages(&mut self, now: Instant) -> bool {
        self.skip_rest(now);
        if self.streaming.reading() == Reading::Pieces {
            self.streaming.set_reading(Reading::Whole);
            self.core.set_streaming(false, now);
            self.called = true;
        }
        self.streaming.reading() == Reading::Whole
    }

    /// Discards what is there of a message whose reader is gone. During a pause the driver does
    /// not.
    fn skip_rest(&mut self, now: Instant) {
        while self.streaming.reading() == Reading::Discarded {
            if self.discard_piece() {
                continue;
            }
            let (None, Some(input)) = (&self.stash, &mut self.input) else { return };
            let event = self.core.poll_event(input, now);
            if event.is_none() && self.core.has_piece() {
                continue;
            }
            self.stash = event.map(Box::new);
            self.called = true;
            return;
        }
    }

    /// Discards the piece that is there; `false` when there is none.
    pub(crate) fn discard_piece(&mut self) -> bool {
        let piece = self.core.poll_piece();
        if piece.as_ref().is_some_and(|piece| piece.is_last) {
            self.streaming.set_reading(Reading::Pieces);
        }
        piece.is_some()
    }

    /// The beginning of the next message, or all of it.
    fn poll_recv_stream(&mut self, common: &Common) -> Poll<Option<Result<Part, Arc<Closed>>>> {
        if self.is_lent() {
            self.want_back();
            return Poll::Pending;
        }
        if self.end.is_none() && self.slot.is_none() && self.reader == Reader::Handles {
            let now = self.now(common);
            self.skip_rest(now);
            match self.streaming.reading() {
                Reading::Begun | Reading::Discarded => return Poll::Pending,
                Reading::Pieces => {}
                Reading::Whole => {
                    self.streaming.set_reading(Reading::Pieces);
                    self.core.set_streaming(true, now);
                    self.called = true;
                }
            }
            if let Some(part) = self.take_piece() {
                return Poll::Ready(Some(Ok(part)));
            }
        }
        match self.poll_message(common) {
            Poll::Ready(next) => Poll::Ready(next.map(|next| next.map(|whole| (whole, true)))),
            Poll::Pending => match self.take_piece() {
                Some(part) => Poll::Ready(Some(Ok(part))),
                None => Poll::Pending,
            },
        }
    }

    /// The next part of the message at hand.
    fn poll_part(&mut self, common: &Common) -> Poll<Result<Part, Arc<Closed>>> {
        if let Some(part) = self.take_piece() {
            return Poll::Ready(Ok(part));
        }
        if let Some(end) = &self.end {
            return Poll::Ready(Err(Arc::clone(end)));
        }
        let message = self.poll_message(common);
        debug_assert!(message.is_pending(), "a message inside another");
        self.take_piece().map_or(Poll::Pending, |part| Poll::Ready(Ok(part)))
    }

    fn take_piece(&mut self) -> Option<Part> {
        let Piece { part, is_last, .. } = self.core.poll_piece()?;
        self.streaming.set_reading(if is_last { Reading::Pieces } else { Reading::Begun });
        self.called = true;
        Some((part, is_last))
    }
}
