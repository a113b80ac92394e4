use alloc::format;

use super::error::ConfigError;

/// What a peer may make this side hold or do. All sizes are bytes and inclusive.
///
/// Each field is set by the method of its name, or in place.
///
/// ```
/// use ws_proto::Limits;
///
/// let limits = Limits::new().max_message(16 << 20).outbound_high(1 << 20);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct Limits {
    /// A request or response head with its blank line; over it: 431. Default 16 KiB: browsers
    /// stay under 8 KiB unless a site sets huge cookies.
    pub max_head: usize,
    /// The target in the request line; over it: 414. Default 8 KiB, the least that RFC 9110
    /// section 4.1 recommends.
    pub max_uri: usize,
    /// Fields in a head; over it: 431. Default 100, as common HTTP servers have it.
    pub max_headers: usize,
    /// A message, as the application receives it; over it: close code 1009. Default 1 MiB: far
    /// above chat and telemetry. A peer can make this side hold one of them, unfinished or waiting
    /// to be taken, and what is in its buffers: with the defaults 1.5 MiB for long (1.75 MiB in
    /// draft75 and draft76), and 1 MiB more while a thread moves the message to larger memory. So
    /// 1,000 hostile peers hold 1.5 GiB, of which 1 GiB are messages.
    pub max_message: usize,
    /// A message that is handed out in pieces while it arrives, in all; over it: 1009. `None` is
    /// no limit. Default 1 GiB: nothing of it has to be held, so this is to end what has no end.
    /// Text of draft75 and draft76 that a client repairs counts as it was received.
    pub max_streamed: Option<u64>,
    /// One frame's payload, unless its message is handed out in pieces; also that of a frame which
    /// draft75 and draft76 discard; over it: 1009. `None` is as much as `max_message`, which alone
    /// decides then; a compressed frame, which can be longer than its message, may have an eighth
    /// more, and 1 MiB in any case. Default `None`.
    pub max_frame: Option<usize>,
    /// Fragments of one message; over it: 1008. Default 131,072: a 4 MiB message in 64-byte
    /// fragments passes, empty fragments without end do not.
    pub max_fragments: u32,
    /// Control frames (and, in draft75 and draft76, discarded frames) within a second; over it:
    /// 1008. Default 1,000: no honest peer comes near.
    pub max_control_per_second: u32,
    /// Outbound buffer: at or above this many bytes sends answer `Filled` and further ones are
    /// refused. Default 256 KiB: large enough for full-sized writes, small enough for the cache.
    pub outbound_high: usize,
    /// Outbound buffer: at or below this many bytes it is writable again. Default 64 KiB.
    pub outbound_low: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head: 16 << 10,
            max_uri: 8 << 10,
            max_headers: 100,
            max_message: 1 << 20,
            max_streamed: Some(1 << 30),
            max_frame: None,
            max_fragments: 131_072,
            max_control_per_second: 1_000,
            outbound_high: 256 << 10,
            outbound_low: 64 << 10,
        }
    }
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`max_head`](Self#structfield.max_head), in bytes.
    pub fn max_head(mut self, max: usize) -> Self {
        self.max_head = max;
        self
    }

    /// Sets [`max_uri`](Self#structfield.max_uri), in bytes.
    pub fn max_uri(mut self, max: usize) -> Self {
        self.max_uri = max;
        self
    }

    /// Sets [`max_headers`](Self#structfield.max_headers), a number of fields.
    pub fn max_headers(mut self, max: usize) -> Self {
        self.max_headers = max;
        self
    }

    /// Sets [`max_message`](Self#structfield.max_message), in bytes.
    pub fn max_message(mut self, max: usize) -> Self {
        self.max_message = max;
        self
    }

    /// Sets [`max_streamed`](Self#structfield.max_streamed), in bytes; `None` for no limit.
    pub fn max_streamed(mut self, max: impl Into<Option<u64>>) -> Self {
        self.max_streamed = max.into();
        self
    }

    /// Sets [`max_frame`](Self#structfield.max_frame), in bytes; `None` for `max_message`.
    pub fn max_frame(mut self, max: impl Into<Option<usize>>) -> Self {
        self.max_frame = max.into();
        self
    }

    /// Sets [`max_fragments`](Self#structfield.max_fragments) of one message.
    pub fn max_fragments(mut self, max: u32) -> Self {
        self.max_fragments = max;
        self
    }

    /// Sets [`max_control_per_second`](Self#structfield.max_control_per_second), in frames.
    pub fn max_control_per_second(mut self, max: u32) -> Self {
        self.max_control_per_second = max;
        self
    }

    /// Sets [`outbound_high`](Self#structfield.outbound_high), in bytes; more than `outbound_low`.
    pub fn outbound_high(mut self, bytes: usize) -> Self {
        self.outbound_high = bytes;
        self
    }

    /// Sets [`outbound_low`](Self#structfield.outbound_low), in bytes; less than `outbound_high`.
    pub fn outbound_low(mut self, bytes: usize) -> Self {
        self.outbound_low = bytes;
        self
    }

    /// The longest frame that draft75 and draft76 discard.
    pub(crate) fn longest_discarded(&self) -> usize {
        self.max_frame.unwrap_or(self.max_message)
    }

    /// The longest message that is handed out whole.
    #[inline]
    pub(crate) fn longest_message(&self, streaming: bool) -> usize {
        match self.max_streamed {
            Some(most) if streaming => {
                usize::try_from(most).map_or(self.max_message, |most| most.min(self.max_message))
            }
            _ => self.max_message,
        }
    }

    /// The longest frame, where that is not left to `max_message`, which says nothing of what is
    /// compressed.
    pub(crate) fn longest_frame(&self, deflated: bool) -> Option<usize> {
        const LEAST: usize = 1 << 20;
        let longer = || self.max_message.saturating_add(self.max_message / 8).max(LEAST);
        self.max_frame.or_else(|| deflated.then(longer))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        const ZERO: &str = "is zero: nothing could pass";
        let positive = [
            ("max_head", self.max_head),
            ("max_uri", self.max_uri),
            ("max_headers", self.max_headers),
            ("max_message", self.max_message),
            ("max_streamed", self.max_streamed.map_or(1, |most| usize::from(most > 0))),
            ("max_frame", self.max_frame.unwrap_or(1)),
            ("max_fragments", self.max_fragments as usize),
            ("max_control_per_second", self.max_control_per_second as usize),
            ("outbound_high", self.outbound_high),
        ];
        if let Some((option, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::new(option, ZERO));
        }
        if self.outbound_low >= self.outbound_high {
            let (low, high) = (self.outbound_low, self.outbound_high);
            let problem =
                format!("is {low}, not below outbound_high ({high}): set it to a quarter of it");
            return Err(ConfigError::new("outbound_low", problem));
        }
        Ok(())
    }
}
