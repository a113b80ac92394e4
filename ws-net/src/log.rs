use std::io::{self, ErrorKind};

use tracing::level_filters::LevelFilter;
use tracing::{debug, error, info, warn};
use ws_proto::{Cause, Closed, CommandError, Expired, HandshakeError};

use crate::contain::catch;
use crate::gate::Refused;
use crate::local::LocalAddress;
use crate::shared::Common;
use crate::tally::Fault;
use crate::{Address, Connection, ConnectionId, Rejected, ServerError, StateChange};

/// A line of this level if there is a number, which says how many there were since the last one;
/// otherwise the same line for debugging.
macro_rules! seldom {
    ($level:ident, $number:expr, $target:literal, $($line:tt)+) => {
        match $number {
            Some(number) => $level!(target: $target, number, $($line)+),
            None => debug!(target: $target, $($line)+),
        }
    };
}

/// Whether anybody may read the line for each step of the state. Asks nobody, so that who has no
/// subscriber and reads tracing's lines through `log` misses the steps that nobody else hears of.
pub(crate) fn tells_steps() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// Writes lines. A subscriber that panics keeps no connection from being told on, or forgotten, and
/// nobody from accepting.
pub(crate) fn write(lines: impl FnOnce()) {
    // There is nowhere to tell it.
    catch(lines, |_| {});
}

/// One line for a place where the server listens.
pub(crate) fn listening(address: &LocalAddress, secure: bool) {
    write(|| info!(target: "ws::server", %address, secure, "listening"));
}

/// One line for a fault that concerns no single connection.
pub(crate) fn fault(error: &ServerError) {
    write(|| warn!(target: "ws::server", "{error}"));
}

/// One line for a step of the state.
pub(crate) fn stepped(connection: &Connection, change: StateChange) {
    let (id, StateChange { from, to }) = (connection.id(), change);
    write(|| debug!(target: "ws::connection", %id, "{from} -> {to}"));
}

/// One line for a decision that comes too late.
pub(crate) fn gave_up(connection: &Connection) {
    write(|| {
        debug!(
            target: "ws::server",
            id = %connection.id(),
            peer = %connection.peer_addr(),
            "the authorisation was given up: its time is over, or nobody waits for it any more",
        );
    });
}

/// One line for a connection that was opened.
pub(crate) fn opened(connection: &Connection) {
    write(|| {
        debug!(
            target: "ws::connection",
            id = %connection.id(),
            peer = %connection.peer_addr(),
            // Asked for only where somebody reads it.
            version = connection.version().map_or("", |version| version.name()),
            "open",
        );
    });
}

/// One line for a connection that everybody can find.
pub(crate) fn attached(id: ConnectionId, common: &Common) {
    write(|| debug!(target: "ws::manager", %id, open = common.members.len(), "attached"));
}

/// One line for a connection that nobody finds any more.
pub(crate) fn detached(id: ConnectionId, common: &Common) {
    write(|| debug!(target: "ws::manager", %id, open = common.members.len(), "detached"));
}

/// One line for a connection that ended: who is at fault, and which rule was broken. What peers
/// wrote is escaped by the types that hold it.
pub(crate) fn closed(connection: &Connection, closed: &Closed) {
    write(|| tell_end(connection, closed));
}

fn tell_end(connection: &Connection, closed: &Closed) {
    let (id, peer) = (connection.id(), connection.peer_addr());
    let common = &connection.shared().common;
    match &closed.cause {
        Cause::Protocol(error) => seldom!(
            warn,
            count(common, Fault::Protocol),
            "ws::protocol",
            %id, %peer,
            rule = error.clause(),
            code = %error.close_code(),
            "the peer broke the protocol: {error}",
        ),
        // Whoever connects gets the error.
        Cause::Handshake(error) if connection.is_client() => {
            debug!(target: "ws::connection", %id, %peer, "no connection: {error}");
        }
        Cause::Handshake(error) => broken_handshake(common, id, peer, error.status(), error),
        Cause::Timeout(Expired::Decision) => seldom!(
            warn,
            count(common, Fault::Decision),
            "ws::server",
            %id, %peer,
            "refused: the application did not decide about the request within the handshake \
             timeout",
        ),
        // A long life is nobody's fault.
        Cause::Timeout(Expired::Lifetime) => {
            debug!(target: "ws::connection", %id, %peer, code = closed.code(), "over: {closed}");
        }
        // Whoever looks whether the port is open comes so, and so do strangers.
        Cause::Timeout(_) | Cause::Eof
            if !connection.is_client() && connection.request().is_none() =>
        {
            debug!(target: "ws::connection", %id, %peer, "it asked for nothing: {closed}");
        }
        Cause::Timeout(_) | Cause::Eof => seldom!(
            info,
            count(common, Fault::Lost),
            "ws::connection",
            %id, %peer,
            "the peer was lost: {closed}",
        ),
        Cause::Rejected(_) => seldom!(
            info,
            count(common, Fault::Refused),
            "ws::server",
            %id, %peer,
            "the application refused: {closed}",
        ),
        _ => debug!(target: "ws::connection", %id, %peer, code = closed.code(), "over: {closed}"),
    }
}

