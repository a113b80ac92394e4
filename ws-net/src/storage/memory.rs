use std::fmt;
use std::sync::Mutex;

mod data;
mod glob;
mod hashes;
mod keyspace;
mod ledger;
mod lists;
mod number;
mod sets;
mod strings;

use keyspace::Keyspace;

use crate::waiters::lock;
use crate::{
    ConfigError, Instant, Storage, StorageCommand as Command, StorageError, StorageFuture,
    StorageLimits, StorageReply as Reply, SystemClock,
};

/// A store in the memory of this process: bounded, and ready at once, so no command waits.
///
/// What expires is gone at the first command after its time. Every command takes the time that
/// Redis needs for it: constant, except for those that answer or drop many values. To share a
/// store, share the `Arc`:
///
/// ```
/// use std::sync::Arc;
///
/// use ws_net::{MemoryStorage, StorageChoice, StorageLimits};
///
/// let limits = StorageLimits::new().max_bytes(64 << 20).max_entries(100_000);
/// let everybody = Arc::new(MemoryStorage::with_limits(limits)?);
/// let choice = StorageChoice::from(everybody);
/// # let _ = choice;
/// # Ok::<(), ws_net::ConfigError>(())
/// ```
pub struct MemoryStorage {
    keyspace: Mutex<Keyspace>,
    clock: Option<Box<dyn Fn() -> Instant + Send + Sync>>,
}

impl MemoryStorage {
    /// An empty store with the default limits.
    pub fn new() -> Self {
        Self::bounded(StorageLimits::default())
    }

    /// An empty store with these limits.
    ///
    /// # Errors
    /// When a limit is zero.
    pub fn with_limits(limits: StorageLimits) -> Result<Self, ConfigError> {
        limits.check()?;
        Ok(Self::bounded(limits))
    }

    /// Takes the time from `clock` instead of the clock of the system. It must never go back. It
    /// is called once for each command.
    pub fn with_clock(mut self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    pub(crate) fn bounded(limits: StorageLimits) -> Self {
        Self { keyspace: Mutex::new(Keyspace::new(limits)), clock: None }
    }

    #[cfg(test)]
    pub(crate) fn audit(&self) {
        lock(&self.keyspace).audit();
    }

    fn now(&self) -> Instant {
        self.clock.as_ref().map_or_else(SystemClock::now, |clock| clock())
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for MemoryStorage {
    fn execute<'a>(&'a self, command: Command<'a>) -> StorageFuture<'a> {
        // Before the lock, since the clock may be code of users.
        let now = self.now();
        StorageFuture::ready(execute(&mut lock(&self.keyspace), command, now))
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").finish_non_exhaustive()
    }
}

fn execute(
    store: &mut Keyspace,
    command: Command<'_>,
    now: Instant,
) -> Result<Reply, StorageError> {
    store.drop_expired(now);
    match command {
        Command::Get(key) => store.get(key).map(Into::into),
        Command::Set(key, value) => store.put(key, value).map(|()| Reply::Done),
        Command::SetNx(key, value) => store.put_new(key, value).map(Into::into),
        Command::SetEx(key, time, value) => {
            store.put_until(key, value, time, now).map(|()| Reply::Done)
        }
        Command::GetSet(key, value) => store.exchange(key, value).map(Into::into),
        Command::StrLen(key) => store.string_len(key).map(count),
        Command::Append(key, value) => store.append(key, value).map(count),
        Command::Incr(key) => store.add(key, 1).map(Reply::Integer),
        Command::Decr(key) => store.add(key, -1).map(Reply::Integer),
        Command::IncrBy(key, by) => store.add(key, by).map(Reply::Integer),
        Command::DecrBy(key, by) => {
            let by = by.checked_neg().ok_or(StorageError::Overflow)?;
            store.add(key, by).map(Reply::Integer)
        }
        Command::Exists(key) => Ok(store.contains(key).into()),
        Command::Del(key) => Ok(store.remove(key).into()),
        Command::Type(key) => Ok(Reply::Value(store.type_name(key).into())),
        Command::Keys(pattern) => Ok(Reply::List(store.matching(pattern))),
        Command::Expire(key, time) => Ok(store.expire(key, time, now).into()),
        Command::Ttl(key) => Ok(Reply::Integer(store.millis_left(key, now))),
        Command::Persist(key) => Ok(store.persist(key).into()),
        Command::LPush(key, element) => store.push_front(key, element).map(count),
        Command::RPush(key, element) => store.push_back(key, element).map(count),
        Command::LPop(key) => store.pop_front(key).map(Into::into),
        Command::RPop(key) => store.pop_back(key).map(Into::into),
        Command::LLen(key) => store.list_len(key).map(count),
        Command::LRange(key, start, stop) => store.range(key, start, stop).map(Reply::List),
        Command::LTrim(key, start, stop) => store.trim(key, start, stop).map(|()| Reply::Done),
        Command::HSet(key, field, value) => store.set_field(key, field, value).map(Into::into),
        Command::HGet(key, field) => store.field(key, field).map(Into::into),
        Command::HDel(key, field) => store.remove_field(key, field).map(Into::into),
        Command::HExists(key, field) => store.field(key, field).map(|v| v.is_some().into()),
        Command::HGetAll(key) => store.fields(key).map(Reply::List),
        Command::HLen(key) => store.hash_len(key).map(count),
        Command::HIncrBy(key, field, by) => store.add_to_field(key, field, by).map(Reply::Integer),
        Command::SAdd(key, member) => store.add_member(key, member).map(Into::into),
        Command::SRem(key, member) => store.remove_member(key, member).map(Into::into),
        Command::SMembers(key) => store.members(key).map(Reply::List),
        Command::SIsMember(key, member) => store.has_member(key, member).map(Into::into),
        Command::SCard(key) => store.set_len(key).map(count),
    }
}

/// A length; what lies in memory is far shorter than 2^63.
fn count(len: usize) -> Reply {
    Reply::Integer(i64::try_from(len).unwrap_or(i64::MAX))
}
