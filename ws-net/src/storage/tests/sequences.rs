//! Sequences of commands, against the model.

use proptest::prelude::*;

use super::model::{Model, Refusal};
use super::*;
use crate::{StorageCommand as Command, StorageReply as Reply};

/// One command with its arguments: which, key, text, text, number, number.
type Step = (usize, usize, usize, usize, i64, i64);

const COMMANDS: usize = 33;

fn command(step: Step) -> Command<'static> {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    const TEXTS: [&[u8]; 8] =
        [b"", b"x", b"y", b"1", b"-5", b"9223372036854775807", b"\xFF", b"-9223372036854775808"];
    let (which, key, one, two, from, to) = step;
    let (key, one, two) = (KEYS[key], TEXTS[one], TEXTS[two]);
    match which {
        0 => Command::Get(key),
        1 => Command::Set(key, one),
        2 => Command::SetNx(key, one),
        3 => Command::GetSet(key, one),
        4 => Command::StrLen(key),
        5 => Command::Append(key, one),
        6 => Command::Incr(key),
        7 => Command::Decr(key),
        8 => Command::IncrBy(key, from),
        9 => Command::DecrBy(key, from),
        10 => Command::Exists(key),
        11 => Command::Del(key),
        12 => Command::LPush(key, one),
        13 => Command::RPush(key, one),
        14 => Command::LPop(key),
        15 => Command::RPop(key),
        16 => Command::LLen(key),
        17 => Command::LRange(key, from, to),
        18 => Command::LTrim(key, from, to),
        19 => Command::HSet(key, one, two),
        20 => Command::HGet(key, one),
        21 => Command::HDel(key, one),
        22 => Command::HExists(key, one),
        23 => Command::HGetAll(key),
        24 => Command::HIncrBy(key, one, from),
        25 => Command::SAdd(key, one),
        26 => Command::SRem(key, one),
        27 => Command::SMembers(key),
        28 => Command::SIsMember(key, one),
        29 => Command::SetEx(key, Duration::from_millis(from.unsigned_abs() + 1), one),
        30 => Command::Expire(key, Duration::from_millis(from.unsigned_abs())),
        31 => Command::Ttl(key),
        _ => Command::Persist(key),
    }
}

/// Answers without an order, put in order.
fn ordered(command: Command<'_>, reply: Reply) -> Reply {
    match (command, reply) {
        (Command::SMembers(_), Reply::List(members)) => Reply::List(sorted(members)),
        (Command::HGetAll(_), Reply::List(flat)) => {
            let pairs = sorted(flat.chunks(2).collect());
            Reply::List(pairs.concat())
        }
        (_, reply) => reply,
    }
}

/// Runs the steps, with some time before each. What a limit refuses must change nothing.
fn run(limits: StorageLimits, steps: Vec<(u64, Step)>) {
    let clock = Clock::default();
    let memory = clock.store(limits);
    let mut model = Model::default();
    for (time, step) in steps {
        clock.advance(Duration::from_millis(time));
        model.advance(time);
        let command = command(step);
        let reply = match ready(memory.execute(command)) {
            Ok(reply) => Ok(ordered(command, reply)),
            Err(StorageError::WrongType) => Err(Refusal::WrongType),
            Err(StorageError::NotInteger) => Err(Refusal::NotInteger),
            Err(StorageError::Overflow) => Err(Refusal::Overflow),
            Err(StorageError::Full { .. }) if limits != StorageLimits::default() => continue,
            Err(other) => panic!("{command:?}: {other}"),
        };
        assert_eq!(reply, model.execute(command), "{command:?}");
        memory.audit();
    }
    let store: &dyn Storage = &memory;
    assert_eq!(sorted(ask!(store.keys("*"))), model.keys.into_keys().collect::<Vec<_>>());
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = (0..COMMANDS, 0..4usize, 0..8usize, 0..8usize, -6..6i64, -6..6i64);
    prop::collection::vec((0..2u64, step), 1..200)
}

proptest! {
    #[test]
    fn a_store_does_what_its_model_does(steps in steps()) {
        run(StorageLimits::default(), steps);
    }

    #[test]
    fn a_full_store_does_what_its_model_does(steps in steps()) {
        run(StorageLimits { max_entries: 7, max_bytes: 1_400, max_value: 12 }, steps);
    }
}
