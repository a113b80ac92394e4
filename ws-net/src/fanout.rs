use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ws_proto::Prepared;

use crate::Connection;
use crate::backlog::Freed;
use crate::delivery::Delivery;
use crate::relay::Part;
use crate::relay::pass::Leaders;
use crate::relay::seats::{FEWEST, Seats};
use crate::roster::{Circle, Roster};
use crate::shared::{Inner, Shared};
use crate::slow::{Outcome, Slow};

/// One message on its way to many. It is framed once. When all have it the tasks of some are woken,
/// which write for the others, too, each all that has gathered in one go.
pub(crate) struct Fanout<'a> {
    message: &'a Prepared,
    slow: Slow<'a>,
    delivery: Delivery,
    freed: Freed,
    leaders: Leaders,
    awaited: Vec<Arc<Shared>>,
}

impl<'a> Fanout<'a> {
    pub(crate) fn new(message: &'a Prepared, slow: Slow<'a>) -> Self {
        Self {
            message,
            slow,
            delivery: Delivery::default(),
            freed: Freed::default(),
            leaders: Leaders::default(),
            awaited: Vec::new(),
        }
    }

    /// Queues the message on every member but `except`. The roster is locked meanwhile, so that
    /// all members get all messages in the same order.
    pub(crate) fn offer_to(&mut self, members: &Roster<Arc<Shared>>, except: Option<u64>) {
        members.hold(|circle| {
            let except = except.and_then(|serial| circle.find(serial));
            let Circle { entries, seats, .. } = circle;
            let Some((_, first)) = entries.first() else { return };
            if seats.is_empty() {
                for (at, (_, member)) in entries.iter().enumerate() {
                    if Some(at) != except {
                        self.offer(member, None);
                    }
                }
                return;
            }
            let many = entries.len() >= FEWEST;
            let high = first.common.config.limits().outbound_high;
            self.delivery.queued += seats.push(self.message, high, except);
            let mut offer = |at, seats: &mut Seats<_>| {
                if Some(at) != except
                    && let Some((_, member)) = entries.get(at)
                {
                    self.offer(member, many.then_some((seats, at)));
                }
            };
            // Mostly all but a few have it, who are then not even looked up.
            if seats.are_short(except) {
                for at in 0..entries.len() {
                    if !seats.has(at) {
                        offer(at, seats);
                    }
                }
            }
            while let Some(at) = seats.next_missed() {
                offer(at, seats);
            }
            seats.lead(|leader, relay| self.leaders.add(leader, relay));
        });
    }

    /// The same for those who were `chosen`.
    pub(crate) fn offer_to_some(&mut self, members: &Roster<Arc<Shared>>, chosen: &[Connection]) {
        members.hold(|circle| {
            let many = circle.entries.len() >= FEWEST;
            for one in chosen {
                let at = circle.find(one.id().serial()).filter(|_| many);
                self.offer(one.shared(), at.map(|at| (&mut *circle.seats, at)));
            }
        });
    }

    /// Queues the message on one connection, which may have or get a seat in a relay.
    fn offer(&mut self, member: &Arc<Shared>, seat: Option<(&mut Seats<Arc<Shared>>, usize)>) {
        let mut inner = member.lock();
        let outcome = inner.offer(self.message, &member.common, self.slow, &mut self.freed);
        if mem::take(&mut inner.called) && inner.driver.is_asleep() {
            self.call(member, &mut inner, seat);
        }
        drop(inner);
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

    /// Something is queued on a connection that sleeps.
    fn call(
        &mut self,
        member: &Arc<Shared>,
        inner: &mut Inner,
        seat: Option<(&mut Seats<Arc<Shared>>, usize)>,
    ) {
        let part = seat
            .filter(|_| inner.takes_relays() && member.home.load(Ordering::Relaxed) != 0)
            .and_then(|(seats, at)| seats.take_in(at, member, &inner.sleeper(member)));
        let Some((part, relay, seat)) = part else {
            return self.freed.extend(inner.wake(member));
        };
        if part == Part::Leads {
            self.leaders.add(Arc::clone(member), relay);
        }
        inner.take_part(part, relay, seat, member);
    }

    /// Those who have yet to take the message.
    pub(crate) fn take_awaited(&mut self) -> Vec<Arc<Shared>> {
        mem::take(&mut self.awaited)
    }

    /// Wakes their tasks. No lock is held any more.
    pub(crate) fn finish(mut self) -> Delivery {
        self.leaders.hand_over(&mut self.freed);
        self.freed.release();
        self.delivery
    }
}
