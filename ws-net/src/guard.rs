use tracing::error;

use crate::Connection;
use crate::contain::catch;

/// Runs code of users; a panic is logged and answered with `None`, and nobody else notices.
pub(crate) fn guard<T>(what: &str, connection: &Connection, f: impl FnOnce() -> T) -> Option<T> {
    catch(f, report(what, connection))
}

/// Says in the log that code of users panicked.
pub(crate) fn report<'a>(what: &'a str, connection: &'a Connection) -> impl FnOnce(&str) + 'a {
    move |text| {
        error!(
            target: "ws::connection",
            id = %connection.id(),
            peer = %connection.peer_addr(),
            "{what} panicked: {text:?}; this connection ends, the others go on",
        );
    }
}
