//! What is lent to code of users while it runs.
#![expect(clippy::disallowed_methods, reason = "other threads must meet the one of the driver")]

use std::future::poll_fn;
use std::pin::pin;
use std::thread;

use super::*;

/// Numbered messages of a client, from `from` on.
fn numbers(from: usize, to: usize) -> Vec<u8> {
    (from..to).flat_map(|i| frame(0x81, format!("{i:02}").as_bytes())).collect()
}

/// What a client got, as text.
fn texts(client: &Pipe) -> Vec<String> {
    let text = |frame: &[u8]| String::from_utf8_lossy(&frame[2..]).into_owned();
    client.take().0.chunks(4).map(text).collect()
}

/// Lets another thread send, and waits for it.
fn send_elsewhere(connection: &Connection, text: &'static str) {
    let connection = connection.clone();
    thread::spawn(move || connection.try_send(text).unwrap()).join().unwrap();
}

#[test]
fn what_is_sent_before_is_sent_before_whichever_thread_sends_it() {
    for on_message in [false, true] {
        let answer = |connection: &Connection, message: Message| {
            connection.try_send(message).unwrap();
            send_elsewhere(connection, "x1");
            connection.try_send("y1").unwrap();
            connection.try_send("y2").unwrap();
            send_elsewhere(connection, "x2");
            send_elsewhere(connection, "x3");
        };
        let (toy, server) = if on_message {
            running(|builder| builder)
        } else {
            serving(move |connection| async move {
                while let Some(Ok(message)) = connection.recv().await {
                    answer(&connection, message);
                }
            })
        };
        server.on_message(answer);
        let client = join(&toy);
        // The first turn shows who takes the messages.
        for (from, to) in [(0, 1), (1, 12)] {
            client.send(&numbers(from, to));
            toy.settle();
            let expected = (from..to).flat_map(|i| {
                [format!("{i:02}").as_str(), "x1", "y1", "y2", "x2", "x3"].map(String::from)
            });
            assert_eq!(texts(&client), expected.collect::<Vec<_>>(), "on_message: {on_message}");
        }
    }
}

#[test]
fn what_a_handler_leaves_is_there_for_others_in_order() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&taken);
    let (toy, server) = serving(move |connection| {
        let out = Arc::clone(&out);
        async move {
            for _ in 0..4 {
                let message = connection.recv().await.unwrap().unwrap();
                lock(&out).push(message);
            }
            pending::<()>().await;
        }
    });
    let client = join(&toy);
    client.send(&numbers(0, 1));
    toy.settle();
    client.send(&numbers(1, 20));
    toy.settle();
    assert_eq!(lock(&taken).len(), 4);
    let connection = server.manager().snapshot().pop().unwrap();
    let out = Arc::clone(&taken);
    toy.block_on(async move {
        for _ in 4..20 {
            let message = connection.recv().await.unwrap().unwrap();
            lock(&out).push(message);
        }
    });
    let expected: Vec<_> = (0..20).map(|i| Message::text(format!("{i:02}").as_str())).collect();
    assert_eq!(*lock(&taken), expected);
}

#[test]
fn another_thread_waits_for_what_is_lent_and_gets_it() {
    let (ask, asked) = std::sync::mpsc::channel::<Connection>();
    let other = thread::spawn(move || {
        let connection = asked.recv().unwrap();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        // Nothing is taken out of the middle.
        let mut next = std::pin::pin!(connection.recv());
        assert!(next.as_mut().poll(&mut cx).is_pending());
    });
    let other = Mutex::new(Some(other));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&seen);
    let (toy, _server) = serving(move |connection| {
        let (ask, out) = (ask.clone(), Arc::clone(&out));
        let mut other = lock(&other).take();
        async move {
            while let Some(Ok(message)) = connection.recv().await {
                lock(&out).push(message);
                if lock(&out).len() == 3 {
                    ask.send(connection.clone()).unwrap();
                    other.take().unwrap().join().unwrap();
                }
            }
        }
    });
    let client = join(&toy);
    client.send(&numbers(0, 1));
    toy.settle();
    client.send(&numbers(1, 20));
    toy.settle();
    let expected: Vec<_> = (0..20).map(|i| Message::text(format!("{i:02}").as_str())).collect();
    assert_eq!(*lock(&seen), expected);
}

#[test]
fn closing_discards_what_was_not_taken() {
    for on_message in [false, true] {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let take = move |connection: &Connection, message: &Message| {
            count.fetch_add(1, Relaxed);
            if message.as_text() == Some("03") {
                connection.close(Close::normal());
            }
        };
        let (toy, server) = if on_message {
            running(|builder| builder)
        } else {
            let take = take.clone();
            serving(move |connection| {
                let take = take.clone();
                async move {
                    while let Some(Ok(message)) = connection.recv().await {
                        take(&connection, &message);
                    }
                }
            })
        };
        server.on_message(move |connection, message| take(connection, &message));
        let client = join(&toy);
        client.send(&numbers(0, 1));
        toy.settle();
        client.send(&numbers(1, 20));
        toy.settle();
        assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
        let told = told.load(Relaxed);
        assert_eq!(told, 4, "on_message: {on_message}");
    }
}

#[test]
fn a_pause_behind_a_message_that_was_asked_for_hides_nothing() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&seen);
    let (toy, _server) = serving(move |connection| {
        let out = Arc::clone(&out);
        async move {
            let mut reads = pin!(async {
                while let Some(Ok(message)) = connection.recv().await {
                    lock(&out).push(message);
                }
            });
            poll_fn(|cx| {
                let end = reads.as_mut().poll(cx);
                if lock(&out).len() == 2 {
                    connection.pause();
                }
                end
            })
            .await;
        }
    });
    let client = join(&toy);
    client.send(&numbers(0, 1));
    toy.settle();
    let ping = frame(0x89, b"");
    client.send(&[numbers(1, 2), ping, numbers(2, 3)].concat());
    toy.settle();
    let expected: Vec<_> = (0..3).map(|i| Message::text(format!("{i:02}").as_str())).collect();
    assert_eq!(*lock(&seen), expected, "they were in memory before the pause");
}

#[test]
fn a_listener_gets_all_of_a_read_that_is_longer_than_a_turn() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    let (toy, server) = running(|builder| builder);
    server.on_message(move |_, message| lock(&out).push(message));
    let client = join(&toy);
    let texts: Vec<_> = (0..3000).map(|i| format!("{i:04}")).collect();
    client.send(&texts.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect::<Vec<_>>());
    toy.settle();
    let told = lock(&told);
    assert!(told.iter().map(Message::as_text).eq(texts.iter().map(|text| Some(text.as_str()))));
}

#[test]
fn a_burst_ends_with_a_driver_that_is_left_by_a_panic() {
    let (toy, server) =
        serving(|connection| async move { while let Some(Ok(_)) = connection.recv().await {} });
    let _client = join(&toy);
    let connection = server.manager().snapshot().remove(0);
    let shared = connection.shared();
    crate::burst::begin(shared);
    let mut inner = shared.lock();
    inner.driver = crate::shared::Activity::Running;
    inner.lend(shared);
    drop(inner);
    assert!(!crate::burst::is_over());
    drop(crate::burst::Watch::over(shared));
    assert!(crate::burst::is_over());
}
