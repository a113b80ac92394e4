//! Receivers of messages to many that take them too slowly.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use ws_net::{Builder, Connection, Delivery, Limits, Message, Runtime, SlowReceivers, Version};

use super::support::{Running, aside, echo, polled, sleep, until};
use crate::client::Client;

const BLOCK: usize = 64 << 10;

/// A server with a slow and a quick client; the slow one cannot take anything more.
struct Pair<R: Runtime> {
    server: Running<R>,
    receiver: Connection,
    slow: Client,
    quick: Client,
    /// Blocks that are on their way to the slow one.
    blocks: usize,
}

async fn stuck<R: Runtime>(runtime: &R, change: impl FnOnce(Builder<R>) -> Builder<R>) -> Pair<R> {
    let server = Running::bind(runtime, change).await;
    server.start_serving(runtime, echo);
    let address = server.address;
    let (slow, quick) = aside(move || {
        let open = || Client::open(address, Version::Rfc6455);
        (open(), open())
    })
    .await;
    until(runtime, || server.manager().len() == 2).await;
    let is_slow = |one: &Connection| one.id().port() == slow.port();
    let receiver = server.manager().filter(is_slow).pop().expect("it is open");
    let block = Bytes::from(vec![7; BLOCK]);
    let mut blocks = 0;
    // The system takes some; it is stuck when nothing has left for a while.
    let mut quiet = 0;
    while quiet < 300 {
        let before = receiver.buffered_amount();
        while receiver.try_send(block.clone()).is_ok() {
            (blocks, quiet) = (blocks + 1, 0);
            assert!(blocks < 10_000, "the system takes everything");
        }
        sleep(runtime, Duration::from_millis(1)).await;
        quiet = if receiver.buffered_amount() == before { quiet + 1 } else { 0 };
    }
    assert!(receiver.buffered_amount() >= Limits::default().outbound_high);
    Pair { server, receiver, slow, quick, blocks }
}

fn report(queued: usize, skipped: usize, dropped: usize, ended: usize) -> Delivery {
    Delivery { queued, skipped, dropped, ended, ..Delivery::default() }
}

/// Reads so many blocks.
fn skip(client: &mut Client, blocks: usize) {
    for _ in 0..blocks {
        assert_eq!(client.recv().map(|message| message.len()), Some(BLOCK));
    }
}

/// The texts up to one that says `end`.
fn texts(client: &mut Client) -> Vec<String> {
    let texts = std::iter::from_fn(|| Some(client.recv_text()));
    texts.take_while(|text| text != "end").collect()
}

/// Sends five texts, reads them, and answers what each client has heard.
async fn five<R: Runtime>(
    runtime: &R,
    policy: SlowReceivers,
    expected: [Delivery; 5],
) -> [Vec<String>; 2] {
    let change = |builder: Builder<R>| builder.slow_receivers(policy).max_backlog_messages(3);
    let Pair { server, receiver, mut slow, mut quick, blocks } = stuck(runtime, change).await;
    let deliveries = ["1", "2", "3", "4", "5"].map(|text| server.broadcast(text));
    assert_eq!(deliveries, expected, "{policy:?}");
    let mut slow = aside(move || {
        skip(&mut slow, blocks);
        slow
    })
    .await;
    until(runtime, || receiver.buffered_amount() == 0).await;
    assert_eq!(server.broadcast("end"), report(2, 0, 0, 0));
    aside(move || [texts(&mut slow), texts(&mut quick)]).await
}

/// They miss what came while they had no room.
pub async fn those_who_are_slow_are_skipped<R: Runtime>(runtime: R) {
    let heard = five(&runtime, SlowReceivers::Skip, [report(1, 1, 0, 0); 5]).await;
    assert_eq!(heard, [vec![], vec!["1", "2", "3", "4", "5"]]);
}

/// They get the newest three.
pub async fn the_oldest_messages_are_dropped<R: Runtime>(runtime: R) {
    let expected = [0, 0, 0, 1, 1].map(|dropped| report(2, 0, dropped, 0));
    let heard = five(&runtime, SlowReceivers::DropOldest, expected).await;
    assert_eq!(heard, [vec!["3", "4", "5"], vec!["1", "2", "3", "4", "5"]]);
}

/// They get the newest one.
pub async fn the_latest_message_is_kept<R: Runtime>(runtime: R) {
    let expected = [0, 1, 1, 1, 1].map(|dropped| report(2, 0, dropped, 0));
    let heard = five(&runtime, SlowReceivers::KeepLatest, expected).await;
    assert_eq!(heard, [vec!["5"], vec!["1", "2", "3", "4", "5"]]);
}

