use std::sync::Arc;

use ws_proto::{Closed, Message};

use super::Server;
use crate::runtime::Runtime;
use crate::{Connection, ListenerId, StateChange};

/// Listeners.
impl<R: Runtime> Server<R> {
    /// Calls `f` with every connection that opens, after its state became 4 (connected) and
    /// before anything is received on it.
    ///
    /// Listeners of one kind are called in the order in which they were added, in the task of the
    /// connection, and must not wait for long. They may call anything, also add and remove
    /// listeners. One that panics closes its connection with 1011.
    pub fn on_connection(&self, f: impl Fn(&Connection) + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.connection.push((id, Arc::new(f))))
    }

    /// Calls `f` with every message, when the server [runs](Self::run); in the other two ways of
    /// taking connections, messages come out of [`Connection::recv`].
    ///
    /// While the outbound buffer of the connection is full no message is told, so answering each
    /// with one [`try_send`](Connection::try_send) needs no care.
    pub fn on_message(
        &self,
        f: impl Fn(&Connection, Message) + Send + Sync + 'static,
    ) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.message.push((id, Arc::new(f))))
    }

    /// Calls `f` with every connection that was told to `on_connection` and has ended, once, after
    /// its state became 6 (closed).
    pub fn on_close(&self, f: impl Fn(&Connection, &Closed) + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.close.push((id, Arc::new(f))))
    }

    /// Calls `f` with every step of every connection, also of those that never open. The
    /// connection itself may already be further.
    pub fn on_state_change(
        &self,
        f: impl Fn(&Connection, StateChange) + Send + Sync + 'static,
    ) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.state_change.push((id, Arc::new(f))))
    }

    /// Removes a listener; `false` when it was removed before. What is being told at this moment
    /// is still told to it.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.parts.endpoint.listeners.remove(id)
    }
}
