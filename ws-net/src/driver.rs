use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use pin_project_lite::pin_project;
use ws_proto::{
    Accept, Cause, CloseCode, Closed, Event, Expired, Instant, Message, Request, State,
};

use crate::burst;
use crate::candidate::Verdict;
use crate::contain::attempt;
use crate::door::Door;
use crate::endpoint::{BoxFuture, Endpoint, HttpClient, Promise};
use crate::gate::Permit;
use crate::guard::{close_after_panic, guard, guard_or_close};
use crate::listeners::{Known, Listeners, Own, Table};
use crate::log;
use crate::membership::Membership;
use crate::outbox::Outbox;
use crate::outcome::Settle;
use crate::relay::pass;
use crate::runtime::{Runtime, Transport};
use crate::shared::{Activity, Peer, Shared};
use crate::turn::{BUDGET, Rest, StreamEnd, Turn, Work};
use crate::waiters::Spare;
use crate::{Connection, Descriptor, Rejected, StateChange};

mod panics;
mod promise;
mod request;

pin_project! {
    /// One connection: a future that moves bytes between the socket and the core, tells what
    /// happened, and polls the handler, all in one task.
    #[project = DriverProjection]
    pub(crate) struct Driver<R, S, D>
    where
        R: Runtime,
        D: Door,
    {
        runtime: R,
        door: D,
        endpoint: Arc<Endpoint>,
        listeners: Known,
        // Before the socket, which others may write to until this is dropped.
        membership: Membership,
        socket: Socket<S>,
        rest: Rest,
        // Decides about the request. Boxed twice, since all but a few connections have none.
        verdict: Option<Box<Verdict>>,
        #[pin]
        handler: Option<D::Handler>,
    }
}

/// Where the bytes go.
pub(crate) enum Socket<S> {
    /// Between the stream and the core.
    Open(S),
    /// Nowhere yet: another HTTP server writes the answer first.
    Promised(Box<dyn Promise<S>>),
    /// Through HTTP: for the core the connection is over, for the task it is not.
    Http(BoxFuture),
    /// Nowhere any more.
    Gone,
}

impl<R: Runtime, S: Transport, D: Door> Driver<R, S, D> {
    /// The server's side of a stream that was accepted, and whether dropping it ends it.
    pub(crate) fn server(
        runtime: R,
        endpoint: Arc<Endpoint>,
        door: D,
        permit: Permit,
        (socket, ends): (S, bool),
        peer: Peer,
        now: Instant,
    ) -> Self {
        let config = Arc::clone(endpoint.common.config_for(peer.secure));
        let mut core = ws_proto::Connection::server(config, now);
        core.set_ends_when_dropped(ends);
        let common = Arc::clone(&endpoint.common);
        let shared = Shared::new(common, core, peer, D::READER, now);
        Self::new(runtime, endpoint, door, permit, Socket::Open(socket), Arc::new(shared))
    }

    /// The server's side of a stream whose request was read elsewhere.
    pub(crate) fn upgraded(
        runtime: R,
        endpoint: Arc<Endpoint>,
        door: D,
        permit: Permit,
        socket: Socket<S>,
        peer: Peer,
        request: Request,
    ) -> Self {
        let secure = matches!(&socket, Socket::Open(stream) if stream.is_secure());
        let config = Arc::clone(endpoint.common.config_for(peer.secure || secure));
        let (own, now) = (request.clone(), runtime.now());
        let core = match &socket {
            Socket::Promised(_) => ws_proto::Connection::server_apart(config, own, now),
            _ => ws_proto::Connection::server_from(config, own, now),
        };
        let common = Arc::clone(&endpoint.common);
        let shared = Shared::new(common, core, peer, D::READER, now);
        let driver = Self::new(runtime, endpoint, door, permit, socket, Arc::new(shared));
        // It is judged when the first state is told.
        let _ = driver.connection().shared().request.set(request);
        Self { rest: Rest::default(), ..driver }
    }

    /// One side of a stream, whose core is at its beginning.
    pub(crate) fn new(
        runtime: R,
        endpoint: Arc<Endpoint>,
        door: D,
        permit: Permit,
        socket: Socket<S>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            listeners: endpoint.listeners.known(),
            membership: Membership::enter(shared, permit),
            runtime,
            door,
            endpoint,
            socket,
            rest: Rest::new(),
            verdict: None,
            handler: None,
        }
    }

    /// Starts it in a task of its own, to be accepted as was chosen before, or to be refused where
    /// that is clear already.
    pub(crate) fn launch(self, choice: Option<Arc<Accept>>, refused: bool) -> Connection {
        let connection = self.connection().clone();
        connection.shared().choose(choice);
        if refused {
            connection.turn_away();
        }
        let runtime = self.runtime.clone();
        runtime.spawn(self);
        connection
    }

    /// The connection that it drives.
    pub(crate) fn connection(&self) -> &Connection {
        &self.membership.connection
    }
}

