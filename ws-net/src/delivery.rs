use ws_proto::ConfigError;

use crate::positive::positive;

/// What became of a message to many. Each receiver is counted once, in one of the fields but
/// `dropped`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "it says who did not get the message"]
pub struct Delivery {
    /// Connections that have it in their outbound buffer, or in their backlog behind it.
    pub queued: usize,
    /// Connections that were left out because their outbound buffer is full.
    pub skipped: usize,
    /// Older messages that were thrown away for it, over all receivers.
    pub dropped: usize,
    /// Connections that were closed with code 1013 because their outbound buffer is full.
    pub ended: usize,
    /// Connections that were left out because they are closing.
    pub closed: usize,
    /// Connections that were left out because their version has no binary messages.
    pub unsupported: usize,
}

/// What happens to a receiver of a message to many that takes its messages too slowly: its
/// outbound buffer is at [`outbound_high`](crate::Limits::outbound_high), or messages wait behind
/// it.
///
/// It concerns messages to many only. A connection's own [`send`](crate::Connection::send) waits,
/// and pings, pongs and closing take their own way. To wait for slow receivers, use
/// [`Audience::deliver`](crate::Audience::deliver).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SlowReceivers {
    /// It does not get the message. Right when each message is of use alone.
    #[default]
    Skip,
    /// The message waits in the backlog of the connection, which is moved into the outbound
    /// buffer when that has become low. When the backlog is full, its oldest messages are thrown
    /// away. Right for news.
    DropOldest,
    /// The message takes the place of everything in the backlog. Right for states, of which only
    /// the newest counts.
    KeepLatest,
    /// It is closed with code 1013 (try again later); what was sent before still leaves. Right
    /// when a gap would be worse than a new start.
    Close,
}

/// What slow receivers may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlowOptions {
    pub(crate) policy: SlowReceivers,
    /// Messages in a backlog.
    pub(crate) max_messages: usize,
    /// Bytes of their payloads.
    pub(crate) max_bytes: usize,
}

impl SlowOptions {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let options =
            [("max_backlog_messages", self.max_messages), ("max_backlog_bytes", self.max_bytes)];
        positive(&options, "is zero: no message could wait")
    }
}

impl Default for SlowOptions {
    fn default() -> Self {
        Self { policy: SlowReceivers::default(), max_messages: 256, max_bytes: 128 << 10 }
    }
}
