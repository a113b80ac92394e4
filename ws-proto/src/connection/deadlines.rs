use bytes::Bytes;

use super::timer::Timer;
use super::{Connection, Phase};
use crate::{Cause, Expired, Instant, Reject, State, Version, handshake};

impl Connection {
    /// The next deadline; call [`handle_timeout`](Self::handle_timeout) when it has come. It
    /// does not move with each message: receiving only notes the time, and sending sets the stall
    /// deadline at most once in its own length.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether [`handle_timeout`](Self::handle_timeout) at this time starts the closing handshake,
    /// because [`Timeouts::lifetime`](crate::Timeouts) is over: the last moment to send what waits
    /// elsewhere.
    pub fn has_lived(&self, now: Instant) -> bool {
        self.timers.is_due(Timer::Lifetime, now)
    }

    /// Says that the time is `now`. A call before the deadline does nothing. Take the events of
    /// bytes that were received already first, so that the peer is not blamed for their delay.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some((timer, at)) = self.timers.take_expired(now) {
            match timer {
                Timer::Handshake => self.fail_handshake(),
                Timer::Close => self.finish(),
                Timer::Ping => self.ping_if_silent(),
                Timer::Pong => self.judge_pong(at),
                Timer::Idle => self.judge_idle(),
                Timer::Stall => self.judge_stall(),
                Timer::Lifetime => self.close_for(Cause::Timeout(Expired::Lifetime)),
            }
        }
    }

    /// The handshake took too long: whoever was waited for is to blame.
    fn fail_handshake(&mut self) {
        let ours = self.is_unanswered();
        let expired = if ours { Expired::Decision } else { Expired::Handshake };
        self.fail(Cause::Timeout(expired));
    }

    /// A request that is not complete gets 408, one that nobody decided about 503.
    pub(super) fn answer_late(&mut self, expired: Expired) {
        let status = match (expired, &self.phase) {
            (Expired::Decision, _) => 503,
            (Expired::Handshake, Phase::Request(_)) if self.state() == State::Opening => 408,
            _ => return,
        };
        self.answer(|_, out| handshake::reject(&Reject::new(status), out));
    }

    pub(super) fn idle_limit(&self) -> Option<core::time::Duration> {
        let timeouts = &self.config.timeouts;
        if self.version().is_some_and(Version::has_frames) {
            timeouts.idle
        } else {
            timeouts.idle_drafts
        }
    }

    /// Sends a ping unless something came meanwhile, or still waits to be taken: then the peer is
    /// judged by whether it takes it.
    fn ping_if_silent(&mut self) {
        let Some(interval) = self.config.timeouts.ping_interval else { return };
        let due = self.last_received + interval;
        if due > self.now {
            self.timers.set(Timer::Ping, due);
            return;
        }
        self.out.rest();
        // Nor can who was not asked be blamed.
        if self.out.buffered() > 0 || self.out.check_entropy().is_err() {
            self.timers.set(Timer::Ping, self.now + interval);
        } else {
            self.timers.set(Timer::Pong, self.now + self.config.timeouts.pong);
            self.out.put_ping(&Bytes::new());
            // Its pong may come behind the close frame.
            self.linger();
        }
    }

    fn judge_pong(&mut self, deadline: Instant) {
        let timeouts = &self.config.timeouts;
        // Since the ping, however late the deadline is noticed. What came at the time of the ping
        // came behind it, since there is none while the peer speaks.
        let silent = self.last_received + timeouts.pong < deadline;
        if silent && !self.paused {
            self.fail(Cause::Timeout(Expired::Pong));
        } else if let Some(interval) = timeouts.ping_interval {
            self.timers.set(Timer::Ping, self.now + interval);
        }
    }

    fn judge_idle(&mut self) {
        let Some(limit) = self.idle_limit() else { return };
        let since = if self.paused { self.now } else { self.last_received };
        if since + limit > self.now {
            self.timers.set(Timer::Idle, since + limit);
        } else {
            self.fail(Cause::Timeout(Expired::Idle));
        }
    }

    fn judge_stall(&mut self) {
        let waiting = self.out.buffered() > 0;
        if self.unwritable || waiting && self.stalled {
            return self.fail(Cause::Timeout(Expired::Stall));
        }
        self.stalled = waiting;
        if waiting {
            self.timers.set(Timer::Stall, self.now + self.config.timeouts.stall);
        }
    }
}
