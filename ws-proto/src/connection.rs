use alloc::boxed::Box;
use alloc::sync::Arc;

use bytes::Buf;

mod answering;
mod apart;
pub(crate) mod batch;
mod broken;
#[cfg(feature = "deflate")]
mod compression;
mod deadlines;
mod fragments;
pub(crate) mod frames;
pub(crate) mod inbound;
mod leaving;
pub(crate) mod outbound;
mod partial;
mod pieces;
mod sending;
pub(crate) mod state;
pub(crate) mod timer;
mod writer;

use outbound::{Outbound, Transmit};
use state::Steps;
use timer::{Timer, Timers};
use writer::Writer;

use crate::buffer::SendBuf;
use crate::deflate::Deflater;
use crate::handshake::client::ClientHandshake;
use crate::handshake::draft76::Challenge;
use crate::handshake::{self, Agreed, ServerHandshake};
use crate::wire::Decoder;
use crate::{
    Cause, ClientRequest, Close, Closed, Config, Entropy, Expired, Instant, Reject, Request,
    Response, Role, State, Version,
};

/// One WebSocket connection, seen from one side.
///
/// A value without any I/O: the caller moves bytes between it and a socket and tells it the time.
/// After **any** `&mut` call drain [`poll_event`](Self::poll_event), then
/// [`poll_transmit`](Self::poll_transmit), then wait for the socket or for
/// [`poll_timeout`](Self::poll_timeout). No call waits, and none fails because of what the peer
/// sent: a peer's fault comes out as [`Event::Closed`](crate::Event::Closed) with its cause.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Connection {
    config: Arc<Config>,
    role: Role,
    steps: Steps,
    phase: Phase,
    timers: Timers,
    out: Outbound,
    agreed: Option<Agreed>,
    /// Who writes the answer to the request.
    writer: Writer,
    /// Set when the connection begins to end; taken when `Closed` is handed out.
    /// Nobody else has it before it is told.
    ending: Option<Arc<Closed>>,
    eof: bool,
    paused: bool,
    /// Messages are to come in pieces.
    streaming: bool,
    /// The time of the last call that told it.
    now: Instant,
    last_received: Instant,
    /// Bytes wait since the last look at them, and the peer took none.
    stalled: bool,
    /// Nothing can be written any more.
    unwritable: bool,
    /// Dropping the socket ends the stream.
    ends_when_dropped: bool,
    /// More may come behind the peer's close frame.
    lingers: bool,
    control_since: Instant,
    control_count: u32,
}

/// What the next bytes from the peer are.
enum Phase {
    /// Server: a request head. `None` while nothing of it came: most come whole, and are never kept
    /// here.
    Request(Option<Box<ServerHandshake>>),
    /// Server: nothing, until the application decides about this request.
    Decide(Request),
    /// Server: nothing, until somebody else has written the answer that accepts.
    Answered(Request),
    /// Server, draft76: the 8 key bytes behind the head.
    Challenge(Box<Challenge>),
    /// Client: a response head, and draft76's 16 answer bytes.
    Response(Box<ClientHandshake>),
    /// Frames.
    Open(Decoder),
    /// Nothing that matters any more.
    Discard,
    /// The same, when the connection is over: what was queued and will not be sent.
    Over(Box<SendBuf>),
}

impl Connection {
    /// A server's side, from the first byte of the request on.
    pub fn server(config: Arc<Config>, now: Instant) -> Self {
        Self::new(config, Role::Server, Phase::Request(None), now)
    }

    /// A server's side whose request was read and judged elsewhere, see
    /// [`Request::from_parts`], and whose answer is written here; for one that is written
    /// elsewhere, too, see [`server_apart`](Self::server_apart). No event tells of the request,
    /// since the caller has it; [accept](Self::accept) or [reject](Self::reject) it.
    pub fn server_from(config: Arc<Config>, request: Request, now: Instant) -> Self {
        let mut connection = Self::new(config, Role::Server, Phase::Decide(request), now);
        connection.steps.enter(State::Opening);
        connection
    }

    /// A client's side. The request is ready to be transmitted. `entropy` makes the nonce and the
    /// masking keys.
    pub fn client(
        config: Arc<Config>,
        request: ClientRequest,
        mut entropy: Box<dyn Entropy>,
        now: Instant,
    ) -> Self {
        let mut connection = Self::new(config, Role::Client, Phase::Discard, now);
        let config = Arc::clone(&connection.config);
        let handshake = connection
            .out
            .buf()
            .put_with(|out| ClientHandshake::new(request, &config, entropy.as_mut(), out));
        connection.phase = Phase::Response(Box::new(handshake));
        connection.out.mask_with(entropy);
        connection.steps.enter(State::Opening);
        connection
    }

