//! What becomes of a connection when code of users panics.

use std::task::Poll;

use super::{DriverProjection, Socket};
use crate::contain::{Panic, attempt};
use crate::door::Door;
use crate::guard::{guard, report};
use crate::runtime::{Runtime, Transport};
use crate::turn::Turn;

impl<R: Runtime, S: Transport, D: Door> DriverProjection<'_, R, S, D> {
    /// Ends the connection and its task after a panic.
    #[cold]
    pub(super) fn break_off(&mut self, panic: Panic) -> Poll<()> {
        panic.tell(report("what its task called", &self.membership.connection));
        // Before the socket is gone.
        self.membership.connection.shared().lock().direct = None;
        if let Err(another) = attempt(|| self.abort()) {
            another.tell(report("the end of a connection", &self.membership.connection));
        }
        // All that code of users may hang on, so that the runtime has nothing of it to drop.
        let connection = &self.membership.connection;
        guard("the end of a stream", connection, || *self.socket = Socket::Gone);
        guard("the authorisation's end", connection, || *self.verdict = None);
        guard("the handler's end", connection, || self.handler.set(None));
        Poll::Ready(())
    }

    /// Ends the connection at once, unless it is over, and tells what is left to tell.
    fn abort(&mut self) {
        let mut turn = Turn::begin(self.rest, self.runtime.now());
        loop {
            let mut inner = self.membership.connection.shared().lock();
            if inner.end.is_some() {
                break;
            }
            let event = inner.last_news();
            turn.listeners.clone_from(&inner.listeners);
            drop(inner);
            self.tell(event, &mut turn);
            turn.freed.release();
        }
    }
}
