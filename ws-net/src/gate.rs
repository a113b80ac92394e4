use std::sync::Arc;

use crate::waiters::Watched;

/// Who may come in, and whether the server still runs.
pub(crate) struct Gate {
    pub(crate) phase: Watched<Phase>,
    load: Watched<Load>,
    max_connections: usize,
    max_handshakes: usize,
}

/// Where a server is in its life. It only goes forward.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    /// Connections are accepted.
    #[default]
    Open,
    /// No more of them; those that are open go on or are closed.
    Stopping,
    /// Everything has to end now.
    Killed,
}

#[derive(Default)]
struct Load {
    connections: usize,
    handshakes: usize,
}

impl Gate {
    pub(crate) fn new(max_connections: usize, max_handshakes: usize) -> Self {
        Self {
            phase: Watched::default(),
            load: Watched::default(),
            max_connections,
            max_handshakes,
        }
    }

    /// Goes on to `phase`, unless the server is there already.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.update(|current| *current = phase.max(*current));
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase.read(|phase| *phase == Phase::Open)
    }

    /// A seat, as soon as there is one. Cancel-safe.
    pub(crate) async fn admit(self: &Arc<Self>) -> Seat {
        let (max_connections, max_handshakes) = (self.max_connections, self.max_handshakes);
        let take = |load: &mut Load| {
            let free = load.connections < max_connections && load.handshakes < max_handshakes;
            if free {
                load.connections += 1;
                load.handshakes += 1;
            }
            free.then_some(())
        };
        self.load.wait(take).await;
        Seat { gate: Arc::clone(self), purpose: Purpose::Handshake }
    }

    /// Whether the next one has to wait for a seat.
    pub(crate) fn is_full(&self) -> bool {
        self.load.read(|load| {
            load.connections >= self.max_connections || load.handshakes >= self.max_handshakes
        })
    }

    /// Seats that are taken.
    pub(crate) fn connections(&self) -> usize {
        self.load.read(|load| load.connections)
    }

    /// Completes when no seat is taken. Cancel-safe.
    pub(crate) async fn emptied(&self) {
        self.load.wait(|load| (load.connections == 0).then_some(())).await;
    }
}

/// One connection's place in the limits, given back when it is dropped.
pub(crate) struct Seat {
    gate: Arc<Gate>,
    purpose: Purpose,
}

/// What a seat is taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A client that shakes hands, or did so in vain.
    Handshake,
    /// A WebSocket that is open, or was.
    WebSocket,
    /// Ordinary requests.
    Http,
}

impl Seat {
    /// The handshake is over; the connection goes on with `purpose`.
    pub(crate) fn settle(&mut self, purpose: Purpose) {
        if self.purpose == Purpose::Handshake {
            self.gate.load.update(|load| load.handshakes -= 1);
        }
        self.purpose = purpose;
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.gate.load.update(|load| {
            load.connections -= 1;
            load.handshakes -= usize::from(self.purpose == Purpose::Handshake);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn try_admit(gate: &Arc<Gate>) -> Option<Seat> {
        match pin!(gate.admit()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(seat) => Some(seat),
            Poll::Pending => None,
        }
    }

    #[test]
    fn handshakes_and_connections_are_limited_apart() {
        let gate = Arc::new(Gate::new(3, 1));
        let mut first = try_admit(&gate).unwrap();
        assert!(try_admit(&gate).is_none());
        first.settle(Purpose::WebSocket);
        let mut second = try_admit(&gate).unwrap();
        second.settle(Purpose::Http);
        let third = try_admit(&gate).unwrap();
        assert!(gate.is_full());
        drop(third);
        assert!(!gate.is_full());
        drop((first, second));
        assert_eq!(gate.connections(), 0);
    }

    #[test]
    fn phases_only_go_forward() {
        let gate = Gate::new(1, 1);
        gate.advance(Phase::Killed);
        gate.advance(Phase::Stopping);
        assert!(gate.phase.read(|phase| *phase == Phase::Killed) && !gate.is_open());
    }
}
