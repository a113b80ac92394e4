//! Both roles on an invented clock: from the first byte to `Closed`, on every version.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use ws_proto::{
    ClientRequest, Close, CloseCode, CommandError, Config, Connection, Entropy, Event, Instant,
    Message, RecvBuf, Reject, SendErrorKind, SendStatus, State, Timeouts, Transmit, Version,
};
use ws_tests::entropy::Repeatable;
use ws_tests::feed::{Echo, answer, config};
use ws_tests::pair::{Pair, Side};

const FRAMED: [Version; 3] = [Version::Hybi07, Version::Hybi08, Version::Rfc6455];

fn steps(events: &[String]) -> Vec<&str> {
    events.iter().filter_map(|event| event.strip_prefix("state ")).collect()
}

#[test]
fn every_version_connects_in_both_roles_whatever_the_cuts() {
    for version in Version::ALL {
        for cut in [usize::MAX, 1, 7] {
            let mut pair = Pair::new(version);
            pair.cut = cut;
            pair.server.echoes = true;
            pair.drive();
            pair.client.connection.send("héllo".into()).unwrap();
            pair.drive();
            assert_eq!(pair.client.last(), "text héllo", "{version} cut {cut}");
            assert_eq!(pair.server.last(), "text héllo");
        }
    }
}

#[test]
fn every_step_of_the_state_is_told_in_order() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        pair.client.connection.close(Close::normal(), pair.now);
        pair.pass(Duration::from_secs(1));
        let waits = version == Version::Draft76;
        let expected: &[&str] = if waits {
            &["0 -> 1", "1 -> 2", "2 -> 3", "3 -> 4", "4 -> 5", "5 -> 6"]
        } else {
            &["0 -> 1", "1 -> 3", "3 -> 4", "4 -> 5", "5 -> 6"]
        };
        assert_eq!(steps(&pair.server.events), expected, "{version} server");
        assert_eq!(steps(&pair.client.events), expected, "{version} client");
        for side in [&pair.client, &pair.server] {
            let closed = side.events.iter().filter(|event| event.starts_with("closed")).count();
            assert_eq!(closed, 1);
            assert!(side.last().starts_with("closed"));
        }
    }
}

#[test]
fn code_and_reason_reach_the_peer_and_come_back() {
    for version in FRAMED {
        let mut pair = Pair::connected(version);
        let close = Close::new(4001, "enough").unwrap();
        pair.client.connection.close(close, pair.now);
        pair.pass(Duration::from_secs(2));
        let server = r#"closed 4001 closed by the peer; the peer said 4001 "enough""#;
        assert_eq!(pair.server.last(), server);
        assert_eq!(pair.client.last(), "closed 4001 closed by this side; the peer said 4001");
    }
}

#[test]
fn a_server_closes_too_and_both_may_at_once() {
    for version in FRAMED {
        let mut pair = Pair::connected(version);
        pair.server.connection.close(CloseCode::GOING_AWAY, pair.now);
        pair.client.connection.close(Close::normal(), pair.now);
        pair.pass(Duration::from_secs(2));
        assert_eq!(pair.server.last(), "closed 1000 closed by this side; the peer said 1000");
        assert_eq!(pair.client.last(), "closed 1001 closed by this side; the peer said 1001");
    }
}

/// RFC 6455 section 7.1.1: the server ends the stream first.
#[test]
fn a_client_waits_for_the_server_to_end_the_stream() {
    let close = [0x88, 2, 0x03, 0xE8];
    for version in FRAMED {
        for (starts, server_ends) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut client = Echo::client(&config(), version);
            client.feed(&answer(&config(), version));
            if starts {
                let (connection, now) = client.connection();
                connection.close(Close::normal(), now);
            }
            client.feed(&close);
            assert_eq!(client.seen().last(), "state 4 -> 5", "{version}");
            assert!(!client.seen().ended, "{version}: it ends the stream first");
            if server_ends {
                client.eof();
            } else {
                let (connection, now) = client.connection();
                let deadline = connection.poll_timeout().expect("it does not wait for ever");
                assert!(deadline > now);
                client.wait();
            }
            assert!(client.seen().last().starts_with("closed 1000"), "{version}");
        }
    }
}

