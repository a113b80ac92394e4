//! Batches: messages that are framed and parsed while somebody else may have the connection.

use std::time::Duration;

use ws_proto::{Accept, Batch, Close, Event, Message, RecvBuf, State, Timeouts, Version};
use ws_tests::pair::{Pair, written};

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

#[test]
fn a_batch_parses_what_is_whole_and_leaves_the_rest() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        let client = &mut pair.client.connection;
        client.send("1".into()).unwrap();
        client.send("2".into()).unwrap();
        let mut bytes = written(client);
        if version.has_frames() {
            client.ping("between".into()).unwrap();
        }
        client.send("3".into()).unwrap();
        bytes.extend(written(client));
        let server = &mut pair.server.connection;
        let mut input = RecvBuf::with_capacity(1000);
        let mut batch = Batch::new();
        assert!(batch.poll_message(&mut input, pair.now).is_none(), "it was not begun");
        server.begin_batch(&mut batch, 1000);
        let (beginning, end) = bytes.split_at(bytes.len() - 1);
        assert_eq!(input.feed(beginning), beginning.len());
        let mut take = || batch.poll_message(&mut input, pair.now);
        assert_eq!([take(), take()], [Some("1".into()), Some("2".into())], "{version}");
        assert!(take().is_none() && take().is_none(), "{version}: a ping, or half a message");
        server.end_batch(&mut batch);
        assert!(batch.poll_message(&mut input, pair.now).is_none(), "it has ended");
        if version.has_frames() {
            let ping = server.poll_event(&mut input, pair.now);
            assert!(matches!(ping, Some(Event::Ping(_))), "{ping:?}");
        }
        assert!(server.poll_event(&mut input, pair.now).is_none(), "{version}: half a message");
        input.feed(end);
        let third = server.poll_event(&mut input, pair.now);
        assert!(matches!(&third, Some(Event::Message(text)) if text.as_text() == Some("3")));
    }
}

#[test]
fn what_a_batch_parses_is_a_sign_of_life() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let client = &mut pair.client.connection;
    client.send("alive".into()).unwrap();
    let bytes = written(client);
    let server = &mut pair.server.connection;
    let (mut input, mut batch) = (RecvBuf::with_capacity(1000), Batch::new());
    server.begin_batch(&mut batch, 1000);
    input.feed(&bytes);
    let heard = pair.now + Duration::from_secs(10);
    assert!(batch.poll_message(&mut input, heard).is_some());
    server.end_batch(&mut batch);
    let asked = loop {
        let due = server.poll_timeout().expect("silence ends in a ping");
        server.handle_timeout(due);
        if written(server).first() == Some(&0x89) {
            break due;
        }
    };
    assert_eq!(asked, heard + Timeouts::default().ping_interval.unwrap());
}

#[test]
fn a_batch_parses_nothing_while_something_has_to_be_told() {
    let mut pair = Pair::new(Version::Rfc6455);
    pair.server.accepts = false;
    pair.drive();
    let server = &mut pair.server.connection;
    server.accept(&Accept::new(), pair.now).unwrap();
    assert_eq!(server.state(), State::Connected);
    let (mut input, mut batch) = (RecvBuf::with_capacity(1000), Batch::new());
    input.feed(b"\x81\x82\0\0\0\0hi");
    server.begin_batch(&mut batch, 1000);
    assert!(batch.poll_message(&mut input, pair.now).is_none(), "the step was not told");
    server.end_batch(&mut batch);
    while let Some(event) = server.poll_event(&mut RecvBuf::with_capacity(0), pair.now) {
        assert!(matches!(event, Event::State { .. }), "{event:?}");
    }
    server.begin_batch(&mut batch, 1000);
    assert_eq!(batch.poll_message(&mut input, pair.now), Some("hi".into()));
}
