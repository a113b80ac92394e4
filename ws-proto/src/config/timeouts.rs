use core::time::Duration;

use super::error::ConfigError;

/// How long a connection waits.
///
/// Each field is set by the method of its name, or in place.
///
/// ```
/// use std::time::Duration;
///
/// use ws_proto::Timeouts;
///
/// let hour = Duration::from_secs(3_600);
/// let timeouts = Timeouts::new().handshake(Duration::from_secs(5)).lifetime(hour);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct Timeouts {
    /// From the first moment to the end of the handshake. Default 10 s: two slow round trips.
    pub handshake: Duration,
    /// From the first close to the end of the connection. Default 15 s, as node-websocket-server
    /// had it.
    pub close: Duration,
    /// draft76: how long the peer has for its `FF 00` before the connection is ended without it.
    /// Default 1 s, since the browsers of 2011 never send it.
    pub close_sentinel: Duration,
    /// How long the peer has to end its side of the stream once this side has. Default 1 s.
    pub linger: Duration,
    /// How long the peer may take no byte of what waits for it; it is looked at once in this time,
    /// so the end comes within twice of it. Also how long a connection goes on that can read
    /// but not write any more. Default 30 s: beyond any honest stall, and without it a peer that
    /// writes and never reads would hold its queue for ever. Servers that answer ordinary HTTP,
    /// too, wait as long for the next piece of a body, in both directions.
    pub stall: Duration,
    /// Silence after which a ping is sent (RFC 6455 section 5.5.2); `None` for never. Default
    /// 20 s: shorter than the idle limits of common proxies.
    pub ping_interval: Option<Duration>,
    /// How long anything must come after a ping. Default 20 s.
    pub pong: Duration,
    /// Silence that ends a connection of versions with pings; `None` for no limit. Default `None`:
    /// pings tell who is there.
    pub idle: Option<Duration>,
    /// Silence that ends a draft75 or draft76 connection, which have no pings; `None` for no
    /// limit. Default 5 min.
    pub idle_drafts: Option<Duration>,
    /// How long a connection may be open, however busy it is; `None` for no limit. Then it is
    /// closed with 1001, so that its client comes back: to another server behind the same name,
    /// or with a fresh login. Default `None`: nothing is wrong with a long life by itself.
    pub lifetime: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            close: Duration::from_secs(15),
            close_sentinel: Duration::from_secs(1),
            linger: Duration::from_secs(1),
            stall: Duration::from_secs(30),
            ping_interval: Some(Duration::from_secs(20)),
            pong: Duration::from_secs(20),
            idle: None,
            idle_drafts: Some(Duration::from_secs(300)),
            lifetime: None,
        }
    }
}

impl Timeouts {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`handshake`](Self#structfield.handshake).
    pub fn handshake(mut self, time: Duration) -> Self {
        self.handshake = time;
        self
    }

    /// Sets [`close`](Self#structfield.close).
    pub fn close(mut self, time: Duration) -> Self {
        self.close = time;
        self
    }

    /// Sets [`close_sentinel`](Self#structfield.close_sentinel).
    pub fn close_sentinel(mut self, time: Duration) -> Self {
        self.close_sentinel = time;
        self
    }

    /// Sets [`linger`](Self#structfield.linger).
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Sets [`stall`](Self#structfield.stall).
    pub fn stall(mut self, time: Duration) -> Self {
        self.stall = time;
        self
    }

    /// Sets [`ping_interval`](Self#structfield.ping_interval); `None` for never.
    pub fn ping_interval(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.ping_interval = time.into();
        self
    }

    /// Sets [`pong`](Self#structfield.pong).
    pub fn pong(mut self, time: Duration) -> Self {
        self.pong = time;
        self
    }

    /// Sets [`idle`](Self#structfield.idle); `None` for no limit.
    pub fn idle(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.idle = time.into();
        self
    }

    /// Sets [`idle_drafts`](Self#structfield.idle_drafts); `None` for no limit.
    pub fn idle_drafts(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.idle_drafts = time.into();
        self
    }

    /// Sets [`lifetime`](Self#structfield.lifetime); `None` for no limit.
    pub fn lifetime(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.lifetime = time.into();
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let some = |value: Option<Duration>| value.unwrap_or(Duration::MAX);
        let positive = [
            ("handshake", self.handshake),
            ("close", self.close),
            ("close_sentinel", self.close_sentinel),
            ("linger", self.linger),
            ("stall", self.stall),
            ("ping_interval", some(self.ping_interval)),
            ("pong", self.pong),
            ("idle", some(self.idle)),
            ("idle_drafts", some(self.idle_drafts)),
            ("lifetime", some(self.lifetime)),
        ];
        match positive.into_iter().find(|(_, value)| value.is_zero()) {
            Some((option, _)) => {
                Err(ConfigError::new(option, "is zero: every connection would end at once"))
            }
            None => Ok(()),
        }
    }
}