#[test]
fn what_was_queued_before_a_close_arrives() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        pair.server.connection.send("last words".into()).unwrap();
        pair.server.connection.close(Close::normal(), pair.now);
        let refused = pair.server.connection.send("too late".into()).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::NotConnected(State::Closing));
        assert_eq!(refused.message.as_text(), Some("too late"));
        pair.pass(Duration::from_secs(3));
        assert!(pair.client.saw("text last words"), "{version}: {:?}", pair.client.events);
        assert_eq!(pair.client.connection.state(), State::Closed);
        assert_eq!(pair.server.connection.state(), State::Closed);
    }
}

#[test]
fn drafts_close_without_a_code() {
    let mut pair = Pair::connected(Version::Draft76);
    pair.client.connection.close(Close::new(4000, "lost").unwrap(), pair.now);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.server.last(), "closed 1005 closed by the peer; the peer said no code");

    let mut pair = Pair::connected(Version::Draft75);
    pair.client.connection.close(Close::normal(), pair.now);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.server.last(), "closed 1005 closed by the peer");
}

#[test]
fn webkit_2011_a_client_that_never_answers_ff_00_is_not_waited_for() {
    let mut pair = Pair::connected(Version::Draft76);
    pair.broken = true;
    pair.server.connection.close(Close::normal(), pair.now);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.server.connection.state(), State::Closed);
    assert_eq!(pair.server.last(), "closed 1006 closed by this side");
}

#[test]
fn a_peer_that_never_answers_a_close_is_given_15_seconds() {
    let mut pair = Pair::connected(Version::Rfc6455);
    pair.broken = true;
    pair.server.connection.close(Close::normal(), pair.now);
    pair.pass(Duration::from_millis(14_900));
    assert_eq!(pair.server.connection.state(), State::Closing);
    pair.pass(Duration::from_millis(200));
    assert_eq!(pair.server.last(), "closed 1006 closed by this side");
}

#[test]
fn a_handshake_that_is_not_complete_after_10_seconds_ends() {
    for version in Version::ALL {
        let mut pair = Pair::new(version);
        pair.server.accepts = false;
        pair.pass(Duration::from_secs(9));
        assert!(pair.server.connection.state() < State::Closing);
        pair.pass(Duration::from_secs(4));
        let server = "closed 1006 this side did not decide about the request in time";
        assert_eq!(pair.server.last(), server, "{version}");
        assert_eq!(pair.client.connection.state(), State::Closed, "{version}");
    }
}

