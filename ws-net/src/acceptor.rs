use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tracing::{debug, error};
use ws_proto::Instant;

use crate::door::Door;
use crate::driver::Driver;
use crate::endpoint::Endpoint;
use crate::gate::{Gate, Permit, Phase, Refused};
use crate::link::Security;
use crate::local::LocalAddress;
use crate::log;
use crate::proxy_protocol;
use crate::runtime::{Listener, Runtime, Transport};
use crate::shared::Peer;
use crate::sites::Site;
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
    /// Whether clients are proxies that tell whom they speak for.
    pub(crate) proxied: bool,
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
    let site = endpoint.common.sites.at(&bound.address);
    let Bound { mut listener, security, proxied, .. } = bound;
    #[cfg(unix)]
    let _removed_at_the_end = bound.file;
    // TLS has to say that the stream ends.
    let ends = listener.ends_when_dropped() && !security.is_secure();
    let entry = Entry { runtime, endpoint, door, security, ends, site };
    let Entry { runtime, endpoint, .. } = &entry;
    let gate = &endpoint.common.gate;
    let mut stopped = pin!(gate.beyond(Phase::Open));
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = poll_fn(|cx| listener.poll_accept(cx));
        let Some(accepted) = unless(gate, stopped.as_mut(), accepted).await else { return };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                // Who comes through a proxy is counted when it has told.
                let counted = if proxied { Address::Unnamed } else { peer };
                let admitted = admit(runtime, endpoint, counted);
                let Some((admitted, now)) = unless(gate, stopped.as_mut(), admitted).await else {
                    return;
                };
                match admitted {
                    Ok(permit) if proxied => {
                        runtime.spawn(entry.clone().introduce(stream, peer, permit, now));
                    }
                    Ok(permit) => {
                        entry.start(stream, (peer, false), permit, now);
                    }
                    Err(refused) => {
                        log::has_its_share(&refused, peer);
                        gate.count_refused();
                        // Without a word: an answer would have to be written, over TLS after a
                        // handshake, for whoever asks for too much.
                        drop(stream);
                        // Whoever comes again and again keeps no other task from running.
                        step_aside().await;
                    }
                }
            }
            Err(error) if concerns_one_client(&error) => {
                log::write(|| {
                    debug!(target: "ws::server", "a client left before it was accepted: {error}");
                });
            }
            Err(error) => {
                let error = ServerError::Accept { error, retry_in: pause };
                endpoint.tell_error(&error);
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

/// What every stream that is accepted in one place meets.
#[derive(Clone)]
struct Entry<R, D> {
    runtime: R,
    endpoint: Arc<Endpoint>,
    door: D,
    security: Security,
    ends: bool,
    site: Site,
}

impl<R: Runtime, D: Door> Entry<R, D> {
    /// Starts the driver of a stream: from there, and whether over TLS, as far as somebody has said so.
    fn start(
        &self,
        stream: R::Stream,
        (address, secure): (Address, bool),
        permit: Permit,
        now: Instant,
    ) {
        let link = match self.security.wrap(stream) {
            Ok(link) => link,
            Err(error) => {
                log::write(|| {
                    error!(target: "ws::server", peer = %address, "TLS cannot be used: {error}");
                });
                return;
            }
        };
        let (own, endpoint) = (self.runtime.clone(), Arc::clone(&self.endpoint));
        let peer = Peer { address, secure: secure || link.is_secure(), site: self.site };
        let (door, socket) = (self.door.clone(), (link, self.ends));
        let driver = Driver::server(own, endpoint, door, permit, socket, peer, now);
        // A shutdown that began meanwhile has not seen it.
        if self.endpoint.common.gate.is_open() {
            self.runtime.spawn(driver);
        }
    }

    /// Waits until `proxy` has told whom it speaks for, and starts the driver then: in a task of its
    /// own, which is no larger for it.
    async fn introduce(
        self,
        mut stream: R::Stream,
        proxy: Address,
        mut permit: Permit,
        now: Instant,
    ) {
        let common = &self.endpoint.common;
        let introduction = {
            let mut stopped = pin!(common.gate.beyond(Phase::Open));
            let mut read = pin!(proxy_protocol::read(&mut stream));
            let deadline = now + common.config.timeouts().handshake;
            let mut late = pin!(self.runtime.sleep_until(deadline));
            let read = poll_fn(|cx| {
                let read = read.as_mut().poll(cx);
                let late = late.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()));
                if read.is_ready() { read } else { late }
            });
            let Some(introduction) = unless(&common.gate, stopped.as_mut(), read).await else {
                return;
            };
            introduction
        };
        let introduction = match introduction {
            Ok(introduction) => introduction,
            Err(error) => {
                if error.kind() == ErrorKind::InvalidData {
                    common.gate.count_refused();
                }
                log::not_introduced(common, proxy, &error);
                return;
            }
        };
        let address = introduction.client.unwrap_or(proxy);
        match permit.charge(address, self.runtime.now()) {
            Ok(()) => self.start(stream, (address, introduction.secure), permit, now),
            Err(refused) => {
                log::has_its_share(&refused, address);
                common.gate.count_refused();
            }
        }
    }
}

/// A permit as soon as there is one, and the time then.
async fn admit<R: Runtime>(
    runtime: &R,
    endpoint: &Endpoint,
    peer: Address,
) -> (Result<Permit, Refused>, Instant) {
    let (gate, now) = (&endpoint.common.gate, runtime.now());
    if let Some(admitted) = gate.try_admit(peer, now) {
        return (admitted, now);
    }
    endpoint.tell_full(now);
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
    use ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | TimedOut | WouldBlock
    )
}
