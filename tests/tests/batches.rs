//! Batches: messages that are framed while somebody else may have the connection.

use ws_proto::{Batch, Close, Message, Version};
use ws_tests::pair::Pair;

#[test]
fn a_batch_goes_before_what_is_queued_meanwhile() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        server.send("1".into()).unwrap();
        let mut batch = Batch::new();
        server.begin_batch(&mut batch, 1000);
        let queued = server.buffered_amount();
        assert!(batch.take(&mut "2".into()) && batch.take(&mut "3".into()));
        assert_eq!(batch.take(&mut Message::binary("b")), version.has_frames());
        assert!(!batch.take(&mut "x".repeat(1000).into()), "more than it may take");
        assert_eq!(server.buffered_amount(), queued, "what was queued before still counts");
        server.send("4".into()).unwrap();
        server.end_batch(&mut batch);
        assert!(batch.is_empty() && !batch.take(&mut "late".into()));
        server.send("5".into()).unwrap();
        pair.drive();
        let texts = pair.client.events.iter().filter_map(|event| event.strip_prefix("text "));
        assert_eq!(texts.collect::<Vec<_>>(), ["1", "2", "3", "4", "5"], "{version}");
        assert_eq!(pair.server.connection.buffered_amount(), 0);
    }
}

#[test]
fn a_batch_takes_nothing_that_needs_more_than_a_header() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let mut batch = Batch::new();
    pair.client.connection.begin_batch(&mut batch, 1000);
    assert!(!batch.take(&mut "clients mask".into()));
    pair.server.connection.begin_batch(&mut batch, 1000);
    assert!(batch.take(&mut "too late".into()));
    pair.server.connection.abort();
    pair.server.connection.end_batch(&mut batch);
    assert!(batch.is_empty());
    assert!(pair.server.connection.poll_transmit().is_none());
    pair.server.connection.begin_batch(&mut batch, 1000);
    assert!(!batch.take(&mut "over".into()));
}

#[test]
fn a_second_batch_takes_nothing_and_changes_no_order() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        let server = &mut pair.server.connection;
        let (mut first, mut second) = (Batch::new(), Batch::new());
        server.begin_batch(&mut first, 1000);
        assert!(first.take(&mut "1".into()));
        server.begin_batch(&mut second, 1000);
        assert!(!second.take(&mut "2".into()), "{version}: the first was not ended");
        server.end_batch(&mut second);
        assert!(server.poll_transmit().is_none(), "{version}: the first was not ended");
        assert!(first.take(&mut "2".into()));
        server.end_batch(&mut first);
        server.begin_batch(&mut second, 1000);
        assert!(second.take(&mut "3".into()));
        server.end_batch(&mut second);
        let now = pair.now;
        server.close(Close::normal(), now);
        pair.drive();
        let texts = pair.client.events.iter().filter_map(|event| event.strip_prefix("text "));
        assert_eq!(texts.collect::<Vec<_>>(), ["1", "2", "3"], "{version}");
    }
}
