use super::params::Direction;
use crate::ConfigError;

/// How messages are compressed (permessage-deflate, RFC 7692), when the peer agrees to it.
///
/// The defaults are made for many connections: both sides compress each message by itself, so
/// that an idle connection holds nothing. What a setting costs per connection, from its first
/// compressed message on (measured by a test):
///
/// | setting | bytes |
/// |---|---|
/// | no context takeover (the default), idle or sending | 0: compressors are the thread's |
/// | the same, while a compressed message arrives | 47 KiB |
/// | this side's context is kept, 15 window bits | 316 KiB, given back after a silence of [`ping_interval`](crate::Timeouts::ping_interval) and after each [`Prepared`](crate::Prepared) message that is compressed |
/// | the same, 9 window bits | 190 KiB |
/// | the peer's context is kept, whatever its window | 47 KiB |
///
/// A thread keeps up to four compressors and four decompressors for the next messages.
///
/// Compression can tell secrets: where a secret and something that an attacker chooses are in one
/// message, or with context takeover in one connection, the length of the result says how much of
/// the one is in the other. Send such messages with
/// [`send_uncompressed`](crate::Connection::send_uncompressed).
///
/// ```
/// use ws_proto::{Config, Deflate};
///
/// let deflate = Deflate::new().server_no_context_takeover(false).level(2);
/// let config = Config::builder().deflate(deflate).build()?;
/// # Ok::<(), ws_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Deflate {
    pub(super) server: Direction,
    pub(super) client: Direction,
    pub(super) threshold: usize,
    pub(super) level: u8,
}

impl Deflate {
    /// No context takeover in both directions, windows of up to 32 KiB, messages from 96 bytes
    /// on, level 6.
    pub fn new() -> Self {
        let direction = Direction { no_context_takeover: true, window_bits: Direction::MAX_BITS };
        Self { server: direction, client: direction, threshold: 96, level: 6 }
    }

    /// Whether the server compresses each message by itself (RFC 7692 section 7.1.1.1): smaller
    /// memory, larger messages. A server answers so unasked, a client asks for it. Default: yes.
    pub fn server_no_context_takeover(mut self, alone: bool) -> Self {
        self.server.no_context_takeover = alone;
        self
    }

    /// Whether the client compresses each message by itself (RFC 7692 section 7.1.1.2). A server
    /// demands it, a client does it and says so. Default: yes.
    pub fn client_no_context_takeover(mut self, alone: bool) -> Self {
        self.client.no_context_takeover = alone;
        self
    }

    /// The binary logarithm of the largest window of the server, 9 to 15 (RFC 7692 section
    /// 7.1.2.1). Default 15: 32 KiB.
    ///
    /// A client that asks the server for a window of 256 bytes is declined: the compressor has none
    /// below 512.
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server.window_bits = bits;
        self
    }

    /// The binary logarithm of the largest window of the client, 9 to 15 (RFC 7692 section
    /// 7.1.2.2). Default 15: 32 KiB. A server cannot limit a client that does not offer it; such a
    /// client uses 15.
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client.window_bits = bits;
        self
    }

    /// Shorter messages are sent as they are. Default 96 bytes: below it little is saved, and the
    /// CPU time is that of a longer one.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// How hard to look for repetitions: 2 (fast) to 9 (small). Default 6, as zlib has it.
    ///
    /// There is no level 1: that of the compressor (zlib-rs 0.6.8) panics when a message does not
    /// get smaller.
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// What makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bits = Direction::MIN_OWN_BITS..=Direction::MAX_BITS;
        if !bits.contains(&self.server.window_bits) {
            return Err(ConfigError::new("server_max_window_bits", "is not from 9 to 15"));
        }
        if !bits.contains(&self.client.window_bits) {
            return Err(ConfigError::new("client_max_window_bits", "is not from 9 to 15"));
        }
        if !(2..=9).contains(&self.level) {
            return Err(ConfigError::new("level", "is not from 2 to 9"));
        }
        Ok(())
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self::new()
    }
}
