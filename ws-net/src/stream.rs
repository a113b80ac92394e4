//! `Stream` and `Sink` of the crate `futures`, for its combinators.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use ws_proto::{Close, Closed, Message, SendError, SendErrorKind, State};

use crate::shared::Wants;
use crate::split::Outgoing;
use crate::{Connection, RecvHalf, SendHalf};

/// A connection as a `Stream` and a `Sink` of messages in one, see [`Connection::into_stream`].
#[derive(Debug)]
pub struct MessageStream {
    sink: SendHalf,
    stream: RecvHalf,
}

impl Connection {
    /// Makes one value that is a `Stream` and a `Sink` of messages, for the combinators of the
    /// crate `futures`. Its halves are those of [`split`](Self::split), and each is a `Stream` or a
    /// `Sink` as well.
    pub fn into_stream(self) -> MessageStream {
        let (sink, stream) = self.split();
        MessageStream { sink, stream }
    }
}

impl MessageStream {
    /// The handle behind it.
    pub fn connection(&self) -> &Connection {
        self.sink.connection()
    }

    /// The two halves.
    pub fn into_halves(self) -> (SendHalf, RecvHalf) {
        (self.sink, self.stream)
    }
}

/// Ends as [`Connection::recv`] does: after a proper end at once, otherwise after one error.
impl Stream for RecvHalf {
    type Item = Result<Message, Arc<Closed>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(cx)
    }
}

/// Ready while there is room in the outbound buffer. Messages leave by themselves: flushing waits
/// only for one that others had taken the room of. Closing closes the connection with code 1000 and
/// waits until it is over, which takes no longer than the timeout of the closing handshake.
///
/// Errors hand a message back. Closing fails only with one that still waited for room and cannot be
/// sent any more.
impl Sink<Message> for SendHalf {
    type Error = SendError<Message>;

    fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<Message>>> {
        self.get_mut().poll_queue(cx, true)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError<Message>> {
        let this = self.get_mut();
        if this.outgoing.message.is_some() {
            return Err(SendError { message, kind: SendErrorKind::Full });
        }
        match this.try_send(message) {
            Err(error) if matches!(error.kind, SendErrorKind::Full | SendErrorKind::Unfinished) => {
                this.outgoing.message = Some(error.message);
                Ok(())
            }
            sent => sent.map(drop),
        }
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<Message>>> {
        self.get_mut().poll_queue(cx, false)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<Message>>> {
        let this = self.get_mut();
        ready!(this.poll_queue(cx, false))?;
        if this.connection().state() < State::Closing {
            this.close(Close::normal());
        }
        this.poll_end(cx).map(Ok)
    }
}

impl SendHalf {
    /// Queues the message that waits, if there is one, and with `room` waits for more of it.
    fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        room: bool,
    ) -> Poll<Result<(), SendError<Message>>> {
        let shared = Arc::clone(self.connection().shared());
        let Outgoing { key, message } = &mut self.outgoing;
        if message.is_none() && !room {
            shared.forget(mem::take(key));
            return Poll::Ready(Ok(()));
        }
        // Dropped without the lock.
        let mut sent = None;
        shared.poll_wait(key, Wants::Room, cx, |inner, common| {
            if message.is_some() {
                sent = ready!(inner.poll_send(message, ws_proto::Connection::queue))?;
            }
            if room { inner.poll_room(common).map(Ok) } else { Poll::Ready(Ok(())) }
        })
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(self.connection().shared());
        shared.poll_wait(&mut self.outgoing.key, Wants::End, cx, |inner, _| {
            if inner.end.is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        self.connection().shared().forget(self.outgoing.key);
    }
}

impl Stream for MessageStream {
    type Item = Result<Message, Arc<Closed>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().stream.poll_recv(cx)
    }
}

/// As that of [`SendHalf`].
impl Sink<Message> for MessageStream {
    type Error = SendError<Message>;

    fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<Message>>> {
        Pin::new(&mut self.get_mut().sink).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError<Message>> {
        Pin::new(&mut self.get_mut().sink).start_send(message)
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<Message>>> {
        Pin::new(&mut self.get_mut().sink).poll_flush(cx)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<Message>>> {
        Pin::new(&mut self.get_mut().sink).poll_close(cx)
    }
}
