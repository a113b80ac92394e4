use super::*;

#[test]
fn lists_have_two_ends() {
    let store = memory();
    assert_eq!(ask!(store.rpush("l", "b")), 1);
    assert_eq!(ask!(store.rpush("l", "c")), 2);
    assert_eq!(ask!(store.lpush("l", "a")), 3);
    assert_eq!(ask!(store.push("l", "d")), 4);
    assert_eq!(ask!(store.llen("l")), 4);
    assert_eq!(ask!(store.lrange("l", 0, -1)), ["a", "b", "c", "d"]);
    assert_eq!(ask!(store.lrange("l", -3, 2)), ["b", "c"]);
    assert_eq!(ask!(store.lrange("l", 3, 100)), ["d"]);
    assert!(ask!(store.lrange("l", 4, 100)).is_empty());
    assert!(ask!(store.lrange("l", 2, 1)).is_empty());
    assert_eq!(ask!(store.pop("l")).unwrap(), "d");
    assert_eq!(ask!(store.lpop("l")).unwrap(), "a");
    assert_eq!(ask!(store.rpop("l")).unwrap(), "c");
    assert_eq!(ask!(store.lpop("l")).unwrap(), "b");
    assert!(!ask!(store.exists("l")), "an empty list is gone");
    assert_eq!(ask!(store.lpop("l")), None);
    assert_eq!(ask!(store.rpop("l")), None);
    assert_eq!(ask!(store.llen("l")), 0);
    assert!(ask!(store.lrange("l", 0, -1)).is_empty());
    assert!(!ask!(store.exists("l")), "asking makes no key");
}

#[test]
fn lists_are_trimmed_to_what_a_range_answers() {
    let store = memory();
    ask!(store.ltrim("l", 0, 1));
    for element in ["a", "b", "c", "d", "e"] {
        ask!(store.rpush("l", element));
    }
    ask!(store.ltrim("l", 1, -2));
    assert_eq!(ask!(store.lrange("l", 0, -1)), ["b", "c", "d"]);
    ask!(store.ltrim("l", -2, -1));
    assert_eq!(ask!(store.lrange("l", 0, -1)), ["c", "d"]);
    ask!(store.ltrim("l", 5, 9));
    assert!(!ask!(store.exists("l")));
}

#[test]
fn hashes_have_fields() {
    let store = memory();
    assert_eq!(ask!(store.hget("h", "f")), None);
    assert!(ask!(store.hset("h", "f", "1")));
    assert!(!ask!(store.hset("h", "f", "2")), "replaced, not new");
    assert!(ask!(store.hset("h", "g", "")));
    assert_eq!(ask!(store.hget("h", "f")).unwrap(), "2");
    assert!(ask!(store.hexists("h", "g")));
    assert!(!ask!(store.hexists("h", "x")));
    assert_eq!(ask!(store.hlen("h")), 2);
    let pairs = [("f", "2"), ("g", "")].map(|(f, v)| (f.into(), v.into()));
    assert_eq!(sorted(ask!(store.hgetall("h"))), pairs);
    assert!(ask!(store.hdel("h", "f")));
    assert!(!ask!(store.hdel("h", "f")));
    assert!(ask!(store.hdel("h", "g")));
    assert!(!ask!(store.exists("h")), "an empty hash is gone");
    assert!(!ask!(store.hdel("h", "g")));
    assert_eq!(ask!(store.hlen("h")), 0);
    assert!(ask!(store.hgetall("h")).is_empty());
}

#[test]
fn fields_count() {
    let store = memory();
    assert_eq!(ask!(store.hincrby("h", "n", 5)), 5);
    assert_eq!(ask!(store.hincrby("h", "n", -7)), -2);
    assert_eq!(ask!(store.hget("h", "n")).unwrap(), "-2");
    ask!(store.hset("h", "n", i64::MAX.to_string()));
    refused!(store.hincrby("h", "n", 1), StorageError::Overflow);
    ask!(store.hset("h", "t", "ten"));
    refused!(store.hincrby("h", "t", 1), StorageError::NotInteger);
    assert_eq!(ask!(store.hget("h", "t")).unwrap(), "ten");
}

#[test]
fn sets_hold_each_member_once() {
    let store = memory();
    assert!(!ask!(store.sismember("s", "a")));
    assert!(ask!(store.sadd("s", "a")));
    assert!(!ask!(store.sadd("s", "a")));
    assert!(ask!(store.sadd("s", "b")));
    assert_eq!(ask!(store.scard("s")), 2);
    assert!(ask!(store.sismember("s", "b")));
    assert!(!ask!(store.sismember("s", "c")));
    assert_eq!(sorted(ask!(store.smembers("s"))), ["a", "b"]);
    assert!(ask!(store.srem("s", "a")));
    assert!(!ask!(store.srem("s", "a")));
    assert!(ask!(store.srem("s", "b")));
    assert!(!ask!(store.exists("s")), "an empty set is gone");
    assert!(ask!(store.smembers("s")).is_empty());
    assert!(!ask!(store.srem("s", "b")));
}

#[test]
fn types_are_named() {
    let store = memory();
    ask!(store.set("string", ""));
    ask!(store.rpush("list", ""));
    ask!(store.hset("hash", "", ""));
    ask!(store.sadd("set", ""));
    for name in ["string", "list", "hash", "set"] {
        assert_eq!(ask!(store.r#type(name)), name);
    }
    assert_eq!(ask!(store.r#type("no key")), "none");
}

#[test]
fn commands_of_another_type_are_refused() {
    let store = memory();
    ask!(store.set("k", "1"));
    refused!(store.lpush("k", ""), StorageError::WrongType);
    refused!(store.rpush("k", ""), StorageError::WrongType);
    refused!(store.lpop("k"), StorageError::WrongType);
    refused!(store.rpop("k"), StorageError::WrongType);
    refused!(store.llen("k"), StorageError::WrongType);
    refused!(store.lrange("k", 0, -1), StorageError::WrongType);
    refused!(store.ltrim("k", 0, -1), StorageError::WrongType);
    refused!(store.hset("k", "", ""), StorageError::WrongType);
    refused!(store.hget("k", ""), StorageError::WrongType);
    refused!(store.hdel("k", ""), StorageError::WrongType);
    refused!(store.hexists("k", ""), StorageError::WrongType);
    refused!(store.hgetall("k"), StorageError::WrongType);
    refused!(store.hlen("k"), StorageError::WrongType);
    refused!(store.hincrby("k", "", 1), StorageError::WrongType);
    refused!(store.sadd("k", ""), StorageError::WrongType);
    refused!(store.srem("k", ""), StorageError::WrongType);
    refused!(store.smembers("k"), StorageError::WrongType);
    refused!(store.sismember("k", ""), StorageError::WrongType);
    refused!(store.scard("k"), StorageError::WrongType);
    assert_eq!(ask!(store.get("k")).unwrap(), "1");
}