/// One line for a request that broke a rule. Whoever asks for no WebSocket, as those do who look
/// whether the server is well, has done nothing wrong.
fn broken_handshake(
    common: &Common,
    id: ConnectionId,
    peer: Address,
    status: Option<u16>,
    error: &HandshakeError,
) {
    let warns = !matches!(error, HandshakeError::NoUpgrade);
    seldom!(
        warn,
        if warns { count(common, Fault::Handshake) } else { None },
        "ws::protocol",
        %id, %peer,
        rule = error.clause(),
        status,
        "the peer's handshake was refused: {error}",
    );
}

/// One line for a request of the drafts that was accepted, and cannot be since it asks for this
/// subprotocol, which nobody chose.
pub(crate) fn not_spoken(connection: &Connection, name: &str) {
    let (id, peer) = (connection.id(), connection.peer_addr());
    write(|| {
        seldom!(
            warn,
            count(&connection.shared().common, Fault::Handshake),
            "ws::protocol",
            %id, %peer,
            "the peer's handshake was refused: \
             it asks for the subprotocol {name:?}, which nobody chose",
        );
    });
}

/// One line for why the application refused a client. That it could not decide is its own fault.
pub(crate) fn refused_because(connection: &Connection, status: u16, reason: &str) {
    let (id, peer) = (connection.id(), connection.peer_addr());
    write(|| {
        let common = &connection.shared().common;
        if status == 500 {
            let number = count(common, Fault::Failure);
            seldom!(error, number, "ws::server", %id, %peer, status, "rejected: {reason:?}");
        } else {
            let number = count(common, Fault::Reason);
            seldom!(info, number, "ws::server", %id, %peer, status, "rejected: {reason:?}");
        }
    });
}

/// One line for a decision that does not fit its request.
pub(crate) fn does_not_fit(connection: &Connection, error: &CommandError) {
    let (id, peer) = (connection.id(), connection.peer_addr());
    write(|| {
        seldom!(
            error,
            count(&connection.shared().common, Fault::Failure),
            "ws::server",
            %id, %peer,
            "the application accepted a request in a way that does not fit it: {error}",
        );
    });
}

/// One line for a handler that failed, and went on to close its own connection.
pub(crate) fn handler_failed(connection: &Connection, words: &str) {
    let (id, peer) = (connection.id(), connection.peer_addr());
    write(|| {
        seldom!(
            error,
            count(&connection.shared().common, Fault::Handler),
            "ws::connection",
            %id, %peer,
            "the handler failed: {words:?}; this connection ends, the others go on",
        );
    });
}

/// One line for a socket that failed.
pub(crate) fn socket_failed(connection: &Connection, error: &io::Error, action: &str) {
    let (id, peer) = (connection.id(), connection.peer_addr());
    write(|| {
        if error.kind() == ErrorKind::InvalidData {
            return seldom!(
                warn,
                count(&connection.shared().common, Fault::Tls),
                "ws::protocol",
                %id, %peer,
                "TLS failed: {error}",
            );
        }
        debug!(
            target: "ws::connection",
            %id, %peer,
            "the system could not {action} the socket: {error}",
        );
    });
}

fn count(common: &Common, fault: Fault) -> Option<u64> {
    common.faults.count(fault, (common.clock)())
}

/// Who is refused, seldom enough that it costs nothing.
pub(crate) fn has_its_share(refused: &Refused, peer: Address) {
    let Some(number) = refused.to_be_told else { return };
    write(|| {
        warn!(
            target: "ws::server",
            %peer, number,
            "refused: the address has its share of connections or handshakes; \
             if it is a proxy's, raise max_connections_per_ip and max_handshakes_per_ip",
        );
    });
}

/// One line for a stream that did not begin with a header of the PROXY protocol, or not in time. Proxies
/// that only look whether somebody listens end theirs before.
pub(crate) fn not_introduced(common: &Common, peer: Address, error: &io::Error) {
    write(|| {
        let warns = error.kind() == ErrorKind::InvalidData;
        seldom!(
            warn,
            if warns { count(common, Fault::Handshake) } else { None },
            "ws::server",
            %peer,
            "refused: the PROXY protocol is spoken here, and it did not begin with it: {error}; \
             see that the proxy sends it, and that nobody else comes here",
        );
    });
}

/// One line for the life of a server.
#[cfg(feature = "http")]
pub(crate) fn nameless() {
    write(|| {
        warn!(
            target: "ws::server",
            "an upgrade behind an HTTP server does not say who its client is, so it counts for no \
             address in max_connections_per_ip and max_handshakes_per_ip: call `peer`, or put an \
             `Address` into the extensions of the request; this is told once",
        );
    });
}

/// One line for a request that broke a rule and was read by an HTTP server.
pub(crate) fn refused(refused: &Rejected, common: &Common) {
    let Rejected { id, peer, status, cause, .. } = refused;
    let Cause::Handshake(error) = cause else { return };
    write(|| broken_handshake(common, *id, *peer, Some(*status), error));
}

#[cfg(test)]
mod tests;
