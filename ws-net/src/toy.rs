//! A runtime in memory for unit tests: one thread, an invented clock, pipes that count writes.

pub(crate) mod explosive;
pub(crate) mod lines;
pub(crate) mod party;
#[cfg(unix)]
mod socket;

use std::collections::VecDeque;
use std::future::Future;
#[cfg(unix)]
use std::io::Write;
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::BufMut;
use ws_proto::{Instant, RecvBuf};

use crate::endpoint::BoxFuture;
use crate::runtime::{Address, Listener, Runtime, Sleep, Transport};
use crate::waiters::lock;

#[derive(Clone, Default)]
pub(crate) struct Toy(Arc<World>);

#[derive(Default)]
struct World {
    now: AtomicU64,
    tasks: Mutex<Vec<Arc<Task>>>,
    timers: Mutex<Vec<(Instant, Waker)>>,
    /// How often any timer was set.
    alarms: AtomicUsize,
    /// Whether there are no timers, and how often one was asked for then.
    broken: AtomicBool,
    missed: AtomicUsize,
    /// Tasks are dropped.
    refuses: AtomicBool,
    /// Dropping a stream is as good as ending it.
    sudden: AtomicBool,
    /// What the server writes goes through sockets of the system.
    sockets: AtomicBool,
    backlog: Mutex<(VecDeque<io::Result<Dialled>>, Option<Waker>)>,
    /// What was connected to, and when.
    attempts: Mutex<Vec<(Instant, SocketAddr)>>,
}

/// A stream and who is at its other end.
type Dialled = (Pipe, Address);

struct Task {
    future: Mutex<Option<BoxFuture>>,
    wakes: AtomicUsize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
    }
}

impl Toy {
    /// Polls what was woken until nothing is. Answers how many polls that took.
    pub(crate) fn settle(&self) -> usize {
        let mut polls = 0;
        loop {
            let tasks = lock(&self.0.tasks).clone();
            let before = polls;
            for task in tasks {
                if task.wakes.swap(0, Relaxed) > 0 {
                    polls += 1;
                    assert!(polls < 10_000, "a task does not come to rest");
                    self.poll(&task);
                }
            }
            if polls == before {
                return polls;
            }
        }
    }

