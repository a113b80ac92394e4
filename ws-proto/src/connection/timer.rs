use crate::Instant;

/// What a connection can wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Timer {
    /// The handshake must be complete.
    Handshake,
    /// The connection is closing and must be over.
    Close,
    /// A ping is due, unless something was received meanwhile.
    Ping,
    /// Something must have been received since the ping.
    Pong,
    /// Something must have been received since the last time.
    Idle,
    /// The peer must have taken something of what waits for it.
    Stall,
    /// The connection was open for long enough.
    Lifetime,
}

impl Timer {
    pub(crate) const ALL: [Self; 7] = [
        Self::Handshake,
        Self::Close,
        Self::Ping,
        Self::Pong,
        Self::Idle,
        Self::Stall,
        Self::Lifetime,
    ];
}

/// The deadlines of one connection; `None` means not waiting.
#[derive(Debug)]
pub(crate) struct Timers {
    table: [Option<Instant>; 4],
    /// Whose deadline the first place holds: of those that share it, one runs at a time.
    shared: Timer,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, deadline: Instant) {
        self.put(timer, Some(deadline));
    }

    /// Sets the deadline unless an earlier one stands.
    pub(crate) fn set_sooner(&mut self, timer: Timer, deadline: Instant) {
        let standing = self.of(timer);
        self.set(timer, standing.map_or(deadline, |standing| standing.min(deadline)));
    }

    /// Sets the deadline unless one stands.
    pub(crate) fn set_if_stopped(&mut self, timer: Timer, deadline: impl FnOnce() -> Instant) {
        if self.of(timer).is_none() {
            self.set(timer, deadline());
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        if self.of(timer).is_some() {
            self.put(timer, None);
        }
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.table.iter().flatten().min().copied()
    }

    /// Whether this deadline has come.
    pub(crate) fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.of(timer).is_some_and(|at| at <= now)
    }

    /// Stops and returns one timer whose deadline has come, with that deadline.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let expired = Timer::ALL.into_iter().find_map(|timer| {
            let at = self.of(timer)?;
            (at <= now).then_some((timer, at))
        })?;
        self.stop(expired.0);
        Some(expired)
    }

    fn of(&self, timer: Timer) -> Option<Instant> {
        let [shared, idle, stall, lifetime] = self.table;
        match timer {
            Timer::Idle => idle,
            Timer::Stall => stall,
            Timer::Lifetime => lifetime,
            _ => shared.filter(|_| self.shared == timer),
        }
    }

    fn put(&mut self, timer: Timer, deadline: Option<Instant>) {
        let [shared, idle, stall, lifetime] = &mut self.table;
        let place = match timer {
            Timer::Idle => idle,
            Timer::Stall => stall,
            Timer::Lifetime => lifetime,
            _ => {
                debug_assert!(shared.is_none() || self.shared == timer, "{:?}", self.shared);
                self.shared = timer;
                shared
            }
        };
        *place = deadline;
    }
}

/// Nothing is waited for.
impl Default for Timers {
    fn default() -> Self {
        Self { table: [None; 4], shared: Timer::Handshake }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_next_and_expires_once() {
        let at = Instant::from_nanos;
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Idle, at(9));
        timers.set(Timer::Ping, at(5));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.take_expired(at(4)), None);
        assert_eq!(timers.take_expired(at(5)), Some((Timer::Ping, at(5))));
        assert_eq!(timers.take_expired(at(5)), None);
        assert_eq!(timers.next(), Some(at(9)));
        timers.stop_all();
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn one_place_serves_those_of_which_one_runs() {
        let at = Instant::from_nanos;
        let mut timers = Timers::default();
        timers.set(Timer::Ping, at(5));
        timers.stop(Timer::Handshake);
        timers.set_if_stopped(Timer::Ping, || at(1));
        assert_eq!(timers.next(), Some(at(5)), "another's deadline is left alone");
        assert_eq!(timers.take_expired(at(5)), Some((Timer::Ping, at(5))));
        timers.set(Timer::Pong, at(7));
        timers.set_sooner(Timer::Pong, at(8));
        assert_eq!(timers.take_expired(at(9)), Some((Timer::Pong, at(7))));
        assert!(size_of::<Timers>() <= 40, "every connection holds one");
    }
}
