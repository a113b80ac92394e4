//! What an idle connection holds on each runtime, with its task, its socket, its timer and its
//! place in the manager, counted by the allocator: fresh, after a large echo, and with topics.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ws_net::{Builder, Connection, Message, Runtime, Timeouts};
use ws_tests::requests::{RFC6455, frame};

/// Counts what is held, as large as malloc makes it.
struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

/// The same of allocations from [`LARGE`] on: chunks and messages.
static HELD_LARGE: AtomicIsize = AtomicIsize::new(0);

/// No idle connection has anything as large.
const LARGE: usize = 32 << 10;

/// More than two threads keep in chunks for their next reads, however many connections there are.
/// On async-std the caller's is one.
const KEPT: isize = 2 << 20;

thread_local! {
    /// Set on threads of clients.
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count(layout: Layout, sign: isize) {
    if !IS_CLIENT.try_with(Cell::get).unwrap_or(false) {
        // glibc: 8 bytes in front, in steps of 16, 32 at least.
        let chunk = (layout.size() + 8).next_multiple_of(16).max(32);
        let held = if layout.size() < LARGE { &HELD } else { &HELD_LARGE };
        held.fetch_add(sign * chunk.cast_signed(), SeqCst);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Enough that what the runtime holds for itself does not show.
const CONNECTIONS: usize = 200;

/// Those that bring the tables and pools of the server to their size.
const WARM_UP: usize = 50;

/// Topics of each connection, and the bytes of their names.
const TOPICS: usize = 20;
const NAME: usize = 100;

/// What a topic with one subscriber costs besides its name, as ARCHITECTURE.md has it.
const TOPIC: usize = 350;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_idle_connection_costs_little_and_a_busy_one_gives_everything_back() {
    let on_tokio = |client| ws_tokio::block_on(1, serve(ws_tokio::Tokio, client)).unwrap();
    let on_smol = |client| ws_smol::block_on(1, serve(ws_smol::Smol, client)).unwrap();
    let on_async_std =
        |client| ws_async_std::block_on(1, serve(ws_async_std::AsyncStd, client)).unwrap();
    check("tokio", 1600, on_tokio);
    check("smol", 1536, on_smol);
    check("async-std", 1536, on_async_std);
}

/// Holds `run` to `limit` bytes for each connection.
fn check(name: &str, limit: usize, run: impl FnOnce(Client)) {
    let (address_in, address) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let load = thread::spawn(move || {
        IS_CLIENT.set(true);
        let address = address.recv().unwrap();
        let open = |count| -> Vec<_> { (0..count).map(|_| dial(address)).collect() };
        let mut first = open(WARM_UP);
        for stream in &mut first {
            echo(stream, 256 << 10);
        }
        // Who answers again has given everything back.
        for stream in &mut first {
            echo(stream, 1);
        }
        let before = HELD.load(SeqCst);
        let mut all = open(CONNECTIONS);
        let fresh = settle(before, limit);
        for stream in &mut all {
            echo(stream, 256 << 10);
        }
        for stream in &mut all {
            echo(stream, 1);
        }
        let again = settle(before, limit);
        for stream in &mut all {
            subscribe(stream);
        }
        let subscribed = settle(before, limit + TOPICS * (NAME + TOPIC));
        finish.send(()).unwrap();
        (fresh, again, subscribed)
    });
    run(Client { address: address_in, finished });
    let (fresh, again, subscribed) = load.join().unwrap();
    let topic = (subscribed - again) / TOPICS;
    println!("{name}: {fresh} bytes, {again} after an echo of 256 KiB, {topic} for each topic");
    assert!(fresh <= limit, "{name}: {fresh} bytes, not {limit}");
    assert!(again <= limit, "{name}: {again} bytes after an echo, not {limit}");
    assert!((NAME..=NAME + TOPIC).contains(&topic), "{name}: {topic} bytes for each topic");
}

/// What is held for each connection, as soon as that is within the limit and no more in chunks than
/// threads keep.
fn settle(before: isize, limit: usize) -> usize {
    let started = Instant::now();
    loop {
        let held = usize::try_from(HELD.load(SeqCst) - before).unwrap() / CONNECTIONS;
        let large = HELD_LARGE.load(SeqCst);
        let late = started.elapsed() > PATIENCE / 4;
        if late || held <= limit && large <= KEPT {
            assert!(large <= KEPT, "{large} bytes in chunks or messages");
            return held;
        }
        thread::yield_now();
    }
}

/// The other side of the test, as the server sees it.
struct Client {
    address: mpsc::Sender<SocketAddr>,
    finished: mpsc::Receiver<()>,
}

/// An echo server with listeners, until the client has finished.
async fn serve<R: Runtime>(runtime: R, client: Client) {
    // There is a deadline, and no ping before the end of the test.
    let mut timeouts = Timeouts::default();
    timeouts.ping_interval = Some(Duration::from_secs(600));
    let server = Builder::new(runtime).timeouts(timeouts).bind("127.0.0.1:0").await.unwrap();
    server.on_close(|_, _| {});
    let Client { address, finished } = client;
    address.send(server.local_addrs()[0].to_string().parse().unwrap()).unwrap();
    let ends = server.clone();
    let waits = thread::spawn(move || {
        // Also when it has failed.
        let _ = finished.recv();
        ends.close();
    });
    let echo = |connection: Connection| async move {
        while let Some(Ok(message)) = connection.recv().await {
            if connection.send(heard(&connection, message)).await.is_err() {
                break;
            }
        }
    };
    server.serve(echo).await.unwrap();
    waits.join().unwrap();
}

/// Subscribes who sends a text. Not in the handler, whose future would have room for it.
fn heard(connection: &Connection, message: Message) -> Message {
    if message.is_text() {
        for topic in 0..TOPICS {
            // A name that nobody else has.
            let name = format!("{topic} of {}", connection.id());
            connection.subscribe(&format!("{name:<NAME$}")).unwrap();
        }
    }
    message
}

fn dial(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(RFC6455.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", answer.escape_ascii());
    stream
}

/// Asks for the topics, and waits until it has them.
fn subscribe(stream: &mut TcpStream) {
    stream.write_all(&frame(0x81, b"t")).unwrap();
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x81\x01t");
}

/// So many bytes there and back.
fn echo(stream: &mut TcpStream, length: usize) {
    let payload = vec![7; length];
    stream.write_all(&frame(0x82, &payload)).unwrap();
    let header = if length < 126 { 2 } else { 10 };
    let mut answer = vec![0; header + length];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 0x82, "one binary frame");
}
