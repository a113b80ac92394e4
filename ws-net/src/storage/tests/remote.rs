//! Stores that are written elsewhere.

use std::sync::Mutex;

use super::*;

/// Answers everything with the same reply, after it was polled once, and notes what was asked.
struct Remote {
    reply: StorageReply,
    asked: Mutex<Vec<String>>,
}

impl Remote {
    fn new(reply: StorageReply) -> Self {
        Self { reply, asked: Mutex::default() }
    }
}

impl Storage for Remote {
    fn execute<'a>(&'a self, command: StorageCommand<'a>) -> StorageFuture<'a> {
        StorageFuture::new(async move {
            let mut waited = false;
            std::future::poll_fn(|_| {
                if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            self.asked.lock().unwrap().push(format!("{} {}", command.name(), command.key()));
            Ok(self.reply.clone())
        })
    }
}

/// The answer of a future that waits once.
fn second_poll<T>(future: impl Future<Output = T> + Send) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    match future.poll(&mut cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits once"),
    }
}

#[test]
fn a_store_may_wait() {
    let remote = Remote::new(StorageReply::Integer(7));
    let store: &dyn Storage = &remote;
    assert_eq!(second_poll(store.incr("n")).unwrap(), 7);
    assert_eq!(second_poll(store.llen("l")).unwrap(), 7);
    assert!(second_poll(store.exists("k")).unwrap());
    drop(store.incr("never polled"));
    assert_eq!(*remote.asked.lock().unwrap(), ["INCR n", "LLEN l", "EXISTS k"]);
}

#[test]
fn a_reply_of_the_wrong_type_is_the_fault_of_the_store() {
    fn name<T>(answer: &Result<T, StorageError>) -> &'static str {
        match answer {
            Err(StorageError::UnexpectedReply(name)) => name,
            _ => "no error",
        }
    }
    let done = Remote::new(StorageReply::Done);
    let store: &dyn Storage = &done;
    assert_eq!(name(&second_poll(store.get("k"))), "GET");
    assert_eq!(name(&second_poll(store.incr("k"))), "INCR");
    assert_eq!(name(&second_poll(store.sadd("k", "m"))), "SADD");
    assert_eq!(name(&second_poll(store.smembers("k"))), "SMEMBERS");
    let nil = Remote::new(StorageReply::Nil);
    let store: &dyn Storage = &nil;
    assert_eq!(name(&second_poll(store.set("k", "v"))), "SET");
    assert_eq!(name(&second_poll(store.r#type("k"))), "TYPE");
    let negative = Remote::new(StorageReply::Integer(-1));
    let store: &dyn Storage = &negative;
    assert_eq!(name(&second_poll(store.llen("k"))), "LLEN");
    let raw = Remote::new(StorageReply::List(vec![vec![0xFF].into()]));
    let store: &dyn Storage = &raw;
    assert_eq!(name(&second_poll(store.keys("*"))), "KEYS");
}

#[test]
fn commands_that_are_not_known_are_named() {
    struct Counter;
    impl Storage for Counter {
        fn execute<'a>(&'a self, command: StorageCommand<'a>) -> StorageFuture<'a> {
            StorageFuture::ready(match command {
                StorageCommand::Incr(_) => Ok(StorageReply::Integer(1)),
                other => Err(StorageError::Unsupported(other.name())),
            })
        }
    }
    let store: Arc<dyn Storage> = Arc::new(Counter);
    assert_eq!(ask!(store.incr("n")), 1);
    refused!(store.hget("h", "f"), StorageError::Unsupported("HGET"));
    refused!(store.to_json(), StorageError::Unsupported("KEYS"));
}
