use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::deadline::Deadline;
use super::error::{ConnectError, Stage};
use crate::runtime::{Runtime, Sleep};

/// How long an address may be silent before the next one is tried beside it (RFC 8305 section 5
/// recommends it).
const HEAD_START: Duration = Duration::from_millis(250);

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// Looks a host up and connects to the first of its addresses that answers.
pub(super) async fn dial<R: Runtime>(
    deadline: &Deadline<'_, R>,
    host: &str,
    port: u16,
) -> Result<(R::Stream, SocketAddr), ConnectError> {
    let runtime = deadline.runtime;
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => deadline.keep(Stage::Lookup, look_up(runtime, host, port)).await?,
    };
    let race = async {
        let unreachable = |failures| ConnectError::Unreachable { host: host.to_owned(), failures };
        race(runtime, &addresses).await.map_err(unreachable)
    };
    deadline.keep(Stage::Connect, race).await
}

async fn look_up<R: Runtime>(
    runtime: &R,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |error| ConnectError::Lookup { host: host.to_owned(), error };
    let addresses = runtime.resolve(host, port).await.map_err(failed)?;
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(in_turns(addresses))
}

/// The families in turns, beginning with the one that the system prefers, so that a family without
/// a route costs one head start (RFC 8305 section 4).
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut sorted = Vec::new();
    for index in 0..first.len().max(second.len()) {
        sorted.extend(first.get(index));
        sorted.extend(second.get(index));
    }
    sorted.truncate(MAX_ADDRESSES);
    sorted
}

type Attempt<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// Connects to one address after the other. The next one begins when one fails, or has been silent
/// for the head start; the first stream wins and the other attempts are dropped.
async fn race<R: Runtime>(
    runtime: &R,
    addresses: &[SocketAddr],
) -> Result<(R::Stream, SocketAddr), Vec<(SocketAddr, io::Error)>> {
    let mut waiting = addresses.iter().copied();
    let mut attempts: Vec<(SocketAddr, Attempt<R::Stream>)> = Vec::new();
    let mut failures = Vec::new();
    let mut timer = pin!(runtime.sleep_until(runtime.now()));
    poll_fn(|cx| {
        loop {
            let mut next_is_due = attempts.is_empty();
            let mut winner = None;
            attempts.retain_mut(|(address, attempt)| match attempt.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    winner = Some((stream, *address));
                    false
                }
                Poll::Ready(Err(error)) => {
                    failures.push((*address, error));
                    next_is_due = true;
                    false
                }
            });
            if let Some(winner) = winner {
                return Poll::Ready(Ok(winner));
            }
            if waiting.len() == 0 {
                let over = attempts.is_empty();
                return if over {
                    Poll::Ready(Err(mem::take(&mut failures)))
                } else {
                    Poll::Pending
                };
            }
            if !next_is_due && timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(address) = waiting.next() {
                let own = runtime.clone();
                attempts.push((address, Box::pin(async move { own.connect(address).await })));
                timer.as_mut().reset(runtime.now() + HEAD_START);
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_are_bounded() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let addresses = ["[::1]:1", "[::2]:1", "1.0.0.1:1", "[::3]:1"].map(parse);
        let sorted = ["[::1]:1", "1.0.0.1:1", "[::2]:1", "[::3]:1"].map(parse);
        assert_eq!(in_turns(addresses.to_vec()), sorted);
        let many = (0..100).map(|n| SocketAddr::from(([127, 0, 0, n], 1))).collect();
        assert_eq!(in_turns(many).len(), MAX_ADDRESSES);
    }
}
