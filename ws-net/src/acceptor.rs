use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tracing::{debug, error, warn};
use ws_proto::Instant;

use crate::door::Door;
use crate::driver::Driver;
use crate::endpoint::Endpoint;
use crate::gate::{Gate, Permit, Phase, Refused};
use crate::link::Security;
use crate::local::LocalAddress;
use crate::log;
use crate::runtime::{Listener, Runtime, Transport};
use crate::shared::Peer;
#[cfg(unix)]
use crate::unix::SocketFile;
use crate::{Address, ServerError};

/// The first pause after the system could not accept; doubled from one failure to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause: an operator who raises a limit sees the effect at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A socket that nobody accepts from yet.
pub(crate) struct Bound<L> {
    pub(crate) listener: L,
    pub(crate) address: LocalAddress,
    pub(crate) security: Security,
    /// What is removed when nobody accepts any more.
    #[cfg(unix)]
    pub(crate) file: Option<SocketFile>,
}

/// Accepts streams and starts their drivers until the server stops. Dropping the future stops it
/// too, and closes the socket.
pub(crate) async fn accept_all<R: Runtime, D: Door>(
    runtime: R,
    endpoint: Arc<Endpoint>,
    bound: Bound<R::Listener>,
    door: D,
) {
    let Bound { mut listener, security, .. } = bound;
    #[cfg(unix)]
    let _removed_at_the_end = bound.file;
    let gate = &endpoint.common.gate;
    // TLS has to say that the stream ends.
    let ends = listener.ends_when_dropped() && !security.is_secure();
    let mut stopped = pin!(gate.beyond(Phase::Open));
    let mut pause = FIRST_PAUSE;
    let mut full = false;
    loop {
        let accepted = poll_fn(|cx| listener.poll_accept(cx));
        let Some(accepted) = unless(gate, stopped.as_mut(), accepted).await else { return };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                let admitted = admit(&runtime, gate, peer, &mut full);
                let Some((admitted, now)) = unless(gate, stopped.as_mut(), admitted).await else {
                    return;
                };
                let permit = match admitted {
                    Ok(permit) => permit,
                    Err(refused) => {
                        log::has_its_share(&refused, peer);
                        // Without a word: an answer would have to be written, over TLS after a
                        // handshake, for whoever asks for too much.
                        drop(stream);
                        // Whoever comes again and again keeps no other task from running.
                        step_aside().await;
                        continue;
                    }
                };
                let link = match security.wrap(stream) {
                    Ok(link) => link,
                    Err(error) => {
                        log::write(|| {
                            error!(target: "ws::server", %peer, "TLS cannot be used: {error}");
                        });
                        continue;
                    }
                };
                let (own, endpoint) = (runtime.clone(), Arc::clone(&endpoint));
                let peer = Peer { address: peer, secure: link.is_secure() };
                let (door, socket) = (door.clone(), (link, ends));
                let driver = Driver::server(own, endpoint, door, permit, socket, peer, now);
                // A shutdown that began meanwhile has not seen it.
                if gate.is_open() {
                    runtime.spawn(driver);
                }
            }
            Err(error) if concerns_one_client(&error) => {
                log::write(|| {
                    debug!(target: "ws::server", "a client left before it was accepted: {error}");
                });
            }
            Err(error) => {
                let error = ServerError::Accept { error, retry_in: pause };
                log::write(|| warn!(target: "ws::server", "{error}"));
                endpoint.listeners.tell_error(&error);
                drop(error);
                let deadline = runtime.now() + pause;
                let pausing = runtime.sleep_until(deadline);
                if unless(gate, stopped.as_mut(), pausing).await.is_none() {
                    return;
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// A permit as soon as there is one, and the time then. That there is none is told once, until a
/// client finds one at once.
async fn admit<R: Runtime>(
    runtime: &R,
    gate: &Arc<Gate>,
    peer: Address,
    full: &mut bool,
) -> (Result<Permit, Refused>, Instant) {
    let now = runtime.now();
    if let Some(admitted) = gate.try_admit(peer, now) {
        *full = false;
        return (admitted, now);
    }
    if !mem::replace(full, true) {
        log::write(|| warn!(target: "ws::server", %peer, "full: clients wait until others leave"));
    }
    (gate.admit(peer, now).await, runtime.now())
}

/// What `future` completes with, or `None` when the gate closed before, as `stopped` tells.
async fn unless<F: Future>(
    gate: &Gate,
    mut stopped: Pin<&mut impl Future<Output = ()>>,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(move |cx| {
        // What is ready need not be among those that are told.
        if gate.is_open()
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            return Poll::Ready(Some(output));
        }
        stopped.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Lets other tasks run first.
async fn step_aside() {
    let mut stepped = false;
    poll_fn(|cx| {
        if mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | TimedOut | WouldBlock
    )
}
