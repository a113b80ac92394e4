use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Address;

/// The name of a connection: the remote port and a counter, as in `49152-17`.
///
/// The counter alone makes it unique for the life of the process, over all servers; the port
/// helps to find the connection in other tools. Without a port (not an internet socket) it is 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId {
    serial: u64,
    port: u16,
}

impl ConnectionId {
    /// The remote port, or 0.
    pub fn port(self) -> u16 {
        self.port
    }

    /// The counter, which starts at 1.
    pub fn serial(self) -> u64 {
        self.serial
    }

    /// A name that no connection had before.
    pub(crate) fn next(peer: Address) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self::of(SERIAL.fetch_add(1, Ordering::Relaxed), peer)
    }

    /// The name of the connection with this counter.
    pub(crate) fn of(serial: u64, peer: Address) -> Self {
        Self { serial, port: peer.port().unwrap_or(0) }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.port, self.serial)
    }
}

/// Takes what `Display` writes, and nothing else.
impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionId> {
        let (port, serial) = text.split_once('-').ok_or(InvalidConnectionId)?;
        let id = Self {
            serial: serial.parse().map_err(|_| InvalidConnectionId)?,
            port: port.parse().map_err(|_| InvalidConnectionId)?,
        };
        // Numbers have other spellings ("+7", "007"); a name has one.
        if id.serial == 0 || id.to_string() != text { Err(InvalidConnectionId) } else { Ok(id) }
    }
}

/// A text that is not the name of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a connection id: it looks like 49152-17, a port and a counter")]
pub struct InvalidConnectionId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_round_trip() {
        let peer = Address::Tcp("127.0.0.1:49152".parse().unwrap());
        let ids = [ConnectionId::next(peer), ConnectionId::next(peer), {
            ConnectionId::next(Address::Unnamed)
        }];
        assert!(ids[0] != ids[1]);
        assert!(ids[0].to_string().starts_with("49152-"));
        assert!(ids[2].to_string().starts_with("0-"));
        for id in ids {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "-", "1", "1-", "-1", "1-0", "01-1", "+1-1", "1--1", "65536-1", "1-1 "] {
            assert_eq!(text.parse::<ConnectionId>(), Err(InvalidConnectionId), "{text:?}");
        }
    }
}
