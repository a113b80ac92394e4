//! The generator believes honest servers and finds out those that are not.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process, thread,
    time::Duration,
};

use loadgen::{
    Report,
    options::{Broadcast, Connect, Echo, Idle, Options, Protocol, Takeover, Work},
};

const CLOSE: u8 = 0x88;

/// What a server sends back for a frame, without the mask: first byte and payload.
type Answer = fn(u8, Vec<u8>) -> Vec<u8>;

fn honest(first: u8, payload: Vec<u8>) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A server that handles one connection at a time on each of its threads.
fn start(serve: impl Fn(TcpStream) -> io::Result<()> + Copy + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn start_ws(answer: Answer) -> SocketAddr {
    start_with("", answer)
}

fn start_with(extensions: &'static str, answer: Answer) -> SocketAddr {
    start(move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(byte(&mut stream)?);
        }
        let answer_head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{extensions}\r\n"
        );
        stream.write_all(answer_head.as_bytes())?;
        loop {
            let first = byte(&mut stream)?;
            let payload = payload(&mut stream)?;
            stream.write_all(&answer(first, payload))?;
            if first == CLOSE {
                return Ok(());
            }
        }
    })
}

fn payload(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = match byte(stream)? & 0x7F {
        126 => usize::from(byte(stream)?) << 8 | usize::from(byte(stream)?),
        length => usize::from(length),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(payload)
}

fn byte(stream: &mut TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte).map(|()| byte[0])
}

fn options(connect: SocketAddr, work: Work) -> Options {
    Options {
        work,
        connect,
        protocol: Protocol::Ws,
        server_pid: Some(process::id().cast_signed()),
        cpu: None,
        seconds: Duration::from_millis(30),
        warm_up: Duration::ZERO,
        messages: u64::MAX,
        verify: true,
        tls: false,
        deflate: None,
        text: false,
    }
}

fn echo(size: usize) -> Work {
    Work::Echo(Echo { size, connections: 3, in_flight: 4 })
}

fn problem(result: io::Result<Report>) -> String {
    result.expect_err("the server was not honest").to_string()
}

#[test]
fn an_honest_echo_is_counted() {
    let address = start_ws(honest);
    for size in [0, 1, 125, 126, 5000, 60_000] {
        for (text, verify) in [(true, true), (false, false)] {
            let options = Options { text, verify, ..options(address, echo(size)) };
            let report = loadgen::run(&options).unwrap();
            assert!(report.messages >= 12 && report.messages.is_multiple_of(4), "{report:?}");
            assert!(report.rate > 0.0 && report.latency.p50 > 0.0);
            assert!(report.server_ns.unwrap() > 0.0 && report.resident.unwrap() > 0);
        }
    }
}

#[test]
fn messages_bound_the_work() {
    for warm_up in [Duration::ZERO, Duration::from_millis(10)] {
        let options = Options {
            warm_up,
            messages: 20,
            seconds: Duration::from_mins(1),
            ..options(start_ws(honest), echo(16))
        };
        let report = loadgen::run(&options).unwrap();
        assert!((20..32).contains(&report.messages), "{report:?}");
    }
}

#[test]
fn what_is_under_way_at_the_borders_is_counted_once() {
    let options = Options {
        warm_up: Duration::from_millis(10),
        seconds: Duration::ZERO,
        ..options(start_ws(honest), echo(16))
    };
    let report = loadgen::run(&options).unwrap();
    // Five rounds of three connections with four messages; the clock is read once an edge is served.
    assert!((60..72).contains(&report.messages), "{report:?}");
}

#[test]
fn another_byte_is_found_by_verify() {
    let address = start_ws(|first, mut payload| {
        if let Some(last) = payload.last_mut() {
            *last ^= 1;
        }
        honest(first, payload)
    });
    for size in [16, 60_000] {
        let problem = problem(loadgen::run(&options(address, echo(size))));
        assert!(problem.contains("message 0 differs"), "{problem}");
    }
    let careless = Options { verify: false, ..options(address, echo(16)) };
    loadgen::run(&careless).unwrap();
}

#[test]
fn another_order_is_found_by_verify() {
    let address = start(|mut stream| {
        let mut both = [[0; 22]; 2];
        loop {
            both.iter_mut().try_for_each(|message| stream.read_exact(message))?;
            both.iter().rev().try_for_each(|message| stream.write_all(message))?;
        }
    });
    let work = Work::Echo(Echo { size: 16, connections: 1, in_flight: 2 });
    let raw = Options { protocol: Protocol::Raw, ..options(address, work) };
    assert!(problem(loadgen::run(&raw)).contains("message 0 differs"));
}

