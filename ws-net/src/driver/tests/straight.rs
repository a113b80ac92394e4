//! Turns in which nothing happens but messages, and those in which something else does.

use proptest::prelude::*;

use super::super::straight::DONE;
use super::*;
use crate::pool;

/// What a client sends.
#[derive(Clone, Debug)]
enum Sent {
    Message(u8, usize),
    InTwo(usize),
    Ping,
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Message(first, len) => frame(*first, &vec![b'm'; *len]),
            Self::InTwo(len) => {
                [frame(0x02, &vec![b'f'; *len]), frame(0x80, &vec![b'f'; *len])].concat()
            }
            Self::Ping => frame(0x89, b"ping"),
        }
    }

    /// What comes back.
    fn answer(&self) -> Vec<u8> {
        let masked = match self {
            Self::Message(..) => self.bytes(),
            Self::InTwo(len) => frame(0x82, &vec![b'f'; 2 * len]),
            Self::Ping => frame(0x8A, b"ping"),
        };
        let length = match masked[1] {
            0xFE => 4,
            0xFF => 10,
            _ => 2,
        };
        let mut answer = masked[..length].to_vec();
        answer[1] &= 0x7F;
        answer.extend(&masked[length + 4..]);
        answer
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let kind = prop_oneof![Just(0x81), Just(0x82)];
    let len = prop_oneof![5 => 0..300_usize, 1 => 60_000..70_000_usize, 3 => 16_000..17_000_usize];
    prop_oneof![
        8 => (kind, len).prop_map(|(first, len)| Sent::Message(first, len)),
        1 => (1..200_usize).prop_map(Sent::InTwo),
        1 => Just(Sent::Ping),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

    /// However what comes is cut, and however little the socket takes.
    #[test]
    fn every_message_is_answered_in_its_turn(
        on_message: bool,
        slices: bool,
        all in prop::collection::vec(sent(), 1..12),
        cuts in prop::collection::vec(prop_oneof![1..5000_usize, Just(usize::MAX)], 1..20),
        rooms in prop::collection::vec(prop_oneof![Just(usize::MAX), 0..200_usize], 1..20),
    ) {
        let (toy, _server) = echoing(on_message);
        let client = join(&toy);
        if slices {
            client.read_into_slices();
        }
        let bytes: Vec<u8> = all.iter().flat_map(Sent::bytes).collect();
        let mut rest = bytes.as_slice();
        for (cut, room) in cuts.iter().cycle().zip(rooms.iter().cycle()) {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            client.set_room(*room);
            client.send(piece);
            toy.settle();
            rest = behind;
        }
        client.set_room(usize::MAX);
        toy.settle();
        let expected: Vec<u8> = all.iter().flat_map(Sent::answer).collect();
        prop_assert!(client.take().0 == expected);
    }
}

/// Turns that were gone straight through since the last call.
fn straight() -> usize {
    DONE.replace(0)
}

/// A client whose first message is answered: that turn shows who takes the messages.
fn heard(toy: &Toy) -> Arc<Pipe> {
    let client = join(toy);
    client.send(&frame(0x81, b"0"));
    toy.settle();
    client.take();
    straight();
    Arc::new(client)
}

#[test]
fn what_happens_during_the_write_is_not_missed() {
    type Event = fn(&Connection, &Pipe);
    let cases: [(Event, &[u8]); 4] = [
        (|connection, _| drop(connection.try_send("x")), b"\x81\x01m\x81\x01x\x81\x01n"),
        (|_, client| client.send(&frame(0x81, b"y")), b"\x81\x01m\x81\x01y\x81\x01n"),
        (|_, client| client.send(&frame(0x89, b"p")), b"\x81\x01m\x8A\x01p\x81\x01n"),
        (|connection, _| connection.close(Close::normal()), b"\x81\x01m\x88\x02\x03\xE8"),
    ];
    for on_message in [false, true] {
        for (event, expected) in &cases {
            let (toy, server) = echoing(on_message);
            let client = heard(&toy);
            let (connection, event) = (only(&server), *event);
            let also = Arc::clone(&client);
            client.meanwhile(move || event(&connection, &also));
            client.send(&frame(0x81, b"m"));
            toy.settle();
            client.send(&frame(0x81, b"n"));
            toy.settle();
            assert_eq!(client.take().0, *expected, "on_message: {on_message}");
        }
    }
}

#[test]
fn only_a_turn_of_messages_goes_straight() {
    for on_message in [false, true] {
        let (toy, server) = echoing(on_message);
        let client = heard(&toy);
        let goes = |bytes: &[u8]| {
            client.send(bytes);
            assert_eq!(toy.settle(), 1);
            straight() == 1
        };
        for i in 1..5 {
            assert!(goes(&frame(0x81, b"message").repeat(i)), "on_message: {on_message}");
            assert!(goes(&frame(0x82, &vec![7; 50_000])));
        }
        let message = frame(0x81, b"in two");
        let (beginning, end) = message.split_at(7);
        assert!(!goes(beginning) && !goes(end), "half a message");
        assert!(goes(&message));
        assert!(!goes(&frame(0x89, b"ping")));
        assert!(!goes(&[frame(0x81, b"message"), frame(0x89, b"")].concat()), "and a ping");
        assert!(!goes(&[frame(0x01, b"frag"), frame(0x80, b"ment")].concat()));
        assert!(goes(&message));
        let connection = only(&server);
        connection.pause();
        toy.settle();
        assert!(!goes(&message));
        connection.resume();
        toy.settle();
        assert!(goes(&message));
        connection.on_message(|_, _| {});
        assert_eq!(goes(&message), !on_message, "it has listeners of its own");
    }
}

/// A server that sends every message back, and what of them has memory beyond its end.
fn noting(on_message: bool) -> (Toy, Server<Toy>, Arc<Mutex<Vec<bool>>>) {
    let noted = Arc::<Mutex<Vec<bool>>>::default();
    let note = |noted: &Mutex<Vec<bool>>, connection: &Connection, message: Message| {
        let own = message.clone().into_bytes();
        let copy: Message = match message.as_text() {
            Some(text) => text.to_owned().into(),
            None => own.to_vec().into(),
        };
        connection.try_send(copy).unwrap();
        drop(message);
        lock(noted).push(own.try_into_mut().is_ok_and(|own| own.capacity() > own.len()));
    };
    let [told, taken] = [(); 2].map(|()| Arc::clone(&noted));
    let (toy, server) = if on_message {
        running(|builder| builder)
    } else {
        serving(move |connection| {
            let taken = Arc::clone(&taken);
            async move {
                while let Some(Ok(message)) = connection.recv().await {
                    note(&taken, &connection, message);
                }
            }
        })
    };
    server.on_message(move |connection, message| note(&told, connection, message));
    (toy, server, noted)
}

#[test]
fn a_message_like_those_before_is_read_into_its_own_memory() {
    for on_message in [false, true] {
        let (toy, _server, noted) = noting(on_message);
        let client = heard(&toy);
        // The last of each is the one that counts.
        let own = |lengths: &[usize]| {
            for &len in lengths {
                let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
                client.send(&frame(0x82, &payload));
                assert_eq!(toy.settle(), 1);
                assert!(client.take().0.ends_with(&payload));
            }
            *lock(&noted).last().unwrap()
        };
        assert!(!own(&[16_000]));
        assert!(!own(&[16_000]));
        assert!(own(&[16_000]) && own(&[16_000]) && own(&[17_000]), "two of them agreed");
        assert_eq!(straight(), 5);
        assert!(!own(&[125]) && !own(&[16_000]) && !own(&[16_000]) && own(&[16_000]));
        assert!(!own(&[65_000; 3]) && own(&[65_000]), "the first was too long for its room");
        for (behind, straight_on) in [(frame(0x81, b"too"), 1), (frame(0x89, b"pin"), 0)] {
            assert!(own(&[16_000; 3]));
            straight();
            client.send(&[frame(0x82, &[7; 16_000]), behind].concat());
            assert_eq!(toy.settle(), 1);
            assert_eq!((straight(), client.take().0.len()), (straight_on, 16_000 + 4 + 5));
        }
        own(&[65_000; 3]);
        // It does not come at once.
        let message = frame(0x82, &vec![8; 65_000]);
        let (beginning, end) = message.split_at(20_000);
        client.send(beginning);
        toy.settle();
        client.send(end);
        toy.settle();
        assert!(client.take().0.ends_with(&vec![8; 65_000]));
        straight();
        assert!(!own(&[65_000]) && !own(&[65_000]) && own(&[65_000]));
        // Much more than was expected.
        let messages = [frame(0x82, &vec![9; 100_000]), frame(0x81, b"more").repeat(5)].concat();
        client.send(&messages);
        assert_eq!(toy.settle(), 1);
        assert_eq!(client.take().0.len(), 100_000 + 10 + 5 * 6);
    }
}

/// Also where they are so long that its memory has the size of a chunk.
#[test]
fn the_memory_of_a_message_serves_no_other_connection() {
    for on_message in [false, true] {
        let (toy, _server, noted) = noting(on_message);
        let [first, second, third] = [(); 3].map(|()| heard(&toy));
        let answers = |client: &Pipe, len: usize| {
            let message = frame(0x82, &vec![7; len]);
            client.send(&message);
            toy.settle();
            assert_eq!(client.take().0.len(), message.len() - 4, "{len}");
        };
        for _ in 0..2 {
            answers(&first, 58_250);
        }
        // What they were read into comes to lie on the top of the chunks of the thread.
        for client in [&second, &first] {
            client.send(&frame(0x89, b"ping"));
            toy.settle();
            assert_eq!(client.take().0, b"\x8A\x04ping");
        }
        answers(&second, 60_000);
        answers(&third, 5);
        assert!(lock(&noted).iter().all(|own| !own));
    }
}

/// In the oldest framing that cannot be seen without a look at each byte.
#[test]
fn who_sends_several_texts_at_once_is_given_chunks() {
    let (toy, server, noted) = noting(true);
    let client = toy.dial();
    client.send(
        b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
          Host: a\r\nOrigin: http://a\r\n\r\n",
    );
    toy.settle();
    assert_eq!(only(&server).version(), Some(ws_proto::Version::Draft75));
    let text = |len: usize| [&[0][..], &vec![b'x'; len], &[0xFF]].concat();
    let made = || pool::MADE_FOR_MESSAGES.take();
    for (count, len, expected) in [(1, 16_000, 4), (16, 1_000, 1), (1, 16_000, 0)] {
        made();
        for _ in 0..6 {
            client.send(&text(len).repeat(count));
            toy.settle();
        }
        assert_eq!(made(), expected, "{count} of {len}");
    }
    assert_eq!(lock(&noted).iter().filter(|own| **own).count(), 4);
}

#[test]
fn a_stream_that_reads_into_slices_is_given_chunks() {
    // The third read tells that it does, or the one that finds nothing.
    for woken in [false, true] {
        let (toy, server, noted) = noting(true);
        let client = heard(&toy);
        client.read_into_slices();
        pool::MADE_FOR_MESSAGES.take();
        for turn in 0..6 {
            if woken && turn >= 2 {
                only(&server).shared().lock().waker.clone().unwrap().wake();
                toy.settle();
            }
            client.send(&frame(0x82, &vec![7; 16_000]));
            assert_eq!(toy.settle(), 1);
        }
        assert_eq!(pool::MADE_FOR_MESSAGES.take(), 1, "woken: {woken}");
        assert_eq!(*lock(&noted), [false; 7]);
        assert_eq!(client.take().0.len(), 6 * 16_004);
    }
}

#[test]
fn the_deadline_of_a_message_is_judged() {
    for on_message in [false, true] {
        let (toy, _server) = echoing(on_message);
        let client = heard(&toy);
        // The ping is due, and the message has come before it was sent.
        toy.sleep(Duration::from_secs(3600));
        client.send(&frame(0x81, b"late"));
        toy.settle();
        assert_eq!((straight(), client.take().0), (0, b"\x81\x04late".to_vec()));
        client.send(&frame(0x81, b"next"));
        toy.settle();
        assert_eq!((straight(), client.take().0), (1, b"\x81\x04next".to_vec()));
    }
}

#[test]
fn a_listener_that_takes_the_lock_gets_every_message() {
    for pieces in [1, 2] {
        let (toy, server) = running(|builder| builder);
        let told = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&told);
        server.on_message(move |connection, message| {
            assert_eq!(connection.state(), State::Connected);
            lock(&all).push(message.as_text().unwrap().parse::<usize>().unwrap());
        });
        let client = join(&toy);
        let message = |i: usize| {
            let text = format!("{i:04}");
            if pieces == 1 {
                return frame(0x81, text.as_bytes());
            }
            let (beginning, end) = text.split_at(2);
            [frame(0x01, beginning.as_bytes()), frame(0x80, end.as_bytes())].concat()
        };
        client.send(&frame(0x81, b"0"));
        let mut from = 1;
        for count in [3000, 1, 33, 34, 35, 500, 501] {
            client.send(&(from..from + count).flat_map(message).collect::<Vec<_>>());
            straight();
            toy.settle();
            assert_eq!(straight() == 1, (count, pieces) == (1, 1), "{count} in {pieces}");
            from += count;
        }
        assert!(*lock(&told) == (0..from).collect::<Vec<_>>(), "in {pieces}");
    }
}