    fn new(config: Arc<Config>, role: Role, phase: Phase, now: Instant) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Handshake, now + config.timeouts.handshake);
        Self {
            config,
            role,
            steps: Steps::new(),
            phase,
            timers,
            out: Outbound::default(),
            agreed: None,
            writer: Writer::Own,
            ending: None,
            eof: false,
            paused: false,
            streaming: false,
            now,
            last_received: now,
            stalled: false,
            unwritable: false,
            ends_when_dropped: false,
            lingers: false,
            control_since: now,
            control_count: 0,
        }
    }

    /// The next bytes for the socket, or the order to end this side of the stream.
    ///
    /// * `None`: there is nothing to do now.
    /// * What was written of the bytes has to be [reported](Self::handle_transmitted).
    /// * The order comes when all bytes before it were reported.
    /// * Nothing comes between the begin and the end of a [batch](crate::Batch).
    ///
    /// What it hands out is the caller's: replies to all messages taken so far are in one buffer,
    /// for one write. May answer differently after any `&mut` call.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let Some(transmit) = self.out.poll() else {
            if self.state() == State::Closing {
                self.await_sentinel();
            }
            return None;
        };
        if self.state() == State::Connected {
            self.watch_for_stall();
        }
        if matches!(transmit, Transmit::Shutdown) {
            self.timers.set_sooner(Timer::Close, self.now + self.config.timeouts.linger);
            self.finish_if_over();
        }
        Some(transmit)
    }

    /// From now on the peer has to take what waits for it.
    #[inline]
    fn watch_for_stall(&mut self) {
        let deadline = || self.now + self.config.timeouts.stall;
        self.timers.set_if_stopped(Timer::Stall, deadline);
    }

    /// Says that `n` bytes from [`poll_transmit`](Self::poll_transmit) were written.
    pub fn handle_transmitted(&mut self, n: usize) {
        self.out.transmitted(n, &self.config.limits);
        self.stalled &= n == 0;
        if self.state() == State::Closing {
            self.leave();
        }
    }

    /// From now on only the peer's `FF 00` is missing, if all was written.
    #[cold]
    fn await_sentinel(&mut self) {
        if self.version() == Some(Version::Draft76) && self.out.buffered() == 0 {
            let deadline = self.now + self.config.timeouts.close_sentinel;
            self.timers.set_sooner(Timer::Close, deadline);
        }
    }

    /// Writes what is queued at once, in place of [`poll_transmit`](Self::poll_transmit) and
    /// [`handle_transmitted`](Self::handle_transmitted), for callers who have the connection and
    /// the socket at hand. `write` answers how many of the bytes were written; those that were not
    /// stay queued. Does not wait unless `write` does.
    ///
    /// Answers what was written, as it was, if nothing is left to do. Payloads in it may have owners,
    /// so drop it where code of theirs may run.
    ///
    /// # Errors
    /// Something is left, which is `poll_transmit`'s then; what comes back is to be dropped in the
    /// same way. `write` was not called if the connection is not open, writing has failed before, or
    /// bytes that were handed out are not all reported as written, since they go first.
    pub fn transmit_with(
        &mut self,
        write: impl FnOnce(&SendBuf) -> usize,
    ) -> Result<SendBuf, SendBuf> {
        if self.state() != State::Connected || self.unwritable {
            return Err(SendBuf::default());
        }
        let mut written = 0;
        let write = |queued: &SendBuf| {
            written = write(queued);
            written
        };
        let all = self.out.write_with(write, &self.config.limits);
        self.stalled &= written == 0;
        all
    }

    /// Says that the peer ended its side of the stream. Take every event of the bytes before it
    /// first.
    pub fn handle_eof(&mut self, now: Instant) {
        self.now = now;
        self.eof = true;
        if self.version() == Some(Version::Draft75)
            && let Some(ending) = self.ending.as_mut().and_then(Arc::get_mut)
            && matches!(ending.cause, Cause::Local | Cause::Timeout(Expired::Lifetime))
        {
            // Both sides ended their streams, which is all that draft75 knows of closing.
            ending.clean = !self.out.is_half_sent() && !self.unwritable;
        }
        if self.state() < State::Closing {
            // draft75 has no other way to close (draft-hixie-75 section 4.2).
            let proper = self.version() == Some(Version::Draft75)
                && matches!(&self.phase, Phase::Open(decoder) if decoder.is_at_boundary());
            self.begin_closing(if proper { Cause::Peer } else { Cause::Eof });
            let clean = proper && !self.unwritable;
            if let Some(ending) = self.ending() {
                ending.clean = clean;
            }
        }
        self.end_stream();
        self.finish_if_over();
    }

    /// Says whether the caller has stopped reading. While it has, silence is not the peer's fault
    /// and neither the pong nor the idle deadline ends the connection; they count from the moment
    /// in which it reads again.
    pub fn set_paused(&mut self, paused: bool, now: Instant) {
        self.now = now;
        if core::mem::replace(&mut self.paused, paused) && !paused {
            self.last_received = now;
        }
    }

    /// Closes: what is queued is still sent, then the version's closing handshake (RFC 6455
    /// section 7.1.2; `FF 00` in draft76; the end of the stream in draft75, which like draft76
    /// carries neither code nor reason). Messages that arrive from now on are discarded. A request
    /// that waits for an answer is answered with 503. Further calls do nothing.
    pub fn close(&mut self, close: impl Into<Close>, now: Instant) {
        self.close_as_told(close.into(), now);
    }

    fn close_as_told(&mut self, close: Close, now: Instant) {
        self.now = now;
        match self.state() {
            State::Connected => self.close_with(Cause::Local, close),
            State::Closing | State::Closed => {}
            _ => {
                if self.is_unanswered() {
                    self.answer(|_, out| handshake::reject(&Reject::new(503), out));
                }
                self.begin_closing(Cause::Local);
                self.end_stream();
            }
        }
    }

    /// Gives up at once: nothing more is sent, not even what is queued. Drop the socket.
    pub fn abort(&mut self) {
        if self.state() < State::Closing {
            self.begin_closing(Cause::Aborted);
        }
        self.finish();
    }

    /// What was queued and will not be sent, once the connection is over. It is dropped with the
    /// connection otherwise. Dropping payloads may run code of their owners, so callers behind a
    /// lock take it out and drop it elsewhere.
    pub fn take_unsent(&mut self) -> Option<SendBuf> {
        match core::mem::replace(&mut self.phase, Phase::Discard) {
            Phase::Over(unsent) => Some(*unsent),
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    /// The options that it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The state, which may be further than what was announced by events.
    pub fn state(&self) -> State {
        self.steps.now()
    }

    /// The version, once it is known.
    pub fn version(&self) -> Option<Version> {
        self.agreed.as_ref().map(|agreed| agreed.version)
    }

    /// The subprotocol that both sides agreed to.
    pub fn subprotocol(&self) -> Option<&str> {
        self.agreed.as_ref()?.subprotocol()
    }

    /// Client: the answer that accepted; one that refused is in [`Closed::response`].
    pub fn response(&self) -> Option<&Response> {
        self.agreed.as_ref()?.response()
    }

    /// Bytes queued or handed out by [`poll_transmit`](Self::poll_transmit) and not yet reported
    /// as written.
    pub fn buffered_amount(&self) -> usize {
        self.out.buffered()
    }

    /// Whether bytes from the peer are of use. False when the connection is over. While a request
    /// waits for its answer they stay in the receive buffer, and the end of the stream tells that
    /// nobody waits for the answer any more; but a stream that somebody else answers on is not to
    /// be read before.
    pub fn wants_input(&self) -> bool {
        let elsewhere = match self.phase {
            Phase::Decide(_) => self.writer.is_other(),
            Phase::Answered(_) => true,
            _ => false,
        };
        !self.eof && self.state() != State::Closed && !elsewhere
    }

    /// The handshake is done: messages may flow.
    fn open(&mut self, agreed: Agreed) {
        let version = agreed.version;
        self.phase = Phase::Open(Decoder::new(version, self.role, agreed.deflate()));
        if self.streaming {
            self.set_streaming(true, self.now);
        }
        if let (Some(options), Some(params)) = (&self.config.deflate, agreed.deflate()) {
            self.out.deflate_with(Deflater::new(options, params, self.role));
        }
        self.agreed = Some(agreed);
        self.steps.enter(State::Handshaking);
        self.steps.enter(State::Connected);
        self.timers.stop(Timer::Handshake);
        self.last_received = self.now;
        if let (Some(interval), true) = (self.config.timeouts.ping_interval, version.has_frames()) {
            self.timers.set(Timer::Ping, self.now + interval);
        }
        if let Some(limit) = self.idle_limit() {
            self.timers.set(Timer::Idle, self.now + limit);
        }
        if let Some(lifetime) = self.config.timeouts.lifetime {
            self.timers.set(Timer::Lifetime, self.now + lifetime);
        }
    }

    /// Starts the closing handshake with what the cause has to say.
    fn close_for(&mut self, cause: Cause) {
        let close = cause.close().unwrap_or_default();
        self.close_with(cause, close);
    }

    /// Starts the closing handshake of the version (RFC 6455 section 7.1.2).
    fn close_with(&mut self, cause: Cause, close: Close) {
        self.begin_closing(cause);
        self.send_close(close);
        if self.version() == Some(Version::Draft75) {
            self.end_stream();
        }
    }

    /// Fails the connection (RFC 6455 section 7.1.7): the one way in which a fault ends it.
    fn fail(&mut self, cause: Cause) {
        if self.state() < State::Closing {
            let was_open = self.state() == State::Connected;
            if let (Cause::Handshake(error), Role::Server) = (&cause, self.role) {
                self.answer(|config, out| handshake::refuse(error, config, out));
            }
            if let (Cause::Timeout(expired), Role::Server) = (&cause, self.role) {
                self.answer_late(*expired);
            }
            let close = cause.close();
            let gone = was_open && matches!(cause, Cause::Timeout(_));
            self.begin_closing(cause);
            if gone {
                // Who let a deadline pass will probably not take the close frame either.
                self.timers.set(Timer::Close, self.now + self.config.timeouts.linger);
            }
            // 7.1.7: an endpoint that fails an open connection should say why.
            if let (true, Some(close)) = (was_open, close) {
                self.send_close(close);
            }
            if !was_open && self.role == Role::Client {
                // It has nothing to say to a server that it does not understand.
                return self.finish();
            }
        }
        self.end_stream();
    }

    /// Leaves the states in which anything can be sent, and remembers the first cause.
    fn begin_closing(&mut self, cause: Cause) {
        if self.state() == State::Unknown {
            self.steps.enter(State::Opening);
        }
        self.steps.enter(State::Closing);
        self.writer.withdraw();
        self.ending = Some(Arc::new(Closed::new(cause)));
        self.out.stop_waiting();
        self.timers.stop_all();
        self.timers.set(Timer::Close, self.now + self.config.timeouts.close);
    }

    /// How the connection will have ended, from the moment it closes.
    fn ending(&mut self) -> Option<&mut Closed> {
        self.ending.as_mut().and_then(Arc::get_mut)
    }

    /// Queues the close frame, once.
    fn send_close(&mut self, close: Close) {
        let ending = self.ending.as_mut().and_then(Arc::get_mut);
        let (Some(ending), Some(agreed)) = (ending, &self.agreed) else { return };
        let queued = ending.sent.is_none() && self.out.put_close(&close, agreed.version);
        if queued && !self.unwritable {
            ending.sent = Some(close);
        }
    }

    /// Ends this side of the stream behind what is queued; what still comes is discarded.
    fn end_stream(&mut self) {
        if self.state() != State::Closed {
            self.phase = Phase::Discard;
            self.out.end();
        }
    }

    fn finish_if_over(&mut self) {
        if self.eof && self.out.is_ended() && self.state() == State::Closing {
            self.finish();
        }
    }

    /// The only way into the last state.
    fn finish(&mut self) {
        if self.state() == State::Closing {
            self.steps.enter(State::Closed);
            self.phase = Phase::Discard;
            self.timers.stop_all();
            self.lose_close();
            let unsent = self.out.discard();
            self.keep_unsent(unsent);
        }
    }

    /// What is queued or under way will not be written. The close frame is the last of that.
    fn lose_close(&mut self) {
        if self.out.buffered() > 0
            && let Some(ending) = self.ending()
        {
            ending.sent = None;
            ending.clean = false;
        }
    }

    /// The connection is over: keeps what will not be sent until it is
    /// [taken](Self::take_unsent).
    fn keep_unsent(&mut self, unsent: SendBuf) {
        if !unsent.has_remaining() {
            return;
        }
        match &mut self.phase {
            Phase::Over(kept) => kept.append(unsent),
            phase => *phase = Phase::Over(Box::new(unsent)),
        }
    }
}

/// Role, state and sizes; never the peer's data.
impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.state())
            .field("version", &self.version())
            .field("buffered_amount", &self.buffered_amount())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every idle connection holds; what only some need, or only for a while, is boxed.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Phase>() <= 24, "{}", size_of::<Phase>());
        assert!(size_of::<Outbound>() <= 80, "{}", size_of::<Outbound>());
        assert!(size_of::<Connection>() <= 216, "{}", size_of::<Connection>());
    }
}
