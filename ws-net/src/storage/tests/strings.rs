use super::*;

#[test]
fn strings_are_stored_and_replaced() {
    let store = memory();
    assert_eq!(ask!(store.get("k")), None);
    assert_eq!(ask!(store.get_or("k", "none yet")), "none yet");
    ask!(store.set("k", "one"));
    assert_eq!(ask!(store.get_or("k", "none yet")), "one");
    ask!(store.set("k", [0u8, 0xFF]));
    assert_eq!(ask!(store.get("k")).unwrap(), [0u8, 0xFF][..]);
    assert_eq!(ask!(store.getset("k", "two")).unwrap(), [0u8, 0xFF][..]);
    assert_eq!(ask!(store.getset("new", "x")), None);
    assert!(!ask!(store.setnx("k", "three")));
    assert!(ask!(store.setnx("other", "three")));
    assert_eq!(ask!(store.get("k")).unwrap(), "two");
    assert_eq!(ask!(store.get("other")).unwrap(), "three");
    assert_eq!(sorted(ask!(store.keys("*"))), ["k", "new", "other"]);
}

#[test]
fn keys_exist_until_they_are_deleted() {
    let store = memory();
    assert!(!ask!(store.exists("k")));
    assert!(!ask!(store.del("k")));
    ask!(store.set("k", ""));
    assert!(ask!(store.exists("k")));
    assert!(ask!(store.del("k")));
    assert!(!ask!(store.exists("k")));
    ask!(store.sadd("set", "m"));
    assert!(ask!(store.del("set")));
    assert_eq!(ask!(store.scard("set")), 0);
}

#[test]
fn appending_makes_what_is_missing() {
    let store = memory();
    assert_eq!(ask!(store.strlen("k")), 0);
    assert_eq!(ask!(store.append("k", "Hello")), 5);
    let before = ask!(store.get("k")).unwrap();
    assert_eq!(ask!(store.append("k", " World")), 11);
    assert_eq!(ask!(store.append("k", "")), 11);
    assert_eq!(ask!(store.get("k")).unwrap(), "Hello World");
    assert_eq!(before, "Hello", "what was read does not change");
    assert_eq!(ask!(store.strlen("k")), 11);
    assert_eq!(ask!(store.append("empty", "")), 0);
    assert!(ask!(store.exists("empty")));
}

#[test]
fn counters_answer_the_new_value() {
    let store = memory();
    assert_eq!(ask!(store.incr("n")), 1);
    assert_eq!(ask!(store.incr("n")), 2);
    assert_eq!(ask!(store.incrby("n", 40)), 42);
    assert_eq!(ask!(store.decr("n")), 41);
    assert_eq!(ask!(store.decrby("n", 50)), -9);
    assert_eq!(ask!(store.decrby("n", -10)), 1);
    assert_eq!(ask!(store.get("n")).unwrap(), "1");
    assert_eq!(ask!(store.decr("fresh")), -1);
    ask!(store.set("n", "10"));
    assert_eq!(ask!(store.incr("n")), 11);
    assert_eq!(ask!(store.append("n", "0")), 3);
    assert_eq!(ask!(store.incr("n")), 111);
}

#[test]
fn counters_keep_their_value_at_the_end_of_the_range() {
    let store = memory();
    assert_eq!(ask!(store.incrby("n", i64::MAX)), i64::MAX);
    refused!(store.incr("n"), StorageError::Overflow);
    refused!(store.decrby("n", -1), StorageError::Overflow);
    assert_eq!(ask!(store.get("n")).unwrap(), "9223372036854775807");
    ask!(store.set("n", i64::MIN.to_string()));
    refused!(store.decr("n"), StorageError::Overflow);
    refused!(store.incrby("n", -1), StorageError::Overflow);
    ask!(store.set("n", "-1"));
    // Its negative has no 64 bits, so Redis refuses it even where the result would fit.
    refused!(store.decrby("n", i64::MIN), StorageError::Overflow);
    assert_eq!(ask!(store.get("n")).unwrap(), "-1");
}

#[test]
fn counters_are_plain_integers() {
    let store = memory();
    for text in ["", "ten", "1.5", " 1", "01", "+1", "9223372036854775808"] {
        ask!(store.set("n", text));
        refused!(store.incr("n"), StorageError::NotInteger);
        refused!(store.decrby("n", 2), StorageError::NotInteger);
        assert_eq!(ask!(store.get("n")).unwrap(), text);
    }
}

#[test]
fn commands_of_another_type_are_refused() {
    let store = memory();
    ask!(store.rpush("k", "element"));
    refused!(store.get("k"), StorageError::WrongType);
    refused!(store.get_or("k", ""), StorageError::WrongType);
    refused!(store.getset("k", ""), StorageError::WrongType);
    refused!(store.strlen("k"), StorageError::WrongType);
    refused!(store.append("k", ""), StorageError::WrongType);
    refused!(store.incr("k"), StorageError::WrongType);
    refused!(store.decr("k"), StorageError::WrongType);
    refused!(store.incrby("k", 1), StorageError::WrongType);
    refused!(store.decrby("k", 1), StorageError::WrongType);
    assert!(!ask!(store.setnx("k", "")), "any type counts as there");
    assert_eq!(ask!(store.lrange("k", 0, -1)), ["element"]);
    ask!(store.set("k", "now a string"));
    assert_eq!(ask!(store.get("k")).unwrap(), "now a string");
    assert_eq!(ask!(store.r#type("k")), "string");
}

#[test]
fn keys_are_found_by_pattern() {
    let store = memory();
    for key in ["user:1", "user:2", "user:10", "room:1"] {
        ask!(store.set(key, ""));
    }
    assert_eq!(sorted(ask!(store.keys("user:?"))), ["user:1", "user:2"]);
    assert_eq!(sorted(ask!(store.keys("*:1*"))), ["room:1", "user:1", "user:10"]);
    assert_eq!(ask!(store.keys("nobody")), Vec::<String>::new());
}

#[test]
fn the_whole_store_is_json() {
    let store = memory();
    assert_eq!(ask!(store.to_json()), "{}");
    ask!(store.set("name", "Ada \"A\"\n"));
    ask!(store.set("raw", [b'a', 0xFF]));
    ask!(store.incrby("visits", 3));
    ask!(store.rpush("log", "b"));
    ask!(store.rpush("log", "a"));
    ask!(store.hset("user", "name", "Ada"));
    ask!(store.hset("user", "age", "36"));
    ask!(store.sadd("rooms", "tea"));
    ask!(store.sadd("rooms", "lobby"));
    assert_eq!(
        ask!(store.to_json()),
        concat!(
            r#"{"log":["b","a"],"name":"Ada \"A\"\n","raw":"a�","rooms":["lobby","tea"],"#,
            r#""user":{"age":"36","name":"Ada"},"visits":"3"}"#
        )
    );
}
