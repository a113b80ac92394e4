use tracing::error;

use crate::Connection;
use crate::contain::catch;

/// Runs code of users; a panic is logged and answered with `None`, and nobody else notices.
pub(crate) fn guard<T>(what: &str, connection: &Connection, f: impl FnOnce() -> T) -> Option<T> {
    let report = |text: &str| {
        error!(
            target: "ws::connection",
            id = %connection.id(),
            peer = %connection.peer_addr(),
            "{what} panicked: {text:?}; this connection ends, the others go on",
        );
    };
    catch(f, report)
}
