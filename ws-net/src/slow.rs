//! What a connection does whose peer takes its messages too slowly.

use std::sync::Arc;

use ws_proto::{
    Close, CloseCode, Instant, Message, Prepared, SendError, SendErrorKind, SendStatus, State,
    Version,
};

use crate::backlog::{Freed, Ticket};
use crate::delivery::SlowReceivers;
use crate::shared::{Common, Inner, Shared};

/// What to do about a receiver that is slow.
#[derive(Clone, Copy)]
pub(crate) enum Slow<'a> {
    /// Not to wait for it.
    Policy(SlowReceivers),
    /// To wait until it has taken the message.
    Wait(&'a Arc<Ticket>),
}

/// What became of a message to many at one receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It is in the outbound buffer.
    Queued,
    /// It is in the backlog, and so many older messages were thrown away for it.
    PutOff(usize),
    /// It is in the backlog, and somebody waits for it.
    Awaited,
    Skipped,
    Ended,
    Closed,
    Unsupported,
}

impl Shared {
    /// Closes; what waits leaves before.
    pub(crate) fn close(&self, close: Close) {
        let mut freed = Freed::default();
        self.command(|inner, now| inner.close(close, now, &mut freed));
        freed.release();
    }
}

impl Inner {
    /// Queues a message to many. While others wait in the backlog it goes behind them.
    pub(crate) fn offer(
        &mut self,
        message: &Prepared,
        common: &Common,
        slow: Slow<'_>,
        freed: &mut Freed,
    ) -> Outcome {
        if self.backlog.is_none() {
            match self.core.send_prepared(message) {
                Ok(_) => {
                    self.called = true;
                    return Outcome::Queued;
                }
                Err(SendError { kind: SendErrorKind::TextOnly, .. }) => {
                    return Outcome::Unsupported;
                }
                Err(SendError {
                    kind: SendErrorKind::Full | SendErrorKind::Unfinished, ..
                }) => {}
                Err(_) => return Outcome::Closed,
            }
        } else if self.core.state() != State::Connected {
            return Outcome::Closed;
        } else if !self.carries(message.message()) {
            return Outcome::Unsupported;
        }
        self.put_off(message, common, slow, freed)
    }

    /// Sends a message of this connection, without waiting.
    pub(crate) fn try_send(&mut self, message: &Message) -> Result<SendStatus, SendErrorKind> {
        let behind = self.backlog.is_some() && self.core.state() == State::Connected;
        if behind && self.carries(message) {
            return Err(SendErrorKind::Full);
        }
        self.core.queue(message)
    }

    /// Moves what waits into the outbound buffer, as far as there is room.
    pub(crate) fn move_backlog(&mut self, freed: &mut Freed) {
        if !self.is_open() {
            return self.drop_backlog(freed);
        }
        let Some(backlog) = &mut self.backlog else { return };
        while let Some(message) = backlog.front() {
            let sent = self.core.send_prepared(message).map_err(|error| error.kind);
            if matches!(sent, Err(SendErrorKind::Full | SendErrorKind::Unfinished)) {
                return;
            }
            if let Some(entry) = backlog.pop() {
                entry.settle(sent.is_ok(), freed);
            }
        }
        self.backlog = None;
    }

    /// Throws away what waits: the connection is over.
    pub(crate) fn drop_backlog(&mut self, freed: &mut Freed) {
        let Some(mut backlog) = self.backlog.take() else { return };
        while let Some(entry) = backlog.pop() {
            entry.settle(false, freed);
        }
    }

    /// Nobody waits for the message of this ticket any more.
    pub(crate) fn forget(&mut self, ticket: &Arc<Ticket>, freed: &mut Freed) {
        let Some(backlog) = &mut self.backlog else { return };
        backlog.forget(ticket, freed);
        if backlog.front().is_none() {
            self.backlog = None;
        }
    }

    /// Closes. What waits was told to be queued, so it leaves before.
    pub(crate) fn close(&mut self, close: Close, now: Instant, freed: &mut Freed) {
        self.push_backlog(freed);
        self.core.close(close, now);
    }

    /// Moves what waits into the outbound buffer, whether there is room or not: the closing
    /// handshake is next.
    pub(crate) fn push_backlog(&mut self, freed: &mut Freed) {
        let Some(mut backlog) = self.backlog.take() else { return };
        while let Some(entry) = backlog.pop() {
            let pushed = self.core.push_prepared(&entry.message).is_ok();
            entry.settle(pushed, freed);
        }
    }

    /// Bytes that were sent and not yet taken by the system.
    pub(crate) fn buffered_amount(&self) -> usize {
        let waiting = self.backlog.as_ref().map_or(0, |backlog| backlog.bytes());
        self.core.buffered_amount() + waiting
    }

    /// There is no room, or others wait for it.
    #[cold]
    fn put_off(
        &mut self,
        message: &Prepared,
        common: &Common,
        slow: Slow<'_>,
        freed: &mut Freed,
    ) -> Outcome {
        let policy = match slow {
            Slow::Wait(ticket) => {
                let backlog = self.backlog_mut();
                backlog.push_awaited(message.clone(), Arc::clone(ticket));
                return Outcome::Awaited;
            }
            Slow::Policy(policy) => policy,
        };
        match policy {
            SlowReceivers::Skip => Outcome::Skipped,
            SlowReceivers::DropOldest => {
                let backlog = self.backlog_mut();
                Outcome::PutOff(backlog.push(message.clone(), &common.slow, freed))
            }
            SlowReceivers::KeepLatest => {
                let backlog = self.backlog_mut();
                Outcome::PutOff(backlog.replace(message.clone(), &common.slow, freed))
            }
            // Another message is on its way in pieces: that does not make the receiver slow.
            SlowReceivers::Close if self.streaming.is_writing() => {
                let backlog = self.backlog_mut();
                match backlog.push(message.clone(), &common.slow, freed) {
                    0 => Outcome::PutOff(0),
                    _ => self.give_up(common, freed),
                }
            }
            SlowReceivers::Close => self.give_up(common, freed),
        }
    }

    /// Closes, for the receiver is slow.
    fn give_up(&mut self, common: &Common, freed: &mut Freed) -> Outcome {
        let now = self.now(common);
        self.called = true;
        self.close(Close::from(CloseCode::TRY_AGAIN), now, freed);
        Outcome::Ended
    }

    /// Whether the version of this connection has such messages.
    fn carries(&self, message: &Message) -> bool {
        message.is_text() || self.core.version().is_some_and(Version::has_frames)
    }
}

#[cfg(test)]
mod tests;