#[test]
fn silence_is_answered_with_pings_and_only_pings() {
    let mut pair = Pair::connected(Version::Rfc6455);
    pair.pass(Duration::from_secs(3600));
    assert_eq!(pair.server.connection.state(), State::Connected);
    assert!(pair.client.saw(r#"ping b"""#) && pair.server.saw(r#"pong b"""#));
}

#[test]
fn a_pulled_cable_is_noticed_within_two_deadlines() {
    for version in FRAMED {
        let mut pair = Pair::connected(version);
        pair.broken = true;
        pair.pass(Duration::from_secs(42));
        assert_eq!(pair.server.last(), "closed 1006 nothing came after a ping", "{version}");
        assert_eq!(pair.client.connection.state(), State::Closed);
    }
}

#[test]
fn a_lifetime_ends_with_a_proper_close_however_busy_the_connection_is() {
    let mut timeouts = Timeouts::default();
    timeouts.lifetime = Some(Duration::from_secs(3600));
    let config = Arc::new(Config::builder().timeouts(timeouts).build().unwrap());
    for version in Version::ALL {
        let mut pair = Pair::with_config(version, &config);
        // Only one side has the limit.
        let other = Pair::new(version);
        pair.client = other.client;
        pair.server.echoes = true;
        pair.drive();
        for _ in 0..119 {
            pair.pass(Duration::from_secs(30));
            pair.client.connection.send("busy".into()).unwrap();
        }
        pair.pass(Duration::from_secs(29));
        assert_eq!(pair.server.connection.state(), State::Connected, "{version}");
        pair.server.connection.send("the last word".into()).unwrap();
        pair.pass(Duration::from_secs(5));
        assert!(pair.client.saw("text the last word"), "{version}");
        let [told, server] = [&pair.client, &pair.server].map(Side::last);
        let cause = "the connection was open for the whole of its lifetime";
        if version.has_frames() {
            assert_eq!(server, format!("closed 1001 {cause}; the peer said 1001"), "{version}");
            let said = "closed by the peer; the peer said 1001 \"open for long enough\"";
            assert_eq!(told, format!("closed 1001 {said}"), "{version}");
        } else {
            let said = if version == Version::Draft76 { "; the peer said no code" } else { "" };
            assert_eq!(server, format!("closed 1005 {cause}{said}"), "{version}");
        }
    }
}

#[test]
fn a_request_may_be_rejected_before_it_was_read() {
    let now = Instant::from_nanos(0);
    let mut connection = Connection::server(Arc::new(Config::default()), now);
    let mut input = RecvBuf::default();
    input.feed(b"GET / HT");
    assert!(matches!(connection.poll_event(&mut input, now), Some(Event::State { .. })));
    connection.reject(&Reject::new(403), now).unwrap();
    let Some(Transmit::Data(mut answer)) = connection.poll_transmit() else { panic!("no answer") };
    let answer = answer.copy_to_bytes(answer.remaining());
    assert!(answer.starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
    connection.handle_transmitted(answer.len());
    assert!(matches!(connection.poll_transmit(), Some(Transmit::Shutdown)));
    input.feed(b"TP/1.1\r\nUpgrade: websocket\r\n\r\n");
    while connection.poll_event(&mut input, now).is_some() {}
    assert!(connection.poll_transmit().is_none() && input.is_empty());
    assert_eq!(
        connection.reject(&Reject::new(403), now),
        Err(CommandError::NoRequest(State::Closing))
    );
}

#[test]
fn nobody_is_turned_away_who_is_owed_no_answer() {
    let now = Instant::from_nanos(0);
    for begun in [&b""[..], b"GET / HT"] {
        let mut connection = Connection::server(Arc::new(Config::default()), now);
        let mut input = RecvBuf::default();
        input.feed(begun);
        while connection.poll_event(&mut input, now).is_some() {}
        let state = connection.state();
        assert_eq!(connection.turn_away(now), Err(CommandError::NoRequest(state)));
        assert!(connection.poll_transmit().is_none());
        connection.reject(&Reject::new(403), now).unwrap();
        assert_eq!(connection.turn_away(now), Err(CommandError::NoRequest(State::Closing)));
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_is_noticed() {
    for version in Version::ALL {
        let mut pair = Pair::new(version);
        pair.server.accepts = false;
        pair.drive();
        assert!(pair.server.connection.wants_input(), "{version}");
        assert_eq!(pair.server.connection.state(), State::Opening);
        pair.server.connection.handle_eof(pair.now);
        pair.pass(Duration::from_secs(2));
        let last = "closed 1006 the peer ended the stream without closing";
        assert_eq!(pair.server.last(), last, "{version}");
    }
}

#[test]
fn drafts_have_an_idle_limit_instead_of_pings() {
    for version in [Version::Draft75, Version::Draft76] {
        let mut pair = Pair::connected(version);
        pair.server.echoes = true;
        pair.pass(Duration::from_secs(299));
        pair.client.connection.send("still here".into()).unwrap();
        pair.pass(Duration::from_secs(299));
        assert_eq!(pair.server.connection.state(), State::Connected);
        pair.pass(Duration::from_secs(5));
        assert_eq!(pair.server.last(), "closed 1006 nothing came for the idle limit", "{version}");
    }
}

#[test]
fn who_stops_reading_does_not_blame_the_peer() {
    let mut pair = Pair::connected(Version::Rfc6455);
    pair.broken = true;
    pair.server.connection.set_paused(true, pair.now);
    pair.client.connection.set_paused(true, pair.now);
    pair.pass(Duration::from_secs(600));
    assert_eq!(pair.server.connection.state(), State::Connected);
}

#[test]
fn who_reads_again_counts_the_silence_from_then_on() {
    for version in [Version::Draft75, Version::Rfc6455] {
        let mut timeouts = Timeouts::default();
        (timeouts.idle, timeouts.ping_interval) = (Some(Duration::from_secs(300)), None);
        let config = Arc::new(Config::builder().timeouts(timeouts).build().unwrap());
        let mut pair = Pair::with_config(version, &config);
        pair.drive();
        pair.client.connection.set_paused(true, pair.now);
        pair.server.connection.set_paused(true, pair.now);
        pair.pass(Duration::from_secs(599));
        pair.server.connection.set_paused(false, pair.now);
        pair.pass(Duration::from_secs(299));
        assert_eq!(pair.server.connection.state(), State::Connected, "{version}");
        pair.pass(Duration::from_secs(5));
        assert_eq!(pair.server.last(), "closed 1006 nothing came for the idle limit", "{version}");
    }
}

#[test]
fn a_peer_that_takes_nothing_is_dropped_even_by_a_paused_side() {
    for version in Version::ALL {
        let mut pair = Pair::connected(version);
        pair.server.stops_writing = true;
        pair.server.connection.set_paused(true, pair.now);
        pair.client.connection.set_paused(true, pair.now);
        pair.server.connection.send("never taken".into()).unwrap();
        pair.pass(Duration::from_secs(29));
        assert_eq!(pair.server.connection.state(), State::Connected);
        pair.pass(Duration::from_secs(35));
        let last = "closed 1006 the peer took no byte of what waited for it";
        assert_eq!(pair.server.last(), last, "{version}");
    }
}

#[test]
fn draft76_starts_its_short_deadline_when_everything_was_taken() {
    let mut pair = Pair::connected(Version::Draft76);
    pair.server.stops_writing = true;
    pair.server.connection.send("slow".into()).unwrap();
    pair.server.connection.close(Close::normal(), pair.now);
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.server.connection.state(), State::Closing);
    pair.server.stops_writing = false;
    pair.pass(Duration::from_secs(1));
    assert!(pair.client.saw("text slow"));
    assert_eq!(pair.server.connection.state(), State::Closed);
}

#[test]
fn draft75_closed_by_either_side_is_clean() {
    for server_closes in [true, false] {
        let mut pair = Pair::connected(Version::Draft75);
        let now = pair.now;
        let side = if server_closes { &mut pair.server } else { &mut pair.client };
        side.connection.close(Close::normal(), now);
        pair.pass(Duration::from_secs(2));
        assert!(pair.server.last().starts_with("closed 1005"), "{}", pair.server.last());
        assert!(pair.client.last().starts_with("closed 1005"), "{}", pair.client.last());
    }
}

#[test]
fn the_applications_pings_have_the_limit_of_messages() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let ping = || Bytes::from_static(&[0; 125]);
    let sent = (0..10_000).take_while(|_| pair.server.connection.ping(ping()).is_ok()).count();
    assert_eq!(sent, (256 << 10) / 127 + 1);
    assert_eq!(pair.server.connection.ping(ping()).unwrap_err().kind, SendErrorKind::Full);
}

#[test]
fn an_exchanged_receive_buffer_is_the_callers_fault_and_harms_nobody() {
    let mut pairs = [Pair::connected(Version::Rfc6455), Pair::connected(Version::Rfc6455)];
    pairs[0].client.connection.send("x".repeat(70_000).into()).unwrap();
    pairs[1].client.connection.send(Message::binary(vec![0xFF; 70_000])).unwrap();
    let [first, second] = &mut pairs;
    first.drive_client(30_000);
    second.drive_client(30_000);
    std::mem::swap(&mut first.server.input, &mut second.server.input);
    for pair in &mut pairs {
        pair.pass(Duration::from_secs(3));
        assert!(!pair.server.events.iter().any(|event| event.contains("70000 bytes")));
        let last = pair.server.last();
        assert!(last.contains("the receive buffer was exchanged"), "{last}");
    }
}

#[test]
fn a_buffer_is_idle_when_a_connection_ends_inside_a_long_message() {
    let ends: [fn(&mut Connection, Instant); 5] = [
        Connection::handle_eof,
        // While the close frame of this side waits for room.
        |connection, now| {
            connection.close(Close::normal(), now);
            let mut nothing_new = RecvBuf::default();
            while connection.poll_event(&mut nothing_new, now).is_some() {}
            connection.handle_eof(now);
        },
        Connection::handle_reset,
        |connection, _| connection.abort(),
        // The ping, and that no pong came.
        |connection, now| {
            for seconds in [20, 40] {
                connection.handle_timeout(now + Duration::from_secs(seconds));
            }
        },
    ];
    for end in ends {
        let mut pair = Pair::connected(Version::Rfc6455);
        let (server, input) = (&mut pair.server.connection, &mut RecvBuf::default());
        let header = [0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4];
        assert_eq!(input.feed(&[&header[..], &vec![7; 40_000]].concat()), 40_014);
        assert!(server.poll_event(input, pair.now).is_none() && input.is_lent());
        end(server, pair.now);
        assert!(server.state() >= State::Closing);
        while let Some(event) = server.poll_event(input, pair.now) {
            assert!(input.is_idle(), "{event:?}");
        }
        assert!(input.is_idle());
    }
}

#[test]
fn a_busy_connection_never_moves_its_deadline() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let deadline = pair.server.connection.poll_timeout();
    for _ in 0..100 {
        pair.client.connection.send("x".into()).unwrap();
        pair.drive();
        pair.server.connection.send("y".into()).unwrap();
        pair.drive();
    }
    assert_eq!(pair.server.connection.poll_timeout(), deadline);
}

#[test]
fn an_end_without_a_close_is_told_as_one() {
    for version in FRAMED {
        let mut pair = Pair::connected(version);
        pair.server.connection.handle_eof(pair.now);
        pair.drive();
        assert_eq!(
            pair.server.last(),
            "closed 1006 the peer ended the stream without closing",
            "{version}"
        );
    }
}

#[test]
fn abort_says_nothing_to_the_peer() {
    let mut pair = Pair::connected(Version::Rfc6455);
    pair.server.connection.send("never".into()).unwrap();
    pair.server.connection.abort();
    pair.drive();
    assert_eq!(pair.server.last(), "closed 1006 aborted by this side");
    assert!(!pair.client.saw("text never"));
    assert_eq!(pair.server.connection.poll_timeout(), None);
}

#[test]
fn binary_and_pings_do_not_exist_in_the_drafts() {
    for version in [Version::Draft75, Version::Draft76] {
        let mut pair = Pair::connected(version);
        let payload = Bytes::from_static(b"\0\xFF");
        let refused = pair.server.connection.send(Message::binary(payload.clone())).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::TextOnly);
        assert_eq!(refused.message.as_bytes(), payload);
        let refused = pair.client.connection.ping(payload.clone()).unwrap_err();
        assert_eq!((refused.kind, refused.message), (SendErrorKind::TextOnly, payload));
    }
}

#[test]
fn websockets_150_control_payloads_over_125_bytes_are_refused_here() {
    let mut pair = Pair::connected(Version::Rfc6455);
    let long = Bytes::from_static(&[0; 126]);
    let refused = pair.server.connection.ping(long.clone()).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::ControlTooLong);
    assert_eq!(pair.server.connection.pong(long).unwrap_err().kind, SendErrorKind::ControlTooLong);
    assert!(Close::new(1000, "x".repeat(124)).is_err());
}

