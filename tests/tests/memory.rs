//! The memory formula of ARCHITECTURE.md, attacked: what a peer can make a core hold, counted by
//! the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use ws_proto::{
    Accept, Config, Connection, Deflate, Event, Instant, Limits, MessageKind, RecvBuf, Transmit,
    Version,
};
use ws_tests::entropy::noise;
use ws_tests::pair::Pair;
use ws_tests::requests::{DRAFT75, RFC6455, frame, with};

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// All that was ever allocated.
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

fn count(change: isize) {
    let held = HELD.with(|held| {
        held.set(held.get() + change);
        held.get()
    });
    PEAK.with(|peak| peak.set(peak.get().max(held)));
}

// SAFETY: every call goes on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        ALLOCATED.with(|allocated| allocated.set(allocated.get() + layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that `f` held at a time beyond what was held before.
fn peak(f: impl FnOnce()) -> usize {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    f();
    PEAK.with(|peak| usize::try_from(peak.get() - before).unwrap_or(0))
}

/// A server core that accepts, keeps no message and writes nothing.
struct Victim {
    connection: Connection,
    input: RecvBuf,
}

impl Victim {
    fn new() -> Self {
        Self::with_config(&Arc::new(Config::default()))
    }

    fn with_config(config: &Arc<Config>) -> Self {
        let connection = Connection::server(Arc::clone(config), Instant::from_nanos(0));
        Self { connection, input: RecvBuf::default() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.last_message(bytes);
    }

    /// Feeds `bytes`; answers how long the last message was that came of them.
    fn last_message(&mut self, mut bytes: &[u8]) -> usize {
        let now = Instant::from_nanos(0);
        let mut last = 0;
        while !bytes.is_empty() {
            let n = self.input.feed(bytes);
            assert!(n > 0, "the core left its input lying");
            bytes = &bytes[n..];
            while let Some(event) = self.connection.poll_event(&mut self.input, now) {
                match event {
                    Event::Request(_) => {
                        self.connection.accept(&Accept::new(), now).expect("the policy accepts");
                    }
                    Event::Message(message) => last = message.len(),
                    _ => {}
                }
            }
        }
        last
    }

    fn write_everything(&mut self) {
        while let Some(Transmit::Data(data)) = self.connection.poll_transmit() {
            self.connection.handle_transmitted(data.remaining());
        }
    }
}

/// What the core itself takes, without head, chunk, messages and queue.
const FIXED: usize = 4 << 10;

/// The contexts of one side, as the docs of `Deflate` have them.
const DEFLATE_15: isize = 316 << 10;
const DEFLATE_9: isize = 190 << 10;
const INFLATE: isize = 47 << 10;

/// What inflates a message, and what its thread keeps for that.
const INFLATING: usize = INFLATE.cast_unsigned() + (64 << 10);

#[test]
fn a_message_that_never_ends_costs_twice_the_limit() {
    let limits = Limits::default();
    let almost = frame(0x82, &vec![7; limits.max_message]);
    let fragments = frame(0x02, &[7; 1000]);
    let fragment = frame(0x00, &[7; 1000]).repeat(limits.max_message / 1000 - 1);
    for attack in [&almost[..almost.len() - 1], &[fragments, fragment].concat()] {
        let held = peak(|| {
            let mut victim = Victim::new();
            victim.feed(RFC6455.as_bytes());
            victim.feed(attack);
        });
        let most = 2 * limits.max_message + RecvBuf::DEFAULT_CAPACITY + RFC6455.len() + FIXED;
        assert!(held >= limits.max_message / 2, "{held} bytes: it was refused early");
        assert!(held <= most, "{held} bytes were held, {most} are the most");
    }
}

#[test]
fn cve_2026_48779_fragments_of_one_byte_cost_twice_their_bytes() {
    let limits = Limits::default();
    let noise = noise(limits.max_fragments as usize - 200);
    let mut squeezed = Vec::with_capacity(noise.len() + 200);
    let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
    compress.compress_vec(&noise, &mut squeezed, flate2::FlushCompress::Sync).expect("room");
    drop(compress);
    squeezed.truncate(squeezed.len() - 4);

    let config = Config::builder().deflate(Deflate::new()).build().expect("good options");
    let config = Arc::new(config);
    let request = with(RFC6455, "Sec-WebSocket-Extensions: permessage-deflate");
    for (first, bytes, contexts) in [(0x02, &noise, 0), (0x42, &squeezed, INFLATING)] {
        let rest = bytes[1..].iter().flat_map(|byte| frame(0x00, &[*byte]));
        let mut attack = frame(first, &bytes[..1]);
        attack.extend(rest);
        let mut received = 0;
        let before = ALLOCATED.get();
        let held = peak(|| {
            let mut victim = Victim::with_config(&config);
            victim.feed(request.as_bytes());
            victim.feed(&attack);
            // It ends behind its last byte, so that all of it was held.
            received = victim.last_message(&frame(0x80, b""));
        });
        assert_eq!(received, noise.len());
        let most = 2 * bytes.len() + contexts + RecvBuf::DEFAULT_CAPACITY + request.len() + FIXED;
        assert!(held >= bytes.len(), "{held} bytes: they were not held");
        assert!(held <= most, "{held} bytes were held, {most} are the most");
        let copied = ALLOCATED.get() - before;
        assert!(copied <= 2 * most, "{copied} bytes: each fragment moves the message");
    }
}

#[test]
fn cve_2026_48779_long_fragments_cost_twice_their_bytes() {
    const HEADER: usize = 8;
    const PAYLOAD: usize = 17_000;
    let (first, next) = (frame(0x02, &vec![7; PAYLOAD]), frame(0x00, &vec![7; PAYLOAD]));
    let count = Limits::default().max_message / PAYLOAD;
    // So much of a fragment comes with its header.
    for with_header in [0, 500, PAYLOAD] {
        let mut received = 0;
        let before = ALLOCATED.get();
        let held = peak(|| {
            let mut victim = Victim::new();
            victim.feed(RFC6455.as_bytes());
            for index in 0..count {
                let fragment = if index == 0 { &first } else { &next };
                let (start, rest) = fragment.split_at(HEADER + with_header);
                victim.feed(start);
                victim.feed(rest);
            }
            received = victim.last_message(&frame(0x80, b""));
        });
        assert_eq!(received, count * PAYLOAD);
        let most = 2 * received + RecvBuf::DEFAULT_CAPACITY + RFC6455.len() + FIXED;
        assert!(held <= most, "{held} bytes were held, {most} are the most");
        let copied = ALLOCATED.get() - before;
        assert!(copied <= 2 * most, "{copied} bytes: each fragment moves the message");
    }
}

#[test]
fn a_text_without_end_in_draft75_costs_twice_the_limit() {
    let limits = Limits::default();
    let attack = [b"\0".as_slice(), &vec![b'x'; limits.max_message]].concat();
    let held = peak(|| {
        let mut victim = Victim::new();
        victim.feed(DRAFT75.as_bytes());
        victim.feed(&attack);
    });
    let most = 2 * limits.max_message + RecvBuf::DEFAULT_CAPACITY + DRAFT75.len() + FIXED;
    assert!(held >= limits.max_message / 2, "{held} bytes: it was refused early");
    assert!(held <= most, "{held} bytes were held, {most} are the most");
}

#[test]
fn a_text_behind_a_long_one_holds_no_more_than_twice_its_length() {
    let text = |len| [b"\0".as_slice(), &vec![b'x'; len], b"\xFF"].concat();
    let mut victim = Victim::new();
    victim.feed(DRAFT75.as_bytes());
    victim.feed(&text(Limits::default().max_message));
    for len in [70_000, 150_000, 300_000] {
        victim.feed(&text(400_000));
        victim.write_everything();
        let before = HELD.with(Cell::get);
        // What is read behind it lies in the chunk.
        victim.feed(&text(len)[..60_000]);
        victim.input.feed(&[&text(len)[60_000..], &text(100)].concat());
        let now = Instant::from_nanos(0);
        let message = victim.connection.poll_event(&mut victim.input, now);
        let Some(Event::Message(message)) = message else { panic!("no message: {message:?}") };
        assert_eq!(message.len(), len);
        victim.feed(b"\0\xFF");
        let held = usize::try_from(HELD.with(Cell::get) - before).expect("more than before");
        assert!(held <= 2 * len + FIXED, "{held} bytes for {len}");
    }
}

#[test]
fn what_is_read_behind_a_text_costs_1_mib_at_most() {
    let most = 8 << 20;
    let mut limits = Limits::default();
    limits.max_message = most;
    let config = Arc::new(Config::builder().limits(limits).build().expect("good options"));
    let long = [b"\0".as_slice(), &vec![b'x'; most], b"\xFF"].concat();
    // It ends behind the first direct read, which is bounded by what came before.
    let short = [b"\0".as_slice(), &vec![b'x'; most / 6], b"\xFF"].concat();
    let behind = [&short[..], &long[..most]].concat();
    let mut victim = Victim::with_config(&config);
    victim.feed(DRAFT75.as_bytes());
    victim.feed(&long);
    victim.write_everything();
    let held = peak(|| victim.feed(&behind));
    // The text behind is itself collected meanwhile, with room for as much again.
    let allowed = 2 * most + (1 << 20) + FIXED;
    assert!(held <= allowed, "{held} bytes were held, {allowed} are the most");
}

#[test]
fn a_claimed_length_and_an_endless_head_cost_what_was_sent() {
    let claim = [0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4];
    let held = peak(|| {
        let mut victim = Victim::new();
        victim.feed(RFC6455.as_bytes());
        victim.feed(&claim);
    });
    assert!(held <= RecvBuf::DEFAULT_CAPACITY + 2 * RFC6455.len() + FIXED, "{held} bytes");

    let endless = with(RFC6455, &format!("Cookie: {}", "x".repeat(60_000)));
    let held = peak(|| {
        let mut victim = Victim::new();
        endless.as_bytes().chunks(100).for_each(|piece| victim.feed(piece));
    });
    // What collects it doubles, and is copied once when it does.
    let most = RecvBuf::DEFAULT_CAPACITY + 3 * Limits::default().max_head + FIXED;
    assert!(held <= most, "{held} bytes were held, {most} are the most");
}

#[test]
fn a_queue_that_nobody_takes_costs_its_limit_and_one_message() {
    let limits = Limits::default();
    let mut victim = Victim::new();
    victim.feed(RFC6455.as_bytes());
    victim.write_everything();
    let held = peak(|| {
        while victim.connection.send("x".repeat(1000).into()).is_ok() {}
        while victim.connection.ping(Bytes::from_static(&[0; 125])).is_ok() {}
        victim.feed(&frame(0x89, &[0; 125]).repeat(900));
    });
    // The vector that grows is copied once: three times its content at the worst moment.
    let most = 3 * limits.outbound_high + 17 * 127 + FIXED;
    assert!(held <= most, "{held} bytes were held, {most} are the most");
}

#[test]
fn afterwards_everything_is_given_back() {
    let before = HELD.with(Cell::get);
    let mut victim = Victim::new();
    victim.feed(RFC6455.as_bytes());
    victim.feed(&frame(0x82, &vec![7; 900_000]));
    while victim.connection.send("x".repeat(1000).into()).is_ok() {}
    victim.write_everything();
    victim.input = RecvBuf::with_capacity(16);
    let held = HELD.with(Cell::get) - before;
    let most = (RFC6455.len() + FIXED).cast_signed();
    assert!(held <= most, "{held} bytes are still held, {most} are the most");
}

/// What both ends of a connection hold once a compressed message went each way, and how much of
/// that is their contexts: the same without compression is taken off.
fn held_for_contexts(deflate: &Deflate) -> isize {
    let held = |config: Config| {
        let config = Arc::new(config);
        // The pool of this thread fills up first, so that it is not counted.
        let _warm = exchanged(&config);
        let before = HELD.with(Cell::get);
        let pair = exchanged(&config);
        let held = HELD.with(Cell::get) - before;
        drop(pair);
        held
    };
    let with = held(Config::builder().deflate(deflate.clone()).build().expect("good options"));
    with - held(Config::default())
}

fn exchanged(config: &Arc<Config>) -> Pair {
    let mut pair = Pair::with_config(Version::Rfc6455, config);
    pair.drive();
    for side in [&mut pair.client, &mut pair.server] {
        side.connection.send("compress me ".repeat(100).into()).expect("room");
    }
    pair.drive();
    for side in [&mut pair.client, &mut pair.server] {
        assert!(side.saw("text of 1200 bytes"), "{:?}", side.events);
        side.events = Vec::new();
    }
    pair
}

#[test]
fn compression_costs_what_its_options_say() {
    let takeover =
        || Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false);
    let smallest = takeover().server_max_window_bits(9).client_max_window_bits(9);
    let none = held_for_contexts(&Deflate::new());
    assert!(none <= 1024, "without context takeover two ends hold {none} bytes");
    for (options, most) in [(takeover(), DEFLATE_15 + INFLATE), (smallest, DEFLATE_9 + INFLATE)] {
        let held = held_for_contexts(&options) / 2;
        assert!((most - 2048..=most).contains(&held), "one end holds {held} bytes, {most} said");
    }
}

