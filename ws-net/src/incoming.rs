use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ws_proto::{Accept, Closed, CommandError, Reject, Request, State};

use crate::shared::Owner;
use crate::{Address, Connection, ConnectionId, LocalAddress};

/// A client that asks for a WebSocket, with a request that passed every check: accept it or
/// reject it.
///
/// The deadline of the handshake goes on. Dropping it unanswered rejects it with status 503.
pub struct Incoming {
    connection: Connection,
    request: Request,
    /// What was decided before.
    earlier: Accept,
}

impl Incoming {
    pub(crate) fn new(connection: Connection, request: Request, earlier: Accept) -> Self {
        connection.shared().hand_over(Owner::Handles);
        Self { connection, request, earlier }
    }

    /// Opens the connection. What [`Builder::authorize`](crate::Builder::authorize) has decided
    /// holds, too, as [`Accept::then`] joins it.
    ///
    /// Waits until both sides have shaken hands, which for draft76 takes a round trip. Dropping
    /// the future closes the connection.
    ///
    /// # Errors
    /// [`AcceptError::Command`] when `accept` does not fit the request, as when it chooses a
    /// subprotocol that was not offered. The client is answered with 503 then, as whenever an
    /// `Incoming` is dropped: its request was good and the mistake is on this side, which no 4xx
    /// says. [`AcceptError::Closed`] when the client left or was too slow, also before the call.
    pub async fn accept(self, accept: Accept) -> Result<Connection, AcceptError> {
        let connection = self.connection.clone();
        let shared = connection.shared();
        let accept = self.earlier.clone().then(&accept);
        shared.command(|inner, now| {
            // Of one that has ended the end is told below.
            if inner.is_open() { inner.core.accept(&accept, now) } else { Ok(()) }
        })?;
        shared.opened().await.map_err(AcceptError::Closed)?;
        Ok(connection)
    }

    /// Refuses it with an HTTP answer. Does not wait. One that has ended meanwhile is left alone.
    pub fn reject(self, reject: &Reject) {
        self.connection.reject(reject);
    }

    /// Sends it away because the server stops, before anybody has decided.
    pub(crate) fn turn_away(self) {
        self.connection.turn_away();
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.state() >= State::Closing
    }

    /// The request: target and headers, in their order and case.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether the client came over TLS, see [`Connection::is_secure`].
    pub fn is_secure(&self) -> bool {
        self.connection.is_secure()
    }

    /// The certificates of the client, see [`Connection::peer_certificates`].
    pub fn peer_certificates(&self) -> Option<&[Bytes]> {
        self.connection.peer_certificates()
    }

    /// The address of the client, or of the proxy in front of this server.
    pub fn peer_addr(&self) -> Address {
        self.connection.peer_addr()
    }

    /// Where the client came in, see [`Connection::local_addr`].
    pub fn local_addr(&self) -> Option<LocalAddress> {
        self.connection.local_addr()
    }

    /// The connection that it becomes when it is accepted, with the data that is attached to it.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The name that the connection has and keeps.
    pub fn id(&self) -> ConnectionId {
        self.connection.id()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // An answer that was given stands: there is no request to be rejected then.
        let shared = self.connection.shared();
        let _ = shared.command(|inner, now| inner.core.reject(&Reject::new(503), now));
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.id())
            .field("peer", &self.peer_addr())
            .field("request", self.request())
            .finish()
    }
}

/// Why a request that was accepted did not become a connection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The caller's choice does not fit the request.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server is full or closed: a request was answered with 503, a stream without one dropped.
    #[error("the server is full or closed: the client was refused")]
    Unavailable,
    /// The connection ended before it was open.
    #[error("the connection ended before it was open: {0}")]
    Closed(#[source] Arc<Closed>),
}