    fn poll(&self, task: &Arc<Task>) {
        let Some(mut future) = lock(&task.future).take() else { return };
        let waker = Waker::from(Arc::clone(task));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => *lock(&task.future) = Some(future),
            Poll::Ready(()) => lock(&self.0.tasks).retain(|other| !Arc::ptr_eq(other, task)),
        }
    }

    /// Runs a future on the side, to its end.
    pub(crate) fn block_on<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let slot = Arc::new(Mutex::new(None));
        let out = Arc::clone(&slot);
        self.spawn(async move { *lock(&out) = Some(future.await) });
        self.settle();
        lock(&slot).take().expect("the future waits for something that does not come")
    }

    /// Lets time pass while nobody runs.
    pub(crate) fn sleep(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.0.now.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.sleep(time);
        let now = self.now();
        let due: Vec<_> = lock(&self.0.timers).extract_if(.., |timer| timer.0 <= now).collect();
        for (_, waker) in due {
            waker.wake();
        }
        self.settle();
    }

    pub(crate) fn alarms(&self) -> usize {
        self.0.alarms.load(Relaxed)
    }

    /// From now on there are no timers.
    pub(crate) fn break_timers(&self) {
        self.0.broken.store(true, Relaxed);
    }

    /// How often a timer was asked for since.
    pub(crate) fn timers_broken(&self) -> usize {
        self.0.missed.load(Relaxed)
    }

    /// From now on tasks are dropped.
    pub(crate) fn refuse_tasks(&self) {
        self.0.refuses.store(true, Relaxed);
    }

    /// Streams need not be ended before they are dropped. To be called before they are accepted.
    pub(crate) fn end_when_dropped(&self) {
        self.0.sudden.store(true, Relaxed);
    }

    /// From now on what the server writes goes through sockets of the system.
    #[cfg(unix)]
    pub(crate) fn use_sockets(&self) {
        self.0.sockets.store(true, Relaxed);
    }

    pub(crate) fn tasks(&self) -> usize {
        lock(&self.0.tasks).len()
    }

    /// Drops every task, as a runtime does that shuts down.
    pub(crate) fn drop_tasks(&self) {
        let tasks = mem::take(&mut *lock(&self.0.tasks));
        for task in tasks {
            drop(lock(&task.future).take());
        }
    }

    /// Drops the tasks that were woken. Answers how many there were.
    pub(crate) fn drop_woken(&self) -> usize {
        let woken = |task: &mut Arc<Task>| task.wakes.load(Relaxed) > 0;
        let woken: Vec<_> = lock(&self.0.tasks).extract_if(.., woken).collect();
        for task in &woken {
            drop(lock(&task.future).take());
        }
        woken.len()
    }

    /// Drops one task; the first is the server's.
    pub(crate) fn drop_task(&self, at: usize) {
        let task = lock(&self.0.tasks).remove(at);
        drop(lock(&task.future).take());
    }

    /// Goes on with every future in a task of its own, as code does that moves futures.
    pub(crate) fn move_tasks(&self) {
        for task in lock(&self.0.tasks).iter_mut() {
            let future = Mutex::new(lock(&task.future).take());
            *task = Arc::new(Task { future, wakes: AtomicUsize::new(1) });
        }
    }

    /// What was connected to since the last call, and when.
    pub(crate) fn attempts(&self) -> Vec<(Instant, SocketAddr)> {
        mem::take(&mut lock(&self.0.attempts))
    }

    /// The server's end of the next stream that waits to be accepted.
    pub(crate) fn take_stream(&self) -> Option<Pipe> {
        lock(&self.0.backlog).0.pop_front()?.ok().map(|(pipe, _)| pipe)
    }

    /// A client's end of a new stream to the server.
    pub(crate) fn dial(&self) -> Pipe {
        self.dial_from(Address::Unnamed)
    }

    /// The same, from this address.
    pub(crate) fn dial_from(&self, peer: Address) -> Pipe {
        let client = self.dial_in(peer);
        self.settle();
        client
    }

    /// The same, within a task.
    fn dial_in(&self, peer: Address) -> Pipe {
        let (client, server) = Pipe::pair();
        #[cfg(unix)]
        if self.0.sockets.load(Relaxed) {
            lock(&client.wire).socket = Some(socket::pair());
        }
        self.arrive(Ok((server, peer)));
        client
    }

    /// Lets accepting fail once.
    pub(crate) fn refuse(&self, error: io::Error) {
        self.arrive(Err(error));
        self.settle();
    }

    fn arrive(&self, accepted: io::Result<Dialled>) {
        let mut backlog = lock(&self.0.backlog);
        backlog.0.push_back(accepted);
        if let Some(waker) = backlog.1.take() {
            waker.wake();
        }
    }
}

