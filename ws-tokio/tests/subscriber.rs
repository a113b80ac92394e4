//! A subscriber of the log that panics keeps no connection from being served, told and forgotten.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{Client, echo, serve, until};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

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
static CLOSED: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_subscriber_that_panics_harms_no_connection() {
    tracing::subscriber::set_global_default(Rude).unwrap();
    let running = serve(echo).await;
    running.server.on_connection(|_| {
        OPENED.fetch_add(1, Relaxed);
    });
    running.server.on_close(|_, end| {
        assert!(end.clean);
        CLOSED.fetch_add(1, Relaxed);
    });
    for turn in 1..=3 {
        let mut client = Client::join(running.address).await;
        client.say("hello").await;
        assert_eq!(client.hear().await, "hello");
        assert_eq!(client.close().await, b"\x88\x02\x03\xE8");
        until(|| running.server.manager().is_empty() && CLOSED.load(Relaxed) == turn).await;
        assert_eq!(OPENED.load(Relaxed), turn);
    }
    // For each connection: three steps, and that it is open, attached, detached and over.
    assert!(LINES.load(Relaxed) >= 3 * 7, "{} lines", LINES.load(Relaxed));
}