#[test]
fn a_full_outbound_buffer_refuses_and_tells_when_there_is_room() {
    let limits = {
        let mut limits = Config::default().limits().clone();
        (limits.outbound_high, limits.outbound_low) = (1000, 100);
        limits
    };
    let config = Arc::new(Config::builder().limits(limits).build().unwrap());
    for version in Version::ALL {
        let mut pair = Pair::with_config(version, &config);
        pair.drive();
        let server = &mut pair.server.connection;
        let message = || Message::text("x".repeat(400));
        assert_eq!(server.send(message()), Ok(SendStatus::Ready));
        assert_eq!(server.send(message()), Ok(SendStatus::Ready));
        assert_eq!(server.send(message()), Ok(SendStatus::Filled));
        let refused = server.send(message()).unwrap_err();
        assert_eq!((refused.kind, refused.message), (SendErrorKind::Full, message()));
        assert!(server.buffered_amount() > 1200);
        pair.drive();
        assert_eq!(pair.server.last(), "writable");
        assert_eq!(pair.server.connection.buffered_amount(), 0);
        assert_eq!(pair.server.connection.send(message()), Ok(SendStatus::Ready));
    }
}

#[test]
fn a_close_during_the_handshake_is_an_answer() {
    let mut pair = Pair::new(Version::Rfc6455);
    pair.server.accepts = false;
    pair.drive();
    pair.server.connection.close(Close::normal(), pair.now);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.server.connection.state(), State::Closed);
    assert!(pair.client.last().contains("503"), "{}", pair.client.last());
}

