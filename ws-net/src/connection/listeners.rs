use std::sync::Arc;

use bytes::Bytes;
use ws_proto::{Closed, Message};

use super::Connection;
use crate::listeners::Table;
use crate::shared::Attached;
use crate::{ListenerId, ListenerKind, Rejected, StateChange};

/// Listeners of this connection alone.
///
/// They are told after those of the server, in the order in which they were added, in the task of
/// the connection, and must not wait for long. They may call anything, also add and remove
/// listeners. One that panics closes the connection with 1011. When the connection is over and they
/// were told so, they are dropped, so they may hold handles of it; one that is added later is
/// dropped at once.
impl Connection {
    /// Calls `f` with every message, when the server [runs](crate::Server::run); in the other ways
    /// of taking connections, messages come out of [`recv`](Self::recv). Added in
    /// [`on_connection`](crate::Server::on_connection) it misses none.
    pub fn on_message(
        &self,
        f: impl Fn(&Connection, Message) + Send + Sync + 'static,
    ) -> ListenerId {
        self.listen(|table, id| table.message.push((id, Arc::new(f))))
    }

    /// Calls `f` with the payload of every pong (RFC 6455 section 5.5.3): the answers to
    /// [`ping`](Self::ping), which repeat its payload, and what the peer sends unasked. The answers
    /// to the pings of [`Timeouts::ping_interval`](crate::Timeouts) are among them; their payload is
    /// empty. draft75 and draft76 have no pongs.
    ///
    /// A pong has its place among the messages: one that nobody takes, or a
    /// [`pause`](Self::pause), holds back those behind it, and while the connection closes none is
    /// told. Of several pings at once a peer may answer the newest alone.
    pub fn on_pong(&self, f: impl Fn(&Connection, &Bytes) + Send + Sync + 'static) -> ListenerId {
        self.listen(|table, id| table.pong.push((id, Arc::new(f))))
    }

    /// Calls `f` once when the connection has ended, after its state became 6 (closed), if it was
    /// open before.
    pub fn on_close(&self, f: impl Fn(&Connection, &Closed) + Send + Sync + 'static) -> ListenerId {
        self.listen(|table, id| table.close.push((id, Arc::new(f))))
    }

    /// Calls `f` with every further step. The connection itself may already be further.
    pub fn on_state_change(
        &self,
        f: impl Fn(&Connection, StateChange) + Send + Sync + 'static,
    ) -> ListenerId {
        self.listen(|table, id| table.state_change.push((id, Arc::new(f))))
    }

    /// Calls `f` when the client was refused, in place of `on_close`. Handles of connections that
    /// can still be refused come from [`Server::on_state_change`](crate::Server::on_state_change).
    pub fn on_rejected(&self, f: impl Fn(&Rejected) + Send + Sync + 'static) -> ListenerId {
        self.listen(|table, id| table.rejected.push((id, Arc::new(f))))
    }

    /// Removes a listener of this connection; `false` when it has none of this name (any more).
    /// What is being told at this moment is still told to it.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.change_listeners(|table| table.remove(id)).unwrap_or(false)
    }

    /// Removes all listeners of this connection of one kind, or with `None` of all kinds; answers
    /// how many.
    pub fn remove_all_listeners(&self, kind: impl Into<Option<ListenerKind>>) -> usize {
        let kind = kind.into();
        self.change_listeners(|table| table.remove_all(kind)).unwrap_or(0)
    }

    fn listen(&self, put: impl FnOnce(&mut Table, ListenerId)) -> ListenerId {
        let id = ListenerId::next();
        self.change_listeners(|table| put(table, id));
        id
    }

    /// Changes the table, or drops `f` when the connection is over.
    fn change_listeners<T>(&self, f: impl FnOnce(&mut Table) -> T) -> Option<T> {
        let mut inner = self.shared.lock();
        if inner.end.is_some() {
            drop(inner);
            return None;
        }
        let mut table = Table::of(inner.listeners.as_ref()).cloned().unwrap_or_default();
        let answer = f(&mut table);
        let old = inner.listeners.replace(Arc::new(Attached(Box::new(table))));
        drop(inner);
        // A listener may be dropped with it, which runs code of users.
        drop(old);
        Some(answer)
    }
}
