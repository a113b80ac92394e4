use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{mem, thread};

use smol::{Async, Executor, Timer, channel};
use ws_net::{Instant, Runtime, Sleep, SystemClock};

use crate::io::{SmolListener, SmolStream};

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

impl Runtime for Smol {
    type Stream = SmolStream;
    type Listener = SmolListener;
    type Sleep = SmolSleep;

    fn now(&self) -> Instant {
        SystemClock::now()
    }

    fn sleep_until(&self, deadline: Instant) -> SmolSleep {
        SmolSleep(Timer::at(SystemClock::to_std(deadline)))
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let task = match CURRENT.with_borrow(Clone::clone) {
            Some(executor) => executor.spawn(future),
            None => smol::spawn(future),
        };
        task.detach();
    }

    /// Executors that exist at the same time differ.
    fn key(&self) -> u64 {
        CURRENT.with_borrow(|executor| {
            executor.as_ref().map_or(0, |executor| Arc::as_ptr(executor).addr() as u64)
        })
    }

    fn listen(&self, socket: TcpListener) -> io::Result<SmolListener> {
        SmolListener::new(socket)
    }

    #[cfg(unix)]
    fn listen_unix(&self, socket: UnixListener) -> io::Result<SmolListener> {
        SmolListener::new(socket)
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: PathBuf) -> io::Result<SmolStream> {
        let stream = Async::<UnixStream>::connect(path).await?.into_inner()?;
        SmolStream::new(stream)
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        smol::net::resolve((host, port)).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<SmolStream> {
        let stream = Async::<TcpStream>::connect(address).await?.into_inner()?;
        stream.set_nodelay(true)?;
        SmolStream::new(stream)
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
        self.0.set_at(SystemClock::to_std(deadline));
    }
}
