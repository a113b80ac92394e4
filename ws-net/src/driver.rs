use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use pin_project_lite::pin_project;
use ws_proto::{Accept, CloseCode, Event, Instant, Request, State};

use crate::Connection;
use crate::burst;
use crate::candidate::Verdict;
use crate::contain::attempt;
use crate::door::Door;
use crate::endpoint::{BoxFuture, Endpoint, HttpClient, Promise};
use crate::gate::Permit;
use crate::guard::{close_after_panic, guard};
use crate::listeners::{Known, Listeners, Table};
use crate::log;
use crate::membership::Membership;
use crate::outcome::Settle;
use crate::relay::pass;
use crate::runtime::{Runtime, Transport};
use crate::shared::{Activity, Peer, Shared};
use crate::turn::{COST_OF_READ, Rest, StreamEnd, Turn, Work};
use crate::waiters::Spare;

mod panics;
mod promise;
mod request;
mod straight;
mod telling;

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
        let now = self.runtime.now();
        let watch = burst::Watch::over(self.membership.connection.shared());
        let poll = if self.is_calm() {
            match self.go_straight(now, cx) {
                Ok(deadline) => {
                    self.keep_deadline(deadline, now, cx);
                    Poll::Pending
                }
                Err(turn) => self.go_round(turn, cx),
            }
        } else {
            let turn = Turn::begin(self.rest, now);
            self.go_round(turn, cx)
        };
        mem::forget(watch);
        poll
    }

    /// Any turn, from where it stands.
    #[inline(never)]
    fn go_round(&mut self, mut turn: Turn, cx: &mut Context<'_>) -> Poll<()> {
        let now = turn.now;
        let summoned = self.membership.connection.shared().summoned.load(Ordering::Relaxed);
        if turn.reads_first(self.rest, summoned) {
            self.transfer(&mut turn, true, cx);
        }
        let deadline = self.work(&mut turn, cx);
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
        self.keep_deadline(deadline, now, cx);
        Poll::Pending
    }

    fn keep_deadline(&mut self, deadline: Option<Instant>, now: Instant, cx: &mut Context<'_>) {
        if self.membership.poll_alarm(deadline, (self.runtime, now), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Works until there is nothing to do before the deadline that it answers. Pending when the
    /// turn was long enough before that.
    fn work(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        while turn.budget > 0 {
            turn.budget -= 1;
            match self.next_work(turn, cx.waker()) {
                Work::Event(event) => {
                    let is_last = matches!(event, Event::Closed(_));
                    self.tell(event, turn);
                    if is_last {
                        // There is nothing else that the handler could wait for.
                        turn.handler_due = false;
                        turn.freed.release();
                        if self.serve(turn, cx) {
                            return Poll::Ready(None);
                        }
                    }
                }
                Work::Message(message) => self.deliver(message, turn),
                Work::Handler => {
                    if self.serve(turn, cx) {
                        return Poll::Ready(None);
                    }
                }
                Work::Transfer => self.transfer_in_turn(turn, cx),
                Work::TransferAndSleep(deadline) => {
                    self.transfer_in_turn(turn, cx);
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
        burst::end(self.membership.connection.shared());
        self.end_handler(returned, turn)
    }

    /// What follows from the handler's having returned, if it did.
    fn end_handler(&mut self, returned: Option<CloseCode>, turn: &mut Turn) -> bool {
        let shared = self.membership.connection.shared();
        let gone = self.handler.is_none() && matches!(self.socket, Socket::Gone);
        if returned.is_none() && !gone {
            return false;
        }
        if gone && turn.finished {
            return true;
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
        let connection = &self.membership.connection;
        if !turn.blocked.write {
            let result = turn.outbox.poll_write(socket, cx, &mut turn.written);
            if !turn.note_write(connection, result) {
                return;
            }
        }
        let Some(input) = turn.input.as_mut().filter(|_| reads) else { return };
        let direct = input.is_lent();
        let result = socket.poll_fill(cx, input);
        turn.note_read(connection, result, direct);
    }

    /// The same at the expense of the turn. At its end it reads no more: what it read would lie in
    /// its chunk while others have their turns.
    fn transfer_in_turn(&mut self, turn: &mut Turn, cx: &mut Context<'_>) {
        turn.budget = turn.budget.saturating_sub(turn.cost_of_transfer());
        self.transfer(turn, turn.budget >= COST_OF_READ, cx);
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

#[cfg(test)]
mod tests;
