use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn topics(max_topics: usize) -> Topics<u64> {
    Topics::new(TopicLimits { max_topics, ..TopicLimits::default() })
}

fn subscribe(topics: &Topics<u64>, serial: u64, topic: &str) -> Result<bool, SubscribeError> {
    topics.subscribe(serial, topic, || State::Connected, serial)
}

fn members(topics: &Topics<u64>, topic: &str) -> BTreeSet<u64> {
    let mut members = BTreeSet::new();
    if let Some(roster) = topics.members(topic) {
        roster.each(|serial, entry| {
            assert_eq!(serial, *entry);
            members.insert(serial);
        });
    }
    members
}

#[test]
fn a_topic_lives_as_long_as_its_subscribers() {
    let topics = topics(2);
    assert_eq!(subscribe(&topics, 1, "room"), Ok(true));
    assert_eq!(subscribe(&topics, 1, "room"), Ok(false));
    assert_eq!(subscribe(&topics, 17, "room"), Ok(true));
    assert_eq!((topics.of(1), topics.subscribers("room")), (vec!["room".into()], 2));
    assert!(topics.unsubscribe(1, "room"));
    assert!(!topics.unsubscribe(1, "room"));
    assert_eq!(members(&topics, "room"), BTreeSet::from([17]));
    topics.leave(17);
    topics.leave(17);
    assert!(topics.all().is_empty() && topics.members("room").is_none());
    assert!(topics.stripes.iter().all(|stripe| lock(stripe).capacity() == 0));
    assert_eq!(lock(&topics.table).capacity(), 0);
}

#[test]
fn errors_say_which_limit() {
    let topics = topics(2);
    let closing = topics.subscribe(1, "room", || State::Closing, 1);
    assert_eq!(closing, Err(SubscribeError::NotConnected(State::Closing)));
    let error = subscribe(&topics, 1, &"x".repeat(257)).unwrap_err();
    assert_eq!(error, SubscribeError::NameTooLong { length: 257, limit: 256 });
    assert_eq!(error.to_string(), "the topic's name has 257 bytes, `max_topic_name` allows 256");
    for name in ["", &"x".repeat(256)] {
        assert_eq!(subscribe(&topics, 1, name), Ok(true));
    }
    assert_eq!(subscribe(&topics, 1, "third"), Err(SubscribeError::TooManyTopics(2)));
    assert_eq!(subscribe(&topics, 1, ""), Ok(false), "it has that one");
    assert_eq!(topics.subscribers("third"), 0);
    assert_eq!(
        TopicLimits { max_topics: 0, ..TopicLimits::default() }.check().unwrap_err().option,
        "max_topics"
    );
}

#[test]
fn threads_leave_a_table_without_gaps() {
    let topics = topics(8);
    std::thread::scope(|scope| {
        for serial in 0..4 {
            let topics = &topics;
            scope.spawn(move || {
                for n in 0..if cfg!(miri) { 20 } else { 2000 } {
                    let name = format!("{}", n % 3);
                    assert_eq!(subscribe(topics, serial, &name), Ok(true));
                    assert!(members(topics, &name).contains(&serial));
                    if n % 5 == 0 {
                        topics.leave(serial);
                    } else {
                        assert!(topics.unsubscribe(serial, &name));
                    }
                }
            });
        }
    });
    assert!(topics.all().is_empty());
}

proptest! {
    /// Whatever is done, in whatever order, both directions say the same as sets of pairs.
    #[test]
    fn both_directions_agree_with_a_set_of_pairs(
        steps in prop::collection::vec((0..3_u8, 0..20_u64, 0..5_u8), 0..100),
    ) {
        let topics = topics(3);
        let mut pairs: BTreeSet<(u64, String)> = BTreeSet::new();
        for (step, serial, name) in steps {
            let name = name.to_string();
            let pair = (serial, name.clone());
            let own = pairs.iter().filter(|(other, _)| *other == serial).count();
            match step {
                0 => {
                    let expected = if pairs.contains(&pair) {
                        Ok(false)
                    } else if own == 3 {
                        Err(SubscribeError::TooManyTopics(3))
                    } else {
                        Ok(pairs.insert(pair))
                    };
                    prop_assert_eq!(subscribe(&topics, serial, &name), expected);
                }
                1 => prop_assert_eq!(topics.unsubscribe(serial, &name), pairs.remove(&pair)),
                _ => {
                    topics.leave(serial);
                    pairs.retain(|(other, _)| *other != serial);
                }
            }
            let mut all: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
            for (serial, name) in &pairs {
                all.entry(name.clone()).or_default().insert(*serial);
            }
            let counts: Vec<_> =
                all.iter().map(|(name, members)| (name.clone(), members.len())).collect();
            prop_assert_eq!(topics.all(), counts);
            for (name, expected) in all {
                prop_assert_eq!(topics.subscribers(&name), expected.len());
                prop_assert_eq!(members(&topics, &name), expected);
            }
            let own: Vec<_> =
                pairs.iter().filter(|(other, _)| *other == serial).map(|p| p.1.clone()).collect();
            prop_assert_eq!(topics.of(serial), own);
        }
    }
}