impl<R: Runtime, S: Transport, D: Door> Future for Driver<R, S, D> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // Code of users is guarded where it is called. But what they send has owners, what they
        // configured of TLS is called while reading, and what is logged goes to their subscriber;
        // and not every runtime outlives a task that panics.
        match attempt(|| this.take_turn(cx)) {
            Ok(poll) => poll,
            Err(panic) => this.break_off(panic),
        }
    }
}

impl<R: Runtime, S: Transport, D: Door> DriverProjection<'_, R, S, D> {
    fn take_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if pass::run(self.membership.connection.shared()) {
            cx.waker().wake_by_ref();
        }
        let mut turn = Turn::begin(self.rest, self.runtime.now());
        let summoned = self.membership.connection.shared().summoned.load(Ordering::Relaxed);
        if turn.reads_first(self.rest, summoned) {
            self.transfer(&mut turn, true, cx);
        }
        let watch = burst::Watch::over(self.membership.connection.shared());
        let deadline = self.work(&mut turn, cx);
        mem::forget(watch);
        let now = turn.now;
        if turn.moved.unwrap_or(true) {
            // Before the turn can end early, and forget it.
            self.membership.renew_alarm();
            if self.membership.connection.shared().errand.load(Ordering::Acquire) {
                // Who brought it may have woken the task that was left.
                cx.waker().wake_by_ref();
            }
        }
        turn.end(self.rest);
        let Poll::Ready(deadline) = deadline else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        if self.poll_promise(now, cx) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.socket {
            Socket::Http(_) => return self.poll_http(cx),
            Socket::Gone if self.handler.is_none() => return Poll::Ready(()),
            _ => {}
        }
        if self.membership.poll_alarm(deadline, (self.runtime, now), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Works until there is nothing to do before the deadline that it answers. Pending when the
    /// turn was long enough before that.
    fn work(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        let mut budget = BUDGET;
        while budget > 0 {
            budget -= 1;
            match self.next_work(turn, cx.waker()) {
                Work::Event(event) => {
                    let is_last = matches!(event, Event::Closed(_));
                    self.tell(event, turn);
                    if is_last {
                        // There is nothing else that the handler could wait for.
                        turn.freed.release();
                        if self.serve(turn, cx) {
                            return Poll::Ready(None);
                        }
                    }
                }
                Work::Message(message) => self.deliver(message, turn, &mut budget),
                Work::Handler => {
                    if self.serve(turn, cx) {
                        return Poll::Ready(None);
                    }
                }
                Work::Transfer => self.transfer_for(&mut budget, turn, cx),
                Work::TransferAndSleep(deadline) => {
                    self.transfer_for(&mut budget, turn, cx);
                    let shared = self.membership.connection.shared();
                    if turn.has_settled() && shared.note_written(turn.written) {
                        return Poll::Ready(deadline);
                    }
                    turn.go_on(self.rest);
                }
                Work::Sleep(deadline) => return Poll::Ready(deadline),
            }
        }
        let shared = self.membership.connection.shared();
        shared.lock().interrupt(&shared.common, turn);
        turn.freed.release();
        Poll::Pending
    }

    /// Polls the handler, and closes the connection when that has returned. Answers whether nothing
    /// can happen any more; the chunk goes back to the thread then.
    fn serve(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let returned = self.poll_handler(turn.now, cx);
        let shared = self.membership.connection.shared();
        burst::end(shared);
        let gone = self.handler.is_none() && matches!(self.socket, Socket::Gone);
        if returned.is_none() && !gone {
            return false;
        }
        let mut inner = shared.lock();
        if let Some(code) = returned {
            inner.stop_reading();
            inner.close(code.into(), turn.now, &mut turn.freed);
        }
        let over = gone && inner.end.is_some();
        if over {
            inner.driver = Activity::Asleep;
            turn.input = inner.input.take();
        }
        drop(inner);
        turn.freed.release();
        over
    }

    /// One look at the connection, under its lock.
    fn next_work(&mut self, turn: &mut Turn, waker: &Waker) -> Work {
        let shared = self.membership.connection.shared();
        let decides = self.verdict.is_some();
        let passes = passes(shared, self.listeners, &self.endpoint.listeners, decides);
        let mut spare = Spare::default();
        if self.rest.begins() {
            spare.renew(waker);
        }
        let mut inner = shared.lock();
        while turn.moved.is_none() && !inner.wake_up(shared, turn, waker, &mut spare) {
            drop(inner);
            spare.renew(waker);
            inner = shared.lock();
        }
        let work = inner.next_work(shared, turn, self.rest, &passes);
        drop(inner);
        drop(spare);
        turn.freed.release();
        work
    }

    /// Writes what is there, then `reads` once if a chunk was lent.
    fn transfer(&mut self, turn: &mut Turn, reads: bool, cx: &mut Context<'_>) {
        let Socket::Open(socket) = self.socket else {
            return turn.end = Some(StreamEnd::Lost);
        };
        if !turn.blocked.write {
            match turn.outbox.poll_write(socket, cx, &mut turn.written) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    // The peer may have sent its last words before it went.
                    log::socket_failed(&self.membership.connection, &error, "write to");
                    turn.freed.put_unsent(Some(turn.outbox.break_off()));
                    turn.end = Some(StreamEnd::Unwritable);
                    // That is told before whatever the next read brings.
                    return;
                }
                Poll::Pending => turn.blocked.write = true,
            }
        }
        let Some(input) = turn.input.as_mut().filter(|_| reads) else { return };
        turn.asked = true;
        let direct = input.is_lent();
        match socket.poll_fill(cx, input) {
            Poll::Ready(Ok(0)) => turn.end = Some(StreamEnd::Eof),
            Poll::Ready(Ok(n)) => turn.has_read(n, direct),
            Poll::Ready(Err(error)) => {
                log::socket_failed(&self.membership.connection, &error, "read from");
                turn.end = Some(StreamEnd::Lost);
                turn.outbox = Outbox::default();
            }
            Poll::Pending => turn.blocked.read = true,
        }
    }

    /// The same at the expense of the turn. At its end it reads no more: what it read would lie in
    /// its chunk while others have their turns.
    fn transfer_for(&mut self, budget: &mut usize, turn: &mut Turn, cx: &mut Context<'_>) {
        *budget = budget.saturating_sub(turn.cost_of_transfer());
        self.transfer(turn, *budget > 0, cx);
    }

    /// Tells an event, and what follows from it at once.
    fn tell(&mut self, event: Event, turn: &mut Turn) {
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
                Event::Closed(closed) => self.finish(Arc::from(closed), own.as_ref(), turn),
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
            State::Closed => self.membership.detach(),
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
    fn deliver(&mut self, first: Message, turn: &mut Turn, budget: &mut usize) {
        let own = turn.listeners.take();
        let mut next = Some(first);
        while let Some(message) = next {
            self.renew_listeners();
            self.tell_message(message, own.as_ref(), turn.now);
            *budget = budget.saturating_sub(1);
            next =
                if *budget > 0 { burst::next(self.membership.connection.shared()) } else { None };
        }
        burst::end(self.membership.connection.shared());
        discard(own, &self.membership.connection);
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

    /// Polls the handler; answers what to close with when it has returned now.
    fn poll_handler(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<CloseCode> {
        if self.poll_verdict(now, cx) {
            return None;
        }
        let handler = self.handler.as_mut().as_pin_mut()?;
        let connection = &self.membership.connection;
        let poll = guard("the handler", connection, || {
            handler.poll(cx).map(|outcome| outcome.settle(connection))
        });
        if poll == Some(Poll::Pending) {
            return None;
        }
        // What the future still holds is code of users, too.
        let dropped = guard("the handler's end", connection, || self.handler.set(None));
        if let (Some(Poll::Ready(code)), Some(())) = (poll, dropped) {
            return Some(code);
        }
        close_after_panic(connection, now);
        None
    }

    /// The client speaks ordinary HTTP; for the core the connection is over.
    fn hand_over(&mut self, received: Bytes) {
        let Some(http) = self.endpoint.http() else { return };
        let connection = &self.membership.connection;
        connection.shared().lock().direct = None;
        let Socket::Open(stream) = mem::replace(self.socket, Socket::Gone) else { return };
        let client = HttpClient {
            id: connection.id(),
            peer: connection.shared().peer(),
            common: Arc::clone(&self.endpoint.common),
            entrance: self.entrance(stream.peer_certificates()),
        };
        *self.socket = Socket::Http(http.take_over(stream, received, client));
        self.membership.leave_to_http();
    }

    /// The connection is over and nothing more will happen to it.
    fn finish(&mut self, end: Arc<Closed>, own: Own<'_>, turn: &mut Turn) {
        self.pass_answer();
        // Unless that was done when the state was told.
        self.membership.detach();
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
        inner.direct = None;
        inner.waiters.take(|_| true, &mut turn.freed);
        let own = inner.listeners.take();
        inner.drop_backlog(&mut turn.freed);
        turn.freed.put_unsent(inner.core.take_unsent());
        drop(inner);
        if !matches!(self.socket, Socket::Http(_)) {
            guard("the end of a stream", connection, || *self.socket = Socket::Gone);
        }
        discard(own, connection);
        guard("the end of a store", connection, || connection.shared().close_storage());
    }

    fn poll_http(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Socket::Http(http) = self.socket else { return Poll::Ready(()) };
        let connection = &self.membership.connection;
        guard("an HTTP service", connection, || http.as_mut().poll(cx)).unwrap_or(Poll::Ready(()))
    }
}

/// What need not be told: `decides` says that a function of users decides about the request.
fn passes<'a>(
    shared: &'a Shared,
    known: &'a Table,
    newest: &'a Listeners,
    decides: bool,
) -> impl Fn(State) -> bool + 'a {
    move |to| {
        let concerns = match to {
            State::Opening => shared.request.get().is_some(),
            State::Connected => true,
            State::Closing => decides,
            _ => false,
        };
        !concerns && !log::tells_steps() && newest.hears_no_steps(known)
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

#[cfg(test)]
mod tests;
