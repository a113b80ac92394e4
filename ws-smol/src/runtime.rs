use std::cell::RefCell;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::{self, Duration};
use std::{mem, thread};

use smol::io::{AsyncRead, AsyncWrite};
use smol::{Async, Executor, Timer, channel};
use ws_net::{Address, Instant, Listener, Runtime, Sleep, Transport};

/// The smol executor that the caller runs on: that of [`block_on`] on its threads, and elsewhere
/// the global one, which has as many threads as the variable `SMOL_THREADS` says, by default one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol;

thread_local! {
    /// The executor that this thread runs for [`block_on`].
    static CURRENT: RefCell<Option<Arc<Executor<'static>>>> = const { RefCell::new(None) };
}

/// Runs `future` to its end on a new executor with this many threads, of which the caller's is
/// one. Tasks that are left at its end are dropped.
///
/// # Errors
/// When the system refuses a thread.
pub fn block_on<F: Future>(threads: usize, future: F) -> io::Result<F::Output> {
    let executor = Arc::new(Executor::new());
    let (running, ended) = channel::bounded::<()>(1);
    thread::scope(|scope| {
        // Its drop, also by an early return or a panic, ends the other threads.
        let _running = running;
        for _ in 1..threads {
            let ended = ended.recv();
            let worker = thread::Builder::new().name("ws-smol".into());
            worker.spawn_scoped(scope, || run(&executor, ended))?;
        }
        Ok(run(&executor, future))
    })
}

/// Lets this thread run `executor` until `future` has ended.
fn run<F: Future>(executor: &Arc<Executor<'static>>, future: F) -> F::Output {
    struct Restore(Option<Arc<Executor<'static>>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(mem::take(&mut self.0));
        }
    }
    let _restore = Restore(CURRENT.replace(Some(Arc::clone(executor))));
    smol::block_on(executor.run(future))
}

/// Instants count from the first use.
static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

impl Runtime for Smol {
    type Stream = SmolStream;
    type Listener = SmolListener;
    type Sleep = SmolSleep;

    fn now(&self) -> Instant {
        Instant::from(START.elapsed())
    }

    fn sleep_until(&self, deadline: Instant) -> SmolSleep {
        SmolSleep(Timer::at(to_std(deadline)))
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let task = match CURRENT.with_borrow(Clone::clone) {
            Some(executor) => executor.spawn(future),
            None => smol::spawn(future),
        };
        task.detach();
    }

    fn listen(&self, socket: TcpListener) -> io::Result<SmolListener> {
        Ok(SmolListener { socket: Async::new(socket)?, drained: false })
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<SmolStream> {
        let stream = Async::<TcpStream>::connect(address).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(SmolStream::new(stream))
    }
}

/// A TCP stream of smol.
#[derive(Debug)]
pub struct SmolStream {
    stream: Async<TcpStream>,
    /// The last read left nothing behind: the next one waits for the reactor.
    drained: bool,
}

impl SmolStream {
    fn new(stream: Async<TcpStream>) -> Self {
        // Clients speak first and at once, so something may be there already.
        Self { stream, drained: false }
    }
}

impl Transport for SmolStream {
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

/// A listening TCP socket of smol.
#[derive(Debug)]
pub struct SmolListener {
    socket: Async<TcpListener>,
    /// Nobody is left to be accepted: the next call waits for the reactor.
    drained: bool,
}

impl Listener for SmolListener {
    type Stream = SmolStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(SmolStream, Address)>> {
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
        Poll::Ready(Ok((SmolStream::new(Async::new(stream)?), Address::Tcp(peer))))
    }
}

/// A timer of smol.
#[derive(Debug)]
pub struct SmolSleep(Timer);

impl Future for SmolSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for SmolSleep {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.0.set_at(to_std(deadline));
    }
}

fn to_std(instant: Instant) -> time::Instant {
    let since_start = Duration::from_nanos(instant.as_nanos());
    // What no clock can hold is as good as never.
    START.checked_add(since_start).unwrap_or_else(|| *START + Duration::from_secs(1 << 30))
}
