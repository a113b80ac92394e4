use super::Connection;
use super::timer::Timer;
use crate::{Cause, Instant, State};

impl Connection {
    /// Says that the stream failed: nothing more comes, and nothing leaves any more. Take every
    /// event of the bytes before it first. In no version is this the proper end that
    /// [`handle_eof`](Self::handle_eof) can be.
    pub fn handle_reset(&mut self, now: Instant) {
        self.now = now;
        if self.state() < State::Closing {
            self.begin_closing(Cause::Eof);
        }
        self.finish();
    }

    /// Says that nothing can be written any more, while what the peer sent before may still be
    /// read. What was handed out and not reported before is lost; report what
    /// [`poll_transmit`](Self::poll_transmit) hands out from now on as written, and drop it.
    ///
    /// The end of the stream is behind what is left to be read, so an open connection that goes on
    /// to read ends with it. One that does not fails after [`Timeouts::stall`](crate::Timeouts).
    pub fn handle_write_failure(&mut self, now: Instant) {
        self.now = now;
        self.lose_close();
        self.out.lose(&self.config.limits);
        if !core::mem::replace(&mut self.unwritable, true) && self.state() == State::Connected {
            self.timers.set(Timer::Stall, now + self.config.timeouts.stall);
        }
    }
}
