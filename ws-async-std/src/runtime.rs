use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_global_executor::GlobalExecutorConfig;
use async_io::{Async, Timer};
use async_std::task;
use ws_net::{Instant, Runtime, Sleep, SystemClock};

use crate::io::{AsyncStdListener, AsyncStdStream};

/// The runtime of async-std, of which a process has one.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

/// Runs `future` to its end on the caller's thread, and its tasks on this many others. They are
/// started once in a process: the first call decides, unless a task was spawned before it, and
/// the variable `ASYNC_STD_THREAD_COUNT` stands above it.
///
/// # Errors
/// Never: async-std panics when the system refuses a thread.
pub fn block_on<F: Future>(threads: usize, future: F) -> io::Result<F::Output> {
    let config = GlobalExecutorConfig::default()
        .with_env_var("ASYNC_STD_THREAD_COUNT")
        .with_min_threads(threads)
        .with_max_threads(threads);
    async_global_executor::init_with_config(config);
    Ok(task::block_on(future))
}

impl Runtime for AsyncStd {
    type Stream = AsyncStdStream;
    type Listener = AsyncStdListener;
    type Sleep = AsyncStdSleep;

    fn now(&self) -> Instant {
        SystemClock::now()
    }

    fn sleep_until(&self, deadline: Instant) -> AsyncStdSleep {
        AsyncStdSleep(Timer::at(SystemClock::to_std(deadline)))
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        task::spawn(future);
    }

    fn listen(&self, socket: TcpListener) -> io::Result<AsyncStdListener> {
        AsyncStdListener::new(socket)
    }

    #[cfg(unix)]
    fn listen_unix(&self, socket: UnixListener) -> io::Result<AsyncStdListener> {
        AsyncStdListener::new(socket)
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: PathBuf) -> io::Result<AsyncStdStream> {
        let stream = Async::<UnixStream>::connect(path).await?.into_inner()?;
        AsyncStdStream::new(stream)
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(async_std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<AsyncStdStream> {
        let stream = Async::<TcpStream>::connect(address).await?.into_inner()?;
        stream.set_nodelay(true)?;
        AsyncStdStream::new(stream)
    }
}

/// A timer of async-std.
#[derive(Debug)]
pub struct AsyncStdSleep(Timer);

impl Future for AsyncStdSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for AsyncStdSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.set_at(SystemClock::to_std(deadline));
    }
}