impl Runtime for Toy {
    type Stream = Pipe;
    type Listener = Dock;
    type Sleep = Nap;

    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.now.load(Relaxed))
    }

    fn key(&self) -> u64 {
        Arc::as_ptr(&self.0).addr() as u64
    }

    fn sleep_until(&self, deadline: Instant) -> Nap {
        if self.0.broken.load(Relaxed) {
            self.0.missed.fetch_add(1, Relaxed);
            panic!("there are no timers");
        }
        self.0.alarms.fetch_add(1, Relaxed);
        Nap { toy: self.clone(), deadline }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if self.0.refuses.load(Relaxed) {
            return;
        }
        let future = Mutex::new(Some(Box::pin(future) as BoxFuture));
        let task = Arc::new(Task { future, wakes: AtomicUsize::new(1) });
        lock(&self.0.tasks).push(task);
    }

    fn listen(&self, _: std::net::TcpListener) -> io::Result<Dock> {
        Ok(Dock(self.clone()))
    }

    #[cfg(unix)]
    fn listen_unix(&self, _: std::os::unix::net::UnixListener) -> io::Result<Dock> {
        Ok(Dock(self.clone()))
    }

    #[cfg(unix)]
    async fn connect_unix(&self, _: std::path::PathBuf) -> io::Result<Pipe> {
        Ok(self.dial_in(Address::Unnamed))
    }

    /// `nowhere` does not exist, `slow` is never found, every other name has two addresses.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match host {
            "nowhere" => Err(io::ErrorKind::NotFound.into()),
            "slow" => std::future::pending().await,
            _ => Ok([1, 2].map(|n| SocketAddr::from(([10, 0, 0, n], port))).into()),
        }
    }

    /// Port 1 is closed everywhere, and at port 2 the first address is silent.
    async fn connect(&self, address: SocketAddr) -> io::Result<Pipe> {
        lock(&self.0.attempts).push((self.now(), address));
        match (address.port(), address.ip().to_string().as_str()) {
            (1, _) => Err(io::ErrorKind::ConnectionRefused.into()),
            (2, "10.0.0.1") => std::future::pending().await,
            _ => Ok(self.dial_in(Address::Unnamed)),
        }
    }
}

pub(crate) struct Dock(Toy);

impl Listener for Dock {
    type Stream = Pipe;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Pipe, Address)>> {
        let mut backlog = lock(&self.0.0.backlog);
        let Some(accepted) = backlog.0.pop_front() else {
            backlog.1 = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(accepted)
    }

    fn ends_when_dropped(&self) -> bool {
        self.0.0.sudden.load(Relaxed)
    }
}

pub(crate) struct Nap {
    toy: Toy,
    deadline: Instant,
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.toy.now() >= self.deadline {
            return Poll::Ready(());
        }
        lock(&self.toy.0.timers).push((self.deadline, cx.waker().clone()));
        Poll::Pending
    }
}

impl Sleep for Nap {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.toy.0.alarms.fetch_add(1, Relaxed);
        self.deadline = deadline;
    }
}

/// One end of a stream; index 0 is the client's.
pub(crate) struct Pipe {
    wire: Arc<Mutex<Wire>>,
    me: usize,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Wire {
    /// What each end has sent and the other has not read.
    bytes: [VecDeque<u8>; 2],
    ended: [bool; 2],
    wakers: [Option<Waker>; 2],
    /// Bytes that the server's side may still write.
    room: usize,
    writes: usize,
    deaf: bool,
    fails: bool,
    slices: bool,
    /// What happens during the server's next write.
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// What happens when the server drops its end.
    at_end: Option<Box<dyn FnOnce() + Send>>,
    /// What the server writes to, in place of `bytes`, and what the client reads then.
    #[cfg(unix)]
    socket: Option<[UnixStream; 2]>,
    /// The server waits until it takes more.
    full: bool,
}

impl Pipe {
    /// Both ends of a stream, the client's first.
    pub(crate) fn pair() -> (Self, Self) {
        let wire = Arc::new(Mutex::new(Wire { room: usize::MAX, ..Wire::default() }));
        (Self { wire: Arc::clone(&wire), me: 0 }, Self { wire, me: 1 })
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut wire = lock(&self.wire);
        wire.bytes[self.me].extend(bytes);
        wire.wake(1 - self.me);
    }

    /// Everything that the other end has written since the last call, and in how many writes.
    pub(crate) fn take(&self) -> (Vec<u8>, usize) {
        let mut wire = lock(&self.wire);
        let mut bytes: Vec<u8> = wire.bytes[1 - self.me].drain(..).collect();
        #[cfg(unix)]
        if let Some([_, socket]) = &wire.socket {
            socket::read_all(socket, &mut bytes);
            if mem::take(&mut wire.full) {
                wire.wake(1);
            }
        }
        (bytes, mem::take(&mut wire.writes))
    }

