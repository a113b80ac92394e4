//! What [`Runtime`] promises to the rest: clock, timers, tasks, sockets.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use ws_net::{Address, Instant, Listener, Runtime, Sleep, Transport};

use super::support::{Mailbox, aside, polled};
use crate::client::{PATIENCE, dial, read_to_end};

const MOMENT: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3600);

/// Clones tell the same time on every thread.
pub async fn the_clock_is_one_and_never_goes_back<R: Runtime>(runtime: R) {
    let mut last = runtime.now();
    for _ in 0..100 {
        let own = runtime.clone();
        let elsewhere = if last.as_nanos().is_multiple_of(2) {
            aside(move || own.now()).await
        } else {
            own.now()
        };
        assert!(elsewhere >= last);
        last = elsewhere;
    }
}

/// The driver judges by the clock, so a timer that fires early would fire twice.
pub async fn a_timer_is_never_early<R: Runtime>(runtime: R) {
    for nanos in [1, 999, 1_000_001, 20_000_003] {
        let deadline = runtime.now() + Duration::from_nanos(nanos);
        runtime.sleep_until(deadline).await;
        assert!(runtime.now() >= deadline, "{nanos} ns");
    }
}

/// Also the very first instant. Runtimes may round up.
pub async fn a_deadline_that_has_passed_completes_soon<R: Runtime>(runtime: R) {
    let begin = runtime.now();
    runtime.sleep_until(begin).await;
    runtime.sleep_until(Instant::from_nanos(0)).await;
    assert!(runtime.now() < begin + PATIENCE);
}

/// No arithmetic overflows on the way to the system.
pub async fn a_deadline_beyond_all_clocks_is_never<R: Runtime>(runtime: R) {
    let mut never = pin!(runtime.sleep_until(Instant::from_nanos(u64::MAX)));
    assert_eq!(polled(1, never.as_mut()).await, None);
    never.as_mut().reset(runtime.now() + MOMENT);
    never.await;
}

/// Nearer while it runs, and again after it has completed.
pub async fn a_timer_can_be_moved<R: Runtime>(runtime: R) {
    let mut timer = pin!(runtime.sleep_until(runtime.now() + HOUR));
    for _ in 0..3 {
        assert_eq!(polled(1, timer.as_mut()).await, None);
        let deadline = runtime.now() + MOMENT;
        timer.as_mut().reset(deadline);
        timer.as_mut().await;
        assert!(runtime.now() >= deadline);
        timer.as_mut().reset(runtime.now() + HOUR);
    }
}

/// What was set first does not fire.
pub async fn a_timer_that_was_moved_away_stays_silent<R: Runtime>(runtime: R) {
    let mut timer = pin!(runtime.sleep_until(runtime.now() + MOMENT));
    assert_eq!(polled(1, timer.as_mut()).await, None);
    timer.as_mut().reset(runtime.now() + HOUR);
    runtime.sleep_until(runtime.now() + MOMENT * 3).await;
    assert_eq!(polled(1, timer.as_mut()).await, None);
}

