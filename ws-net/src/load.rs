/// How loaded a server is, see [`Server::load`](crate::Server::load).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// Places that are taken, of [`max_connections`](crate::Builder::max_connections): `WebSocket`s
    /// until their task has ended, handshakes, and connections of ordinary HTTP. For a moment it may
    /// be more, as by clients that are being sent away.
    pub connections: usize,
    /// Those of them that are in their handshake, of
    /// [`max_handshakes`](crate::Builder::max_handshakes).
    pub handshakes: usize,
    /// Whether the next client finds no place: on a socket of this server it waits, and an
    /// [`Upgrade`](crate::Upgrade) is refused.
    pub full: bool,
    /// Clients that were refused since the server was made: those that
    /// [`on_rejected`](crate::Server::on_rejected) was told of, and those whose stream ended without
    /// an answer.
    pub refused: u64,
    /// Those of them that came as an [`Upgrade`](crate::Upgrade) when no place was free.
    pub refused_when_full: u64,
    /// Those of them whose address had its share, see
    /// [`max_connections_per_ip`](crate::Builder::max_connections_per_ip).
    pub refused_for_share: u64,
}