#[test]
fn a_handler_may_take_the_lock_and_still_goes_straight() {
    let (toy, _server) = serving(|connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            assert_eq!(connection.state(), State::Connected);
            connection.send(message).await.unwrap();
            assert!(connection.buffered_amount() > 0);
        }
    });
    let client = heard(&toy);
    for count in [1, 1, 5, 1] {
        client.take();
        straight();
        client.send(&frame(0x81, b"m").repeat(count));
        toy.settle();
        assert_eq!((straight(), client.take().0), (1, b"\x81\x01m".repeat(count)));
    }
}

#[test]
fn listeners_are_told_nothing_while_the_buffer_is_full() {
    let mut limits = Limits::default();
    (limits.outbound_high, limits.outbound_low) = (1000, 100);
    let (toy, server) = running(|builder| builder.limits(limits));
    server.on_message(|connection, message| {
        connection.try_send(message).unwrap();
    });
    let client = heard(&toy);
    let (connection, also) = (only(&server), Arc::clone(&client));
    client.meanwhile(move || {
        connection.try_send(vec![b'x'; 2000]).unwrap();
        also.send(&frame(0x81, b"n"));
    });
    client.send(&frame(0x81, b"m"));
    toy.settle();
    let long = [&[0x82, 126, 0x07, 0xD0][..], &[b'x'; 2000]].concat();
    assert_eq!(client.take().0, [b"\x81\x01m", &long[..], b"\x81\x01n"].concat());
}

