//! Messages that are received and sent in pieces.

use std::task::{Context, Waker};

use bytes::Bytes;

use super::*;
use crate::toy::party::{Party, texts};
use crate::{Closed, MessageKind, MessageWriter, SlowReceivers};

/// A client, and the server's handle, whose handler waits for the end.
fn opened() -> (Toy, Pipe, Connection) {
    let (toy, server) = serving(|connection| async move { drop(connection.closed().await) });
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    (toy, client, connection)
}

/// The chunks of the next message as text, put into `heard` as they come; `.` is its end.
fn read_in_pieces(toy: &Toy, connection: &Connection) -> Arc<Mutex<Vec<String>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (out, connection) = (Arc::clone(&heard), connection.clone());
    toy.spawn(async move {
        let Some(Ok(mut message)) = connection.recv_stream().await else { return };
        while let Some(chunk) = message.chunk().await {
            let told = chunk.map_or_else(
                |closed| format!("closed {}", closed.code()),
                |chunk| String::from_utf8(chunk.into()).unwrap(),
            );
            lock(&out).push(told);
        }
        lock(&out).push(".".into());
    });
    toy.settle();
    heard
}

fn recv(toy: &Toy, connection: &Connection) -> Option<Result<Message, Arc<Closed>>> {
    let connection = connection.clone();
    toy.block_on(async move { connection.recv().await })
}

fn begin(toy: &Toy, connection: &Connection) -> MessageWriter {
    let connection = connection.clone();
    toy.block_on(async move { connection.send_stream(MessageKind::Text).await.unwrap() })
}

/// Writes and gives the writer back.
fn write(toy: &Toy, mut writer: MessageWriter, chunk: &'static str) -> MessageWriter {
    toy.block_on(async move {
        writer.write(chunk).await.unwrap();
        writer
    })
}

#[test]
fn a_long_message_waits_for_whoever_asks_first() {
    let longest = Limits::default().max_message;
    let long = frame(0x82, &vec![7; longest + 1]);
    let begin = || {
        let (toy, client, connection) = opened();
        client.send(&long);
        toy.settle();
        assert_eq!(connection.state(), State::Connected);
        (toy, client, connection)
    };
    let (toy, _client, connection) = begin();
    let read = toy.block_on(async move {
        let mut message = connection.recv_stream().await.unwrap().unwrap();
        let mut read = 0;
        while let Some(chunk) = message.chunk().await {
            read += chunk.unwrap().len();
        }
        read
    });
    assert_eq!(read, longest + 1);

    let (toy, client, connection) = begin();
    toy.spawn(async move { drop(connection.recv().await) });
    toy.settle();
    let (answer, _) = client.take();
    assert!(matches!(answer[..], [0x88, _, 3, 0xF1, ..]), "no 1009: {answer:?}");
}

#[test]
fn chunks_come_as_they_arrive_and_the_next_message_behind_them() {
    let (toy, client, connection) = opened();
    let heard = read_in_pieces(&toy, &connection);
    for (bytes, expected) in [
        (frame(0x01, b"gr\xC3"), &["gr"][..]),
        (frame(0x89, b""), &["gr"]),
        (frame(0x00, b"\xBCn"), &["gr", "ün"]),
        ([frame(0x80, b""), frame(0x81, b"next")].concat(), &["gr", "ün", "."]),
    ] {
        client.send(&bytes);
        toy.settle();
        assert_eq!(*lock(&heard), expected);
    }
    assert_eq!(client.take().0, b"\x8A\x00");
    assert_eq!(recv(&toy, &connection), Some(Ok("next".into())));
}

#[test]
fn a_handler_reads_in_pieces_what_it_sends_back_in_pieces() {
    let (toy, _server) = serving(|connection| async move {
        while let Some(Ok(mut message)) = connection.recv_stream().await {
            let mut answer = connection.send_stream(message.kind()).await.unwrap();
            while let Some(Ok(chunk)) = message.chunk().await {
                answer.write(chunk).await.unwrap();
            }
            answer.finish().unwrap();
        }
    });
    let client = join(&toy);
    client.send(&[frame(0x81, b"whole"), frame(0x02, b"a"), frame(0x00, b"b")].concat());
    toy.settle();
    client.send(&frame(0x80, b"c"));
    toy.settle();
    let expected = b"\x01\x05whole\x80\x00\x02\x02ab\x00\x01c\x80\x00";
    assert_eq!(client.take().0, expected);
    client.send(&[frame(0x81, b""), frame(0x88, b"")].concat());
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x00\x88\x00");
}