    /// How many bytes the server may write from now on.
    pub(crate) fn set_room(&self, room: usize) {
        let mut wire = lock(&self.wire);
        wire.room = room;
        wire.wake(1);
    }

    /// Calls `f` during the server's next write.
    pub(crate) fn meanwhile(&self, f: impl FnOnce() + Send + 'static) {
        lock(&self.wire).meanwhile = Some(Box::new(f));
    }

    /// Calls `f` when the server drops its end.
    pub(crate) fn at_end(&self, f: impl FnOnce() + Send + 'static) {
        lock(&self.wire).at_end = Some(Box::new(f));
    }

    /// Makes every read one into initialised memory.
    pub(crate) fn read_into_slices(&self) {
        lock(&self.wire).slices = true;
    }

    /// Makes every write of the server an error.
    pub(crate) fn hear_no_more(&self) {
        lock(&self.wire).deaf = true;
    }

    /// Makes every use of the stream an error.
    pub(crate) fn fail(&self) {
        let mut wire = lock(&self.wire);
        wire.fails = true;
        wire.wake(1);
    }

    /// Whether the other end has ended its side.
    pub(crate) fn ended(&self) -> bool {
        lock(&self.wire).ended[1 - self.me]
    }

    /// Up to `most` bytes that the other end has sent, none at its end.
    fn poll_bytes(&self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Vec<u8>>> {
        assert!(most > 0, "a read without room looks like the end of the stream");
        let mut wire = lock(&self.wire);
        wire.check()?;
        let other = 1 - self.me;
        let n = most.min(wire.bytes[other].len());
        if n == 0 && !wire.ended[other] {
            wire.wakers[self.me] = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(wire.bytes[other].drain(..n).collect()))
    }
}

impl Wire {
    fn wake(&mut self, end: usize) {
        if let Some(waker) = self.wakers[end].take() {
            waker.wake();
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.fails { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut wire = lock(&self.wire);
        wire.ended[self.me] = true;
        let waker = wire.wakers[1 - self.me].take();
        let at_end = wire.at_end.take_if(|_| self.me == 1);
        drop(wire);
        if let Some(f) = at_end {
            f();
        }
        // The task may end with it, and the other pipe with the task.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Transport for Pipe {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let bytes = ready!(self.poll_bytes(cx, buf.len()))?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        let slices = lock(&self.wire).slices;
        let message = if slices { None } else { input.message_mut() };
        let Some(mut message) = message else { return self.poll_fill_slice(cx, input) };
        let bytes = ready!(self.poll_bytes(cx, message.remaining_mut()))?;
        message.put_slice(&bytes);
        input.filled(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.me == 1 {
            let meanwhile = lock(&self.wire).meanwhile.take();
            if let Some(f) = meanwhile {
                f();
            }
        }
        let mut wire = lock(&self.wire);
        wire.check()?;
        if wire.deaf && self.me == 1 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if wire.room == 0 {
            wire.wakers[self.me] = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        #[cfg(unix)]
        if let Some([socket, _]) = wire.socket.as_ref().filter(|_| self.me == 1) {
            let written = (&*socket).write(&bytes);
            if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                wire.wakers[1] = Some(cx.waker().clone());
                wire.full = true;
                return Poll::Pending;
            }
            wire.writes += 1;
            return Poll::Ready(written);
        }
        let n = bytes.len().min(wire.room);
        wire.room -= n;
        wire.writes += 1;
        wire.bytes[self.me].extend(&bytes[..n]);
        wire.wake(1 - self.me);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(lock(&self.wire).check())
    }

    #[cfg(unix)]
    fn descriptor(&self) -> Option<crate::Descriptor<Self>> {
        let wire = lock(&self.wire);
        // The wire stays as long as this end of it.
        wire.socket.as_ref().map(|[socket, _]| crate::descriptor::of(socket))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = lock(&self.wire);
        wire.ended[self.me] = true;
        wire.wake(1 - self.me);
        Poll::Ready(Ok(()))
    }
}
