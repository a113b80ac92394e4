use alloc::boxed::Box;

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
    /// One place for several of which one runs at a time.
    shared: Option<Instant>,
    stall: Option<Instant>,
    rare: Option<Box<Rare>>,
    /// Whose deadline the shared place holds.
    sharer: Timer,
}

/// What connections wait for only if the configuration says so.
#[derive(Debug, Default)]
struct Rare {
    idle: Option<Instant>,
    lifetime: Option<Instant>,
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
    #[inline]
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
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        let two = earlier(self.shared, self.stall);
        let Some(rare) = &self.rare else { return two };
        earlier(earlier(two, rare.idle), rare.lifetime)
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

    #[inline]
    fn of(&self, timer: Timer) -> Option<Instant> {
        match timer {
            Timer::Stall => self.stall,
            Timer::Idle => self.rare.as_ref()?.idle,
            Timer::Lifetime => self.rare.as_ref()?.lifetime,
            _ => self.shared.filter(|_| self.sharer == timer),
        }
    }

    fn put(&mut self, timer: Timer, deadline: Option<Instant>) {
        let place = match timer {
            Timer::Stall => &mut self.stall,
            Timer::Idle => &mut self.rare.get_or_insert_default().idle,
            Timer::Lifetime => &mut self.rare.get_or_insert_default().lifetime,
            _ => {
                debug_assert!(self.shared.is_none() || self.sharer == timer, "{:?}", self.sharer);
                self.sharer = timer;
                &mut self.shared
            }
        };
        *place = deadline;
    }
}

#[inline]
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Nothing is waited for.
impl Default for Timers {
    fn default() -> Self {
        Self { shared: None, stall: None, rare: None, sharer: Timer::Handshake }
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
        assert!(size_of::<Timers>() <= 32, "every connection holds one");
    }
}