#[test]
fn nobody_is_read_from_while_a_chunk_waits() {
    let (toy, client, connection) = opened();
    let handle = connection.clone();
    client.send(&frame(0x01, b"begin"));
    let mut reader = toy.block_on(async move { handle.recv_stream().await.unwrap().unwrap() });
    for _ in 0..20 {
        client.send(&frame(0x00, &vec![b'x'; 60_000]));
        client.send(&frame(0x89, b""));
        toy.settle();
    }
    let pongs = || client.take().0.split(|byte| *byte == 0x8A).count() - 1;
    let answered = pongs();
    assert!(answered <= 2, "{answered} pings were seen, one read brings at most two");
    toy.advance(Duration::from_secs(3600));
    assert_eq!(connection.state(), State::Connected, "silence is not the peer's fault");
    client.send(&frame(0x80, b"end"));
    let received = toy.block_on(async move {
        let mut received = 0;
        while let Some(chunk) = reader.chunk().await {
            received += chunk.unwrap().len();
        }
        received
    });
    assert_eq!(received, 5 + 20 * 60_000 + 3);
    assert_eq!(pongs() + answered, 20);
}

#[test]
fn who_asks_for_pieces_and_gives_up_has_taken_nothing() {
    let (toy, client, connection) = opened();
    let mut cx = Context::from_waker(Waker::noop());
    for sent_before in [true, false] {
        let mut asked = Box::pin(connection.recv_stream());
        if sent_before {
            assert!(asked.as_mut().poll(&mut cx).is_pending());
        }
        client.send(&frame(0x01, b"one "));
        toy.settle();
        assert_eq!(connection.shared().lock().core.has_piece(), sent_before);
        drop(asked);
        client.send(&[frame(0x00, b"whole "), frame(0x80, b"message")].concat());
        toy.settle();
        assert_eq!(recv(&toy, &connection), Some(Ok("one whole message".into())));
    }
}

#[test]
fn the_rest_of_a_message_whose_reader_is_gone_is_discarded() {
    let (toy, client, connection) = opened();
    let handle = connection.clone();
    client.send(&frame(0x02, &vec![1; 70_000]));
    let reader = toy.block_on(async move { handle.recv_stream().await.unwrap().unwrap() });
    let waiting = read_in_pieces(&toy, &connection);
    drop(reader);
    for _ in 0..30 {
        client.send(&frame(0x00, &vec![1; 70_000]));
        toy.settle();
    }
    client.send(&frame(0x80, b""));
    toy.settle();
    assert!(lock(&waiting).is_empty(), "it waits for the next message");
    client.send(&[frame(0x81, b"next"), frame(0x81, b"whole")].concat());
    toy.settle();
    assert_eq!(*lock(&waiting), ["next", "."]);
    assert_eq!(recv(&toy, &connection), Some(Ok("whole".into())));
}

#[test]
fn a_message_that_the_end_cuts_off_is_an_error() {
    for (last, told) in [(frame(0x88, b""), "closed 1005"), (Vec::new(), "closed 1006")] {
        let (toy, client, connection) = opened();
        let heard = read_in_pieces(&toy, &connection);
        client.send(&frame(0x01, b"half"));
        toy.settle();
        if last.is_empty() {
            client.fail();
        } else {
            client.send(&last);
        }
        toy.settle();
        client.fail();
        toy.settle();
        assert_eq!(*lock(&heard), ["half", told, "."]);
    }
}

