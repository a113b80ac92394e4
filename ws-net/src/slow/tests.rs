use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use ws_proto::Limits;

use super::*;
use crate::delivery::Delivery;
use crate::toy::party::{Party, texts};
use crate::{Builder, Runtime};

const HIGH: usize = 1000;
const LOW: usize = 100;
const MAX_MESSAGES: usize = 3;
const MAX_BYTES: usize = 600;

fn small<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    let mut limits = Limits::default();
    (limits.outbound_high, limits.outbound_low) = (HIGH, LOW);
    builder.limits(limits).max_backlog_messages(MAX_MESSAGES).max_backlog_bytes(MAX_BYTES)
}

/// A party whose first guest is at its high-water mark and takes nothing, and whose second one
/// takes everything.
fn stuck() -> Party {
    let party = Party::new(2, small);
    party.guests[0].1.set_room(0);
    party.connection(0).try_send("x".repeat(HIGH)).unwrap();
    party.toy.settle();
    party
}

/// What the first guest has received, its filler left out.
fn heard(party: &Party) -> String {
    party.guests[0].1.set_room(usize::MAX);
    let heard = party.heard();
    heard[0].trim_start_matches('x').trim().to_owned()
}

fn report(queued: usize, skipped: usize, dropped: usize, ended: usize) -> Delivery {
    Delivery { queued, skipped, dropped, ended, ..Delivery::default() }
}

#[test]
fn policies_differ_for_those_who_are_slow() {
    let texts = ["1", "2", "3", "4", "5"];
    for (policy, expected, result) in [
        (SlowReceivers::Skip, [report(1, 1, 0, 0); 5], ""),
        (
            SlowReceivers::DropOldest,
            [0, 0, 0, 1, 1].map(|dropped| report(2, 0, dropped, 0)),
            "3 4 5",
        ),
        (SlowReceivers::KeepLatest, [0, 1, 1, 1, 1].map(|dropped| report(2, 0, dropped, 0)), "5"),
    ] {
        let party = stuck();
        let deliveries = texts.map(|text| party.server.to_all().slow_receivers(policy).send(text));
        assert_eq!(deliveries, expected, "{policy:?}");
        assert_eq!(heard(&party), result, "{policy:?}");
        assert_eq!(party.connection(0).buffered_amount(), 0);
        assert!(party.connection(0).shared().lock().backlog.is_none());
    }
}

#[test]
fn a_slow_receiver_is_closed_behind_what_it_was_sent() {
    let party = Party::new(2, |builder| small(builder).slow_receivers(SlowReceivers::Close));
    let (slow, client) = &party.guests[0];
    client.set_room(0);
    slow.try_send("x".repeat(HIGH)).unwrap();
    let put_off = party.server.to_all().slow_receivers(SlowReceivers::DropOldest);
    assert_eq!(put_off.send("kept"), report(2, 0, 0, 0));
    assert_eq!(slow.buffered_amount(), HIGH + 4 + 4);
    assert_eq!(party.server.broadcast("too much"), report(1, 0, 0, 1));
    assert_eq!(slow.state(), State::Closing);
    let gone = Delivery { queued: 1, closed: 1, ..Delivery::default() };
    assert_eq!(party.server.broadcast("more"), gone);
    client.set_room(usize::MAX);
    party.toy.settle();
    let bytes = client.take().0;
    assert!(bytes.ends_with(b"\x81\x04kept\x88\x02\x03\xF5"), "{bytes:?}");
}

#[test]
fn what_waits_leaves_before_a_refusal_and_the_end_of_the_lifetime() {
    for refused in [true, false] {
        let mut timeouts = ws_proto::Timeouts::default();
        timeouts.lifetime = Some(Duration::from_secs(10));
        let party = Party::new(1, |builder| small(builder).timeouts(timeouts));
        let (slow, client) = &party.guests[0];
        client.set_room(0);
        slow.try_send("x".repeat(HIGH)).unwrap();
        let put_off = party.server.to_all().slow_receivers(SlowReceivers::DropOldest);
        assert_eq!(put_off.send("kept"), report(1, 0, 0, 0));
        if refused {
            slow.reject(&ws_proto::Reject::new(403));
        }
        party.toy.advance(Duration::from_secs(10));
        client.set_room(usize::MAX);
        party.toy.settle();
        let code = if refused { 0xF0 } else { 0xE9 };
        let bytes = client.take().0;
        let kept = bytes.windows(7).position(|seven| seven == b"\x81\x04kept\x88");
        let at = kept.unwrap_or_else(|| panic!("nothing was kept: {refused}"));
        assert!(bytes[at + 8..].starts_with(&[0x03, code]), "{refused}");
    }
}

