use std::fmt;
use std::sync::Arc;

use crate::shared::Common;
use crate::{Connection, ConnectionId};

/// All open connections of a server, from state 4 (connected) until state 6 (closed).
///
/// Cheap to clone; every clone means the same connections. Nothing here waits, and everything may
/// be called from anywhere, listeners included: functions of users get a snapshot, so connections
/// may come and go meanwhile.
#[derive(Clone)]
pub struct Manager {
    common: Arc<Common>,
}

impl Manager {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        Self { common }
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// Number of open connections.
    pub fn len(&self) -> usize {
        self.common.members.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The connection with this id, in constant time.
    pub fn find(&self, id: ConnectionId) -> Option<Connection> {
        self.common
            .members
            .find(id.serial(), |member| {
                (ConnectionId::of(member.serial, member.peer_addr) == id)
                    .then(|| Connection::new(member.clone()))
            })
            .flatten()
    }

    /// All connections at this moment, in no order.
    pub fn snapshot(&self) -> Vec<Connection> {
        let mut connections = Vec::with_capacity(self.len());
        self.common.members.each(|_, member| connections.push(Connection::new(member.clone())));
        connections
    }

    /// Calls `f` with every connection.
    pub fn for_each(&self, f: impl FnMut(&Connection)) {
        self.snapshot().iter().for_each(f);
    }

    /// What `f` answers for every connection.
    pub fn map<T>(&self, f: impl FnMut(&Connection) -> T) -> Vec<T> {
        self.snapshot().iter().map(f).collect()
    }

    /// The connections for which `f` answers true.
    pub fn filter(&self, f: impl FnMut(&Connection) -> bool) -> Vec<Connection> {
        let mut connections = self.snapshot();
        connections.retain(f);
        connections
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("len", &self.len()).finish_non_exhaustive()
    }
}
