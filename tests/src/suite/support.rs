use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use ws_net::{Builder, Connection, Outcome, Runtime, Server};

use crate::client::PATIENCE;

/// A server on a port of its own, stopped when the case is over.
pub(crate) struct Running<R: Runtime> {
    pub(crate) address: SocketAddr,
    server: Server<R>,
}

impl<R: Runtime> Running<R> {
    /// A server that is bound and not run.
    pub(crate) async fn bind(runtime: &R, change: impl FnOnce(Builder<R>) -> Builder<R>) -> Self {
        let builder = change(Builder::new(runtime.clone()));
        let server = builder.bind("127.0.0.1:0").await.expect("a free port");
        let address = server.local_addr().expect("it is bound");
        Self { address, server }
    }

    /// A server that serves `handler` with the default options.
    pub(crate) async fn serve<H>(
        runtime: &R,
        handler: impl Fn(Connection) -> H + Send + Sync + 'static,
    ) -> Self
    where
        H: Future<Output: Outcome> + Send + 'static,
    {
        let running = Self::bind(runtime, |builder| builder).await;
        running.start_serving(runtime, handler);
        running
    }

    /// Serves `handler`.
    pub(crate) fn start_serving<H>(
        &self,
        runtime: &R,
        handler: impl Fn(Connection) -> H + Send + Sync + 'static,
    ) where
        H: Future<Output: Outcome> + Send + 'static,
    {
        let server = self.server.clone();
        runtime.spawn(async move { server.serve(handler).await.expect("it is bound") });
    }

    /// Runs with the listeners.
    pub(crate) fn start_running(&self, runtime: &R) {
        let server = self.server.clone();
        runtime.spawn(async move { server.run().await.expect("it is bound") });
    }
}

impl<R: Runtime> Deref for Running<R> {
    type Target = Server<R>;

    fn deref(&self) -> &Server<R> {
        &self.server
    }
}

impl<R: Runtime> Drop for Running<R> {
    fn drop(&mut self) {
        self.server.close();
        self.server.manager().for_each(Connection::abort);
    }
}

/// Sends every message back.
pub async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

/// Runs `f`, which may block, on a thread of its own, from now on; waits for it without blocking
/// the runtime. A panic in it is a panic of the case.
pub fn aside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let done = Mailbox::default();
    let post = done.clone();
    thread::spawn(move || post.put(catch_unwind(AssertUnwindSafe(f))));
    async move { done.take().await.unwrap_or_else(|panic| resume_unwind(panic)) }
}

/// Waits until `condition` holds.
pub(crate) async fn until<R: Runtime>(runtime: &R, mut condition: impl FnMut() -> bool) {
    let end = runtime.now() + PATIENCE;
    while !condition() {
        assert!(runtime.now() < end, "it did not come true");
        sleep(runtime, Duration::from_millis(1)).await;
    }
}

/// Waits for so long.
pub(crate) async fn sleep<R: Runtime>(runtime: &R, duration: Duration) {
    runtime.sleep_until(runtime.now() + duration).await;
}

/// Polls `future` whenever it is woken, but so many times only; then drops it, and answers `None`.
pub(crate) async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut left = times;
    let mut future = pin!(future);
    poll_fn(|cx| {
        if left > 0 {
            left -= 1;
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
        }
        if left == 0 { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// What tasks and threads hand to the one task that takes it.
pub(crate) struct Mailbox<T>(Arc<Mutex<(VecDeque<T>, Option<Waker>)>>);

impl<T> Mailbox<T> {
    pub(crate) fn put(&self, value: T) {
        let mut state = self.lock();
        state.0.push_back(value);
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next one; waits for it.
    pub(crate) async fn take(&self) -> T {
        poll_fn(|cx| {
            let mut state = self.lock();
            if let Some(value) = state.0.pop_front() {
                return Poll::Ready(value);
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Everything that is there.
    pub(crate) fn take_all(&self) -> Vec<T> {
        self.lock().0.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, (VecDeque<T>, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((VecDeque::new(), None))))
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
