use alloc::string::String;
use core::fmt;

pub use crate::handshake::error::HandshakeError;
use crate::{CloseCode, InvalidClose, State};

/// A rule of the framing that the peer broke. Each variant knows its close code and its clause.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// An RSV bit is set that no extension gave a meaning.
    #[error("a frame has RSV bits {0:03b} set, which no extension agreed to")]
    ReservedBits(u8),
    /// Opcodes 3–7 and 11–15 are reserved.
    #[error("opcode {0} is reserved")]
    ReservedOpcode(u8),
    /// A frame of a client without a masking key.
    #[error("the client sent a frame that is not masked")]
    Unmasked,
    /// A frame of a server with a masking key.
    #[error("the server sent a masked frame")]
    Masked,
    /// A length in more bytes than it needs.
    #[error("a frame length of {0} is not in its shortest form")]
    LengthNotMinimal(u64),
    /// A 64-bit length with its top bit set.
    #[error("a frame length has its top bit set")]
    LengthTopBit,
    /// A control frame over 125 bytes.
    #[error("a control frame says that it is longer than 125 bytes")]
    ControlTooLong,
    /// A control frame in fragments.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// A continuation frame, but no message to continue.
    #[error("a continuation frame came without a message to continue")]
    UnexpectedContinuation,
    /// A new message inside an unfinished one.
    #[error("a new message began before the last one was finished")]
    ExpectedContinuation,
    /// Text that is not UTF-8.
    #[error("a text message is not UTF-8")]
    InvalidUtf8,
    /// A compressed message that is no DEFLATE data, or, without context takeover, ends in the
    /// middle of it. With context takeover such an end shows in the next message only.
    #[error("a compressed message is not valid DEFLATE data")]
    InvalidDeflate,
    /// A close frame that may not be sent.
    #[error("the close frame is wrong: {0}")]
    InvalidClose(InvalidClose),
    /// A message over the limit.
    #[error("a message is longer than the limit of {0} bytes")]
    MessageTooBig(usize),
    /// A frame over the limit.
    #[error("a frame is longer than the limit of {0} bytes")]
    FrameTooBig(usize),
    /// A message in more fragments than the limit.
    #[error("a message has more than {0} fragments")]
    TooManyFragments(u32),
    /// More control frames in a second than the limit.
    #[error("more than {0} control frames came within a second")]
    ControlFlood(u32),
    /// draft75 and draft76: a frame of a reserved type over the limit, or with an endless length.
    #[error("a frame of a reserved type is longer than the limit of {0} bytes")]
    SkippedTooBig(usize),
    /// draft75 and draft76: more discarded frames in a second than the control-frame limit.
    #[error("more than {0} frames of reserved types came within a second")]
    DiscardFlood(u32),
    /// The caller passed another receive buffer in the middle of a message.
    #[error(
        "the receive buffer was exchanged in the middle of a message: keep it until it is idle"
    )]
    BufferExchanged,
}

impl ProtocolError {
    /// The close code that the peer is told.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidClose(InvalidClose::Utf8) => {
                CloseCode::INVALID_DATA
            }
            Self::MessageTooBig(_) | Self::FrameTooBig(_) | Self::SkippedTooBig(_) => {
                CloseCode::TOO_BIG
            }
            Self::TooManyFragments(_) | Self::ControlFlood(_) | Self::DiscardFlood(_) => {
                CloseCode::POLICY
            }
            Self::BufferExchanged => CloseCode::INTERNAL,
            _ => CloseCode::PROTOCOL,
        }
    }

    /// The clause that the peer broke, as `document section`.
    pub const fn clause(self) -> &'static str {
        match self {
            Self::Unmasked | Self::Masked => "RFC 6455 section 5.1",
            Self::ReservedBits(_)
            | Self::ReservedOpcode(_)
            | Self::LengthNotMinimal(_)
            | Self::LengthTopBit => "RFC 6455 section 5.2",
            Self::UnexpectedContinuation | Self::ExpectedContinuation => "RFC 6455 section 5.4",
            Self::ControlTooLong | Self::ControlFragmented => "RFC 6455 section 5.5",
            Self::InvalidClose(InvalidClose::Code(_)) => "RFC 6455 section 7.4",
            Self::InvalidClose(_) => "RFC 6455 section 5.5.1",
            Self::InvalidUtf8 => "RFC 6455 section 8.1",
            Self::InvalidDeflate => "RFC 7692 section 7.2.2",
            Self::MessageTooBig(_)
            | Self::FrameTooBig(_)
            | Self::TooManyFragments(_)
            | Self::ControlFlood(_) => "RFC 6455 section 10.4",
            Self::SkippedTooBig(_) | Self::DiscardFlood(_) => "draft-hixie-76 section 5.3",
            Self::BufferExchanged => "the law of the loop",
        }
    }
}

/// What a send did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendStatus {
    /// The message is queued and there is room for more.
    Ready,
    /// The message is queued and has filled the outbound buffer up to its high-water mark: wait for
    /// room before sending more. [`Event::Writable`](crate::Event::Writable) tells when there is
    /// some; handles of connections have methods that wait for it.
    Filled,
}

/// A message that was not sent, with the reason.
#[derive(Clone, Eq, PartialEq)]
pub struct SendError<T> {
    /// The message, handed back.
    pub message: T,
    /// Why it was not sent.
    pub kind: SendErrorKind,
}

impl<T> SendError<T> {
    pub(crate) fn new(kind: SendErrorKind, message: T) -> Self {
        Self { message, kind }
    }

    /// The same error with the message exchanged.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> SendError<U> {
        SendError { message: f(self.message), kind: self.kind }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<T> core::error::Error for SendError<T> {}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The outbound buffer is at its high-water mark: wait for room, as behind
    /// [`SendStatus::Filled`].
    #[error("the outbound buffer is full: send again when the peer has read some of it")]
    Full,
    /// The connection is not open, or is being closed.
    #[error("the connection is {0}: messages can be sent only while it is connected")]
    NotConnected(State),
    /// The version of this connection cannot carry it.
    #[error("draft75 and draft76 carry text only")]
    TextOnly,
    /// Another message is being sent in fragments, and no message may come between them (RFC 6455
    /// section 5.4).
    #[error("a message is being sent in fragments: finish it first")]
    Unfinished,
    /// A fragment, and no message that it belongs to.
    #[error("no message was begun: begin one before its fragments")]
    NotBegun,
    /// A text message that is not UTF-8 (RFC 6455 section 5.6), or ends inside a character.
    #[error("a text message has to be UTF-8")]
    InvalidUtf8,
    /// A ping or pong payload over 125 bytes (RFC 6455 section 5.5).
    #[error("a control frame carries at most 125 bytes")]
    ControlTooLong,
    /// Client: there is no unpredictable masking key to be had (RFC 6455 section 5.3).
    #[error("the system gives no random bytes to mask with: try again, or close the connection")]
    NoEntropy,
}

/// A command that does not fit the state or the peer's request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No request waits for an answer.
    #[error("no request waits for an answer: the connection is {0}")]
    NoRequest(State),
    /// The chosen subprotocol was not offered by the client (RFC 6455 section 4.2.2).
    #[error("the client did not offer the subprotocol {0:?}: choose one of the offered, or none")]
    NotOffered(String),
    /// draft76 and draft75 need a subprotocol answered that the client asked for.
    #[error("a {0} client that asked for a subprotocol gives up without it: reject the request")]
    SubprotocolNeeded(crate::Version),
}
