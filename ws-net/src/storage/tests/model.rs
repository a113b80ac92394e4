//! A store that is as plain as possible, to compare the other one with.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{StorageCommand as Command, StorageReply as Reply, StorageValue};

pub(super) type Text = Vec<u8>;

#[derive(Clone, Debug)]
pub(super) enum Held {
    String(Text),
    List(Vec<Text>),
    Hash(BTreeMap<Text, Text>),
    Set(BTreeSet<Text>),
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) keys: BTreeMap<String, Held>,
    /// In milliseconds.
    deadlines: BTreeMap<String, u64>,
    now: u64,
}

/// An error that the model does not tell apart further.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    WrongType,
    NotInteger,
    Overflow,
}

macro_rules! held {
    ($model:ident, $key:ident, $kind:ident) => {
        match $model.keys.get($key).cloned() {
            None => Default::default(),
            Some(Held::$kind(held)) => held,
            Some(_) => return Err(Refusal::WrongType),
        }
    };
}

impl Model {
    pub(super) fn advance(&mut self, millis: u64) {
        self.now += millis;
        self.deadlines.retain(|key, deadline| {
            let lives = *deadline > self.now;
            if !lives {
                self.keys.remove(key);
            }
            lives
        });
    }

    /// What Redis answers. Each command takes the old value out, and puts the new one back.
    pub(super) fn execute(&mut self, command: Command<'_>) -> Result<Reply, Refusal> {
        let key = command.key();
        match command.name() {
            "EXISTS" | "DEL" | "SET" | "SETNX" | "PSETEX" | "PEXPIRE" | "PTTL" | "PERSIST" => {
                Ok(self.on_any(key, command))
            }
            "LPUSH" | "RPUSH" | "LPOP" | "RPOP" | "LLEN" | "LRANGE" | "LTRIM" => {
                let mut list: Vec<Text> = held!(self, key, List);
                let reply = on_list(&mut list, command);
                self.put(key, !list.is_empty(), Held::List(list));
                Ok(reply)
            }
            "SADD" | "SREM" | "SMEMBERS" | "SISMEMBER" | "SCARD" => {
                let mut set: BTreeSet<Text> = held!(self, key, Set);
                let reply = on_set(&mut set, command);
                self.put(key, !set.is_empty(), Held::Set(set));
                Ok(reply)
            }
            name if name.starts_with('H') => {
                let mut hash: BTreeMap<Text, Text> = held!(self, key, Hash);
                let reply = on_hash(&mut hash, command)?;
                self.put(key, !hash.is_empty(), Held::Hash(hash));
                Ok(reply)
            }
            _ => self.on_string(key, command),
        }
    }

    /// Commands that take a key of any type.
    fn on_any(&mut self, key: &str, command: Command<'_>) -> Reply {
        let exists = self.keys.contains_key(key);
        match command {
            Command::Del(_) => self.put(key, false, Held::String(vec![])),
            Command::Set(_, value) => {
                self.put(key, false, Held::String(vec![]));
                self.put(key, true, Held::String(value.into()));
                return Reply::Done;
            }
            Command::SetNx(_, value) => {
                if !exists {
                    self.put(key, true, Held::String(value.into()));
                }
                return (!exists).into();
            }
            Command::SetEx(_, time, value) => {
                self.put(key, true, Held::String(value.into()));
                self.deadlines.insert(key.into(), self.now + millis(time));
                return Reply::Done;
            }
            Command::Expire(_, time) if exists => {
                self.deadlines.insert(key.into(), self.now + millis(time));
                self.advance(0);
            }
            Command::Ttl(_) => {
                return Reply::Integer(match self.deadlines.get(key) {
                    Some(deadline) => i64::try_from(deadline - self.now).unwrap(),
                    None if exists => -1,
                    None => -2,
                });
            }
            Command::Persist(_) => return self.deadlines.remove(key).is_some().into(),
            _ => {}
        }
        exists.into()
    }