#[test]
fn others_wait_for_the_end_of_a_message() {
    let (toy, client, connection) = opened();
    let writer = write(&toy, begin(&toy, &connection), "begin ");
    let sent = Arc::new(AtomicUsize::new(0));
    for text in ["a", "b"] {
        let (handle, sent) = (connection.clone(), Arc::clone(&sent));
        toy.spawn(async move {
            if text == "a" {
                handle.send(text).await.unwrap();
            } else {
                let mut writer = handle.send_stream(MessageKind::Text).await.unwrap();
                writer.write(text).await.unwrap();
                writer.finish().unwrap();
            }
            sent.fetch_add(1, Relaxed);
        });
    }
    toy.settle();
    let refused = connection.try_send("c").unwrap_err();
    assert_eq!((refused.kind, refused.message), (SendErrorKind::Unfinished, "c".into()));
    connection.ping("?").unwrap();
    let writer = write(&toy, writer, "end");
    toy.settle();
    assert_eq!(
        (client.take().0, sent.load(Relaxed)),
        (b"\x01\x06begin \x89\x01?\x00\x03end".into(), 0)
    );
    writer.finish().unwrap();
    toy.settle();
    assert_eq!(sent.load(Relaxed), 2);
    assert_eq!(client.take().0, b"\x80\x00\x81\x01a\x01\x01b\x80\x00");
    connection.try_send("c").unwrap();
}

#[test]
fn a_writer_waits_for_room_and_loses_nothing_when_it_gives_up() {
    let (toy, client, connection) = opened();
    client.set_room(0);
    let block = Bytes::from(vec![b'x'; 200_000]);
    let mut writer = begin(&toy, &connection);
    let own = block.clone();
    let writer = toy.block_on(async move {
        writer.write(own.clone()).await.unwrap();
        writer.write(own.clone()).await.unwrap();
        for polls in 0..3 {
            let mut write = std::pin::pin!(writer.write(own.clone()));
            for _ in 0..polls {
                let pending = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx).is_pending()));
                assert!(pending.await);
            }
        }
        writer
    });
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let mut writer = writer;
    toy.spawn(async move {
        writer.write(block).await.unwrap();
        writer.finish().unwrap();
        count.fetch_add(1, Relaxed);
    });
    toy.settle();
    assert_eq!(done.load(Relaxed), 0);
    client.set_room(usize::MAX);
    toy.settle();
    assert_eq!(done.load(Relaxed), 1);
    assert_eq!(client.take().0.len(), 3 * (200_000 + 10) + 2);
}

#[test]
fn a_message_that_is_given_up_closes_unless_nothing_was_written() {
    let (toy, client, connection) = opened();
    drop(begin(&toy, &connection));
    connection.try_send("on").unwrap();
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x02on");
    let writer = write(&toy, begin(&toy, &connection), "half");
    let handle = connection.clone();
    toy.spawn(async move { assert!(handle.send("late").await.is_err()) });
    toy.settle();
    drop(writer);
    toy.settle();
    assert!(client.take().0.starts_with(b"\x01\x04half\x88\x1C\x03\xF3"));
    client.send(&frame(0x88, &[3, 0xF3]));
    client.fail();
    toy.settle();
    let closed = toy.block_on(async move { connection.closed().await });
    assert_eq!(closed.cause, Cause::Abandoned);
}

#[test]
fn text_that_ends_inside_a_character_is_given_up() {
    let (toy, _client, connection) = opened();
    let mut writer = begin(&toy, &connection);
    let writer = toy.block_on(async move {
        writer.write(&b"gr\xC3"[..]).await.unwrap();
        let refused = writer.write(&b"\xFF"[..]).await.unwrap_err();
        assert_eq!(
            (refused.kind, &refused.message[..]),
            (SendErrorKind::InvalidUtf8, &b"\xFF"[..])
        );
        writer
    });
    assert_eq!(writer.finish().unwrap_err().kind, SendErrorKind::InvalidUtf8);
    assert_eq!(connection.state(), State::Closing);
}

