use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use ws_proto::{Accept, Reject, Request, Version};

use crate::{Address, Connection, ConnectionId, LocalAddress};

/// A client that asks for a WebSocket and is not answered yet: what the function of
/// [`Builder::authorize`](crate::Builder::authorize) decides about.
///
/// Its request passed every check: of the version, the origin, the subprotocols, and the limits.
pub struct Candidate {
    connection: Connection,
    request: Request,
}

/// What the function of users answers.
pub(crate) type Verdict = Pin<Box<dyn Future<Output = Result<Accept, Reject>> + Send>>;

/// The function of users.
pub(crate) type Authorize = dyn Fn(Candidate) -> Verdict + Send + Sync;

impl Candidate {
    pub(crate) fn new(connection: Connection, request: Request) -> Self {
        Self { connection, request }
    }

    /// The request: target, path, query, headers, cookies, origin and offered subprotocols.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The version that is spoken once the request is accepted.
    pub fn version(&self) -> Version {
        self.request.version()
    }

    /// The address of the client, or of the proxy in front of this server.
    pub fn peer_addr(&self) -> Address {
        self.connection.peer_addr()
    }

    /// Where the client came in, see [`Connection::local_addr`].
    pub fn local_addr(&self) -> Option<LocalAddress> {
        self.connection.local_addr()
    }

    /// Whether the client came over TLS, see [`Connection::is_secure`].
    pub fn is_secure(&self) -> bool {
        self.connection.is_secure()
    }

    /// The certificates of the client, see [`Connection::peer_certificates`].
    pub fn peer_certificates(&self) -> Option<&[Bytes]> {
        self.connection.peer_certificates()
    }

    /// The name that the connection has and keeps.
    pub fn id(&self) -> ConnectionId {
        self.connection.id()
    }

    /// Attaches a value to the connection, see [`Connection::set_data`].
    pub fn set_data<T: Any + Send + Sync>(&self, value: T) {
        self.connection.set_data(value);
    }

    /// The connection that it becomes when it is accepted. Nothing can be sent or received before,
    /// and what is known of its stream and its data is known here already.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("id", &self.id())
            .field("peer", &self.peer_addr())
            .field("request", self.request())
            .finish()
    }
}
