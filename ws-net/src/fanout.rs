use std::mem;
use std::sync::Arc;

use ws_proto::Prepared;

use crate::backlog::Freed;
use crate::delivery::Delivery;
use crate::relay::Relays;
use crate::roster::Roster;
use crate::shared::Shared;
use crate::slow::{Outcome, Slow};

/// One message on its way to many. It is framed once. When all have it the tasks of some are woken,
/// which write for the others, too, each all that has gathered in one go.
pub(crate) struct Fanout<'a> {
    message: &'a Prepared,
    slow: Slow<'a>,
    delivery: Delivery,
    freed: Freed,
    relays: Relays,
    awaited: Vec<Arc<Shared>>,
}

impl<'a> Fanout<'a> {
    pub(crate) fn new(message: &'a Prepared, slow: Slow<'a>) -> Self {
        Self {
            message,
            slow,
            delivery: Delivery::default(),
            freed: Freed::default(),
            relays: Relays::default(),
            awaited: Vec::new(),
        }
    }

    /// Queues the message on every member but `except`. The roster is locked meanwhile, so that
    /// all members get all messages in the same order.
    pub(crate) fn offer_to(&mut self, members: &Roster<Arc<Shared>>, except: Option<u64>) {
        members.each(|serial, member| {
            if Some(serial) != except {
                self.offer(member);
            }
        });
    }

    /// Queues the message on one connection.
    pub(crate) fn offer(&mut self, member: &Arc<Shared>) {
        let mut inner = member.lock();
        let outcome = inner.offer(self.message, &member.common, self.slow, &mut self.freed);
        let waker = self.relays.call(&mut inner, member);
        drop(inner);
        self.freed.extend(waker);
        let delivery = &mut self.delivery;
        *match outcome {
            Outcome::Queued => &mut delivery.queued,
            Outcome::PutOff(dropped) => {
                delivery.dropped += dropped;
                &mut delivery.queued
            }
            Outcome::Awaited => return self.awaited.push(Arc::clone(member)),
            Outcome::Skipped => &mut delivery.skipped,
            Outcome::Ended => &mut delivery.ended,
            Outcome::Closed => &mut delivery.closed,
            Outcome::Unsupported => &mut delivery.unsupported,
        } += 1;
    }

    /// Those who have yet to take the message.
    pub(crate) fn take_awaited(&mut self) -> Vec<Arc<Shared>> {
        mem::take(&mut self.awaited)
    }

    /// Wakes their tasks. No lock is held any more.
    pub(crate) fn finish(mut self) -> Delivery {
        self.relays.hand_over(&mut self.freed);
        self.freed.release();
        self.delivery
    }
}
