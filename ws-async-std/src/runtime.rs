use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::{self, Duration};

use async_global_executor::GlobalExecutorConfig;
use async_io::{Async, Timer};
use async_std::io::{Read as AsyncRead, Write as AsyncWrite};
use async_std::task;
use ws_net::{Address, Instant, Listener, Runtime, Sleep, Transport};

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

/// Instants count from the first use.
static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

impl Runtime for AsyncStd {
    type Stream = AsyncStdStream;
    type Listener = AsyncStdListener;
    type Sleep = AsyncStdSleep;

    fn now(&self) -> Instant {
        Instant::from(START.elapsed())
    }

    fn sleep_until(&self, deadline: Instant) -> AsyncStdSleep {
        AsyncStdSleep(Timer::at(to_std(deadline)))
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        task::spawn(future);
    }

    fn listen(&self, socket: TcpListener) -> io::Result<AsyncStdListener> {
        Ok(AsyncStdListener { socket: Async::new(socket)?, drained: false })
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<AsyncStdStream> {
        let stream = Async::<TcpStream>::connect(address).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(AsyncStdStream::new(stream))
    }
}

/// A TCP stream of async-std.
#[derive(Debug)]
pub struct AsyncStdStream {
    stream: Async<TcpStream>,
    /// The last read left nothing behind: the next one waits for the reactor.
    drained: bool,
}

impl AsyncStdStream {
    fn new(stream: Async<TcpStream>) -> Self {
        // Clients speak first and at once, so something may be there already.
        Self { stream, drained: false }
    }
}

impl Transport for AsyncStdStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.drained {
            ready!(self.stream.poll_readable(cx))?;
        }
        let read = Pin::new(&mut &self.stream).poll_read(cx, buf);
        self.drained = !matches!(read, Poll::Ready(Ok(n)) if n == buf.len());
        read
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = &self.stream;
        match bufs {
            [buf] => Pin::new(&mut stream).poll_write(cx, buf),
            _ => Pin::new(&mut stream).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream.get_ref().shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}

/// A listening TCP socket of async-std.
#[derive(Debug)]
pub struct AsyncStdListener {
    socket: Async<TcpListener>,
    /// Nobody is left to be accepted: the next call waits for the reactor.
    drained: bool,
}

impl Listener for AsyncStdListener {
    type Stream = AsyncStdStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(AsyncStdStream, Address)>> {
        let (stream, peer) = loop {
            if self.drained {
                ready!(self.socket.poll_readable(cx))?;
            }
            let accepted = self.socket.get_ref().accept();
            self.drained = matches!(&accepted, Err(error) if error.kind() == ErrorKind::WouldBlock);
            if !self.drained {
                break accepted?;
            }
        };
        // Linux hands the setting of the listening socket on.
        if cfg!(not(target_os = "linux")) {
            stream.set_nodelay(true)?;
        }
        Poll::Ready(Ok((AsyncStdStream::new(Async::new(stream)?), Address::Tcp(peer))))
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
        self.0.set_at(to_std(deadline));
    }
}

fn to_std(instant: Instant) -> time::Instant {
    let since_start = Duration::from_nanos(instant.as_nanos());
    // What no clock can hold is as good as never.
    START.checked_add(since_start).unwrap_or_else(|| *START + Duration::from_secs(1 << 30))
}
