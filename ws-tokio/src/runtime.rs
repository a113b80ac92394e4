use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::time;
use ws_net::{Instant, Runtime, Sleep};

use crate::io::{TokioListener, TokioStream};

/// The Tokio runtime that the caller runs on.
///
/// Its time is Tokio's, so a test that pauses the clock pauses every timeout.
///
/// # Panics
/// Outside of a runtime whatever spawns or waits panics as Tokio does, also
/// [`Upgrade::serve`](ws_net::Upgrade::serve) and [`run`](ws_net::Upgrade::run), whereas
/// [`Server::add`](ws_net::Server::add) and [`adopt`](ws_net::Server::adopt) answer an error. On a
/// runtime without `enable_io` these and the clients' `connect` panic.
///
/// On one without `enable_time` no deadline of a connection is kept, which is logged as an error
/// once. What waits for a time panics: [`Server::shutdown`](ws_net::Server::shutdown), the clients'
/// `connect`, the pause of a server that cannot accept, and ordinary HTTP on its port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// Takes down the number that something tells a hasher.
#[derive(Default)]
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        // There is only one; more of them are mixed.
        self.0 = self.0.wrapping_mul(0x100_0000_01B3) ^ number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Runs `future` to its end on a new runtime with this many threads. One means the current-thread
/// runtime: everything runs on the caller's thread. Tasks that are left at its end are dropped; what
/// blocks, as the lookup of a name does, is waited for a second at most.
///
/// # Errors
/// When the system refuses what the runtime needs.
pub fn block_on<F: Future>(threads: usize, future: F) -> io::Result<F::Output> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(threads.max(1)).enable_all().build()?;
    let output = catch_unwind(AssertUnwindSafe(|| runtime.block_on(future)));
    // By itself it would wait for the system to answer about a name, however long that takes.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(output.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Instants count from an hour before the first use, where the system's clock began before that.
/// Tests stop the clocks of single runtimes, and move them; none may lie before it.
static START: LazyLock<time::Instant> = LazyLock::new(|| {
    let now = std::time::Instant::now();
    time::Instant::from_std(now.checked_sub(Duration::from_secs(60 * 60)).unwrap_or(now))
});

impl Runtime for Tokio {
    type Stream = TokioStream;
    type Listener = TokioListener;
    type Sleep = TokioSleep;

    fn now(&self) -> Instant {
        Instant::from(time::Instant::now().saturating_duration_since(*START))
    }

    fn sleep_until(&self, deadline: Instant) -> TokioSleep {
        TokioSleep { sleep: time::sleep_until(to_tokio(deadline)) }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    /// The number of the runtime, which it tells to nobody but a hasher.
    fn key(&self) -> u64 {
        let hasher = BuildHasherDefault::<Number>::default();
        Handle::try_current().map_or(0, |handle| hasher.hash_one(handle.id()))
    }

    fn listen(&self, socket: std::net::TcpListener) -> io::Result<TokioListener> {
        entered()?;
        TcpListener::from_std(socket).map(TokioListener::Tcp)
    }

    #[cfg(unix)]
    fn listen_unix(&self, socket: std::os::unix::net::UnixListener) -> io::Result<TokioListener> {
        entered()?;
        UnixListener::from_std(socket).map(TokioListener::Unix)
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: PathBuf) -> io::Result<TokioStream> {
        UnixStream::connect(path).await.map(|stream| TokioStream::Unix(Box::new(stream)))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TokioStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioStream::Tcp(stream))
    }
}

pin_project! {
    /// A timer of Tokio.
    #[derive(Debug)]
    pub struct TokioSleep {
        #[pin]
        sleep: time::Sleep,
    }
}

impl Future for TokioSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl Sleep for TokioSleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().sleep.reset(to_tokio(deadline));
    }
}

/// Outside of a runtime Tokio panics when it is given a socket.
fn entered() -> io::Result<()> {
    let text = "no Tokio runtime: call this in one of its tasks, or while `Handle::enter` holds";
    Handle::try_current().map(drop).map_err(|_| io::Error::other(text))
}

fn to_tokio(instant: Instant) -> time::Instant {
    let since_start = Duration::from_nanos(instant.as_nanos());
    // What no clock can hold is as good as never.
    START.checked_add(since_start).unwrap_or_else(|| *START + Duration::from_secs(1 << 30))
}

#[cfg(test)]
mod tests;
