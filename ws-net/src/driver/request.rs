//! From a request that passed the checks to its answer.

use std::mem;
use std::task::{Context, Poll};

use tracing::debug;
use ws_proto::{Accept, CommandError, Event, Instant, Reject, Request, State};

use super::{DriverProjection, Socket, passes};
use crate::burst;
use crate::candidate::Candidate;
use crate::door::Door;
use crate::guard::guard;
use crate::log;
use crate::runtime::{Runtime, Transport};
use crate::shared::Inner;
use crate::turn::Turn;

impl<R: Runtime, S: Transport, D: Door> DriverProjection<'_, R, S, D> {
    /// Asks the function of users, if there is one, and otherwise goes on. Answers what follows.
    pub(super) fn tell_request(&mut self, request: Request, turn: &mut Turn) -> Option<Event> {
        let connection = &self.membership.connection;
        let shared = connection.shared();
        if let Socket::Open(socket) = &self.socket
            && let Some(certificates) = socket.peer_certificates()
        {
            let _ = shared.rare().certificates.set(certificates);
        }
        // It comes once, or was there before.
        let request = shared.request.get_or_init(|| request);
        if !self.judge_origin(request, turn.now) {
            return None;
        }
        let Some(authorize) = &self.endpoint.authorize else {
            let passes = passes(shared, self.listeners, &self.endpoint.listeners, false);
            let now = turn.now;
            return self.proceed(Accept::new(), now, |inner| inner.next_step(turn, &passes));
        };
        let candidate = Candidate::new(connection.clone(), request.clone());
        match guard("the authorisation", connection, || authorize(candidate)) {
            Some(verdict) => {
                *self.verdict = Some(Box::new(verdict));
                turn.handler_due = true;
            }
            None => connection.reject(&Reject::new(500)),
        }
        None
    }

    /// Asks the predicate of users, if there is one; `false` when the request was refused, or waits
    /// no more.
    fn judge_origin(&self, request: &Request, now: Instant) -> bool {
        let Some(policy) = &self.endpoint.origin else { return true };
        let connection = &self.membership.connection;
        match guard("the origin policy", connection, || policy.judge(request)) {
            // It may have been ended by the predicate.
            Some(Ok(())) => return connection.state() < State::Closing,
            Some(Err(error)) => {
                let _ = connection.shared().lock().core.refuse(error, now);
            }
            None => connection.reject(&Reject::new(500)),
        }
        false
    }

    /// Polls the function of users; `false` when none runs.
    pub(super) fn poll_verdict(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let Some(verdict) = self.verdict else { return false };
        let connection = &self.membership.connection;
        let decision =
            match guard("the authorisation", connection, || verdict.as_mut().as_mut().poll(cx)) {
                Some(Poll::Pending) => return true,
                Some(Poll::Ready(decision)) => Some(decision),
                None => None,
            };
        let dropped = self.drop_verdict();
        let connection = &self.membership.connection;
        match decision {
            // The deadline has passed, or somebody has ended it.
            Some(Ok(_)) if connection.state() >= State::Closing => {}
            Some(Ok(accept)) if dropped => {
                self.proceed(accept, now, |_| None);
            }
            Some(Err(reject)) if dropped => connection.reject(&reject),
            _ => connection.reject(&Reject::new(500)),
        }
        true
    }

    /// Nobody waits for the decision any more.
    pub(super) fn give_up_verdict(&mut self) {
        if self.verdict.is_some() {
            log::gave_up(&self.membership.connection);
            self.drop_verdict();
        }
    }

    /// What the future still holds is code of users, too. `false` when that panicked.
    fn drop_verdict(&mut self) -> bool {
        let Some(verdict) = mem::take(self.verdict) else { return true };
        guard("the authorisation's end", &self.membership.connection, || drop(verdict)).is_some()
    }

    /// Accepts the request, unless somebody else decides about it. Answers what `then` answers when
    /// it was accepted.
    fn proceed(
        &self,
        accept: Accept,
        now: Instant,
        then: impl FnOnce(&mut Inner) -> Option<Event>,
    ) -> Option<Event> {
        let connection = &self.membership.connection;
        let accept = match connection.shared().choice() {
            Some(choice) => {
                let choice = Accept::clone(choice);
                accept.then(&match connection.request() {
                    // Nobody had seen it.
                    Some(request) => choice.if_offered(request),
                    None => choice,
                })
            }
            None => accept,
        };
        let accept = self.door.request(connection, accept)?;
        let spare = burst::spare();
        let mut inner = connection.shared().lock();
        inner.core.supply(spare);
        match inner.core.accept(&accept, now) {
            Ok(()) => return then(&mut inner),
            Err(error) => {
                drop(inner);
                self.take_back(&error);
            }
        }
        None
    }

    /// The request was accepted and could not be.
    #[cold]
    fn take_back(&self, error: &CommandError) {
        let connection = &self.membership.connection;
        let (id, peer) = (connection.id(), connection.peer_addr());
        match error {
            CommandError::NoRequest(_) => {
                debug!(target: "ws::server", %id, %peer, "it was accepted too late: {error}");
            }
            // It asks for what is not spoken, and nobody has promised it.
            CommandError::SubprotocolNeeded(_) => {
                let name = connection.request().and_then(|request| request.subprotocols().next());
                log::not_spoken(connection, name.unwrap_or_default());
                let text = "the client asks for a subprotocol that is not spoken here\n";
                connection.reject(&Reject::new(400).body(text));
            }
            _ => {
                log::does_not_fit(connection, error);
                connection.reject(&Reject::new(500));
            }
        }
    }
}
