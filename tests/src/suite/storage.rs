//! What a connection keeps: its store, or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use ws_net::{
    Close, Connection, MemoryStorage, Runtime, Storage, StorageChoice, StorageCommand,
    StorageError, StorageFuture, StorageLimits, StorageReply, Ttl, Version,
};
use ws_proto::ClientRequest;

use super::support::{Mailbox, Running, aside, polled, sleep, until};
use crate::client::Client;

/// The visits that a connection has counted; every message is one.
async fn count(connection: Connection) {
    while let Some(Ok(_)) = connection.recv().await {
        let store = connection.storage().expect("there is one by default");
        let visits = store.incr("visits").await.expect("it is a counter");
        connection.send(visits.to_string()).await.expect("it is open");
    }
}

/// By default; nobody sees that of another.
pub async fn every_connection_has_a_store_of_its_own<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, count).await;
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut first = Client::open(address, version);
            let mut second = Client::open(address, version);
            assert_eq!(first.ask_text("+"), "1");
            assert_eq!(first.ask_text("+"), "2");
            assert_eq!(second.ask_text("+"), "1", "{version}");
        }
    })
    .await;
}

/// What node-websocket-server's store had, and what Redis has, by their names.
pub async fn a_store_does_what_redis_does<R: Runtime>(runtime: R) {
    let done = Mailbox::default();
    let post = done.clone();
    let server = Running::serve(&runtime, move |connection| {
        let post = post.clone();
        async move {
            let store = connection.storage().expect("there is one by default");
            post.put(use_commands(&*store).await);
        }
    })
    .await;
    let address = server.address;
    aside(move || Client::open(address, Version::Rfc6455).closed()).await;
    done.take().await.expect("every command fits its key");
}

async fn use_commands(store: &dyn Storage) -> Result<(), StorageError> {
    store.set("name", "Ada").await?;
    assert_eq!(store.get("name").await?.expect("it was set"), "Ada");
    assert_eq!(store.get_or("town", "nowhere").await?, "nowhere");
    assert!(store.exists("name").await? && !store.exists("town").await?);
    assert_eq!((store.incr("n").await?, store.incr("n").await?, store.decr("n").await?), (1, 2, 1));
    assert_eq!((store.push("log", "a").await?, store.push("log", "b").await?), (1, 2));
    assert_eq!(store.pop("log").await?.expect("two were pushed"), "b");
    assert!(store.hset("user", "age", "36").await?);
    assert_eq!(store.hincrby("user", "age", 1).await?, 37);
    assert!(store.sadd("rooms", "lobby").await? && !store.sadd("rooms", "lobby").await?);
    assert!(store.expire("name", Duration::from_secs(60)).await?);
    assert!(matches!(store.ttl("name").await?, Ttl::Left(left) if !left.is_zero()));
    let json = store.to_json().await?;
    assert!(json.contains("\"name\":\"Ada\"") && json.contains("\"log\":[\"a\"]"), "{json}");
    // Types that do not fit are an error and change nothing.
    for error in [
        store.incr("log").await.map(drop),
        store.push("name", "x").await.map(drop),
        store.get("user").await.map(drop),
        store.sadd("user", "x").await.map(drop),
    ] {
        assert!(matches!(error, Err(StorageError::WrongType)), "{error:?}");
    }
    assert!(matches!(store.incr("name").await, Err(StorageError::NotInteger)));
    assert!(store.del("name").await? && !store.del("name").await?);
    Ok(())
}

/// `storage` is `None`, and everything else works.
pub async fn there_is_no_store_when_it_is_off<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder.storage(false)).await;
    server.start_serving(&runtime, |connection| async move {
        let text = if connection.storage().is_none() { "none" } else { "some" };
        connection.send(text).await.expect("it is open");
    });
    let address = server.address;
    let text = aside(move || Client::open(address, Version::Rfc6455).recv_text());
    assert_eq!(text.await, "none");
}

/// An error that says which limit, and the connection goes on.
pub async fn a_store_is_bounded<R: Runtime>(runtime: R) {
    let limits = StorageLimits::new().max_entries(2);
    let server = Running::bind(&runtime, |builder| builder.storage(limits)).await;
    server.start_serving(&runtime, |connection| async move {
        let store = connection.storage().expect("it is on");
        for key in ["a", "b", "c"] {
            let answer = match store.set(key, "1").await {
                Ok(()) => "kept".to_owned(),
                Err(error) => error.to_string(),
            };
            connection.send(answer).await.expect("it is open");
        }
    });
    let address = server.address;
    aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        assert_eq!([client.recv_text(), client.recv_text()], ["kept", "kept"]);
        let refused = client.recv_text();
        assert!(refused.contains("`max_entries` of 2"), "{refused}");
    })
    .await;
}

