//! Connections as streams and sinks.

use std::pin::Pin;
use std::task::{Context, Waker};

use futures_core::Stream;
use futures_sink::Sink;

use super::*;
use crate::{MessageStream, SendHalf};

async fn next(stream: &mut MessageStream) -> Option<Result<Message, Arc<ws_proto::Closed>>> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

async fn ready<S: Sink<Message> + Unpin>(sink: &mut S) -> Result<(), S::Error> {
    poll_fn(|cx| Pin::new(&mut *sink).poll_ready(cx)).await
}

#[test]
fn a_connection_is_a_stream_and_a_sink() {
    let (toy, server) = serving(|connection| async move {
        let mut stream = connection.into_stream();
        while let Some(Ok(message)) = next(&mut stream).await {
            ready(&mut stream).await.unwrap();
            Pin::new(&mut stream).start_send(message).unwrap();
        }
        poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await.unwrap();
    });
    let client = join(&toy);
    client.send(&frame(0x81, b"hello").repeat(100));
    toy.settle();
    assert_eq!(client.take(), (b"\x81\x05hello".repeat(100), 1));
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    assert!(server.manager().is_empty());
}

#[test]
fn closing_a_sink_closes_the_connection_and_waits() {
    let (toy, server) = serving(|_| pending());
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    let mut stream = connection.into_stream();
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    toy.spawn(async move {
        ready(&mut stream).await.unwrap();
        Pin::new(&mut stream).start_send("last".into()).unwrap();
        poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await.unwrap();
        ready(&mut stream).await.unwrap();
        let error = Pin::new(&mut stream).start_send("too late".into()).unwrap_err();
        assert_eq!(error.message.as_text(), Some("too late"));
        count.fetch_add(1, Relaxed);
    });
    toy.settle();
    assert_eq!(client.take().0, b"\x81\x04last\x88\x02\x03\xE8");
    assert_eq!(ended.load(Relaxed), 0);
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    assert_eq!(ended.load(Relaxed), 1);
}

#[test]
fn a_sink_waits_for_room_and_loses_nothing_to_others() {
    let (toy, server) = serving(|_| pending());
    let client = join(&toy);
    let connection = server.manager().snapshot().pop().unwrap();
    let (mut sink, _receiver) = connection.clone().split();
    client.set_room(0);
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = |sink: &mut SendHalf, flushes: bool| {
        let sink = Pin::new(sink);
        let poll = if flushes { sink.poll_flush(&mut cx) } else { sink.poll_ready(&mut cx) };
        poll.map(Result::unwrap)
    };
    assert!(poll(&mut sink, false).is_ready());
    // Somebody else takes the room.
    while connection.try_send(vec![7; 60_000]).is_ok() {}
    let queued = connection.buffered_amount();
    Pin::new(&mut sink).start_send("patient".into()).unwrap();
    let refused = Pin::new(&mut sink).start_send("impatient".into()).unwrap_err();
    assert_eq!((refused.kind, refused.message.len()), (SendErrorKind::Full, 9));
    for flushes in [true, false] {
        assert!(poll(&mut sink, flushes).is_pending());
    }
    assert_eq!((connection.buffered_amount(), connection.shared().lock().waiters.len()), {
        (queued, 1)
    });
    client.set_room(usize::MAX);
    toy.settle();
    assert!(poll(&mut sink, true).is_ready());
    assert!(poll(&mut sink, false).is_ready());
    toy.settle();
    let bytes = client.take().0;
    assert_eq!(bytes.len(), queued + 9);
    assert!(bytes.ends_with(b"\x81\x07patient"));
    assert_eq!(connection.shared().lock().waiters.len(), 0);
}

#[test]
fn sinks_that_are_dropped_leave_no_waiter_behind() {
    let (toy, server) = serving(|_| pending());
    let client = join(&toy);
    client.set_room(0);
    let connection = server.manager().snapshot().pop().unwrap();
    while connection.try_send(vec![7; 60_000]).is_ok() {}
    let (mut sink, _receiver) = connection.clone().split();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut sink).poll_ready(&mut cx).is_pending());
    assert!(Pin::new(&mut sink).poll_close(&mut cx).is_pending());
    assert_eq!(connection.shared().lock().waiters.len(), 1);
    drop(sink);
    assert_eq!(connection.shared().lock().waiters.len(), 0);
}
