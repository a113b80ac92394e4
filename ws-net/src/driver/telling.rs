//! Events and messages, told to the listeners of users.

use std::mem;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use ws_proto::{Cause, Closed, Event, Expired, Instant, Message, State};

use super::{DriverProjection, Socket};
use crate::burst;
use crate::door::Door;
use crate::guard::{guard, guard_or_close};
use crate::listeners::Own;
use crate::log;
use crate::runtime::{Runtime, Transport};
use crate::turn::Turn;
use crate::{Connection, Descriptor, Rejected, StateChange};

impl<R: Runtime, S: Transport, D: Door> DriverProjection<'_, R, S, D> {
    /// Tells an event, and what follows from it at once.
    pub(super) fn tell(&mut self, event: Event, turn: &mut Turn) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            self.renew_listeners();
            let own = turn.listeners.take();
            match event {
                Event::State { from, to } => {
                    self.tell_state(StateChange { from, to }, own.as_ref(), turn);
                }
                Event::Request(request) => next = self.tell_request(request, turn),
                Event::Http(received) => self.hand_over(received),
                Event::Closed(closed) => self.finish(closed, own.as_ref(), turn),
                Event::Pong(payload) => self.tell_pong(&payload, own.as_ref(), turn.now),
                // Pings are answered by the core.
                _ => {}
            }
            discard(own, &self.membership.connection);
        }
    }

    fn renew_listeners(&mut self) {
        let old = self.endpoint.listeners.renew(self.listeners);
        discard(old, &self.membership.connection);
    }

    fn tell_state(&mut self, change: StateChange, own: Own<'_>, turn: &mut Turn) {
        let connection = &self.membership.connection;
        log::stepped(connection, change);
        match change.to {
            State::Connected => self.membership.attach(),
            State::Closing => self.give_up_verdict(),
            State::Closed => {
                self.membership.detach();
                self.let_socket_go();
            }
            _ => {}
        }
        let connection = &self.membership.connection;
        for (_, listener) in self.listeners.with(own, |table| &table.state_change) {
            let tell = || listener(connection, change);
            guard_or_close("a state listener", connection, turn.now, tell);
        }
        match change.to {
            State::Opening => self.tell_known_request(turn),
            State::Connected => {
                let started = self.open(turn);
                let direct = match &self.socket {
                    Socket::Open(socket) => socket.descriptor().map(Descriptor::within),
                    _ => None,
                };
                let shared = self.membership.connection.shared();
                shared.visit(|inner| {
                    inner.direct = direct;
                    inner.announce(started, shared, &mut turn.freed);
                });
            }
            // Who waits for the handshake's end waits for this one or for the end of all.
            _ => {}
        }
    }

    /// Tells the connection listeners, then starts the handler, if there is one.
    fn open(&mut self, turn: &mut Turn) -> bool {
        let connection = &self.membership.connection;
        log::opened(connection);
        for (_, listener) in &self.listeners.connection {
            guard_or_close("a connection listener", connection, turn.now, || listener(connection));
        }
        let start = || self.door.open(connection);
        let handler = guard_or_close("the handler", connection, turn.now, start).flatten();
        let started = handler.is_some();
        if started {
            self.handler.set(handler);
            turn.handler_due = true;
        }
        started
    }

    /// Tells the message listeners of `first`, and of what was lent behind it.
    pub(super) fn deliver(&mut self, first: Message, turn: &mut Turn) {
        let own = turn.listeners.take();
        self.tell_messages(Some(first), own.as_ref(), turn.now, &mut turn.budget);
        burst::end(self.membership.connection.shared());
        discard(own, &self.membership.connection);
    }

    /// Tells them of `first`, whatever is left of the budget, and of what was lent behind it, as far
    /// as that goes.
    pub(super) fn tell_messages(
        &mut self,
        first: Option<Message>,
        own: Own<'_>,
        now: Instant,
        budget: &mut usize,
    ) {
        let mut message = first.or_else(|| burst::next(self.membership.connection.shared()));
        while let Some(told) = message {
            self.renew_listeners();
            self.tell_message(told, own, now);
            *budget = budget.saturating_sub(1);
            let shared = self.membership.connection.shared();
            message = if *budget > 0 { burst::next(shared) } else { None };
        }
    }

    fn tell_message(&self, message: Message, own: Own<'_>, now: Instant) {
        let connection = &self.membership.connection;
        let tell = || {
            let listeners = self.listeners.with(own, |table| &table.message);
            let mut listeners = listeners.peekable();
            while let Some((_, listener)) = listeners.next() {
                if listeners.peek().is_none() {
                    return listener(connection, message);
                }
                listener(connection, message.clone());
            }
        };
        guard_or_close("a message listener", connection, now, tell);
    }

    fn tell_pong(&self, payload: &Bytes, own: Own<'_>, now: Instant) {
        let connection = &self.membership.connection;
        for (_, listener) in self.listeners.with(own, |table| &table.pong) {
            guard_or_close("a pong listener", connection, now, || listener(connection, payload));
        }
    }

    /// All was written, or will not be. The peer is not to wait for what listeners do when they are
    /// told: the last bytes may leave with the end of the stream. Nobody else writes to it since
    /// this was taken as an event.
    fn let_socket_go(&mut self) {
        self.pass_answer();
        if matches!(self.socket, Socket::Http(_) | Socket::Gone) {
            return;
        }
        let connection = &self.membership.connection;
        guard("the end of a stream", connection, || *self.socket = Socket::Gone);
    }

    /// The connection is over and nothing more will happen to it.
    fn finish(&mut self, end: Arc<Closed>, own: Own<'_>, turn: &mut Turn) {
        // Unless that was done when the state was told.
        self.membership.detach();
        self.let_socket_go();
        let connection = &self.membership.connection;
        log::closed(connection, &end);
        if self.membership.was_open() {
            for (_, listener) in self.listeners.with(own, |table| &table.close) {
                guard("a close listener", connection, || listener(connection, &end));
            }
        } else if let Some(rejected) = rejected(connection, &end) {
            self.endpoint.common.gate.count_refused();
            for (_, listener) in self.listeners.with(own, |table| &table.rejected) {
                guard("a listener for refusals", connection, || listener(&rejected));
            }
        }
        let unsent = mem::take(&mut turn.outbox).into_sent();
        turn.freed.put_unsent(unsent.has_remaining().then_some(unsent));
        let mut inner = connection.shared().lock();
        inner.end = Some(end);
        turn.input = inner.input.take();
        turn.finished = inner.slot.is_none();
        inner.waiters.take(|_| true, &mut turn.freed);
        let own = inner.listeners.take();
        inner.drop_backlog(&mut turn.freed);
        turn.freed.put_unsent(inner.core.take_unsent());
        drop(inner);
        discard(own, connection);
        guard("the end of a store", connection, || connection.shared().close_storage());
    }
}

/// Drops listeners, which is code of users.
#[inline]
fn discard<T>(listeners: Option<T>, connection: &Connection) {
    if listeners.is_some() {
        guard("a listener's end", connection, || drop(listeners));
    }
}

/// What to tell when the client was refused.
fn rejected(connection: &Connection, end: &Closed) -> Option<Rejected> {
    let status = match &end.cause {
        Cause::Rejected(status) => *status,
        Cause::Handshake(error) => error.status().unwrap_or(500),
        Cause::Timeout(Expired::Decision) | Cause::Unavailable => 503,
        _ => return None,
    };
    Some(Rejected {
        id: connection.id(),
        peer: connection.peer_addr(),
        secure: connection.is_secure(),
        status,
        cause: end.cause.clone(),
        request: connection.request().cloned(),
    })
}
