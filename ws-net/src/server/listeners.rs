use std::sync::Arc;

use bytes::Bytes;
use ws_proto::{Closed, Message};

use super::Server;
use crate::runtime::Runtime;
use crate::{
    Connection, ListenerId, ListenerKind, LocalAddress, Rejected, ServerError, StateChange,
};

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

    /// Calls `f` with the payload of every pong (RFC 6455 section 5.5.3), whichever way the server
    /// takes its connections; see [`Connection::on_pong`].
    pub fn on_pong(&self, f: impl Fn(&Connection, &Bytes) + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.pong.push((id, Arc::new(f))))
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

    /// Calls `f` with every client that was refused, by a rule, a policy or the application, because
    /// nobody decided about it in time, because the server stopped while its request waited for an
    /// answer, or because the server was full or closed or its address had its share when it came as
    /// an [`Upgrade`](crate::Upgrade), after the state of its connection became 6 (closed).
    /// Clients that leave during their handshake, or are too slow in it themselves, are seen by
    /// `on_state_change` alone.
    pub fn on_rejected(&self, f: impl Fn(&Rejected) + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.rejected.push((id, Arc::new(f))))
    }

    /// Calls `f` with every address on which the server begins to accept, once each: when it
    /// [runs](Self::run), [serves](Self::serve) or first [accepts](Self::accept).
    ///
    /// This kind and the next two concern no connection. They run in the task that is at work; a
    /// panic in them is logged and does nothing else.
    pub fn on_listening(&self, f: impl Fn(&LocalAddress) + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.listening.push((id, Arc::new(f))))
    }

    /// Calls `f` with every fault of the system that concerns the server and no single connection,
    /// and when a client finds the server full. The server goes on by itself.
    pub fn on_error(&self, f: impl Fn(&ServerError) + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.error.push((id, Arc::new(f))))
    }

    /// Calls `f` once, when the server stops accepting: at the first [`close`](Self::close) or
    /// [`shutdown`](Self::shutdown), or when its last clone is dropped. Connections are still open
    /// then.
    pub fn on_shutdown(&self, f: impl Fn() + Send + Sync + 'static) -> ListenerId {
        self.parts.endpoint.listeners.add(|table, id| table.shutdown.push((id, Arc::new(f))))
    }

    /// Removes a listener; `false` when it was removed before. What is being told at this moment
    /// is still told to it.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.parts.endpoint.listeners.change(|table| table.remove(id))
    }

    /// Removes all listeners of one kind, or with `None` of all kinds; answers how many. Those of
    /// single connections stay.
    pub fn remove_all_listeners(&self, kind: impl Into<Option<ListenerKind>>) -> usize {
        let kind = kind.into();
        self.parts.endpoint.listeners.change(|table| table.remove_all(kind))
    }
}