#[test]
fn what_waits_leaves_before_a_close_and_before_later_sends() {
    let party = stuck();
    let (slow, client) = &party.guests[0];
    let put_off = |text| {
        let audience = party.server.to_all().slow_receivers(SlowReceivers::DropOldest);
        assert_eq!(audience.send(text), report(2, 0, 0, 0));
    };
    put_off("first");
    assert_eq!(slow.try_send("third").unwrap_err().kind, SendErrorKind::Full);
    let mut sending = Box::pin(slow.send("third"));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    put_off("second");
    assert_eq!(heard(&party), "first second");
    assert_eq!(sending.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    assert_eq!(heard(&party), "third");
    client.set_room(0);
    slow.try_send("x".repeat(HIGH)).unwrap();
    put_off("bye");
    slow.close(Close::normal());
    client.set_room(usize::MAX);
    party.toy.settle();
    assert!(client.take().0.ends_with(b"\x81\x03bye\x88\x02\x03\xE8"));
}

#[test]
fn binary_messages_wait_behind_nobody_who_cannot_have_them() {
    let party = stuck();
    let audience = || party.server.to_all().slow_receivers(SlowReceivers::KeepLatest);
    assert_eq!(audience().send(vec![1]), report(2, 0, 0, 0));
    assert_eq!(audience().send(vec![2]), report(2, 0, 1, 0));
    party.connection(0).abort();
    let gone = Delivery { queued: 1, closed: 1, ..Delivery::default() };
    assert_eq!(audience().send(vec![3]), gone);
    party.toy.settle();
    assert!(party.connection(0).shared().lock().backlog.is_none());
}

#[test]
fn waiting_ends_when_everybody_has_it_or_has_ended() {
    let party = stuck();
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting = Box::pin(party.server.to_all().deliver("first"));
    assert_eq!(party.heard(), ["", ""], "nothing happens before the first poll");
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert_eq!(party.heard()[1], "first", "the quick are not held back");
    let mut dropped = Box::pin(party.server.to_all().deliver("second"));
    assert!(dropped.as_mut().poll(&mut cx).is_pending());
    drop(dropped);
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert_eq!(heard(&party), "first");
    assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(report(2, 0, 0, 0)));
    for gone in [false, true] {
        let party = stuck();
        let mut waiting = Box::pin(party.server.to_all().deliver("first"));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        if gone {
            party.toy.drop_tasks();
        } else {
            party.connection(0).abort();
        }
        party.toy.settle();
        let delivery = Delivery { queued: 1, closed: 1, ..Delivery::default() };
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(delivery));
    }
}

#[test]
fn options_that_make_no_sense_are_named() {
    let refused = |change: fn(Builder<crate::toy::Toy>) -> Builder<crate::toy::Toy>| {
        change(Builder::new(crate::toy::Toy::default())).build().unwrap_err().option
    };
    assert_eq!(refused(|builder| builder.max_backlog_messages(0)), "max_backlog_messages");
    assert_eq!(refused(|builder| builder.max_backlog_bytes(0)), "max_backlog_bytes");
    assert_eq!(refused(|builder| builder.max_topics(0)), "max_topics");
    assert_eq!(refused(|builder| builder.max_topic_name(0)), "max_topic_name");
}

/// What may happen to a receiver.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(SlowReceivers, usize),
    Deliver(usize),
    /// Drops the n-th future that waits.
    Cancel(usize),
    TrySend(usize),
    /// The peer takes so many bytes.
    Room(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let policy = prop_oneof![
        4 => Just(SlowReceivers::Skip),
        8 => Just(SlowReceivers::DropOldest),
        4 => Just(SlowReceivers::KeepLatest),
        1 => Just(SlowReceivers::Close),
    ];
    let step = prop_oneof![
        6 => (policy, 4..400_usize).prop_map(|(policy, len)| Step::Send(policy, len)),
        2 => (4..400_usize).prop_map(Step::Deliver),
        1 => (0..4_usize).prop_map(Step::Cancel),
        1 => (4..400_usize).prop_map(Step::TrySend),
        2 => (0..2000_usize).prop_map(Step::Room),
    ];
    prop::collection::vec(step, 0..80)
}

/// The receiver, naively: numbers and lengths of messages.
struct Model {
    /// Bytes that the driver has taken, and bytes behind them.
    chunk: usize,
    queue: usize,
    room: usize,
    /// Number, length, and whether somebody waits.
    backlog: VecDeque<(usize, usize, bool)>,
    /// The numbers of those in the outbound buffer, or behind it.
    sent: Vec<usize>,
    open: bool,
}

impl Model {
    fn put(&mut self, number: usize, len: usize) {
        self.queue += len + if len < 126 { 2 } else { 4 };
        self.sent.push(number);
    }

    fn is_full(&self) -> bool {
        !self.backlog.is_empty() || self.chunk + self.queue >= HIGH
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.backlog.iter().position(|(_, _, awaited)| !awaited);
        oldest.and_then(|at| self.backlog.remove(at)).is_some()
    }