/// One for all, which outlives them.
pub async fn a_store_may_be_shared<R: Runtime>(runtime: R) {
    let store = Arc::new(MemoryStorage::new());
    let shared = Arc::clone(&store);
    let server = Running::bind(&runtime, |builder| builder.storage(shared)).await;
    server.start_serving(&runtime, count);
    let address = server.address;
    aside(move || {
        for expected in ["1", "2", "3"] {
            let mut client = Client::open(address, Version::Rfc6455);
            assert_eq!(client.ask_text("+"), expected);
            client.close(Close::normal());
        }
    })
    .await;
    let store: &dyn Storage = &*store;
    assert_eq!(store.incr("visits").await.expect("it is a counter"), 4);
}

/// It sees the name and the request, and is asked once per connection that wants a store.
pub async fn a_factory_makes_the_stores<R: Runtime>(runtime: R) {
    let made = Mailbox::default();
    let post = made.clone();
    let ada: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let choice = StorageChoice::factory(move |id, request| {
        post.put(id.port());
        match request.query() {
            Some("user=ada") => Arc::clone(&ada),
            _ => Arc::new(MemoryStorage::new()),
        }
    });
    let server = Running::bind(&runtime, |builder| builder.storage(choice)).await;
    server.start_serving(&runtime, count);
    let address = server.address;
    let ports = aside(move || {
        let mut ports = Vec::new();
        for (query, visits) in
            [("user=ada", ["1", "2"]), ("user=ada", ["3", "4"]), ("", ["1", "2"])]
        {
            let request = ClientRequest::new(&format!("ws://{address}/?{query}")).unwrap();
            let mut client = Client::ask(address, request).expect("it is accepted");
            ports.push(client.port());
            assert_eq!([client.ask_text("+"), client.ask_text("+")], visits);
        }
        // It never asks for a store, so none is made.
        Client::open(address, Version::Draft76).close(Close::normal());
        ports
    });
    assert_eq!(ports.await, made.take_all());
}

/// A store that waits, as one in another process does, and tells when it is dropped.
struct Remote<R> {
    runtime: R,
    counter: AtomicUsize,
    drops: Arc<AtomicUsize>,
}

impl<R: Runtime> Storage for Remote<R> {
    fn execute<'a>(&'a self, command: StorageCommand<'a>) -> StorageFuture<'a> {
        assert_eq!((command.name(), command.key()), ("INCR", "visits"));
        StorageFuture::new(async {
            sleep(&self.runtime, Duration::from_millis(2)).await;
            let before = self.counter.fetch_add(1, SeqCst);
            sleep(&self.runtime, Duration::from_millis(2)).await;
            Ok(StorageReply::Integer(i64::try_from(before).expect("a small number") + 1))
        })
    }
}

impl<R> Drop for Remote<R> {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
    }
}

/// A choice that makes remote stores, and how many of them are gone.
fn remote<R: Runtime>(runtime: &R) -> (StorageChoice, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    let (count, runtime) = (Arc::clone(&drops), runtime.clone());
    let choice = StorageChoice::factory(move |_, _| {
        let counter = AtomicUsize::new(0);
        Arc::new(Remote { runtime: runtime.clone(), counter, drops: Arc::clone(&count) })
    });
    (choice, drops)
}

/// It is there for the last listener, and then gone, whoever still holds a handle.
pub async fn a_store_is_dropped_when_its_connection_closes<R: Runtime>(runtime: R) {
    let (choice, drops) = remote(&runtime);
    let server = Running::bind(&runtime, |builder| builder.storage(choice)).await;
    let ends = Mailbox::default();
    let post = ends.clone();
    server.on_close(move |connection, _| {
        post.put((connection.storage().is_some(), connection.clone()));
    });
    server.start_serving(&runtime, count);
    let address = server.address;
    aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        assert_eq!(client.ask_text("+"), "1");
        client.close(Close::normal())
    })
    .await;
    let (there, connection) = ends.take().await;
    assert!(there, "the last listener sees it");
    until(&runtime, || drops.load(SeqCst) == 1).await;
    assert!(connection.storage().is_none());
}

/// After any number of polls a command was executed or not, once; the store goes on.
pub async fn commands_may_be_dropped_at_every_point<R: Runtime>(runtime: R) {
    let (choice, _) = remote(&runtime);
    let server = Running::bind(&runtime, |builder| builder.storage(choice)).await;
    let done = Mailbox::default();
    let post = done.clone();
    server.start_serving(&runtime, move |connection| {
        let post = post.clone();
        async move {
            let store = connection.storage().expect("a factory made it");
            let mut visits = store.incr("visits").await.expect("it counts");
            for times in (0..=3).cycle().take(40) {
                let answer = polled(times, store.incr("visits")).await;
                let next = store.incr("visits").await.expect("it counts");
                match answer {
                    Some(counted) => assert_eq!(counted.expect("it counts") + 1, next),
                    None if times == 0 => assert_eq!(next, visits + 1),
                    None => assert!((1..=2).contains(&(next - visits)), "{visits} to {next}"),
                }
                visits = next;
            }
            post.put(visits);
        }
    });
    let address = server.address;
    let closed = aside(move || Client::open(address, Version::Rfc6455).closed());
    assert!(done.take().await > 40);
    assert_eq!(closed.await.code(), 1000);
}
