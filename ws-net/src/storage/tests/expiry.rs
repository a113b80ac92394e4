use super::*;
use crate::Ttl;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn store() -> (Clock, Arc<dyn Storage>) {
    let clock = Clock::default();
    let store = Arc::new(clock.store(StorageLimits::default()));
    (clock, store)
}

#[test]
fn keys_live_as_long_as_they_were_given() {
    let (clock, store) = store();
    assert_eq!(ask!(store.ttl("k")), Ttl::Missing);
    assert!(!ask!(store.expire("k", SECOND)));
    ask!(store.set("k", "v"));
    assert_eq!(ask!(store.ttl("k")), Ttl::Forever);
    assert!(ask!(store.expire("k", SECOND)));
    assert_eq!(ask!(store.ttl("k")), Ttl::Left(SECOND));
    clock.advance(400 * MILLI);
    assert_eq!(ask!(store.ttl("k")), Ttl::Left(600 * MILLI));
    clock.advance(Duration::from_nanos(599_999_999));
    assert_eq!(ask!(store.ttl("k")), Ttl::Left(MILLI));
    assert_eq!(ask!(store.get("k")).unwrap(), "v");
    clock.advance(Duration::from_nanos(1));
    assert_eq!(ask!(store.get("k")), None);
    assert_eq!(ask!(store.ttl("k")), Ttl::Missing);
    assert!(!ask!(store.exists("k")));
    assert_eq!(ask!(store.keys("*")), Vec::<String>::new());
}

#[test]
fn persist_ends_an_expiry() {
    let (clock, store) = store();
    assert!(!ask!(store.persist("k")));
    ask!(store.sadd("k", "m"));
    assert!(!ask!(store.persist("k")));
    ask!(store.expire("k", SECOND));
    assert!(ask!(store.persist("k")));
    assert!(!ask!(store.persist("k")));
    clock.advance(2 * SECOND);
    assert_eq!(ask!(store.ttl("k")), Ttl::Forever);
}

#[test]
fn the_last_expiry_counts() {
    let (clock, store) = store();
    ask!(store.set("k", "v"));
    ask!(store.expire("k", SECOND));
    ask!(store.expire("k", 3 * SECOND));
    clock.advance(2 * SECOND);
    assert!(ask!(store.exists("k")));
    ask!(store.expire("k", MILLI));
    clock.advance(MILLI);
    assert!(!ask!(store.exists("k")));
}

#[test]
fn no_time_deletes_and_is_no_time_to_store_for() {
    let (_, store) = store();
    ask!(store.set("k", "v"));
    assert!(ask!(store.expire("k", Duration::ZERO)));
    assert!(!ask!(store.exists("k")));
    assert!(!ask!(store.expire("k", Duration::ZERO)));
    refused!(store.setex("k", Duration::ZERO, "v"), StorageError::InvalidExpiry);
    assert!(!ask!(store.exists("k")));
    ask!(store.setex("k", Duration::from_nanos(1), "v"));
    assert_eq!(ask!(store.ttl("k")), Ttl::Left(MILLI));
    ask!(store.setex("k", Duration::MAX, "v"));
    assert!(matches!(ask!(store.ttl("k")), Ttl::Left(_)));
}

#[test]
fn changes_keep_the_expiry_and_replacing_ends_it() {
    let (_, store) = store();
    ask!(store.setex("k", SECOND, "1"));
    ask!(store.incr("k"));
    ask!(store.append("k", "0"));
    assert!(!ask!(store.setnx("k", "3")));
    assert_eq!(ask!(store.ttl("k")), Ttl::Left(SECOND));
    ask!(store.set("k", "4"));
    assert_eq!(ask!(store.ttl("k")), Ttl::Forever);
    ask!(store.expire("k", SECOND));
    ask!(store.getset("k", "5"));
    assert_eq!(ask!(store.ttl("k")), Ttl::Forever);
    ask!(store.rpush("l", "a"));
    ask!(store.rpush("l", "b"));
    ask!(store.expire("l", SECOND));
    ask!(store.lpop("l"));
    ask!(store.rpush("l", "c"));
    assert_eq!(ask!(store.ttl("l")), Ttl::Left(SECOND));
}

#[test]
fn a_key_made_again_does_not_expire() {
    let (clock, store) = store();
    ask!(store.rpush("l", "a"));
    ask!(store.expire("l", SECOND));
    ask!(store.lpop("l"));
    ask!(store.rpush("l", "b"));
    ask!(store.setex("k", SECOND, "v"));
    ask!(store.del("k"));
    ask!(store.set("k", "w"));
    clock.advance(2 * SECOND);
    assert_eq!(ask!(store.llen("l")), 1);
    assert_eq!(ask!(store.get("k")).unwrap(), "w");
}

#[test]
fn what_expired_makes_room_without_being_asked_for() {
    let clock = Clock::default();
    let limits = StorageLimits { max_entries: 2, ..StorageLimits::default() };
    let store: Arc<dyn Storage> = Arc::new(clock.store(limits));
    ask!(store.setex("a", SECOND, "v"));
    ask!(store.setex("b", 2 * SECOND, "v"));
    refused!(store.set("c", "v"), StorageError::Full { limit: "max_entries", max: 2 });
    clock.advance(SECOND);
    ask!(store.set("c", "v"));
    assert_eq!(sorted(ask!(store.keys("*"))), ["b", "c"]);
}

#[test]
fn the_clock_of_the_system_is_the_default() {
    let store = memory();
    ask!(store.setex("k", 5 * MILLI, "v"));
    ask!(store.setex("long", 60 * SECOND, "v"));
    let start = std::time::Instant::now();
    while ask!(store.exists("k")) {
        assert!(start.elapsed() < 10 * SECOND, "it never expired");
        std::thread::yield_now();
    }
    assert!(ask!(store.exists("long")));
}
