use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ws_proto::{ConfigError, State};

use crate::positive::positive;
use crate::relay::Member;
use crate::roster::Roster;
use crate::serials::BySerial;
use crate::waiters::lock;

/// Locks over which the connections are spread, so that they seldom wait for each other.
const STRIPES: usize = 16;

/// Why a connection did not get a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection is not open yet, or is being closed.
    #[error("the connection is {0}: it can subscribe only while it is connected")]
    NotConnected(State),
    /// The connection has as many subscriptions as [`max_topics`](crate::Builder::max_topics)
    /// allows.
    #[error("the connection has {0} topics, the most that `max_topics` allows: unsubscribe first")]
    TooManyTopics(usize),
    /// The name is longer than [`max_topic_name`](crate::Builder::max_topic_name) allows.
    #[error("the topic's name has {length} bytes, `max_topic_name` allows {limit}")]
    NameTooLong {
        /// Bytes of the name.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
}

/// What subscribing may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicLimits {
    /// Topics per connection.
    pub(crate) max_topics: usize,
    /// Bytes of a topic's name.
    pub(crate) max_topic_name: usize,
}

/// Who subscribed to what. A topic exists while it has subscribers, and a connection without
/// subscriptions costs nothing.
///
/// Locks are taken in the order stripe, table, roster (of two, that of those who shake hands first);
/// a connection's own lock is taken behind them, and that of a relay last.
pub(crate) struct Topics<T> {
    limits: TopicLimits,
    /// Somebody has subscribed to something, or tried to. Set before the connection's own lock is
    /// taken to see whether it is open, so that whoever has closed it under that lock sees it.
    used: AtomicBool,
    table: Mutex<HashMap<Arc<str>, Topic<T>>>,
    /// The topics of each connection, by its serial number.
    stripes: [Mutex<Stripe>; STRIPES],
}

type Stripe = BySerial<HashSet<Arc<str>>>;

struct Topic<T> {
    /// Entries of `members`, counted before they come and after they went: who holds the roster
    /// for a long time must not hold back those who ask for other topics.
    subscribers: usize,
    members: Arc<Roster<T>>,
}

impl TopicLimits {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let options = [("max_topics", self.max_topics), ("max_topic_name", self.max_topic_name)];
        positive(&options, "is zero: nobody could subscribe")
    }
}

impl Default for TopicLimits {
    fn default() -> Self {
        Self { max_topics: 128, max_topic_name: 256 }
    }
}

impl<T: Member> Topics<T> {
    pub(crate) fn new(limits: TopicLimits) -> Self {
        let used = AtomicBool::new(false);
        Self { limits, used, table: Mutex::default(), stripes: Default::default() }
    }

    /// Adds a subscription; `false` when it was there. `state` is asked under the lock that
    /// [`leave`](Self::leave) takes, so that nothing is added behind it.
    pub(crate) fn subscribe(
        &self,
        serial: u64,
        topic: &str,
        state: impl FnOnce() -> State,
        entry: T,
    ) -> Result<bool, SubscribeError> {
        let limits = self.limits;
        if topic.len() > limits.max_topic_name {
            let limit = limits.max_topic_name;
            return Err(SubscribeError::NameTooLong { length: topic.len(), limit });
        }
        let mut stripe = lock(self.stripe(serial));
        self.used.store(true, Ordering::Relaxed);
        let state = state();
        if state != State::Connected {
            return Err(SubscribeError::NotConnected(state));
        }
        let own = stripe.get(&serial);
        if own.is_some_and(|topics| topics.contains(topic)) {
            return Ok(false);
        }
        if own.map_or(0, HashSet::len) >= limits.max_topics {
            return Err(SubscribeError::TooManyTopics(limits.max_topics));
        }
        let topic = self.join(serial, topic, entry);
        stripe.entry(serial).or_default().insert(topic);
        Ok(true)
    }

    /// Ends a subscription; `false` when there is none.
    pub(crate) fn unsubscribe(&self, serial: u64, topic: &str) -> bool {
        let mut stripe = lock(self.stripe(serial));
        let Some(topics) = stripe.get_mut(&serial) else { return false };
        let Some(topic) = topics.take(topic) else { return false };
        if topics.is_empty() {
            take_out(&mut stripe, &serial);
        }
        let entry = self.part(serial, &topic);
        drop(stripe);
        drop(entry);
        true
    }

    /// Ends all subscriptions of a connection, which is not connected any more.
    pub(crate) fn leave(&self, serial: u64) {
        if !self.used.load(Ordering::Relaxed) {
            return;
        }
        let topics = take_out(&mut lock(self.stripe(serial)), &serial);
        for topic in topics.into_iter().flatten() {
            self.part(serial, &topic);
        }
    }

    /// The topics of a connection, sorted.
    pub(crate) fn of(&self, serial: u64) -> Vec<String> {
        let topics: Vec<_> = match lock(self.stripe(serial)).get(&serial) {
            Some(topics) => topics.iter().cloned().collect(),
            None => return Vec::new(),
        };
        let mut topics: Vec<_> = topics.iter().map(|topic| String::from(&**topic)).collect();
        topics.sort_unstable();
        topics
    }

    /// All topics and how many subscribed to each, sorted by name.
    pub(crate) fn all(&self) -> Vec<(String, usize)> {
        let all: Vec<_> = lock(&self.table)
            .iter()
            .map(|(name, topic)| (Arc::clone(name), topic.subscribers))
            .collect();
        let mut all: Vec<_> =
            all.iter().map(|(name, count)| (String::from(&**name), *count)).collect();
        all.sort_unstable();
        all
    }

    /// How many subscribed.
    pub(crate) fn subscribers(&self, topic: &str) -> usize {
        lock(&self.table).get(topic).map_or(0, |topic| topic.subscribers)
    }

    /// Those who subscribed, if anybody did.
    pub(crate) fn members(&self, topic: &str) -> Option<Arc<Roster<T>>> {
        lock(&self.table).get(topic).map(|topic| Arc::clone(&topic.members))
    }

    fn stripe(&self, serial: u64) -> &Mutex<Stripe> {
        // The remainder is below the length.
        let [first, ..] = &self.stripes;
        self.stripes.get(serial as usize % STRIPES).unwrap_or(first)
    }

    /// Puts a connection into a topic, which is made if need be. Answers the topic's name.
    fn join(&self, serial: u64, topic: &str, entry: T) -> Arc<str> {
        let mut table = lock(&self.table);
        let name = match table.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(topic),
        };
        let topic = table
            .entry(Arc::clone(&name))
            .or_insert_with(|| Topic { subscribers: 0, members: Arc::default() });
        topic.subscribers += 1;
        let members = Arc::clone(&topic.members);
        drop(table);
        members.insert(serial, entry);
        name
    }

    /// Takes a connection out of a topic, which vanishes with its last subscriber.
    fn part(&self, serial: u64, topic: &str) -> Option<T> {
        let entry = self.members(topic)?.remove(serial);
        let mut table = lock(&self.table);
        let left = table.get_mut(topic)?;
        left.subscribers -= 1;
        if left.subscribers == 0 {
            take_out(&mut table, topic);
        }
        entry
    }
}

/// Takes an entry out of a table whose memory follows the number of entries.
fn take_out<K, Q, V, S>(table: &mut HashMap<K, V, S>, key: &Q) -> Option<V>
where
    K: std::borrow::Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
    S: BuildHasher + Default,
{
    if table.is_empty() {
        return None;
    }
    let value = table.remove(key);
    if table.is_empty() {
        mem::take(table);
    } else if table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
    value
}

#[cfg(test)]
mod tests;