    /// `None` is a message that is waited for.
    fn offer(&mut self, number: usize, len: usize, policy: Option<SlowReceivers>) -> Delivery {
        let mut delivery = report(1, 0, 0, 0);
        if !self.open {
            delivery = Delivery { closed: 1, ..Delivery::default() };
        } else if !self.is_full() {
            self.put(number, len);
        } else {
            match policy {
                None => self.backlog.push_back((number, len, true)),
                Some(SlowReceivers::DropOldest) => {
                    loop {
                        let loose = self.backlog.iter().filter(|(_, _, awaited)| !awaited);
                        let bytes: usize = loose.clone().map(|(_, len, _)| len).sum();
                        let fits = loose.count() < MAX_MESSAGES && bytes + len <= MAX_BYTES;
                        if fits || !self.drop_oldest() {
                            break;
                        }
                        delivery.dropped += 1;
                    }
                    self.backlog.push_back((number, len, false));
                }
                Some(SlowReceivers::KeepLatest) => {
                    while self.drop_oldest() {
                        delivery.dropped += 1;
                    }
                    self.backlog.push_back((number, len, false));
                }
                Some(SlowReceivers::Close) => {
                    self.open = false;
                    while let Some((number, len, _)) = self.backlog.pop_front() {
                        self.put(number, len);
                    }
                    delivery = report(0, 0, 0, 1);
                }
                _ => delivery = report(0, 1, 0, 0),
            }
        }
        delivery
    }

    /// The driver's turn.
    fn settle(&mut self) {
        loop {
            if self.chunk + self.queue <= LOW {
                while self.chunk + self.queue < HIGH
                    && let Some((number, len, _)) = self.backlog.pop_front()
                {
                    self.put(number, len);
                }
            }
            if self.chunk == 0 {
                self.chunk = std::mem::take(&mut self.queue);
            }
            let written = self.chunk.min(self.room);
            if written == 0 {
                return;
            }
            self.chunk -= written;
            self.room -= written;
        }
    }
}

fn text(number: usize, len: usize) -> String {
    format!("{number:04}{}", "x".repeat(len - 4))
}

type Waiting<'a> = (usize, Pin<Box<dyn Future<Output = Delivery> + 'a>>);

fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let party = Party::new(1, small);
    let (receiver, client) = &party.guests[0];
    client.set_room(0);
    let (chunk, queue, room) = (0, 0, 0);
    let (backlog, sent) = (VecDeque::new(), Vec::new());
    let mut model = Model { chunk, queue, room, backlog, sent, open: true };
    let mut waiting: Vec<Waiting<'_>> = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Send(policy, len) => {
                let audience = party.server.to_all().slow_receivers(policy);
                let expected = model.offer(number, len, Some(policy));
                prop_assert_eq!(audience.send(text(number, len)), expected);
            }
            Step::Deliver(len) => {
                let expected = model.offer(number, len, None);
                let mut future = Box::pin(party.server.to_all().deliver(text(number, len)));
                match future.as_mut().poll(&mut cx) {
                    Poll::Ready(delivery) => prop_assert_eq!(delivery, expected),
                    Poll::Pending => waiting.push((number, future)),
                }
            }
            Step::Cancel(n) if n < waiting.len() => {
                let (number, _) = waiting.remove(n);
                model.backlog.retain(|entry| entry.0 != number);
            }
            Step::Cancel(_) => {}
            Step::TrySend(len) => {
                let fits = model.open && !model.is_full();
                prop_assert_eq!(receiver.try_send(text(number, len)).is_ok(), fits);
                if fits {
                    model.put(number, len);
                }
            }
            Step::Room(room) => {
                model.room = room;
                client.set_room(room);
            }
        }
        party.toy.settle();
        model.settle();
        for (number, future) in &mut waiting {
            let poll = future.as_mut().poll(&mut cx);
            let expected = Poll::Ready(report(1, 0, 0, 0));
            prop_assert_eq!(
                poll,
                if model.sent.contains(number) { expected } else { Poll::Pending }
            );
        }
        waiting.retain(|(number, _)| !model.sent.contains(number));
        let waits: usize = model.backlog.iter().map(|entry| entry.1).sum();
        prop_assert!(
            !model.open || receiver.buffered_amount() == model.chunk + model.queue + waits
        );
    }
    client.set_room(usize::MAX);
    model.room = usize::MAX;
    party.toy.settle();
    model.settle();
    let heard: Vec<usize> =
        texts(&client.take().0).iter().map(|text| text[..4].parse().unwrap()).collect();
    prop_assert_eq!(heard, model.sent);
    prop_assert_eq!(receiver.shared().lock().backlog.is_some(), false);
    Ok(())
}

proptest! {
    /// Every report, every future, every byte that waits, and the order of what arrives.
    #[test]
    fn reports_and_order_agree_with_a_naive_model(steps in steps()) {
        check(steps)?;
    }
}
