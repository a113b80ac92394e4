use std::borrow::Cow;
use std::time::Duration;

/// A command to a store, with the name and the meaning that Redis gives it.
///
/// A store that keeps its data itself matches on the variants; one that speaks to another system
/// forwards [`name`](Self::name), [`key`](Self::key) and [`args`](Self::args). New variants may
/// come: answer those that are not known with
/// [`StorageError::Unsupported`](crate::StorageError::Unsupported).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StorageCommand<'a> {
    /// `GET key`: value, or nil.
    Get(&'a str),
    /// `SET key value`: done. Replaces any type and ends the expiry.
    Set(&'a str, &'a [u8]),
    /// `SETNX key value`: 1, or 0 when the key exists.
    SetNx(&'a str, &'a [u8]),
    /// `PSETEX key milliseconds value`: done. As `SET`, with an expiry.
    SetEx(&'a str, Duration, &'a [u8]),
    /// `GETSET key value`: the old value, or nil. Ends the expiry.
    GetSet(&'a str, &'a [u8]),
    /// `STRLEN key`: bytes, 0 when the key does not exist.
    StrLen(&'a str),
    /// `APPEND key value`: the new length in bytes.
    Append(&'a str, &'a [u8]),
    /// `INCR key`: the new value.
    Incr(&'a str),
    /// `DECR key`: the new value.
    Decr(&'a str),
    /// `INCRBY key increment`: the new value.
    IncrBy(&'a str, i64),
    /// `DECRBY key decrement`: the new value.
    DecrBy(&'a str, i64),

    /// `EXISTS key`: 1 or 0.
    Exists(&'a str),
    /// `DEL key`: 1, or 0 when the key does not exist.
    Del(&'a str),
    /// `TYPE key`: one of the values `string`, `list`, `hash`, `set` and `none`.
    Type(&'a str),
    /// `KEYS pattern`: the keys that match, in no order.
    Keys(&'a str),
    /// `PEXPIRE key milliseconds`: 1, or 0 when the key does not exist. Zero deletes the key.
    Expire(&'a str, Duration),
    /// `PTTL key`: milliseconds left, -1 without an expiry, -2 without a key.
    Ttl(&'a str),
    /// `PERSIST key`: 1, or 0 when there was no expiry to end.
    Persist(&'a str),

    /// `LPUSH key element`: the new length.
    LPush(&'a str, &'a [u8]),
    /// `RPUSH key element`: the new length.
    RPush(&'a str, &'a [u8]),
    /// `LPOP key`: the first element, or nil.
    LPop(&'a str),
    /// `RPOP key`: the last element, or nil.
    RPop(&'a str),
    /// `LLEN key`: elements.
    LLen(&'a str),
    /// `LRANGE key start stop`: the elements from `start` to `stop`, both included. Negative
    /// indices count from the end, -1 is the last element.
    LRange(&'a str, i64, i64),
    /// `LTRIM key start stop`: done. Keeps the elements that `LRANGE` would answer.
    LTrim(&'a str, i64, i64),

    /// `HSET key field value`: 1 for a new field, 0 for one that is replaced.
    HSet(&'a str, &'a [u8], &'a [u8]),
    /// `HGET key field`: value, or nil.
    HGet(&'a str, &'a [u8]),
    /// `HDEL key field`: 1, or 0 when the field does not exist.
    HDel(&'a str, &'a [u8]),
    /// `HEXISTS key field`: 1 or 0.
    HExists(&'a str, &'a [u8]),
    /// `HGETALL key`: field, value, field, value and so on, in no order.
    HGetAll(&'a str),
    /// `HLEN key`: fields.
    HLen(&'a str),
    /// `HINCRBY key field increment`: the new value.
    HIncrBy(&'a str, &'a [u8], i64),

    /// `SADD key member`: 1, or 0 when it is a member already.
    SAdd(&'a str, &'a [u8]),
    /// `SREM key member`: 1, or 0 when it is no member.
    SRem(&'a str, &'a [u8]),
    /// `SMEMBERS key`: the members, in no order.
    SMembers(&'a str),
    /// `SISMEMBER key member`: 1 or 0.
    SIsMember(&'a str, &'a [u8]),
    /// `SCARD key`: members.
    SCard(&'a str),
}

impl<'a> StorageCommand<'a> {
    /// The name, in capitals, as it travels in the Redis protocol.
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// The key, or the pattern of `KEYS`.
    pub fn key(self) -> &'a str {
        self.parts().1
    }

    /// What follows the key, in the order and spelling of Redis.
    pub fn args(self) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a> {
        let (_, _, first, second) = self.parts();
        [first, second].into_iter().filter_map(|arg| match arg {
            Arg::None => None,
            Arg::Bytes(bytes) => Some(bytes.into()),
            Arg::Number(number) => Some(number.to_string().into_bytes().into()),
            // Rounded up: what is short but not zero must not become zero, which deletes.
            Arg::Millis(time) => {
                Some(time.as_nanos().div_ceil(1_000_000).to_string().into_bytes().into())
            }
        })
    }

    fn parts(self) -> (&'static str, &'a str, Arg<'a>, Arg<'a>) {
        use Arg::{Bytes, Millis, None, Number};
        match self {
            Self::Get(key) => ("GET", key, None, None),
            Self::Set(key, value) => ("SET", key, Bytes(value), None),
            Self::SetNx(key, value) => ("SETNX", key, Bytes(value), None),
            Self::SetEx(key, time, value) => ("PSETEX", key, Millis(time), Bytes(value)),
            Self::GetSet(key, value) => ("GETSET", key, Bytes(value), None),
            Self::StrLen(key) => ("STRLEN", key, None, None),
            Self::Append(key, value) => ("APPEND", key, Bytes(value), None),
            Self::Incr(key) => ("INCR", key, None, None),
            Self::Decr(key) => ("DECR", key, None, None),
            Self::IncrBy(key, by) => ("INCRBY", key, Number(by), None),
            Self::DecrBy(key, by) => ("DECRBY", key, Number(by), None),
            Self::Exists(key) => ("EXISTS", key, None, None),
            Self::Del(key) => ("DEL", key, None, None),
            Self::Type(key) => ("TYPE", key, None, None),
            Self::Keys(pattern) => ("KEYS", pattern, None, None),
            Self::Expire(key, time) => ("PEXPIRE", key, Millis(time), None),
            Self::Ttl(key) => ("PTTL", key, None, None),
            Self::Persist(key) => ("PERSIST", key, None, None),
            Self::LPush(key, element) => ("LPUSH", key, Bytes(element), None),
            Self::RPush(key, element) => ("RPUSH", key, Bytes(element), None),
            Self::LPop(key) => ("LPOP", key, None, None),
            Self::RPop(key) => ("RPOP", key, None, None),
            Self::LLen(key) => ("LLEN", key, None, None),
            Self::LRange(key, start, stop) => ("LRANGE", key, Number(start), Number(stop)),
            Self::LTrim(key, start, stop) => ("LTRIM", key, Number(start), Number(stop)),
            Self::HSet(key, field, value) => ("HSET", key, Bytes(field), Bytes(value)),
            Self::HGet(key, field) => ("HGET", key, Bytes(field), None),
            Self::HDel(key, field) => ("HDEL", key, Bytes(field), None),
            Self::HExists(key, field) => ("HEXISTS", key, Bytes(field), None),
            Self::HGetAll(key) => ("HGETALL", key, None, None),
            Self::HLen(key) => ("HLEN", key, None, None),
            Self::HIncrBy(key, field, by) => ("HINCRBY", key, Bytes(field), Number(by)),
            Self::SAdd(key, member) => ("SADD", key, Bytes(member), None),
            Self::SRem(key, member) => ("SREM", key, Bytes(member), None),
            Self::SMembers(key) => ("SMEMBERS", key, None, None),
            Self::SIsMember(key, member) => ("SISMEMBER", key, Bytes(member), None),
            Self::SCard(key) => ("SCARD", key, None, None),
        }
    }
}

/// One argument after the key.
enum Arg<'a> {
    None,
    Bytes(&'a [u8]),
    Number(i64),
    Millis(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: StorageCommand<'_>) -> String {
        let mut line = format!("{} {}", command.name(), command.key());
        for arg in command.args() {
            line.push(' ');
            line.push_str(std::str::from_utf8(&arg).unwrap());
        }
        line
    }

    #[test]
    fn commands_are_spelled_as_redis_takes_them() {
        use StorageCommand as Command;
        let lines = [
            (Command::Get("k"), "GET k"),
            (Command::Set("k", b"v"), "SET k v"),
            (Command::SetEx("k", Duration::from_secs(2), b"v"), "PSETEX k 2000 v"),
            (Command::DecrBy("k", i64::MIN), "DECRBY k -9223372036854775808"),
            (Command::Keys("user:*"), "KEYS user:*"),
            (Command::Expire("k", Duration::ZERO), "PEXPIRE k 0"),
            (Command::Expire("k", Duration::from_nanos(1)), "PEXPIRE k 1"),
            (Command::LRange("k", 0, -1), "LRANGE k 0 -1"),
            (Command::HSet("k", b"f", b"v"), "HSET k f v"),
            (Command::HIncrBy("k", b"f", 7), "HINCRBY k f 7"),
            (Command::SIsMember("k", b"m"), "SISMEMBER k m"),
        ];
        for (command, expected) in lines {
            assert_eq!(line(command), expected);
        }
    }
}
