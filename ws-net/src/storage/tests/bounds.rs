use super::*;

/// Names the limit that refused.
fn limit<T>(answer: &Result<T, StorageError>) -> Option<&'static str> {
    match answer {
        Err(StorageError::Full { limit, .. }) => Some(limit),
        _ => None,
    }
}

#[test]
fn limits_of_zero_are_refused() {
    let default = StorageLimits::default();
    for (option, limits) in [
        ("storage.max_entries", StorageLimits { max_entries: 0, ..default }),
        ("storage.max_bytes", StorageLimits { max_bytes: 0, ..default }),
        ("storage.max_value", StorageLimits { max_value: 0, ..default }),
    ] {
        assert_eq!(MemoryStorage::with_limits(limits).unwrap_err().option, option);
    }
}

#[test]
fn every_kind_of_entry_counts() {
    let store = limited(StorageLimits { max_entries: 4, ..StorageLimits::default() });
    ask!(store.set("string", ""));
    ask!(store.rpush("list", ""));
    ask!(store.hset("hash", "f", ""));
    ask!(store.sadd("set", "m"));
    let full = Some("max_entries");
    assert_eq!(limit(&ready(store.set("more", ""))), full);
    assert_eq!(limit(&ready(store.setnx("more", ""))), full);
    assert_eq!(limit(&ready(store.append("more", ""))), full);
    assert_eq!(limit(&ready(store.incr("more"))), full);
    assert_eq!(limit(&ready(store.rpush("list", ""))), full);
    assert_eq!(limit(&ready(store.lpush("more", ""))), full);
    assert_eq!(limit(&ready(store.hset("hash", "g", ""))), full);
    assert_eq!(limit(&ready(store.hincrby("hash", "g", 1))), full);
    assert_eq!(limit(&ready(store.sadd("set", "n"))), full);
    // What adds no entry passes: replacing, asking, deleting.
    ask!(store.set("string", "x"));
    ask!(store.hset("hash", "f", "x"));
    assert!(!ask!(store.sadd("set", "m")));
    assert_eq!(ask!(store.lpop("no list")), None);
    assert_eq!(ask!(store.llen("list")), 1);
    assert_eq!(sorted(ask!(store.keys("*"))), ["hash", "list", "set", "string"]);
    ask!(store.lpop("list"));
    ask!(store.sadd("set", "n"));
}

#[test]
fn long_values_are_refused_wherever_they_come() {
    let store = limited(StorageLimits { max_value: 4, ..StorageLimits::default() });
    let full = Some("max_value");
    ask!(store.set("1234", "1234"));
    assert_eq!(limit(&ready(store.set("12345", ""))), full);
    assert_eq!(limit(&ready(store.set("k", "12345"))), full);
    assert_eq!(limit(&ready(store.append("1234", "5"))), full);
    assert_eq!(limit(&ready(store.incrby("k", 12345))), full);
    assert_eq!(limit(&ready(store.rpush("k", "12345"))), full);
    assert_eq!(limit(&ready(store.rpush("12345", ""))), full);
    assert_eq!(limit(&ready(store.hset("k", "12345", ""))), full);
    assert_eq!(limit(&ready(store.hset("k", "", "12345"))), full);
    assert_eq!(limit(&ready(store.sadd("k", "12345"))), full);
    assert_eq!(limit(&ready(store.getset("1234", "12345"))), full);
    assert_eq!(ask!(store.to_json()), r#"{"1234":"1234"}"#);
}

#[test]
fn bytes_are_counted_with_their_bookkeeping() {
    let store = limited(StorageLimits { max_bytes: 3 * 128 + 10, ..StorageLimits::default() });
    let full = Some("max_bytes");
    ask!(store.rpush("key", "1234567"));
    assert_eq!(limit(&ready(store.rpush("key", "1"))), full);
    assert_eq!(limit(&ready(store.set("k", ""))), full);
    assert_eq!(ask!(store.llen("key")), 1);
    ask!(store.ltrim("key", 0, 0));
    // A set replaces a list of the same cost, but not with a byte more.
    assert_eq!(limit(&ready(store.set("key", "x".repeat(136)))), full);
    ask!(store.set("key", "x".repeat(135)));
    assert_eq!(limit(&ready(store.append("key", "x"))), full);
    assert_eq!(ask!(store.strlen("key")), 135);
}

#[test]
fn a_refused_replacement_changes_nothing() {
    let store = limited(StorageLimits { max_value: 8, ..StorageLimits::default() });
    ask!(store.rpush("k", "element"));
    ask!(store.expire("k", Duration::from_secs(60)));
    assert_eq!(limit(&ready(store.set("k", "too long for it"))), Some("max_value"));
    assert_eq!(ask!(store.lrange("k", 0, -1)), ["element"]);
    assert!(ask!(store.persist("k")));
}

#[test]
fn a_store_that_was_filled_and_emptied_is_as_new() {
    let store =
        limited(StorageLimits { max_entries: 300, max_bytes: 1 << 20, ..StorageLimits::default() });
    for _ in 0..3 {
        for n in 0..100 {
            ask!(store.rpush("list", n.to_string()));
            ask!(store.hset("hash", n.to_string(), "value"));
            ask!(store.set(&n.to_string(), "value"));
        }
        assert_eq!(limit(&ready(store.sadd("set", "m"))), Some("max_entries"));
        ask!(store.ltrim("list", 1, 0));
        for n in 0..100 {
            ask!(store.hdel("hash", n.to_string()));
            ask!(store.del(&n.to_string()));
        }
        assert_eq!(ask!(store.to_json()), "{}");
    }
}

#[test]
fn lists_and_tables_give_memory_back_as_they_shrink() {
    let memory = MemoryStorage::new();
    let store: &dyn Storage = &memory;
    for n in 0..500 {
        ask!(store.rpush("list", ""));
        ask!(store.sadd("set", n.to_string()));
        ask!(store.hset("hash", n.to_string(), ""));
    }
    for n in 0..499 {
        ask!(store.lpop("list"));
        ask!(store.srem("set", n.to_string()));
        ask!(store.hdel("hash", n.to_string()));
        memory.audit();
    }
}

#[test]
fn the_default_is_small_and_stated() {
    let limits = StorageLimits::default();
    assert_eq!(
        (limits.max_entries, limits.max_bytes, limits.max_value),
        (4_096, 256 << 10, 64 << 10)
    );
    let store = memory();
    ask!(store.set("k", vec![0; 64 << 10]));
    assert_eq!(limit(&ready(store.append("k", "x"))), Some("max_value"));
    let error = ready(store.set("l", vec![0; (64 << 10) + 1])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the storage limit `max_value` of 65536 is reached: delete something, or raise it"
    );
}

#[test]
fn threads_count_together() {
    let store = memory();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    ready(store.incr("n")).unwrap();
                }
            });
        }
    });
    assert_eq!(ask!(store.get("n")).unwrap(), "20000");
}
