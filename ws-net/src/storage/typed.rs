use std::time::Duration;

use crate::{
    Storage, StorageCommand as Command, StorageError, StorageReply as Reply, StorageValue,
};

/// How long a key has to live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// The key does not expire.
    Forever,
    /// The key expires after this time, which is a whole number of milliseconds.
    Left(Duration),
}

/// Strings and counters.
impl dyn Storage + '_ {
    /// The value, or `None` when the key does not exist.
    pub async fn get(&self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        self.value(Command::Get(key)).await
    }

    /// The value, or `default` when the key does not exist.
    pub async fn get_or(
        &self,
        key: &str,
        default: impl Into<StorageValue>,
    ) -> Result<StorageValue, StorageError> {
        Ok(self.get(key).await?.unwrap_or_else(|| default.into()))
    }

    /// Stores a value. Replaces what the key held, of any type, and ends its expiry.
    pub async fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), StorageError> {
        self.done(Command::Set(key, value.as_ref())).await
    }

    /// Stores a value if the key does not exist, and answers whether it did so.
    pub async fn setnx(&self, key: &str, value: impl AsRef<[u8]>) -> Result<bool, StorageError> {
        self.flag(Command::SetNx(key, value.as_ref())).await
    }

    /// Stores a value that expires after `time`, in whole milliseconds, rounded up.
    pub async fn setex(
        &self,
        key: &str,
        time: Duration,
        value: impl AsRef<[u8]>,
    ) -> Result<(), StorageError> {
        self.done(Command::SetEx(key, time, value.as_ref())).await
    }

    /// Stores a value and answers the one that it replaces. Ends the expiry.
    pub async fn getset(
        &self,
        key: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<Option<StorageValue>, StorageError> {
        self.value(Command::GetSet(key, value.as_ref())).await
    }

    /// Length of the value in bytes, 0 when the key does not exist.
    pub async fn strlen(&self, key: &str) -> Result<u64, StorageError> {
        self.count(Command::StrLen(key)).await
    }

    /// Appends to the value, and answers its new length in bytes.
    pub async fn append(&self, key: &str, value: impl AsRef<[u8]>) -> Result<u64, StorageError> {
        self.count(Command::Append(key, value.as_ref())).await
    }

    /// Adds 1 and answers the new value. A key that does not exist counts as 0.
    pub async fn incr(&self, key: &str) -> Result<i64, StorageError> {
        self.integer(Command::Incr(key)).await
    }

    /// Takes 1 away and answers the new value. A key that does not exist counts as 0.
    pub async fn decr(&self, key: &str) -> Result<i64, StorageError> {
        self.integer(Command::Decr(key)).await
    }

    /// Adds `by` and answers the new value. A key that does not exist counts as 0.
    pub async fn incrby(&self, key: &str, by: i64) -> Result<i64, StorageError> {
        self.integer(Command::IncrBy(key, by)).await
    }

    /// Takes `by` away and answers the new value. A key that does not exist counts as 0.
    pub async fn decrby(&self, key: &str, by: i64) -> Result<i64, StorageError> {
        self.integer(Command::DecrBy(key, by)).await
    }
}

