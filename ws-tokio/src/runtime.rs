use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time;
use ws_net::{Address, Instant, Listener, Runtime, Sleep, Transport};

/// The Tokio runtime that the caller runs on.
///
/// Its time is Tokio's, so a test that pauses the clock pauses every timeout.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// Runs `future` to its end on a new runtime with this many threads. One means the current-thread
/// runtime: everything runs on the caller's thread.
///
/// # Errors
/// When the system refuses what the runtime needs.
pub fn block_on<F: Future>(threads: usize, future: F) -> io::Result<F::Output> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(threads.max(1)).enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// Instants count from the first use.
static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

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

    fn listen(&self, socket: std::net::TcpListener) -> io::Result<TokioListener> {
        TcpListener::from_std(socket).map(TokioListener)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TokioStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(TokioStream(stream))
    }
}

/// A TCP stream of Tokio.
#[derive(Debug)]
pub struct TokioStream(TcpStream);

impl Transport for TokioStream {
    // Tokio notes by itself that a short read left nothing behind.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        match bufs {
            [buf] => stream.poll_write(cx, buf),
            _ => stream.poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A listening TCP socket of Tokio.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl Listener for TokioListener {
    type Stream = TokioStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TokioStream, Address)>> {
        let (stream, peer) = ready!(self.0.poll_accept(cx))?;
        // Linux hands the setting of the listening socket on.
        if cfg!(not(target_os = "linux")) {
            stream.set_nodelay(true)?;
        }
        Poll::Ready(Ok((TokioStream(stream), Address::Tcp(peer))))
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

fn to_tokio(instant: Instant) -> time::Instant {
    let since_start = Duration::from_nanos(instant.as_nanos());
    // What no clock can hold is as good as never.
    START.checked_add(since_start).unwrap_or_else(|| *START + Duration::from_secs(1 << 30))
}