#[test]
fn a_pong_deadline_that_is_noticed_late_blames_no_peer_that_answered() {
    let mut pair = Pair::connected(Version::Rfc6455);
    pair.pass(Duration::from_secs(21));
    assert!(pair.client.saw("ping b\"\""), "{:?}", pair.client.events);
    pair.now = pair.now + Duration::from_secs(30);
    pair.server.connection.handle_timeout(pair.now);
    assert_eq!(pair.server.connection.state(), State::Connected);
}

/// Gives what the request needs, and then nothing more.
struct Exhausted(Repeatable);

impl Entropy for Exhausted {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn is_ready(&mut self) -> bool {
        false
    }
}

#[test]
fn without_random_bytes_nothing_is_masked_with_a_key_that_could_be_known() {
    let now = Instant::from_nanos(0);
    for version in Version::ALL {
        let config = Arc::new(Config::default());
        let request = ClientRequest::new("ws://a/").unwrap().version(version);
        let entropy = Box::new(Exhausted(Repeatable::new(7)));
        let mut pair = Pair::new(version);
        pair.client.connection = Connection::client(config, request, entropy, now);
        pair.drive();
        let client = &mut pair.client.connection;
        assert_eq!(client.state(), State::Connected);
        let sent = client.send("x".into()).map_err(|error| error.kind);
        if !version.has_frames() {
            assert_eq!(sent, Ok(SendStatus::Ready));
            continue;
        }
        assert_eq!(sent, Err(SendErrorKind::NoEntropy));
        assert_eq!(client.ping(Bytes::new()).unwrap_err().kind, SendErrorKind::NoEntropy);
        // A close frame is left out, and the stream ends all the same.
        client.close(Close::normal(), now);
        assert!(matches!(client.poll_transmit(), Some(Transmit::Shutdown)));
    }
}

#[test]
fn a_client_leaves_a_server_that_answers_wrongly_at_once() {
    for version in Version::ALL {
        let mut pair = Pair::new(version);
        pair.drive_client(usize::MAX);
        pair.inject(b"HTTP/1.1 404 x\r\n\r\n");
        pair.drive_client(usize::MAX);
        assert_eq!(pair.client.connection.state(), State::Closed, "{version}");
    }
}

#[test]
fn a_pong_in_the_same_instant_as_its_ping_counts() {
    for version in FRAMED {
        let mut pair = Pair::connected(version);
        pair.delay = Duration::ZERO;
        let timeouts = Timeouts::default();
        for _ in 0..3 {
            pair.pass(timeouts.ping_interval.unwrap() + timeouts.pong);
        }
        for side in [&pair.client, &pair.server] {
            assert_eq!(side.connection.state(), State::Connected, "{version} {:?}", side.events);
        }
    }
}