/// Keys and their expiry.
impl dyn Storage + '_ {
    /// Whether the key exists.
    pub async fn exists(&self, key: &str) -> Result<bool, StorageError> {
        self.flag(Command::Exists(key)).await
    }

    /// Deletes a key of any type, and answers whether it existed.
    pub async fn del(&self, key: &str) -> Result<bool, StorageError> {
        self.flag(Command::Del(key)).await
    }

    /// The type that the key holds: `string`, `list`, `hash` or `set`, and `none` when it does
    /// not exist.
    pub async fn r#type(&self, key: &str) -> Result<StorageValue, StorageError> {
        let command = Command::Type(key);
        self.value(command).await?.ok_or(StorageError::UnexpectedReply(command.name()))
    }

    /// The keys that match `pattern`, in no order: `*` stands for anything, `?` for one byte,
    /// `[a-z]` for one of a range, `[^a]` for any but these, `\` takes the next byte as it is.
    ///
    /// Looks at every key of the store. The answer is as long as the store is large.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>, StorageError> {
        let command = Command::Keys(pattern);
        let keys = self.list(command).await?.into_iter();
        keys.map(|key| key.as_str().map(String::from))
            .collect::<Option<_>>()
            .ok_or(StorageError::UnexpectedReply(command.name()))
    }

    /// Lets the key expire after `time`, in whole milliseconds, rounded up; zero deletes it.
    /// Answers whether the key existed.
    pub async fn expire(&self, key: &str, time: Duration) -> Result<bool, StorageError> {
        self.flag(Command::Expire(key, time)).await
    }

    /// How long the key has to live.
    pub async fn ttl(&self, key: &str) -> Result<Ttl, StorageError> {
        Ok(match self.integer(Command::Ttl(key)).await? {
            -1 => Ttl::Forever,
            millis => u64::try_from(millis)
                .map_or(Ttl::Missing, |millis| Ttl::Left(Duration::from_millis(millis))),
        })
    }

    /// Ends the expiry of a key, and answers whether there was one.
    pub async fn persist(&self, key: &str) -> Result<bool, StorageError> {
        self.flag(Command::Persist(key)).await
    }
}

/// Lists.
impl dyn Storage + '_ {
    /// Puts an element in front of a list, and answers the new length.
    pub async fn lpush(&self, key: &str, element: impl AsRef<[u8]>) -> Result<u64, StorageError> {
        self.count(Command::LPush(key, element.as_ref())).await
    }

    /// Puts an element at the end of a list, and answers the new length.
    pub async fn rpush(&self, key: &str, element: impl AsRef<[u8]>) -> Result<u64, StorageError> {
        self.count(Command::RPush(key, element.as_ref())).await
    }

    /// [`rpush`](#method.rpush) under its name in node-websocket-server.
    pub async fn push(&self, key: &str, element: impl AsRef<[u8]>) -> Result<u64, StorageError> {
        self.rpush(key, element).await
    }

    /// Takes the first element out.
    pub async fn lpop(&self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        self.value(Command::LPop(key)).await
    }

    /// Takes the last element out.
    pub async fn rpop(&self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        self.value(Command::RPop(key)).await
    }

    /// [`rpop`](#method.rpop) under its name in node-websocket-server.
    pub async fn pop(&self, key: &str) -> Result<Option<StorageValue>, StorageError> {
        self.rpop(key).await
    }

    /// Number of elements.
    pub async fn llen(&self, key: &str) -> Result<u64, StorageError> {
        self.count(Command::LLen(key)).await
    }

    /// The elements from `start` to `stop`, both included; -1 is the last one, -2 the one before.
    pub async fn lrange(
        &self,
        key: &str,
        start: i64,
        stop: i64,
    ) -> Result<Vec<StorageValue>, StorageError> {
        self.list(Command::LRange(key, start, stop)).await
    }

    /// Removes all elements that [`lrange`](#method.lrange) would not answer.
    pub async fn ltrim(&self, key: &str, start: i64, stop: i64) -> Result<(), StorageError> {
        self.done(Command::LTrim(key, start, stop)).await
    }
}