#[test]
fn bandit_cve_2026_39804_a_bomb_costs_twice_the_limit() {
    let limits = Limits::default();
    let mut bomb = Vec::with_capacity(200_000);
    let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
    let zeros = vec![0; 8 << 20];
    compress.compress_vec(&zeros, &mut bomb, flate2::FlushCompress::Sync).expect("room");
    drop(zeros);
    let attack = frame(0xC2, &bomb);
    let request = with(RFC6455, "Sec-WebSocket-Extensions: permessage-deflate");
    let config = Config::builder().deflate(Deflate::new()).build().expect("good options");
    let config = Arc::new(config);
    let held = peak(|| {
        let mut victim = Victim::with_config(&config);
        victim.feed(request.as_bytes());
        victim.feed(&attack);
    });
    let most =
        2 * limits.max_message + RecvBuf::DEFAULT_CAPACITY + INFLATING + request.len() + FIXED;
    assert!(held >= limits.max_message / 2, "{held} bytes: it was refused early");
    assert!(held <= most, "{held} bytes were held, {most} are the most");
}

/// Moves a message of `len` bytes in fragments from one side to the other, which takes it in
/// pieces. Answers what both held at most.
fn streamed(config: Config, from_client: bool, chunk: &Bytes, len: usize) -> usize {
    let mut pair = Pair::with_config(Version::Rfc6455, &Arc::new(config));
    pair.drive();
    let now = pair.now;
    let (mut from, mut to) = (pair.server.connection, pair.client.connection);
    if from_client {
        (from, to) = (to, from);
    }
    to.set_streaming(true, now);
    let mut received = 0;
    let mut input = RecvBuf::default();
    let mut take = |to: &mut Connection, mut bytes: &[u8]| {
        while !bytes.is_empty() {
            let n = input.feed(bytes);
            bytes = bytes.get(n..).unwrap_or_default();
            loop {
                assert!(to.poll_event(&mut input, now).is_none());
                let Some(piece) = to.poll_piece() else { break };
                received += piece.part.len();
            }
        }
    };
    let held = peak(|| {
        from.begin_message(MessageKind::Binary).expect("it is open");
        for _ in 0..len / chunk.len() {
            from.send_fragment(chunk.clone()).expect("room");
            while let Some(Transmit::Data(mut data)) = from.poll_transmit() {
                from.handle_transmitted(data.remaining());
                while data.has_remaining() {
                    let n = data.chunk().len();
                    take(&mut to, data.chunk());
                    data.advance(n);
                }
            }
        }
        from.finish_message().expect("it is whole");
    });
    assert_eq!(received, len);
    held
}

#[test]
fn a_message_of_any_length_passes_through_little_memory() {
    let chunk = Bytes::from(vec![7; 64 << 10]);
    for from_client in [true, false] {
        let held = streamed(Config::default(), from_client, &chunk, 64 << 20);
        // What is masked on its way out, the receive buffer, and a piece.
        assert!(held <= (5 * 64 + 4) << 10, "{held} bytes were held");
    }
}

#[test]
fn a_compressed_message_of_any_length_passes_through_little_memory() {
    let config = || Config::builder().deflate(Deflate::new()).build().expect("good options");
    let chunk = Bytes::from(vec![7; 1 << 20]);
    for from_client in [true, false] {
        // The thread keeps its compressors.
        streamed(config(), from_client, &chunk, 2 << 20);
        let held = streamed(config(), from_client, &chunk, 64 << 20);
        // One step may give 128 KiB, and the vector it comes into doubles.
        assert!(held <= 512 << 10, "{held} bytes were held");
    }
}
