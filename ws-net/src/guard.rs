use tracing::error;
use ws_proto::{Close, CloseCode, Instant};

use crate::Connection;
use crate::backlog::Freed;
use crate::contain::catch;
use crate::shared::Reader;

/// Runs code of users; a panic is logged and answered with `None`, and nobody else notices.
pub(crate) fn guard<T>(what: &str, connection: &Connection, f: impl FnOnce() -> T) -> Option<T> {
    catch(f, report(what, connection))
}

/// The same for what may not panic on a connection that goes on: a panic closes it, too.
#[inline]
pub(crate) fn guard_or_close<T>(
    what: &str,
    connection: &Connection,
    now: Instant,
    f: impl FnOnce() -> T,
) -> Option<T> {
    let answer = guard(what, connection, f);
    if answer.is_none() {
        close_after_panic(connection, now);
    }
    answer
}

/// Code of users panicked (RFC 6455 section 7.4.1: 1011).
#[cold]
pub(crate) fn close_after_panic(connection: &Connection, now: Instant) {
    let mut freed = Freed::default();
    let mut inner = connection.shared().lock();
    if inner.reader != Reader::Nobody {
        inner.stop_reading();
    }
    inner.close(Close::from(CloseCode::INTERNAL), now, &mut freed);
    drop(inner);
    freed.release();
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
