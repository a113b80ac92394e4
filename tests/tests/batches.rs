//! Batches: messages that are framed and parsed while somebody else may have the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use ws_proto::{
    Accept, Batch, Close, Config, Connection, Deflate, Event, Instant, Message, RecvBuf, State,
    Timeouts, Transmit, Version,
};
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
fn an_answer_takes_the_memory_of_what_was_sent() {
    let mut batch = Batch::new();
    let mut sent = |len: usize| {
        let mut pair = Pair::connected(Version::Rfc6455);
        pair.server.connection.send(vec![7; len].into()).unwrap();
        let Some(Transmit::Data(mut sent)) = pair.server.connection.poll_transmit() else {
            panic!("nothing was sent");
        };
        let memory = sent.chunk().as_ptr();
        sent.advance(sent.remaining());
        batch.recycle(sent);
        memory
    };
    let memory = sent(4000);
    let answer = |spare| {
        let mut pair = Pair::new(Version::Rfc6455);
        pair.server.accepts = false;
        pair.drive();
        let server = &mut pair.server.connection;
        server.supply(spare);
        server.accept(&Accept::new(), pair.now).unwrap();
        let Some(Transmit::Data(answer)) = server.poll_transmit() else {
            panic!("there is no answer");
        };
        assert!(answer.chunk().starts_with(b"HTTP/1.1 101 "));
        answer.chunk().as_ptr()
    };
    assert_eq!(answer(batch.take_spare()), memory);
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

/// What happens to a server.
type Step = fn(&mut Connection);

/// All that shows what became of a batch: what was handed out at its end and behind that, what was
/// buffered in between, the deadline, and what will not be sent.
type Facts = (Bytes, usize, Option<Instant>, Vec<u8>, usize, Option<usize>);

/// Ends a batch of this many messages in one way or the other.
fn end_batch(
    (version, config): (Version, &Arc<Config>),
    (before, meanwhile): (Step, Step),
    messages: usize,
    transmits: bool,
) -> Facts {
    let mut pair = Pair::with_config(version, config);
    pair.drive();
    let server = &mut pair.server.connection;
    let mut batch = Batch::new();
    before(server);
    server.begin_batch(&mut batch, 1000);
    for i in 0..messages {
        assert!(batch.take(&mut format!("message {i} {}", "x".repeat(50)).into()));
    }
    meanwhile(server);
    let transmit = if transmits {
        server.transmit_batch(&mut batch)
    } else {
        server.end_batch(&mut batch);
        server.poll_transmit()
    };
    assert!(batch.is_empty() && !batch.take(&mut "late".into()));
    let bytes = match transmit {
        Some(Transmit::Data(mut data)) => data.copy_to_bytes(data.remaining()),
        _ => Bytes::new(),
    };
    let (buffered, deadline) = (server.buffered_amount(), server.poll_timeout());
    server.handle_transmitted(bytes.len());
    let rest = written(server);
    let unsent = server.take_unsent().map(|unsent| unsent.remaining());
    (bytes, buffered, deadline, rest, server.buffered_amount(), unsent)
}

#[test]
fn a_batch_that_is_transmitted_is_ended_and_handed_out() {
    const NOW: Instant = Instant::from_nanos(9);
    let steps: [Step; 6] = [
        |_| {},
        |server| assert!(server.send("queued".into()).is_ok()),
        |server| {
            assert!(server.send("handed out".into()).is_ok());
            // It is not reported as written, unless the batch goes first.
            let _ = server.poll_transmit();
        },
        |server| {
            let mut input = RecvBuf::with_capacity(1000);
            input.feed(&b"\x89\x80\0\0\0\0".repeat(20));
            let drafts = !server.version().is_some_and(Version::has_frames);
            while !drafts && server.poll_event(&mut input, NOW).is_some() {}
        },
        |server| server.close(Close::normal(), NOW),
        Connection::abort,
    ];
    let takeover = Deflate::new().server_no_context_takeover(false);
    let configs = [
        Config::default(),
        Config::builder().deflate(Deflate::new()).build().unwrap(),
        Config::builder().deflate(takeover).build().unwrap(),
    ]
    .map(Arc::new);
    for (version, config) in
        Version::ALL.into_iter().flat_map(|v| configs.each_ref().map(|c| (v, c)))
    {
        for (before, meanwhile) in (0..3).flat_map(|before| (0..6).map(move |then| (before, then)))
        {
            for messages in [0, 2] {
                let run = |transmits| {
                    let (before, meanwhile) = (steps[before], steps[meanwhile]);
                    end_batch((version, config), (before, meanwhile), messages, transmits)
                };
                let transmitted = run(true);
                let case = format!("{version}, {before}, {meanwhile}, {messages} messages");
                assert_eq!(transmitted, run(false), "{case}");
                let sent = transmitted.0.len() >= 20 * messages;
                assert!(sent || transmitted.5.is_some(), "{case}: {transmitted:?}");
            }
        }
    }
}
