use proptest::prelude::*;
use ws_proto::{Close, Limits, Message};

use super::{MOST, party, sent_to};
use crate::Delivery;
use crate::toy::party::Party;

/// More than have room in one relay.
const GUESTS: usize = MOST + MOST / 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Broadcast(usize),
    /// To the others.
    Tell(usize, usize),
    /// To every third.
    Choose(usize),
    Send(usize, usize),
    Subscribe(usize),
    Unsubscribe(usize),
    Publish(usize),
    Ask(usize),
    Pause(usize),
    Close(usize),
    Abort(usize),
    Move,
    Settle,
    Hear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let guest = || 0..GUESTS;
    let length = || prop_oneof![1..200_usize, 250..5000_usize, 5000..20_000_usize];
    let step = prop_oneof![
        5 => length().prop_map(Step::Broadcast),
        2 => (guest(), length()).prop_map(|(guest, length)| Step::Tell(guest, length)),
        1 => length().prop_map(Step::Choose),
        3 => (guest(), length()).prop_map(|(guest, length)| Step::Send(guest, length)),
        3 => guest().prop_map(Step::Subscribe),
        1 => guest().prop_map(Step::Unsubscribe),
        3 => length().prop_map(Step::Publish),
        1 => guest().prop_map(Step::Ask),
        1 => guest().prop_map(Step::Pause),
        1 => guest().prop_map(Step::Close),
        1 => guest().prop_map(Step::Abort),
        1 => Just(Step::Move),
        4 => Just(Step::Settle),
        1 => Just(Step::Hear),
    ];
    prop::collection::vec(step, 1..40)
}

impl Step {
    /// Answers what is to be the same wherever it is done.
    fn run(self, round: u8, party: &Party, heard: &mut [Vec<u8>]) -> Delivery {
        let message = |length| Message::Binary(vec![round; length].into());
        match self {
            Self::Broadcast(length) => return party.server.broadcast(message(length)),
            Self::Tell(guest, length) => return party.connection(guest).broadcast(message(length)),
            Self::Choose(length) => {
                let mut asked = 0;
                return party.server.broadcast_if(message(length), |_| {
                    asked += 1;
                    asked % 3 == 0
                });
            }
            Self::Send(guest, length) => drop(party.connection(guest).try_send(message(length))),
            Self::Subscribe(guest) => drop(party.connection(guest).subscribe("room")),
            Self::Unsubscribe(guest) => drop(party.connection(guest).unsubscribe("room")),
            Self::Publish(length) => return party.server.publish("room", message(length)),
            Self::Ask(guest) => {
                return sent_to(party.connection(guest).buffered_amount());
            }
            Self::Pause(guest) => party.connection(guest).pause(),
            Self::Close(guest) => party.connection(guest).close(Close::normal()),
            Self::Abort(guest) => party.connection(guest).abort(),
            Self::Move => party.toy.move_tasks(),
            Self::Settle => drop(party.toy.settle()),
            Self::Hear => {
                party.toy.settle();
                for ((_, client), heard) in party.guests.iter().zip(heard) {
                    heard.extend(client.take().0);
                }
            }
        }
        Delivery::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The twin is the same server where every task writes for itself.
    #[test]
    fn everybody_hears_what_they_hear_from_their_own_task(
        steps in steps(),
        high in prop_oneof![3 => Just(1 << 20), 1 => 1000..40_000_usize],
    ) {
        let mut limits = Limits::default();
        limits.outbound_high = high;
        limits.outbound_low = high / 2;
        let parties = [
            party(GUESTS, |builder| builder.limits(limits.clone())),
            Party::new(GUESTS, |builder| builder.limits(limits)),
        ];
        let mut heard = [(); 2].map(|()| vec![Vec::new(); GUESTS]);
        for (round, step) in steps.iter().chain([&Step::Hear]).enumerate() {
            let [own, twin] = [0, 1].map(|at| step.run(round as u8, &parties[at], &mut heard[at]));
            prop_assert_eq!(own, twin, "{:?}", step);
        }
        for (own, twin) in heard[0].iter().zip(&heard[1]) {
            prop_assert!(own == twin, "{} and {} bytes", own.len(), twin.len());
        }
    }
}
