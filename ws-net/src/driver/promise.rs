//! Streams whose request was read by an HTTP server, ours or another, and whose answer it writes.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tracing::warn;
use ws_proto::{Accept, Instant, Request, State};

use super::{Driver, DriverProjection, Socket};
use crate::Rejected;
use crate::boxed::BoxStream;
use crate::door::Door;
use crate::endpoint::{Endpoint, Entrance, Promise};
use crate::log;
use crate::runtime::{Certificates, Runtime, Transport};
use crate::shared::Peer;
use crate::turn::Turn;

impl<R: Runtime, S: Transport, D: Door> DriverProjection<'_, R, S, D> {
    /// A request that was read elsewhere comes with no event of its own.
    pub(super) fn tell_known_request(&mut self, turn: &mut Turn) {
        let shared = self.membership.connection.shared();
        // Nobody has refused it meanwhile.
        let waits = || shared.lock().core.state() == State::Opening;
        if let Some(request) = shared.request.get()
            && waits()
        {
            let request = request.clone();
            if let Some(event) = self.tell_request(request, turn) {
                self.tell(event, turn);
            }
        }
    }

    /// The way back to the door, for a client that speaks HTTP from now on.
    pub(super) fn entrance(&self, certificates: Option<Certificates>) -> Box<dyn Entrance> {
        Box::new(Inside {
            runtime: self.runtime.clone(),
            endpoint: Arc::clone(self.endpoint),
            door: self.door.clone(),
            peer: self.membership.connection.shared().peer(),
            choice: self.membership.connection.shared().choice().cloned(),
            certificates,
        })
    }

    /// Whether the HTTP server has let the stream go, or will never do so.
    pub(super) fn poll_promise(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let Socket::Promised(promise) = self.socket else { return false };
        // It is asked first: a request that has lost the stream, on the way through layers of other
        // make, must not be answered as if a WebSocket would follow.
        let Poll::Ready(stream) = promise.poll_stream(cx) else {
            self.pass_answer();
            return false;
        };
        *self.socket = match stream {
            Ok(stream) => {
                let shared = self.membership.connection.shared();
                shared.lock().core.handle_answered(now);
                Socket::Open(stream)
            }
            Err(error) => {
                self.lose_stream(&error, now);
                Socket::Gone
            }
        };
        true
    }

    /// The HTTP server will never let the stream go. It can still write a refusal.
    fn lose_stream(&mut self, error: &io::Error, now: Instant) {
        let connection = &self.membership.connection;
        let mut inner = connection.shared().lock();
        let (answer, waits) = (inner.core.poll_answer(), inner.core.state() < State::Closing);
        inner.core.handle_eof(now);
        inner.core.abort();
        drop(inner);
        if let Some(refusal) = answer.filter(|answer| answer.status() != 101)
            && let Socket::Promised(promise) = self.socket
        {
            promise.answer(refusal);
        } else if waits && error.kind() == io::ErrorKind::InvalidInput {
            warn!(
                target: "ws::connection",
                id = %connection.id(),
                peer = %connection.peer_addr(),
                "the HTTP server does not let the stream go: {error}; does something \
                 between it and this server drop the extensions of requests?",
            );
        } else {
            log::socket_failed(connection, error, "take over");
        }
    }

    /// Gives the answer to the HTTP server that writes it.
    pub(super) fn pass_answer(&mut self) {
        let Socket::Promised(promise) = self.socket else { return };
        let answer = self.membership.connection.shared().lock().core.poll_answer();
        if let Some(answer) = answer {
            promise.answer(answer);
        }
    }
}

/// What a connection needs that spoke HTTP before and then asks for a WebSocket.
struct Inside<R, D> {
    runtime: R,
    endpoint: Arc<Endpoint>,
    door: D,
    peer: Peer,
    choice: Option<Arc<Accept>>,
    certificates: Option<Certificates>,
}

impl<R: Runtime, D: Door> Entrance for Inside<R, D> {
    fn enter(&self, request: Request, promise: Box<dyn Promise<BoxStream>>) {
        let gate = &self.endpoint.common.gate;
        // The connection has a permit, which it gives back when it speaks HTTP no more.
        let permit = gate.admit_beyond(self.peer.address);
        let (runtime, endpoint) = (self.runtime.clone(), Arc::clone(&self.endpoint));
        let (door, socket) = (self.door.clone(), Socket::Promised(promise));
        let driver = Driver::upgraded(runtime, endpoint, door, permit, socket, self.peer, request);
        if let Some(certificates) = &self.certificates {
            let rare = driver.connection().shared().rare();
            let _ = rare.certificates.set(Arc::clone(certificates));
        }
        // A shutdown that began meanwhile has not seen it.
        driver.launch(self.choice.clone(), !gate.is_open());
    }

    fn refuse(&self, refused: &Rejected) {
        self.endpoint.refuse(refused);
    }
}