/// With code 1013, behind everything that they were sent.
pub async fn those_who_are_slow_are_closed<R: Runtime>(runtime: R) {
    let Pair { server, mut slow, mut quick, blocks, .. } = stuck(&runtime, |builder| builder).await;
    let with = |policy| server.to_all().slow_receivers(policy);
    assert_eq!(with(SlowReceivers::DropOldest).send("kept"), report(2, 0, 0, 0));
    assert_eq!(with(SlowReceivers::Close).send("too much"), report(1, 0, 0, 1));
    let gone = Delivery { queued: 1, closed: 1, ..Delivery::default() };
    assert_eq!(with(SlowReceivers::Close).send("end"), gone);
    aside(move || {
        assert_eq!(texts(&mut quick), ["kept", "too much"]);
        skip(&mut slow, blocks);
        assert_eq!(slow.recv_text(), "kept");
        assert_eq!(slow.closed().code(), 1013);
    })
    .await;
}

/// And the quick are not held back; to a topic as well as to all.
pub async fn a_delivery_waits_for_the_slow<R: Runtime>(runtime: R) {
    let Pair { server, mut slow, mut quick, blocks, .. } = stuck(&runtime, |builder| builder).await;
    server.manager().for_each(|one| assert_eq!(one.subscribe("room"), Ok(true)));
    assert_eq!(polled(1, server.to_topic("room").deliver("taken back")).await, None);
    let mut quick = aside(move || {
        assert_eq!(quick.recv_text(), "taken back");
        quick
    })
    .await;
    let delivering = server.to_topic("room").deliver("waited for");
    let mut delivering = pin!(delivering);
    assert_eq!(polled(1, delivering.as_mut()).await, None);
    let quick = aside(move || {
        assert_eq!(quick.recv_text(), "waited for");
        quick
    })
    .await;
    assert_eq!(polled(1, delivering.as_mut()).await, None);
    let reading = aside(move || {
        skip(&mut slow, blocks);
        assert_eq!(slow.recv_text(), "waited for");
        slow
    });
    assert_eq!(delivering.await, report(2, 0, 0, 0));
    drop((reading.await, quick));
}

/// Whoever ends while it is waited for counts as closed.
pub async fn a_delivery_ends_with_its_receivers<R: Runtime>(runtime: R) {
    let Pair { server, receiver, slow, quick, .. } = stuck(&runtime, |builder| builder).await;
    let delivering = server.to_all().deliver("too late");
    let mut delivering = pin!(delivering);
    assert_eq!(polled(1, delivering.as_mut()).await, None);
    receiver.abort();
    let gone = Delivery { queued: 1, closed: 1, ..Delivery::default() };
    assert_eq!(delivering.await, gone);
    drop((slow, quick));
}

/// Every await point: what was dropped comes once or never, what was waited for comes once.
pub async fn deliveries_that_are_dropped_come_once_or_never<R: Runtime>(runtime: R) {
    const COUNT: u32 = 300;
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    let [slow, quick] =
        aside(move || [(); 2].map(|()| Client::open(address, Version::Rfc6455))).await;
    until(&runtime, || server.manager().len() == 2).await;
    // Each on a thread of its own: they are waited for together.
    let reading = [slow, quick].map(|mut client| {
        aside(move || {
            let numbers = std::iter::from_fn(|| client.recv());
            let number = |message: Message| {
                let number = message.as_bytes().get(..4).expect("a number");
                u32::from_be_bytes(number.try_into().expect("four bytes"))
            };
            numbers.map(number).take_while(|n| *n < COUNT).collect::<Vec<_>>()
        })
    });
    let block = |n: u32| [n.to_be_bytes().as_slice(), vec![7; BLOCK].as_slice()].concat();
    let mut done = Vec::new();
    for (n, times) in (0..COUNT).zip((0..=2).chain([1000]).cycle()) {
        if let Some(delivery) = polled(times, server.to_all().deliver(block(n))).await {
            assert_eq!(delivery, report(2, 0, 0, 0));
            done.push(n);
        }
    }
    assert_eq!(server.to_all().deliver(block(COUNT)).await, report(2, 0, 0, 0));
    for heard in reading {
        let heard = heard.await;
        assert!(heard.is_sorted_by(|a, b| a < b), "the order differs: {heard:?}");
        assert!(done.iter().all(|n| heard.binary_search(n).is_ok()), "something is lost");
        assert!(heard.iter().all(|n| n % 4 != 0), "what was never polled was sent");
    }
}