/// Nobody holds a handle of it.
pub async fn a_task_runs_although_nobody_waits<R: Runtime>(runtime: R) {
    let results = Mailbox::default();
    for n in 0..10 {
        let (results, own) = (results.clone(), runtime.clone());
        runtime.spawn(async move {
            own.sleep_until(own.now() + MOMENT).await;
            let inner = results.clone();
            own.spawn(async move { inner.put(n) });
        });
    }
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.push(results.take().await);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

/// More than promised, for no task panics: it would be a fault of the driver.
pub async fn a_task_that_panics_takes_nobody_with_it<R: Runtime>(runtime: R) {
    let results = Mailbox::default();
    for n in 0..8 {
        let results = results.clone();
        runtime.spawn(async move {
            assert_ne!(n % 2, 0, "this panic belongs to the test");
            results.put(n);
        });
    }
    for _ in 0..4 {
        assert_eq!(results.take().await % 2, 1);
    }
}

/// The address of the other end comes with the stream.
pub async fn a_listener_tells_who_connected<R: Runtime>(runtime: R) {
    let (mut listener, address) = listen(&runtime);
    for _ in 0..3 {
        let client = aside(move || dial(address)).await;
        let (_stream, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert_eq!(peer, Address::Tcp(client.local_addr().unwrap()));
    }
}

/// One end of the stream is the runtime's, the other a blocking socket.
pub async fn connecting_gives_a_stream_in_both_directions<R: Runtime>(runtime: R) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let answer = aside(move || {
        let (mut stream, _) = socket.accept().unwrap();
        let mut question = [0; 8];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(&question).unwrap();
        read_to_end(&mut stream)
    });
    let mut stream = runtime.connect(address).await.unwrap();
    write_all(&mut stream, &[b"ques", b"", b"tion"]).await;
    let mut got = Vec::new();
    while got.len() < 8 {
        let mut byte = [0];
        assert_eq!(read(&mut stream, &mut byte).await.unwrap(), 1);
        got.push(byte[0]);
    }
    assert_eq!(got, b"question");
    write_all(&mut stream, &[b"bye"]).await;
    drop(stream);
    assert_eq!(answer.await, "bye");
}

/// The port is taken by a socket that does not listen.
pub async fn connecting_to_nobody_is_an_error<R: Runtime>(runtime: R) {
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = silent.local_addr().unwrap().as_socket().unwrap();
    let error = runtime.connect(address).await.err().expect("nobody listens");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

/// Reads that are short, exactly full, and at the end of the stream.
pub async fn a_reader_is_woken_however_its_last_read_ended<R: Runtime>(runtime: R) {
    let (mut stream, mut peer) = pair(&runtime).await;
    let mut buf = [0; 8];
    for piece in ["12345678", "1", "12345678", "12345678", "123"] {
        assert!(polled(1, read(&mut stream, &mut buf)).await.is_none(), "nothing was sent");
        peer.write_all(piece.as_bytes()).unwrap();
        let n = read(&mut stream, &mut buf).await.unwrap();
        assert_eq!(std::str::from_utf8(&buf[..n]), Ok(piece));
    }
    peer.write_all(b"1234567890").unwrap();
    assert_eq!(read(&mut stream, &mut buf).await.unwrap(), 8);
    assert_eq!(read(&mut stream, &mut buf).await.unwrap(), 2);
    peer.shutdown(Shutdown::Write).unwrap();
    for _ in 0..2 {
        assert_eq!(read(&mut stream, &mut buf).await.unwrap(), 0);
    }
}

/// The other direction stays open.
pub async fn shutting_down_ends_the_outgoing_direction_only<R: Runtime>(runtime: R) {
    let (mut stream, mut peer) = pair(&runtime).await;
    write_all(&mut stream, &[b"last words"]).await;
    for _ in 0..2 {
        poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
    }
    poll_fn(|cx| stream.poll_shutdown(cx)).await.unwrap();
    assert_eq!(read_to_end(&mut peer), "last words");
    peer.write_all(b"answer").unwrap();
    let mut buf = [0; 8];
    assert_eq!(read(&mut stream, &mut buf).await.unwrap(), 6);
}

/// Reading goes on while writing waits.
pub async fn a_writer_waits_for_room_and_is_woken<R: Runtime>(runtime: R) {
    let (mut stream, mut peer) = pair(&runtime).await;
    let block = vec![7; 1 << 20];
    let mut sent = 0;
    while let Some(n) = polled(1, write(&mut stream, &[&block, &block])).await {
        sent += n.unwrap();
        assert!(sent < 1 << 30, "the system takes everything");
    }
    peer.write_all(b"ping").unwrap();
    let mut buf = [0; 8];
    assert_eq!(read(&mut stream, &mut buf).await.unwrap(), 4);
    let received = aside(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    sent += write(&mut stream, &[&block]).await.unwrap();
    drop(stream);
    assert_eq!(received.await, sent);
}

fn listen<R: Runtime>(runtime: &R) -> (R::Listener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (runtime.listen(socket).unwrap(), address)
}

async fn pair<R: Runtime>(runtime: &R) -> (R::Stream, TcpStream) {
    let (mut listener, address) = listen(runtime);
    let peer = aside(move || dial(address)).await;
    let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    (stream, peer)
}

async fn read(stream: &mut impl Transport, buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

async fn write(stream: &mut impl Transport, pieces: &[&[u8]]) -> io::Result<usize> {
    let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    poll_fn(|cx| stream.poll_write_vectored(cx, &slices)).await
}

/// For so few bytes that an empty socket takes them at once.
async fn write_all(stream: &mut impl Transport, pieces: &[&[u8]]) {
    let total = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    assert_eq!(write(stream, pieces).await.unwrap(), total);
}