#[test]
fn what_came_before_the_end_is_told_before_it() {
    for on_message in [false, true] {
        let (toy, server) = if on_message {
            running(|builder| builder)
        } else {
            serving(move |connection| async move {
                while let Some(Ok(message)) = connection.recv().await {
                    connection.data::<Told>().unwrap().note(message);
                    connection.try_send("heard").unwrap();
                }
            })
        };
        let told = Told::default();
        let [heard, ended, given] = [told.clone(), told.clone(), told.clone()];
        server.on_connection(move |connection| drop(connection.set_data(given.clone())));
        server.on_message(move |connection, message| {
            heard.note(message);
            connection.try_send("heard").unwrap();
        });
        server.on_close(move |_, closed| ended.note(format!("{:?}", closed.cause)));
        let client = Arc::new(join(&toy));
        client.send(&frame(0x81, b"first"));
        toy.settle();
        client.send(&frame(0x81, b"second"));
        client.meanwhile({
            let also = Arc::clone(&client);
            move || {
                also.send(&frame(0x81, b"third"));
                also.hear_no_more();
            }
        });
        toy.settle();
        client.fail();
        toy.settle();
        let all = lock(&told.0).clone();
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!(all[..3], ["first", "second", "third"], "on_message: {on_message}");
    }
}

/// What was told, as text.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn note(&self, what: impl Into<Message>) {
        let text = what.into().as_text().unwrap().to_owned();
        lock(&self.0).push(text);
    }
}

#[test]
fn a_peer_that_is_always_ahead_gets_no_more_than_its_turn() {
    fn feed(client: &Arc<Pipe>, left: usize) {
        client.send(&frame(0x81, b"again"));
        if left > 0 {
            let also = Arc::clone(client);
            client.meanwhile(move || feed(&also, left - 1));
        }
    }
    for on_message in [false, true] {
        let (toy, _server) = echoing(on_message);
        let client = heard(&toy);
        feed(&client, 63);
        let turns = toy.settle();
        assert!((4..=8).contains(&turns), "{turns} turns for 64 reads");
        assert_eq!(client.take(), (b"\x81\x05again".repeat(64), 64));
    }
}
