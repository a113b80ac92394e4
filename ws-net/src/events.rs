use std::io;
use std::time::Duration;

use ws_proto::{Cause, Request, State};

use crate::{Address, ConnectionId};

/// A step in the life of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
}

/// A client that was refused, with the answer that it got.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// The name of the connection that it did not get.
    pub id: ConnectionId,
    /// The address of the client, or of the proxy in front of this server.
    pub peer: Address,
    /// Whether it came over TLS, see [`Connection::is_secure`](crate::Connection::is_secure).
    pub secure: bool,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Why: [`Cause::Rejected`] when the application refused, [`Cause::Handshake`] with the rule or
    /// the policy that did, [`Cause::Timeout`] with
    /// [`Expired::Decision`](crate::Expired::Decision) when nobody decided about the request in time,
    /// and [`Cause::Unavailable`] when the server was full or closed or shut down meanwhile, or the
    /// address had its share.
    pub cause: Cause,
    /// What it asked for. `None` when the request itself was refused, by a rule or a policy
    /// that is no predicate.
    pub request: Option<Request>,
}

/// A fault of the system, or a limit that was reached, which concerns the server and no single
/// connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The system could not accept a connection: out of file descriptors or memory, usually. The
    /// clients wait in its queue. Raise the limit, or lower that of the connections.
    #[error("the system could not accept a connection: {error}; next try in {retry_in:?}")]
    #[non_exhaustive]
    Accept {
        /// What the system said.
        error: io::Error,
        /// The pause until the server tries again.
        retry_in: Duration,
    },
    /// A client found every place taken. Those on the sockets of this server wait in the system's
    /// queue until others leave; an [`Upgrade`](crate::Upgrade) is refused. Told once until a client
    /// finds a place at once, and at most once a second. If the machine has room, raise
    /// [`max_connections`](crate::Builder::max_connections), or
    /// [`max_handshakes`](crate::Builder::max_handshakes) if that is how many shake hands.
    #[error(
        "full, with {connections} connections, {handshakes} of them in their handshake: clients \
         wait until others leave, and upgrades are refused"
    )]
    #[non_exhaustive]
    Full {
        /// How many connections there are, see [`Load::connections`](crate::Load).
        connections: usize,
        /// How many of them are in their handshake.
        handshakes: usize,
    },
}