#[test]
fn messages_to_many_go_by_the_policy_meanwhile() {
    for (policy, expected) in [
        (SlowReceivers::Skip, ""),
        (SlowReceivers::DropOldest, "1 2"),
        (SlowReceivers::KeepLatest, "2"),
        (SlowReceivers::Close, "1 2"),
    ] {
        let party = Party::new(1, |builder| builder);
        let connection = party.connection(0).clone();
        let writer = write(&party.toy, begin(&party.toy, &connection), "long");
        for text in ["1", "2"] {
            let _ = party.server.to_all().slow_receivers(policy).send(text);
        }
        let own = party.server.clone();
        let delivered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&delivered);
        party.toy.spawn(async move {
            count.fetch_add(own.to_all().deliver("awaited").await.queued, Relaxed);
        });
        party.toy.settle();
        assert_eq!(party.guests[0].1.take().0, b"\x01\x04long");
        writer.finish().unwrap();
        // Behind the backlog, before it has moved.
        let late = party.server.to_all().slow_receivers(SlowReceivers::Close).send("late");
        assert_eq!(late.queued, 1);
        party.toy.settle();
        let bytes = party.guests[0].1.take().0;
        let heard = texts(&bytes[2..]).join(" ");
        assert_eq!(heard, format!("{expected} awaited late").trim(), "{policy:?}");
        assert_eq!(delivered.load(Relaxed), 1);
    }
}

#[test]
fn a_backlog_that_is_full_closes_who_is_to_be_closed() {
    let party = Party::new(1, |builder| builder.max_backlog_messages(2));
    let connection = party.connection(0).clone();
    let _writer = write(&party.toy, begin(&party.toy, &connection), "long");
    let send = || party.server.to_all().slow_receivers(SlowReceivers::Close).send("x");
    assert_eq!([send(), send(), send()].map(|delivery| delivery.ended), [0, 0, 1]);
    assert_eq!(connection.state(), State::Closing);
}

#[test]
fn listeners_hear_while_a_message_is_written() {
    let party = Party::new(1, |builder| builder);
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    party.server.on_message(move |_, _| {
        count.fetch_add(1, Relaxed);
    });
    let connection = party.connection(0).clone();
    let _writer = write(&party.toy, begin(&party.toy, &connection), "long");
    let waits = party.server.to_all().slow_receivers(SlowReceivers::DropOldest).send("waits");
    assert_eq!(waits.queued, 1);
    party.guests[0].1.send(&frame(0x81, b"go on"));
    party.toy.settle();
    assert_eq!(told.load(Relaxed), 1);
}

#[test]
fn a_reader_that_is_dropped_anywhere_takes_nothing_of_the_next_message() {
    for end in [&b"c"[..], b""] {
        let long = [frame(0x01, b"a"), frame(0x00, b"b"), frame(0x80, end)].concat();
        let all = [long.clone(), frame(0x81, b"next"), frame(0x81, b"last")].concat();
        // From the first byte of the payload on there is a reader.
        for (cut, chunks, settles) in
            (7..=all.len()).flat_map(|cut| (0..8).map(move |n| (cut, n / 2, n % 2 == 0)))
        {
            let (toy, client, connection) = opened();
            client.send(&all[..7]);
            let handle = connection.clone();
            let mut reader =
                toy.block_on(async move { handle.recv_stream().await.unwrap().unwrap() });
            client.send(&all[7..cut]);
            if settles {
                toy.settle();
            }
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..=chunks {
                let _ = reader.poll_chunk(&mut cx);
                if settles {
                    toy.settle();
                }
            }
            drop(reader);
            client.send(&all[cut..]);
            for text in ["next", "last"] {
                let next = recv(&toy, &connection);
                assert_eq!(next, Some(Ok(text.into())), "{end:?} {cut} {chunks} {settles}");
            }
        }
    }
}

#[test]
fn what_a_reader_left_is_not_kept_until_more_comes() {
    let (toy, client, connection) = opened();
    client.send(&frame(0x01, b"begin"));
    let handle = connection.clone();
    let reader = toy.block_on(async move { handle.recv_stream().await.unwrap().unwrap() });
    client.send(&frame(0x80, b"end"));
    toy.settle();
    let holds = || connection.shared().lock().core.has_piece();
    assert!(holds());
    drop(reader);
    toy.settle();
    assert!(!holds());
}