    fn on_string(&mut self, key: &str, command: Command<'_>) -> Result<Reply, Refusal> {
        let exists = self.keys.contains_key(key);
        let old: Text = held!(self, key, String);
        let number = || match std::str::from_utf8(&old) {
            Ok("") if !exists => Ok(0),
            Ok(text) => match text.parse::<i64>() {
                Ok(number) if number.to_string() == text => Ok(number),
                _ => Err(Refusal::NotInteger),
            },
            Err(_) => Err(Refusal::NotInteger),
        };
        let sum =
            |by: i128| i64::try_from(i128::from(number()?) + by).map_err(|_| Refusal::Overflow);
        let (new, reply) = match command {
            Command::Get(_) => return Ok(if exists { bulk(&old) } else { Reply::Nil }),
            Command::StrLen(_) => return Ok(count(old.len())),
            Command::GetSet(_, value) => {
                self.deadlines.remove(key);
                (value.to_vec(), if exists { bulk(&old) } else { Reply::Nil })
            }
            Command::Append(_, tail) => {
                let new = [&old, tail].concat();
                let len = new.len();
                (new, count(len))
            }
            Command::Incr(_) => sum(1).map(counted)?,
            Command::Decr(_) => sum(-1).map(counted)?,
            Command::IncrBy(_, by) => sum(by.into()).map(counted)?,
            Command::DecrBy(_, by) => sum(-i128::from(by)).map(counted)?,
            other => unreachable!("{other:?}"),
        };
        self.put(key, true, Held::String(new));
        Ok(reply)
    }

    fn put(&mut self, key: &str, keep: bool, held: Held) {
        if keep {
            self.keys.insert(key.into(), held);
        } else {
            self.keys.remove(key);
            self.deadlines.remove(key);
        }
    }
}

fn on_list(list: &mut Vec<Text>, command: Command<'_>) -> Reply {
    let kept = |start: i64, stop: i64, len: usize| {
        let len = i64::try_from(len).unwrap();
        let at = |n: i64| if n < 0 { n + len } else { n };
        let (start, stop) = (at(start), at(stop));
        move |n: &(usize, &Text)| (start..=stop).contains(&i64::try_from(n.0).unwrap())
    };
    match command {
        Command::LPush(_, element) => list.insert(0, element.into()),
        Command::RPush(_, element) => list.push(element.into()),
        Command::LPop(_) if list.is_empty() => return Reply::Nil,
        Command::LPop(_) => return bulk(&list.remove(0)),
        Command::RPop(_) => return list.pop().map_or(Reply::Nil, |element| bulk(&element)),
        Command::LRange(_, start, stop) => {
            let kept = kept(start, stop, list.len());
            return Reply::List(list.iter().enumerate().filter(kept).map(|n| value(n.1)).collect());
        }
        Command::LTrim(_, start, stop) => {
            let kept = kept(start, stop, list.len());
            *list = list.iter().enumerate().filter(kept).map(|n| n.1.clone()).collect();
            return Reply::Done;
        }
        _ => {}
    }
    count(list.len())
}

fn on_set(set: &mut BTreeSet<Text>, command: Command<'_>) -> Reply {
    match command {
        Command::SAdd(_, member) => set.insert(member.into()).into(),
        Command::SRem(_, member) => set.remove(member).into(),
        Command::SIsMember(_, member) => set.contains(member).into(),
        Command::SMembers(_) => Reply::List(set.iter().map(|member| value(member)).collect()),
        _ => count(set.len()),
    }
}

fn on_hash(hash: &mut BTreeMap<Text, Text>, command: Command<'_>) -> Result<Reply, Refusal> {
    Ok(match command {
        Command::HSet(_, field, value) => hash.insert(field.into(), value.into()).is_none().into(),
        Command::HGet(_, field) => hash.get(field).map_or(Reply::Nil, |value| bulk(value)),
        Command::HDel(_, field) => hash.remove(field).is_some().into(),
        Command::HExists(_, field) => hash.contains_key(field).into(),
        Command::HGetAll(_) => {
            Reply::List(hash.iter().flat_map(|(f, v)| [value(f), value(v)]).collect())
        }
        Command::HIncrBy(_, field, by) => {
            let mut counter = Model::default();
            if let Some(old) = hash.get(field) {
                counter.put("", true, Held::String(old.clone()));
            }
            let reply = counter.execute(Command::IncrBy("", by))?;
            let Reply::Integer(new) = reply else { unreachable!("{reply:?}") };
            hash.insert(field.into(), new.to_string().into());
            reply
        }
        _ => count(hash.len()),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

fn counted(number: i64) -> (Text, Reply) {
    (number.to_string().into(), Reply::Integer(number))
}

fn count(len: usize) -> Reply {
    Reply::Integer(i64::try_from(len).unwrap())
}

fn value(text: &[u8]) -> StorageValue {
    text.into()
}

fn bulk(text: &[u8]) -> Reply {
    Reply::Value(value(text))
}
