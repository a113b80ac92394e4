//! A subscriber of the log that panics keeps no connection from being served, told and forgotten.
//! It is the subscriber of its whole process, so it has one of its own.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use ws_tests::client::{Client, PATIENCE};
use ws_tests::suite::{aside, echo};
use ws_tokio::{Close, Server, Version};

/// Panics with every line about a connection.
struct Rude;

/// Lines that it was asked to write.
static LINES: AtomicUsize = AtomicUsize::new(0);

impl Subscriber for Rude {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        matches!(metadata.target(), "ws::connection" | "ws::manager")
    }

    fn event(&self, _: &Event<'_>) {
        LINES.fetch_add(1, Relaxed);
        panic!("no room for this line");
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

static OPENED: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_subscriber_that_panics_harms_no_connection() {
    tracing::subscriber::set_global_default(Rude).unwrap();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    server.on_connection(|_| {
        OPENED.fetch_add(1, Relaxed);
    });
    let (post, ended) = mpsc::channel();
    server.on_close(move |_, end| post.send(end.clean).unwrap());
    let (address, manager) = (server.local_addr().unwrap(), server.manager().clone());
    tokio::spawn(async move { server.serve(echo).await });
    aside(move || {
        for turn in 1..=3 {
            let mut client = Client::open(address, Version::Rfc6455);
            assert_eq!(client.ask_text("hello"), "hello");
            assert!(client.close(Close::normal()).clean);
            assert_eq!(ended.recv_timeout(PATIENCE), Ok(true));
            assert!(manager.is_empty());
            assert_eq!(OPENED.load(Relaxed), turn);
        }
    })
    .await;
    // For each connection: three steps, and that it is open, attached, detached and over.
    assert!(LINES.load(Relaxed) >= 3 * 7, "{} lines", LINES.load(Relaxed));
}
