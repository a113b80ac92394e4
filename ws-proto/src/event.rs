use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

use crate::{Close, CloseCode, HandshakeError, Message, ProtocolError, Request, Response, State};

/// What [`Connection::poll_event`](crate::Connection::poll_event) hands out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection went from one state to the next. Every step is reported, in order.
    State {
        /// The state before.
        from: State,
        /// The state now announced; the connection itself may already be further.
        to: State,
    },
    /// Server role: a valid request for a WebSocket that passed every check. Answer it with
    /// [`accept`](crate::Connection::accept) or [`reject`](crate::Connection::reject).
    Request(Request),
    /// Server role: the request is valid HTTP with a good `Host` but asks for no WebSocket, and the
    /// configuration hands such requests over. These are all bytes received so far; the connection
    /// is over for the core and writes nothing. Closed follows with [`Cause::Http`].
    Http(Bytes),
    /// A complete message.
    Message(Message),
    /// A ping (RFC 6455 section 5.5.2). The pong is sent by the core; of a flood between two writes
    /// the first 16 and the newest are answered.
    Ping(Bytes),
    /// A pong (RFC 6455 section 5.5.3), asked for or not.
    Pong(Bytes),
    /// After a send answered `Filled` or was refused with `Full`: the outbound buffer fell to
    /// its low-water mark.
    Writable,
    /// The connection is over. Comes exactly once and is the last event.
    Closed(Arc<Closed>),
}

/// How a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Closed {
    /// Why it ended: the first thing that made it end.
    pub cause: Cause,
    /// The close frame that was sent, if one was.
    pub sent: Option<Close>,
    /// The close frame that was received, if one was.
    pub received: Option<Close>,
    /// Whether both sides said that they close, as the version has it: both close frames, both
    /// `FF 00` of draft76, or the end of the stream of draft75 at a message boundary.
    pub clean: bool,
    /// Client role: the answer that refused, or broke a rule behind its head. Its body is not read.
    pub response: Option<Response>,
}

impl Closed {
    /// An end of which nothing but the cause is known.
    pub fn new(cause: Cause) -> Self {
        Self { cause, sent: None, received: None, clean: false, response: None }
    }

    /// The code as RFC 6455 section 7.1.5 defines it: the one received; 1005 when the peer closed
    /// without a code; 1006 when the peer did not close properly.
    pub fn code(&self) -> u16 {
        match &self.received {
            Some(close) => close.code().map_or(1005, u16::from),
            None if self.clean => 1005,
            None => 1006,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        if let Some(close) = &self.received {
            write!(f, "; the peer said {close}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Closed {}

/// Why a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// This side closed first.
    Local,
    /// The peer closed first, in the way of its version.
    Peer,
    /// The peer ended the stream without closing: a crash, a lost network, an old client.
    Eof,
    /// The application refused the request with this HTTP status.
    Rejected(u16),
    /// This side had no room for the connection, or was about to stop: the request was answered with
    /// 503, see [`turn_away`](crate::Connection::turn_away).
    Unavailable,
    /// The handshake broke a rule.
    Handshake(HandshakeError),
    /// A frame broke a rule.
    Protocol(ProtocolError),
    /// A deadline passed.
    Timeout(Expired),
    /// This side gave up without a closing handshake.
    Aborted,
    /// This side gave up a message that was half sent, see
    /// [`abandon_message`](crate::Connection::abandon_message).
    Abandoned,
    /// The request was ordinary HTTP and was handed over.
    Http,
}

impl Cause {
    /// What an open connection's peer is told when it fails for this cause.
    pub(crate) fn close(&self) -> Option<Close> {
        match self {
            Self::Protocol(error) => Some(Close::truncated(error.close_code(), &error.to_string())),
            Self::Timeout(Expired::Idle) => {
                Some(Close::truncated(CloseCode::GOING_AWAY, "idle for too long"))
            }
            Self::Timeout(Expired::Stall) => {
                Some(Close::truncated(CloseCode::POLICY, "reading too slowly"))
            }
            Self::Timeout(Expired::Lifetime) => {
                Some(Close::truncated(CloseCode::GOING_AWAY, "open for long enough"))
            }
            Self::Timeout(_) => Some(Close::truncated(CloseCode::INTERNAL, "no answer to a ping")),
            Self::Abandoned => {
                Some(Close::truncated(CloseCode::INTERNAL, "a message was not finished"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("closed by this side"),
            Self::Peer => f.write_str("closed by the peer"),
            Self::Eof => f.write_str("the peer ended the stream without closing"),
            Self::Rejected(status) => write!(f, "the request was rejected with status {status}"),
            Self::Unavailable => f.write_str("this side was full, or about to stop"),
            Self::Handshake(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::Timeout(expired) => expired.fmt(f),
            Self::Aborted => f.write_str("aborted by this side"),
            Self::Abandoned => f.write_str("this side did not finish a message"),
            Self::Http => f.write_str("the request was ordinary HTTP"),
        }
    }
}

/// The deadline that passed. Those of the decision and of the lifetime are not the peer's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expired {
    /// The handshake was not complete in time.
    Handshake,
    /// Server role: the handshake was not complete in time, because nobody decided about the
    /// request, or who writes the answer did not take it. The client is told with 503.
    Decision,
    /// Nothing came after a ping.
    Pong,
    /// Nothing came for the idle limit.
    Idle,
    /// The peer took no byte of what waited for it.
    Stall,
    /// The connection was open for as long as [`Timeouts::lifetime`](crate::Timeouts) allows.
    Lifetime,
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the handshake was not complete in time",
            Self::Decision => "this side did not decide about the request in time",
            Self::Pong => "nothing came after a ping",
            Self::Idle => "nothing came for the idle limit",
            Self::Stall => "the peer took no byte of what waited for it",
            Self::Lifetime => "the connection was open for the whole of its lifetime",
        })
    }
}