/// Hashes.
impl dyn Storage + '_ {
    /// Stores a field of a hash, and answers whether it is new.
    pub async fn hset(
        &self,
        key: &str,
        field: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<bool, StorageError> {
        self.flag(Command::HSet(key, field.as_ref(), value.as_ref())).await
    }

    /// The value of a field.
    pub async fn hget(
        &self,
        key: &str,
        field: impl AsRef<[u8]>,
    ) -> Result<Option<StorageValue>, StorageError> {
        self.value(Command::HGet(key, field.as_ref())).await
    }

    /// Deletes a field, and answers whether it existed.
    pub async fn hdel(&self, key: &str, field: impl AsRef<[u8]>) -> Result<bool, StorageError> {
        self.flag(Command::HDel(key, field.as_ref())).await
    }

    /// Whether the field exists.
    pub async fn hexists(&self, key: &str, field: impl AsRef<[u8]>) -> Result<bool, StorageError> {
        self.flag(Command::HExists(key, field.as_ref())).await
    }

    /// All fields with their values, in no order.
    pub async fn hgetall(
        &self,
        key: &str,
    ) -> Result<Vec<(StorageValue, StorageValue)>, StorageError> {
        let mut flat = self.list(Command::HGetAll(key)).await?.into_iter();
        let pairs = std::iter::from_fn(|| Some((flat.next()?, flat.next()?)));
        Ok(pairs.collect())
    }

    /// Number of fields.
    pub async fn hlen(&self, key: &str) -> Result<u64, StorageError> {
        self.count(Command::HLen(key)).await
    }

    /// Adds `by` to a field and answers its new value. A field that does not exist counts as 0.
    pub async fn hincrby(
        &self,
        key: &str,
        field: impl AsRef<[u8]>,
        by: i64,
    ) -> Result<i64, StorageError> {
        self.integer(Command::HIncrBy(key, field.as_ref(), by)).await
    }
}

/// Sets.
impl dyn Storage + '_ {
    /// Adds a member, and answers whether it is new.
    pub async fn sadd(&self, key: &str, member: impl AsRef<[u8]>) -> Result<bool, StorageError> {
        self.flag(Command::SAdd(key, member.as_ref())).await
    }

    /// Removes a member, and answers whether it was one.
    pub async fn srem(&self, key: &str, member: impl AsRef<[u8]>) -> Result<bool, StorageError> {
        self.flag(Command::SRem(key, member.as_ref())).await
    }

    /// All members, in no order.
    pub async fn smembers(&self, key: &str) -> Result<Vec<StorageValue>, StorageError> {
        self.list(Command::SMembers(key)).await
    }

    /// Whether this is a member.
    pub async fn sismember(
        &self,
        key: &str,
        member: impl AsRef<[u8]>,
    ) -> Result<bool, StorageError> {
        self.flag(Command::SIsMember(key, member.as_ref())).await
    }

    /// Number of members.
    pub async fn scard(&self, key: &str) -> Result<u64, StorageError> {
        self.count(Command::SCard(key)).await
    }
}

/// Executes a command and takes the type of reply that it has.
impl dyn Storage + '_ {
    async fn done(&self, command: Command<'_>) -> Result<(), StorageError> {
        match self.execute(command).await? {
            Reply::Done => Ok(()),
            _ => Err(StorageError::UnexpectedReply(command.name())),
        }
    }

    async fn integer(&self, command: Command<'_>) -> Result<i64, StorageError> {
        match self.execute(command).await? {
            Reply::Integer(number) => Ok(number),
            _ => Err(StorageError::UnexpectedReply(command.name())),
        }
    }

    async fn count(&self, command: Command<'_>) -> Result<u64, StorageError> {
        let count = self.integer(command).await?;
        u64::try_from(count).map_err(|_| StorageError::UnexpectedReply(command.name()))
    }

    async fn flag(&self, command: Command<'_>) -> Result<bool, StorageError> {
        Ok(self.integer(command).await? != 0)
    }

    async fn value(&self, command: Command<'_>) -> Result<Option<StorageValue>, StorageError> {
        match self.execute(command).await? {
            Reply::Value(value) => Ok(Some(value)),
            Reply::Nil => Ok(None),
            _ => Err(StorageError::UnexpectedReply(command.name())),
        }
    }

    async fn list(&self, command: Command<'_>) -> Result<Vec<StorageValue>, StorageError> {
        match self.execute(command).await? {
            Reply::List(values) => Ok(values),
            _ => Err(StorageError::UnexpectedReply(command.name())),
        }
    }
}
