use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ws_proto::{Closed, Message, State};

use crate::Connection;
use crate::waiters::lock;

/// Names a listener, so that it can be removed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ListenerId(u64);

/// A step in the life of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
}

pub(crate) type OnConnection = dyn Fn(&Connection) + Send + Sync;
pub(crate) type OnMessage = dyn Fn(&Connection, Message) + Send + Sync;
pub(crate) type OnClose = dyn Fn(&Connection, &Closed) + Send + Sync;
pub(crate) type OnStateChange = dyn Fn(&Connection, StateChange) + Send + Sync;

/// A listener of one kind, with its name.
pub(crate) type Entry<F> = (ListenerId, Arc<F>);

/// The listeners of a server at one moment, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) connection: Vec<Entry<OnConnection>>,
    pub(crate) message: Vec<Entry<OnMessage>>,
    pub(crate) close: Vec<Entry<OnClose>>,
    pub(crate) state_change: Vec<Entry<OnStateChange>>,
    version: u64,
}

/// The listeners of a server, which may change at any time, also while they run.
///
/// Readers keep a table and look at a number to learn whether it is still the newest, so that
/// telling a message takes no lock.
#[derive(Default)]
pub(crate) struct Listeners {
    version: AtomicU64,
    current: Mutex<Arc<Table>>,
}

impl Listeners {
    /// Adds a listener, where `put` puts it.
    pub(crate) fn add(&self, put: impl FnOnce(&mut Table, ListenerId)) -> ListenerId {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = ListenerId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        self.change(|table| put(table, id));
        id
    }

    /// Removes a listener. What is being told now is still told to it.
    pub(crate) fn remove(&self, id: ListenerId) -> bool {
        fn without<F: ?Sized>(list: &mut Vec<Entry<F>>, id: ListenerId) -> bool {
            let before = list.len();
            list.retain(|entry| entry.0 != id);
            list.len() < before
        }
        self.change(|table| {
            without(&mut table.connection, id)
                || without(&mut table.message, id)
                || without(&mut table.close, id)
                || without(&mut table.state_change, id)
        })
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&lock(&self.current))
    }

    /// Exchanges `table` if it is not the newest.
    pub(crate) fn renew(&self, table: &mut Arc<Table>) {
        if self.version.load(Ordering::Acquire) != table.version {
            *table = self.table();
        }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_renewed_after_a_change() {
        let listeners = Listeners::default();
        let mut table = listeners.table();
        let first = listeners.add(|table, id| table.connection.push((id, Arc::new(|_| {}))));
        let second = listeners.add(|table, id| table.connection.push((id, Arc::new(|_| {}))));
        assert!(table.connection.is_empty());
        listeners.renew(&mut table);
        let ids: Vec<_> = table.connection.iter().map(|entry| entry.0).collect();
        assert_eq!(ids, [first, second]);
        let kept = Arc::clone(&table);
        listeners.renew(&mut table);
        assert!(Arc::ptr_eq(&kept, &table));
    }

    #[test]
    fn listeners_are_removed_once() {
        let listeners = Listeners::default();
        let id = listeners.add(|table, id| table.close.push((id, Arc::new(|_, _| {}))));
        assert!(listeners.remove(id));
        assert!(!listeners.remove(id));
        assert!(listeners.table().close.is_empty());
    }
}
