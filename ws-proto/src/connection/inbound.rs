use alloc::boxed::Box;
use core::time::Duration;

use bytes::Bytes;

use super::{Connection, Phase};
use crate::handshake::client::ClientStep;
use crate::handshake::{ServerHandshake, ServerStep};
use crate::wire::{Item, Whole};
use crate::{Cause, Close, Event, Instant, Message, ProtocolError, RecvBuf, Role, State, Version};

impl Connection {
    /// The next event, or `None` when everything received so far was used up.
    ///
    /// Nothing is parsed before it is asked for, so a caller that stops asking holds its peer
    /// back. `input` must be the buffer that was passed before, unless that was
    /// [idle](RecvBuf::is_idle). While a request waits for its answer the bytes behind it stay in
    /// `input`. May answer differently after any `&mut` call.
    #[inline]
    #[must_use]
    pub fn poll_event(&mut self, input: &mut RecvBuf, now: Instant) -> Option<Event> {
        self.now = now;
        if !self.has_news() {
            if input.is_empty() && !input.is_lent() {
                return None;
            }
            if let Some(message) = self.take_whole(input) {
                return Some(Event::Message(message));
            }
        } else if self.steps.has_news() && !matches!(self.phase, Phase::Discard | Phase::Over(_)) {
            // There is nothing to discard before it is told.
            return self.poll_own_event();
        }
        self.pull(input)
    }

    /// How long the message is with its framing, in bytes, that `input` seems to begin with and that
    /// [`Batch::poll_message`](crate::Batch::poll_message) takes, if the connection is open: only
    /// the ends are looked at, in draft75 and draft76 those of all that is in `input`, which is the
    /// answer then. `None` says no more than that [`poll_event`](Self::poll_event) has to be asked.
    #[inline]
    pub fn whole_len(&self, input: &RecvBuf) -> Option<usize> {
        match &self.phase {
            Phase::Open(decoder) if self.state() == State::Connected => decoder.whole_len(input),
            _ => None,
        }
    }

    /// There is something to parse, and nothing to be told before it.
    #[inline]
    fn take_whole(&mut self, input: &mut RecvBuf) -> Option<Message> {
        let message = self.whole()?.take(input)?;
        self.last_received = self.now;
        Some(message)
    }

    /// How messages that were received whole can be taken, if they can.
    #[inline]
    pub(super) fn whole(&self) -> Option<Whole> {
        let Phase::Open(decoder) = &self.phase else { return None };
        if self.state() == State::Connected { decoder.whole(&self.config.limits) } else { None }
    }

    fn pull(&mut self, input: &mut RecvBuf) -> Option<Event> {
        if !input.is_empty() {
            self.last_received = self.now;
        }
        loop {
            if matches!(self.phase, Phase::Discard | Phase::Over(_)) {
                self.discard(input);
            }
            if let Some(event) = self.poll_own_event() {
                return Some(event);
            }
            if input.is_empty() {
                if self.leave() {
                    continue;
                }
                return None;
            }
            if input.is_lent()
                && !matches!(self.phase, Phase::Open(_) | Phase::Discard | Phase::Over(_))
            {
                self.fail(Cause::Protocol(ProtocolError::BufferExchanged));
            }
            let pulled = match &mut self.phase {
                Phase::Request(_) => self.pull_request(input),
                Phase::Decide(_) | Phase::Answered(_) => return None,
                Phase::Challenge(challenge) => {
                    let response = challenge.poll(input)?;
                    self.out.buf().put_with(|out| out.extend_from_slice(&response));
                    if let Some(agreed) = self.agreed.take() {
                        self.open(agreed);
                    }
                    None
                }
                Phase::Response(_) => self.pull_response(input),
                Phase::Open(_) => {
                    let pulled = self.pull_frame(input);
                    if pulled.is_none() && self.has_piece() {
                        return None;
                    }
                    pulled
                }
                // It has just failed.
                Phase::Discard | Phase::Over(_) => None,
            };
            if pulled.is_some() {
                return pulled;
            }
        }
    }

    /// Forgets what came, and the message that is read into: others may use the buffer.
    fn discard(&mut self, input: &mut RecvBuf) {
        if !input.is_empty() {
            // More may be on its way.
            self.linger();
        }
        input.clear();
    }