#[test]
fn another_kind_or_length_is_found_always() {
    let kinds: Answer = |_, payload| honest(0x81, payload);
    let lengths: Answer = |first, mut payload| {
        payload.pop();
        honest(first, payload)
    };
    let extra: Answer = |first, payload| honest(first, payload).repeat(2);
    for answer in [kinds, lengths, extra] {
        let careless = Options { verify: false, ..options(start_ws(answer), echo(200)) };
        let problem = problem(loadgen::run(&careless));
        assert!(problem.contains("differs") || problem.contains("nobody asked"), "{problem}");
    }
}

#[test]
fn a_server_that_closes_is_found() {
    let address = start(|stream| stream.set_nodelay(true));
    let raw = Options { protocol: Protocol::Raw, ..options(address, echo(16)) };
    loadgen::run(&raw).expect_err("nothing came back");
    loadgen::run(&options(address, echo(16))).expect_err("there was no handshake");
}

#[test]
fn a_wrong_handshake_is_found() {
    let address = start(|mut stream| {
        stream.read_exact(&mut [0; 64])?;
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(|_| ())
    });
    let problem = problem(loadgen::run(&options(address, echo(16))));
    assert!(problem.contains("the answer to the handshake is wrong"), "{problem}");
}

#[test]
fn draft76_is_spoken() {
    let address = start(|mut stream| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n^n:ds[4U") {
            request.push(byte(&mut stream)?);
        }
        stream.write_all(b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n\r\n8jKS'y:G*Co,Wxa-")?;
        // The frames of both directions are the same.
        io::copy(&mut stream.try_clone()?, &mut stream).map(|_| ())
    });
    let draft76 = Options { protocol: Protocol::Draft76, ..options(address, echo(300)) };
    let report = loadgen::run(&draft76).unwrap();
    assert!(report.messages >= 12 && report.text, "{report:?}");
}

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const ALONE: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";

#[test]
fn compressed_echoes_are_inflated_and_compared() {
    // What comes is sent back as it is: the same compressor, as it were.
    for (extensions, takeover) in [(DEFLATE, Takeover::On), (ALONE, Takeover::Off)] {
        let address = start_with(extensions, honest);
        let deflate = Options { deflate: Some(takeover), ..options(address, echo(1000)) };
        let report = loadgen::run(&deflate).unwrap();
        assert!(report.messages >= 12 && report.wire > 10.0 && report.wire < 900.0, "{report:?}");
    }
}

#[test]
fn wrong_compression_is_found() {
    let deflate = |address, takeover| Options {
        deflate: Some(takeover),
        verify: false,
        ..options(address, echo(1000))
    };
    let other: Answer = |first, mut payload| {
        // The last byte ends the last block of the message.
        let middle = payload.len() / 2;
        payload[middle] ^= 0xFF;
        honest(first, payload)
    };
    let wrong = problem(loadgen::run(&deflate(start_with(DEFLATE, other), Takeover::On)));
    assert!(wrong.contains("message"), "{wrong}");
    let plain: Answer = |first, payload| honest(first & !0x40, payload);
    let wrong = problem(loadgen::run(&deflate(start_with(DEFLATE, plain), Takeover::On)));
    assert!(wrong.contains("has the head"), "{wrong}");
    let kept = problem(loadgen::run(&deflate(start_with(DEFLATE, honest), Takeover::Off)));
    assert!(kept.contains("keeps a context"), "{kept}");
    let none = problem(loadgen::run(&deflate(start_ws(honest), Takeover::On)));
    assert!(none.contains("does not agree"), "{none}");
}

#[test]
fn connects_need_a_close_frame() {
    let work = Work::Connect(Connect { connections: 4 });
    let report = loadgen::run(&options(start_ws(honest), work)).unwrap();
    assert!(report.messages >= 4, "{report:?}");
    let silent = start_ws(|_, _| Vec::new());
    let problem = problem(loadgen::run(&options(silent, work)));
    assert!(problem.contains("no close frame"), "{problem}");
}

#[test]
fn idle_work_echoes_once() {
    let settle = Duration::from_millis(1);
    let idle = |size| Work::Idle(Idle { connections: 10, size, settle });
    let address = start_ws(honest);
    assert_eq!(loadgen::run(&options(address, idle(500))).unwrap().messages, 10);
    assert_eq!(loadgen::run(&options(address, idle(0))).unwrap().messages, 0);
}

#[test]
fn every_receiver_of_a_broadcast_is_counted() {
    let address = "127.0.0.1:0".parse().unwrap();
    let mut server = floors::Loop::listen(address).unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        server.run(65536, |peers, from, bytes| {
            for (index, peer) in peers.iter_mut().enumerate() {
                if let (true, Some(peer)) = (index != from, peer) {
                    peer.send(bytes);
                }
            }
        })
    });
    let work = Work::Broadcast(Broadcast { size: 1000, receivers: 20, burst: 3 });
    let raw = Options { protocol: Protocol::Raw, ..options(address, work) };
    let report = loadgen::run(&raw).unwrap();
    assert!(report.messages >= 60 && report.messages.is_multiple_of(60), "{report:?}");
}
