use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use ws_proto::{Close, Closed, Message, MessageKind, SendError, SendStatus};

use crate::burst;
use crate::shared::{Inner, Reader, Wants};
use crate::waiters::Key;
use crate::{Connection, MessageReader, MessageWriter};

/// The half of a connection that sends, see [`Connection::split`].
///
/// Dropping it does not close the connection as long as the other half is left.
pub struct SendHalf {
    connection: Connection,
    #[cfg(feature = "stream")]
    pub(crate) outgoing: Outgoing,
}

/// The half of a connection that receives, see [`Connection::split`].
///
/// When it is dropped, messages that come from then on are discarded, so that the peer is not held
/// back for ever; [`recv`](Connection::recv) of other handles waits for the end then.
pub struct RecvHalf {
    connection: Connection,
    key: Key,
}

/// What a [`SendHalf`] keeps for its sink.
#[cfg(feature = "stream")]
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) key: Key,
    /// There was room, and others took it meanwhile.
    pub(crate) message: Option<Message>,
}

impl Connection {
    /// Makes two values of a handle, one that sends and one that receives, for code that wants to
    /// own each in a place of its own. Both keep the connection as a handle does: one that was
    /// accepted is closed when neither is left.
    pub fn split(self) -> (SendHalf, RecvHalf) {
        (SendHalf::new(self.clone()), RecvHalf { connection: self, key: 0 })
    }
}

impl SendHalf {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            #[cfg(feature = "stream")]
            outgoing: Outgoing::default(),
        }
    }

    /// As [`Connection::send`]: waits for room, and is cancel-safe.
    ///
    /// # Errors
    /// As there; the message comes back.
    pub fn send(
        &self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), SendError<Message>>> + Send {
        self.connection.send(message)
    }

    /// As [`Connection::send_stream`]: waits until no other message is on its way in pieces.
    ///
    /// # Errors
    /// As there.
    pub fn send_stream(
        &self,
        kind: MessageKind,
    ) -> impl Future<Output = Result<MessageWriter, SendError<()>>> + Send {
        self.connection.send_stream(kind)
    }

    /// As [`Connection::try_send`]: does not wait.
    ///
    /// # Errors
    /// As there; the message comes back.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<SendStatus, SendError<Message>> {
        self.connection.try_send(message)
    }

    /// As [`Connection::ready`]: waits for room, and is cancel-safe.
    ///
    /// # Errors
    /// As there.
    pub fn ready(&self) -> impl Future<Output = Result<(), SendError<()>>> + Send {
        self.connection.ready()
    }

    /// As [`Connection::close`]: does not wait.
    pub fn close(&self, close: impl Into<Close>) {
        self.connection.close(close);
    }

    /// The handle behind both halves.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl RecvHalf {
    /// As [`Connection::recv`]: waits for the next message, and is cancel-safe.
    pub async fn recv(&mut self) -> Option<Result<Message, Arc<Closed>>> {
        self.connection.recv().await
    }

    /// As [`Connection::recv_stream`]: waits for the next message, and is cancel-safe. Dropping this
    /// half discards what is left of a message, too.
    pub async fn recv_stream(&mut self) -> Option<Result<MessageReader, Arc<Closed>>> {
        self.connection.recv_stream().await
    }

    /// The next message as [`recv`](Self::recv) answers it; pending as long as there is none. The
    /// task of the last call is woken when there is.
    pub fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Arc<Closed>>>> {
        let shared = self.connection.shared();
        match burst::poll_next(shared, cx) {
            Some(next) => next.map(|message| Some(Ok(message))),
            None => shared.poll_wait(&mut self.key, Wants::Message, cx, Inner::poll_recv),
        }
    }

    /// The handle behind both halves.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        shared.forget(self.key);
        shared.command(|inner, _| {
            if inner.reader == Reader::Handles {
                inner.stop_reading();
            }
        });
    }
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendHalf").field(&self.connection).finish()
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvHalf").field(&self.connection).finish()
    }
}