    /// Whether [`poll_event`](Self::poll_event) may have an event that needs no more input.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.steps.has_news() || self.out.is_writable() || self.state() == State::Closed
    }

    /// What has to be told besides what the peer said.
    fn poll_own_event(&mut self) -> Option<Event> {
        if let Some((from, to)) = self.steps.announce() {
            return Some(Event::State { from, to });
        }
        if self.out.take_writable() {
            return Some(Event::Writable);
        }
        if self.state() == State::Closed {
            return self.ending.take().map(Event::Closed);
        }
        None
    }

    fn pull_request(&mut self, input: &mut RecvBuf) -> Option<Event> {
        if self.state() == State::Unknown {
            self.steps.enter(State::Opening);
            return self.poll_own_event();
        }
        let Phase::Request(begun) = &mut self.phase else { return None };
        let step = if let Some(handshake) = begun {
            handshake.poll(input, &self.config)
        } else {
            let mut handshake = ServerHandshake::default();
            let step = handshake.poll(input, &self.config);
            // It knows how a request that is wrong is to be answered.
            if matches!(step, Ok(ServerStep::NeedInput) | Err(_)) {
                *begun = Some(Box::new(handshake));
            }
            step
        };
        match step {
            Ok(ServerStep::NeedInput) => None,
            Ok(ServerStep::Request(request)) => {
                self.phase = Phase::Decide(request.clone());
                Some(Event::Request(request))
            }
            Ok(ServerStep::Http(bytes)) => Some(self.hand_over(bytes)),
            Err(error) => {
                self.fail(Cause::Handshake(error));
                None
            }
        }
    }

    fn hand_over(&mut self, bytes: Bytes) -> Event {
        self.begin_closing(Cause::Http);
        self.finish();
        Event::Http(bytes)
    }

    fn pull_response(&mut self, input: &mut RecvBuf) -> Option<Event> {
        let Phase::Response(handshake) = &mut self.phase else { return None };
        match handshake.poll(input, &self.config) {
            Ok(ClientStep::NeedInput) => {}
            Ok(ClientStep::Waiting) => self.steps.enter(State::Waiting),
            Ok(ClientStep::Done(agreed)) => {
                let agreed = agreed.with_response(handshake.take_response());
                self.open(agreed);
            }
            Err(error) => {
                let response = handshake.take_response();
                self.fail(Cause::Handshake(error));
                if let Some(ending) = self.ending() {
                    ending.response = response;
                }
            }
        }
        None
    }

    fn pull_frame(&mut self, input: &mut RecvBuf) -> Option<Event> {
        let Phase::Open(decoder) = &mut self.phase else { return None };
        match decoder.poll(input, &self.config.limits) {
            Ok(Some(item)) => self.take_item(item),
            Ok(None) => {
                if self.state() == State::Closing {
                    self.take_piece();
                }
                None
            }
            Err(error) => {
                self.fail(Cause::Protocol(error));
                None
            }
        }
    }

    fn take_item(&mut self, item: Item) -> Option<Event> {
        let closing = self.state() == State::Closing;
        match item {
            Item::Message(_) if closing => None,
            Item::Message(message) => Some(Event::Message(message)),
            Item::Close(close) => {
                self.take_close(close);
                None
            }
            Item::Discarded => {
                self.count_control(ProtocolError::DiscardFlood);
                None
            }
            Item::Ping(payload) => {
                if !self.count_control(ProtocolError::ControlFlood) || closing {
                    return None;
                }
                self.out.owe_pong(payload.clone());
                Some(Event::Ping(payload))
            }
            Item::Pong(payload) => (self.count_control(ProtocolError::ControlFlood) && !closing)
                .then_some(Event::Pong(payload)),
        }
    }

    /// Counts a control frame; `false` when there were too many and the connection has failed.
    fn count_control(&mut self, flood: fn(u32) -> ProtocolError) -> bool {
        if self.now.saturating_duration_since(self.control_since) >= Duration::from_secs(1) {
            self.control_since = self.now;
            self.control_count = 0;
        }
        self.control_count += 1;
        let max = self.config.limits.max_control_per_second;
        let within = self.control_count <= max;
        if !within {
            self.fail(Cause::Protocol(flood(max)));
        }
        within
    }

    /// The peer's close frame, or draft76's `FF 00`: answered with the same (RFC 6455 section
    /// 5.5.1), after which the server ends the stream first (section 7.1.1).
    fn take_close(&mut self, close: Close) {
        if self.state() == State::Connected {
            self.begin_closing(Cause::Peer);
        }
        let answer = close.code().map_or(Close::EMPTY, Close::from);
        self.send_close(answer);
        if let Some(ending) = self.ending() {
            ending.received = Some(close);
            ending.clean = ending.sent.is_some();
        }
        self.phase = Phase::Discard;
        if self.role == Role::Server || self.version() == Some(Version::Draft76) {
            self.out.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::sync::Arc;

    use bytes::Buf;

    use super::*;
    use crate::{Config, Reject, Transmit};

    const START: Instant = Instant::from_nanos(0);

    /// What a server has to say after `then`, to the beginning of a request.
    fn answer(request: &str, then: impl FnOnce(&mut Connection)) -> String {
        let mut connection = Connection::server(Arc::new(Config::default()), START);
        let mut input = RecvBuf::default();
        input.feed(request.as_bytes());
        while connection.poll_event(&mut input, START).is_some() {}
        then(&mut connection);
        let Some(Transmit::Data(mut bytes)) = connection.poll_transmit() else { panic!("silent") };
        let written = bytes.copy_to_bytes(bytes.remaining());
        String::from_utf8(written.to_vec()).unwrap()
    }

    type Step<'a> = &'a dyn Fn(&mut Connection);

    #[test]
    fn an_answer_to_head_has_the_head_that_get_would_get() {
        let late = |connection: &mut Connection| {
            connection.handle_timeout(START + Duration::from_secs(3600));
        };
        let reject = |connection: &mut Connection| {
            connection.reject(&Reject::new(404).body("nothing here"), START).unwrap();
        };
        let ways: [(&str, Step<'_>); 5] = [
            (" / HTTP/1.1\r\nHost: a\r\n\r\n", &|_| {}),
            (" / HTTP/1.1\r\n\r\n", &|_| {}),
            (" / HTTP/1.1\r\nHost : a\r\n", &|_| {}),
            (" / HTTP/1.1\r\nHos", &late),
            (" / HTTP/1.1\r\nHos", &reject),
        ];
        for (rest, then) in ways {
            let get = answer(&["GET", rest].concat(), then);
            let head = answer(&["HEAD", rest].concat(), then);
            let (wanted, content) = get.split_once("\r\n\r\n").unwrap();
            assert_eq!(head, [wanted, "\r\n\r\n"].concat());
            assert!(!content.is_empty());
        }
    }
}
