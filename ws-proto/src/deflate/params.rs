use core::fmt;

use crate::Role;

/// The name of the extension (RFC 7692 section 7).
pub(super) const NAME: &str = "permessage-deflate";

/// What both sides of a connection agreed to about permessage-deflate (RFC 7692 section 7.1).
///
/// Shown, it is the text of the answer: `permessage-deflate; server_no_context_takeover`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeflateParams {
    pub(super) server: Direction,
    pub(super) client: Direction,
    /// Whether the answer names the server's window: what was offered with it is only accepted so,
    /// also when it is the largest (section 7.1.2.1).
    pub(super) names_server_bits: bool,
}

/// What one side's messages are compressed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Direction {
    /// Each message is compressed by itself.
    pub(super) no_context_takeover: bool,
    /// The binary logarithm of the window: 8 to 15.
    pub(super) window_bits: u8,
}

impl Direction {
    /// The largest window: what holds when nothing else was agreed to.
    pub(super) const MAX_BITS: u8 = 15;

    /// The smallest window of the RFC.
    pub(super) const MIN_BITS: u8 = 8;

    /// The smallest window that this side's messages can be compressed with.
    pub(super) const MIN_OWN_BITS: u8 = 9;
}

impl DeflateParams {
    /// Whether each message of the server is compressed without those before it.
    pub fn server_no_context_takeover(&self) -> bool {
        self.server.no_context_takeover
    }

    /// Whether each message of the client is compressed without those before it.
    pub fn client_no_context_takeover(&self) -> bool {
        self.client.no_context_takeover
    }

    /// The binary logarithm of the server's window, 8 to 15.
    pub fn server_max_window_bits(&self) -> u8 {
        self.server.window_bits
    }

    /// The binary logarithm of the client's window, 8 to 15.
    pub fn client_max_window_bits(&self) -> u8 {
        self.client.window_bits
    }

    pub(super) fn sent_by(self, role: Role) -> Direction {
        match role {
            Role::Server => self.server,
            Role::Client => self.client,
        }
    }

    pub(super) fn received_by(self, role: Role) -> Direction {
        match role {
            Role::Server => self.client,
            Role::Client => self.server,
        }
    }
}

impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        for (side, direction) in [("server", self.server), ("client", self.client)] {
            if direction.no_context_takeover {
                write!(f, "; {side}_no_context_takeover")?;
            }
        }
        if self.names_server_bits {
            write!(f, "; server_max_window_bits={}", self.server.window_bits)?;
        }
        if self.client.window_bits < Direction::MAX_BITS {
            write!(f, "; client_max_window_bits={}", self.client.window_bits)?;
        }
        Ok(())
    }
}
