use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ws_proto::{Closed, Message};

use crate::contain::contain;
use crate::shared::Attached;
use crate::waiters::lock;
use crate::{Connection, LocalAddress, Rejected, ServerError, StateChange};

/// Names a listener, so that it can be removed. Unique for the life of the process.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ListenerId(u64);

/// What a listener is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ListenerKind {
    /// `on_connection`, of servers.
    Connection,
    /// `on_message`, of servers and connections.
    Message,
    /// `on_pong`, of servers and connections.
    Pong,
    /// `on_close`, of servers and connections.
    Close,
    /// `on_state_change`, of servers and connections.
    StateChange,
    /// `on_rejected`, of servers and connections.
    Rejected,
    /// `on_listening`, of servers.
    Listening,
    /// `on_error`, of servers.
    Error,
    /// `on_shutdown`, of servers.
    Shutdown,
}

pub(crate) type OnConnection = dyn Fn(&Connection) + Send + Sync;
pub(crate) type OnMessage = dyn Fn(&Connection, Message) + Send + Sync;
pub(crate) type OnPong = dyn Fn(&Connection, &Bytes) + Send + Sync;
pub(crate) type OnClose = dyn Fn(&Connection, &Closed) + Send + Sync;
pub(crate) type OnStateChange = dyn Fn(&Connection, StateChange) + Send + Sync;
pub(crate) type OnRejected = dyn Fn(&Rejected) + Send + Sync;
pub(crate) type OnListening = dyn Fn(&LocalAddress) + Send + Sync;
pub(crate) type OnError = dyn Fn(&ServerError) + Send + Sync;
pub(crate) type OnShutdown = dyn Fn() + Send + Sync;

/// A listener of one kind, with its name.
pub(crate) type Entry<F> = (ListenerId, Arc<F>);

/// The listeners of a server or of one connection at one moment, in the order in which they were
/// added.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) connection: Vec<Entry<OnConnection>>,
    pub(crate) message: Vec<Entry<OnMessage>>,
    pub(crate) pong: Vec<Entry<OnPong>>,
    pub(crate) close: Vec<Entry<OnClose>>,
    pub(crate) state_change: Vec<Entry<OnStateChange>>,
    pub(crate) rejected: Vec<Entry<OnRejected>>,
    pub(crate) listening: Vec<Entry<OnListening>>,
    pub(crate) error: Vec<Entry<OnError>>,
    pub(crate) shutdown: Vec<Entry<OnShutdown>>,
    version: u64,
}

/// The table that a reader keeps; none as long as there never were listeners.
pub(crate) struct Known(Option<Arc<Table>>);

impl Deref for Known {
    type Target = Table;

    fn deref(&self) -> &Table {
        static NONE: Table = Table::empty();
        self.0.as_deref().unwrap_or(&NONE)
    }
}

/// The listeners of one connection, if it has some.
pub(crate) type Own<'a> = Option<&'a Arc<Attached>>;

/// The listeners of a server, which may change at any time, also while they run.
///
/// Readers keep a table and look at a number to learn whether it is still the newest, so that
/// telling a message takes no lock.
#[derive(Default)]
pub(crate) struct Listeners {
    version: AtomicU64,
    current: Mutex<Arc<Table>>,
}

impl ListenerId {
    /// A name that no listener had before.
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Table {
    const fn empty() -> Self {
        Self {
            connection: Vec::new(),
            message: Vec::new(),
            pong: Vec::new(),
            close: Vec::new(),
            state_change: Vec::new(),
            rejected: Vec::new(),
            listening: Vec::new(),
            error: Vec::new(),
            shutdown: Vec::new(),
            version: 0,
        }
    }

    /// The listeners of one connection, if it has some.
    pub(crate) fn of(own: Own<'_>) -> Option<&Self> {
        own.and_then(|attached| attached.0.downcast_ref())
    }

    /// The listeners of one kind, then those of the connection.
    pub(crate) fn with<'a, F: ?Sized + 'a>(
        &'a self,
        own: Own<'a>,
        kind: impl Fn(&'a Self) -> &'a Vec<Entry<F>>,
    ) -> impl Iterator<Item = &'a Entry<F>> {
        let own = Self::of(own).map_or(&[] as &[_], |table| kind(table));
        kind(self).iter().chain(own)
    }

    /// Takes a listener out; answers whether it was there.
    pub(crate) fn remove(&mut self, id: ListenerId) -> bool {
        self.take_out(|other, _| other == id) > 0
    }

    /// Takes out all listeners of a kind, or of all kinds; answers how many.
    pub(crate) fn remove_all(&mut self, kind: Option<ListenerKind>) -> usize {
        self.take_out(|_, other| kind.is_none_or(|kind| kind == other))
    }

    fn take_out(&mut self, goes: impl Fn(ListenerId, ListenerKind) -> bool) -> usize {
        fn clean<F: ?Sized>(list: &mut Vec<Entry<F>>, goes: impl Fn(ListenerId) -> bool) -> usize {
            let before = list.len();
            list.retain(|entry| !goes(entry.0));
            before - list.len()
        }
        clean(&mut self.connection, |id| goes(id, ListenerKind::Connection))
            + clean(&mut self.message, |id| goes(id, ListenerKind::Message))
            + clean(&mut self.pong, |id| goes(id, ListenerKind::Pong))
            + clean(&mut self.close, |id| goes(id, ListenerKind::Close))
            + clean(&mut self.state_change, |id| goes(id, ListenerKind::StateChange))
            + clean(&mut self.rejected, |id| goes(id, ListenerKind::Rejected))
            + clean(&mut self.listening, |id| goes(id, ListenerKind::Listening))
            + clean(&mut self.error, |id| goes(id, ListenerKind::Error))
            + clean(&mut self.shutdown, |id| goes(id, ListenerKind::Shutdown))
    }
}

impl Listeners {
    /// Adds a listener, where `put` puts it.
    pub(crate) fn add(&self, put: impl FnOnce(&mut Table, ListenerId)) -> ListenerId {
        let id = ListenerId::next();
        self.change(|table| put(table, id));
        id
    }

