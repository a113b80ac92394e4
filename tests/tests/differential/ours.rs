//! `ws-proto` as one of the three.

use std::sync::Arc;

use bytes::Buf as _;
use ws_proto::{
    Cause, Close, Config, Event, Instant, Limits, Message, ProtocolError, Role, State, Transmit,
    Version,
};
use ws_tests::pair::{Pair, Side};

use crate::outcome::{CloseBody, End, Item, LIMIT, Outcome};

/// What became of the bytes, and what else only our core tells.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) outcome: Outcome,
    /// The rule that was broken.
    pub(crate) fault: Option<ProtocolError>,
    /// Pongs and close frames.
    pub(crate) answers: Vec<u8>,
}

fn connected(role: Role) -> (Side, Instant) {
    let mut limits = Limits::default();
    limits.max_message = LIMIT;
    let config = Arc::new(Config::builder().limits(limits).build().expect("good limits"));
    let mut pair = Pair::with_config(Version::Rfc6455, &config);
    pair.drive();
    let now = pair.now;
    let side = match role {
        Role::Server => pair.server,
        Role::Client => pair.client,
    };
    assert_eq!(side.connection.version(), Some(Version::Rfc6455), "{:?}", side.events);
    (side, now)
}

fn transmit(side: &mut Side, sent: &mut Vec<u8>) {
    while let Some(Transmit::Data(mut data)) = side.connection.poll_transmit() {
        let n = data.remaining();
        sent.extend_from_slice(&data.copy_to_bytes(n));
        side.connection.handle_transmitted(n);
    }
}

/// Reads `bytes` as this role, then the end of the stream.
pub(crate) fn receive(role: Role, mut bytes: &[u8]) -> Ours {
    let (mut side, now) = connected(role);
    let mut seen = Ours {
        outcome: Outcome { items: Vec::new(), end: End::Open },
        fault: None,
        answers: Vec::new(),
    };
    while !bytes.is_empty() {
        let n = side.input.feed(bytes);
        assert!(n > 0, "the core left its input lying");
        bytes = &bytes[n..];
        seen.drain(&mut side, now);
    }
    side.connection.handle_eof(now);
    seen.drain(&mut side, now);
    assert_eq!(side.connection.state(), State::Closed);
    seen
}

impl Ours {
    fn drain(&mut self, side: &mut Side, now: Instant) {
        for _ in 0..2 {
            while let Some(event) = side.connection.poll_event(&mut side.input, now) {
                self.take(event);
            }
            // An end that was waiting for this is told by a further event.
            transmit(side, &mut self.answers);
        }
    }

    fn take(&mut self, event: Event) {
        let item = match event {
            Event::Message(Message::Text(text)) => Item::Text(text.as_str().to_owned()),
            Event::Message(Message::Binary(payload)) => Item::Binary(payload.to_vec()),
            Event::Ping(payload) => Item::Ping(payload.to_vec()),
            Event::Pong(payload) => Item::Pong(payload.to_vec()),
            Event::Closed(closed) => {
                self.outcome.end = match &closed.cause {
                    Cause::Eof => End::Open,
                    Cause::Peer => End::Closed(closed.received.as_ref().and_then(body)),
                    Cause::Protocol(fault) => {
                        self.fault = Some(*fault);
                        let (code, _) = closed.sent.as_ref().and_then(body).expect("a code");
                        assert_eq!(code, u16::from(fault.close_code()), "{fault}");
                        End::Failed(code)
                    }
                    cause => panic!("bytes alone do not end a connection so: {cause}"),
                };
                return;
            }
            Event::State { .. } => return,
            event => panic!("{event:?} on a connection that is open"),
        };
        self.outcome.items.push(item);
    }
}

fn body(close: &Close) -> CloseBody {
    close.code().map(|code| (u16::from(code), close.reason().to_owned()))
}

/// The bytes of these items, and of the close frame.
pub(crate) fn send(role: Role, items: &[Item], close: &CloseBody) -> Vec<u8> {
    let (mut side, now) = connected(role);
    let mut sent = Vec::new();
    for item in items {
        let connection = &mut side.connection;
        let queued = match item {
            Item::Text(text) => connection.send(text.as_str().into()).is_ok(),
            Item::Binary(payload) => connection.send(payload.as_slice().into()).is_ok(),
            Item::Ping(payload) => connection.ping(payload.clone().into()).is_ok(),
            Item::Pong(payload) => connection.pong(payload.clone().into()).is_ok(),
        };
        assert!(queued, "{item:?}");
        transmit(&mut side, &mut sent);
    }
    if let Some((code, reason)) = close {
        side.connection.close(Close::new(*code, reason.as_str()).expect("a good close"), now);
        transmit(&mut side, &mut sent);
    }
    sent
}
