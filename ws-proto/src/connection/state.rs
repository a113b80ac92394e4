use core::fmt;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// The side that was connected to. Its frames are not masked.
    Server,
    /// The side that connected. Its frames are masked.
    Client,
}

/// Where a connection is in its life.
///
/// Numbers and names are those of node-websocket-server. The state only grows.
///
#[doc = include_str!("state.md")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum State {
    /// Nothing was received yet.
    Unknown = 0,
    /// The request is being read and judged (server), or was sent (client).
    Opening = 1,
    /// draft76: the server waits for the 8 key bytes behind the request, the client for the 16
    /// answer bytes behind the response. Any version: another HTTP server writes the answer.
    Waiting = 2,
    /// Both sides have what they need; the last handshake bytes are on their way.
    Handshaking = 3,
    /// Messages flow.
    Connected = 4,
    /// One side closes, or the connection failed; what was queued is still written.
    Closing = 5,
    /// Over.
    Closed = 6,
}

impl State {
    /// Every state in order.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Opening,
        Self::Waiting,
        Self::Handshaking,
        Self::Connected,
        Self::Closing,
        Self::Closed,
    ];

    /// The name in lower case, as in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Opening => "opening",
            Self::Waiting => "waiting",
            Self::Handshaking => "handshaking",
            Self::Connected => "connected",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }

    /// The states that may follow this one. The whole state machine is this table.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Unknown => &[Self::Opening],
            Self::Opening => &[Self::Waiting, Self::Handshaking, Self::Closing],
            Self::Waiting => &[Self::Handshaking, Self::Closing],
            Self::Handshaking => &[Self::Connected, Self::Closing],
            Self::Connected => &[Self::Closing],
            Self::Closing => &[Self::Closed],
            Self::Closed => &[],
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of one connection and which of its steps were not announced yet.
///
/// Because states only grow, one bit per state is a queue in the right order.
#[derive(Debug)]
pub(crate) struct Steps {
    now: State,
    announced: State,
    pending: u8,
}

impl Steps {
    pub(crate) const fn new() -> Self {
        Self { now: State::Unknown, announced: State::Unknown, pending: 0 }
    }

    pub(crate) const fn now(&self) -> State {
        self.now
    }

    /// The only function that changes the state.
    pub(crate) fn enter(&mut self, to: State) {
        debug_assert!(self.now.next().contains(&to), "{} -> {to}", self.now);
        self.now = to;
        self.pending |= 1 << to as u8;
    }

    /// Whether a step was not announced yet.
    pub(crate) const fn has_news(&self) -> bool {
        self.pending != 0
    }

    /// The next step that was not announced yet, as from and to.
    pub(crate) fn announce(&mut self) -> Option<(State, State)> {
        let to = *State::ALL.get(self.pending.trailing_zeros() as usize)?;
        self.pending &= self.pending - 1;
        Some((core::mem::replace(&mut self.announced, to), to))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::fmt::Write;

    use super::*;

    #[test]
    fn states_only_grow_and_end_closed() {
        for state in State::ALL {
            assert!(state.next().iter().all(|next| *next > state));
            assert_eq!(state.next().is_empty(), state == State::Closed);
        }
    }

    #[test]
    fn every_step_is_announced_once_in_order() {
        let mut steps = Steps::new();
        let walk = [State::Opening, State::Handshaking, State::Connected, State::Closing];
        for state in walk {
            steps.enter(state);
        }
        let announced: Vec<_> = core::iter::from_fn(|| steps.announce()).collect();
        assert_eq!(announced[0], (State::Unknown, State::Opening));
        assert_eq!(announced.iter().map(|step| step.1).collect::<Vec<_>>(), walk);
        assert!(announced.windows(2).all(|pair| pair[0].1 == pair[1].0));
    }

    fn diagram() -> String {
        let mut lines = String::from("```text\n");
        for state in State::ALL {
            let next: Vec<_> =
                state.next().iter().map(|next| format!("{} {next}", *next as u8)).collect();
            let next = if next.is_empty() { "(end)".into() } else { next.join(" | ") };
            writeln!(lines, "{} {state:<12} -> {next}", state as u8).unwrap();
        }
        lines + "```\n"
    }

    /// The diagram in the docs is this table; on a difference, paste what the test prints.
    #[test]
    fn the_diagram_in_the_docs_is_the_table() {
        assert_eq!(include_str!("state.md"), diagram(), "connection/state.md is out of date");
    }
}