    /// Changes the table. What is being told now is still told to those who are taken out.
    pub(crate) fn change<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        let mut current = lock(&self.current);
        let mut table = Table::clone(&current);
        let answer = f(&mut table);
        table.version += 1;
        let version = table.version;
        let old = std::mem::replace(&mut *current, Arc::new(table));
        self.version.store(version, Ordering::Release);
        drop(current);
        // A listener may be dropped with it, which runs code of users.
        drop(old);
        answer
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&lock(&self.current))
    }

    /// The same, for a reader that keeps it.
    pub(crate) fn known(&self) -> Known {
        let changed = self.version.load(Ordering::Acquire) > 0;
        Known(changed.then(|| self.table()))
    }

    /// Exchanges `known` if it is not the newest, and answers the old one. Dropping it may run code
    /// of users.
    pub(crate) fn renew(&self, known: &mut Known) -> Option<Known> {
        if self.version.load(Ordering::Acquire) == known.version {
            return None;
        }
        Some(std::mem::replace(known, self.known()))
    }

    /// Whether `table` is the newest, and nobody in it is told of the steps of the state.
    pub(crate) fn hears_no_steps(&self, table: &Table) -> bool {
        table.state_change.is_empty() && self.version.load(Ordering::Acquire) == table.version
    }

    /// Tells that the server listens on `address`.
    pub(crate) fn tell_listening(&self, address: &LocalAddress) {
        let call = |listener: &OnListening| listener(address);
        self.tell("a listening listener", |table| &table.listening, call);
    }

    /// Tells a fault of the system.
    pub(crate) fn tell_error(&self, error: &ServerError) {
        self.tell("an error listener", |table| &table.error, |listener| listener(error));
    }

    /// Tells of a client that was refused and has no connection.
    pub(crate) fn tell_rejected(&self, rejected: &Rejected) {
        let call = |listener: &OnRejected| listener(rejected);
        self.tell("a listener for refusals", |table| &table.rejected, call);
    }

    /// Tells that the server has stopped accepting.
    pub(crate) fn tell_shutdown(&self) {
        self.tell("a shutdown listener", |table| &table.shutdown, |listener| listener());
    }

    /// Tells what concerns no connection. What panics keeps nobody else from being told.
    fn tell<F: ?Sized>(
        &self,
        what: &str,
        kind: impl FnOnce(&Table) -> &[Entry<F>],
        call: impl Fn(&F),
    ) {
        let table = self.table();
        for (_, listener) in kind(&table) {
            contain(what, || call(listener));
        }
        contain("a listener's end", || drop(table));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_renewed_after_a_change() {
        let listeners = Listeners::default();
        let mut table = listeners.known();
        let first = listeners.add(|table, id| table.connection.push((id, Arc::new(|_| {}))));
        let second = listeners.add(|table, id| table.connection.push((id, Arc::new(|_| {}))));
        assert!(table.connection.is_empty());
        assert!(listeners.renew(&mut table).is_some());
        let ids: Vec<_> = table.connection.iter().map(|entry| entry.0).collect();
        assert_eq!(ids, [first, second]);
        assert!(listeners.renew(&mut table).is_none());
    }

    #[test]
    fn listeners_are_removed_once() {
        let listeners = Listeners::default();
        let id = listeners.add(|table, id| table.close.push((id, Arc::new(|_, _| {}))));
        assert!(listeners.change(|table| table.remove(id)));
        assert!(!listeners.change(|table| table.remove(id)));
        assert!(listeners.table().close.is_empty());
    }

    #[test]
    fn all_listeners_of_a_kind_or_of_all_kinds_are_removed() {
        let listeners = Listeners::default();
        for _ in 0..3 {
            listeners.add(|table, id| table.close.push((id, Arc::new(|_, _| {}))));
            listeners.add(|table, id| table.shutdown.push((id, Arc::new(|| {}))));
        }
        let remove = |kind| listeners.change(|table| table.remove_all(kind));
        assert_eq!(remove(Some(ListenerKind::Message)), 0);
        assert_eq!(remove(Some(ListenerKind::Close)), 3);
        assert_eq!((remove(None), remove(None)), (3, 0));
    }
}
