use std::sync::Arc;
use std::time::Duration;

use ws_net::{Cause, Close, Closed, Connection, Runtime, Version};

use super::{Judge, Outcome, Peer, ask, echo, same, say};

pub(super) async fn all<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    if version.has_frames() {
        ours(judge, version).await;
        if judge.can(version, "close") {
            theirs(judge, version).await;
        }
        return;
    }
    judge
        .check(version, "our close is a clean one", async |peer| {
            let connection = peer.connect().await?;
            echo(&connection, "last words").await?;
            connection.close(Close::normal());
            ended(&connection, Cause::Local).await.map(drop)
        })
        .await;
    if judge.can(version, "close") {
        judge
            .check(version, "their close is a clean one", async |peer| {
                let connection = peer.connect().await?;
                say(&connection, "!close").await?;
                ended(&connection, Cause::Peer).await.map(drop)
            })
            .await;
    }
}

async fn ours<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    let echoes = judge.can(version, "echoed-code");
    for (code, reason) in
        [(1000, ""), (1000, "done"), (1001, "grüße"), (1011, "x"), (3000, "y"), (4999, "z")]
    {
        let close = Close::new(code, reason).expect("it may be sent");
        let name = format!("our close {code} {reason:?} is answered");
        judge
            .check(version, name, async |peer| {
                let connection = peer.connect().await?;
                echo(&connection, "last words").await?;
                connection.close(close.clone());
                let closed = ended(&connection, Cause::Local).await?;
                // Section 5.5.1: "typically" the same.
                if echoes { same(closed.code(), code, "the code that came back") } else { Ok(()) }
            })
            .await;
        if judge.can(version, "last-close") {
            let name = format!("our close {code} {reason:?} arrives");
            judge
                .check(version, name, async |peer| {
                    let connection = peer.connect().await?;
                    connection.close(close);
                    ended(&connection, Cause::Local).await?;
                    told(peer, &format!("closed {code} {reason}")).await
                })
                .await;
        }
    }
    judge
        .check(version, "our close without a code is answered", async |peer| {
            let connection = peer.connect().await?;
            connection.close(Close::EMPTY);
            ended(&connection, Cause::Local).await.map(drop)
        })
        .await;
    judge
        .check(version, "the last handle closes with 1000", async |peer| {
            let connection = peer.connect().await?;
            echo(&connection, "a word").await?;
            let end = Arc::new(std::sync::Mutex::new(None));
            let told = Arc::clone(&end);
            connection
                .on_close(move |_, closed| *told.lock().expect("no panic") = Some(closed.clone()));
            drop(connection);
            let closed = loop {
                if let Some(closed) = end.lock().expect("no panic").take() {
                    break closed;
                }
                pause(peer).await;
            };
            same(closed.clean, true, "that the end is clean")?;
            same(closed.code(), 1000, "the code")
        })
        .await;
}

async fn theirs<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    for (code, reason) in [(1000, ""), (1001, "moving"), (1011, "grüße"), (4000, "four")] {
        let name = format!("their close {code} {reason:?} is told");
        judge
            .check(version, name, async |peer| {
                let connection = peer.connect().await?;
                say(&connection, format!("!close {code} {reason}")).await?;
                let closed = ended(&connection, Cause::Peer).await?;
                same(closed.code(), code, "the code")?;
                let told = closed.received.as_ref().map_or("", Close::reason);
                same(told, reason, "the reason")
            })
            .await;
    }
}

/// Waits for the end, which has to be clean and to have this cause.
async fn ended(connection: &Connection, cause: Cause) -> Result<Arc<Closed>, String> {
    if let Some(more) = connection.recv().await {
        let what = more.map_or_else(|closed| closed.to_string(), |_| "a message".into());
        return Err(format!("the end was due, but this came: {what}"));
    }
    let closed = connection.closed().await;
    same(&closed.cause, &cause, "the cause")?;
    same(closed.clean, true, "that the end is clean")?;
    Ok(closed)
}

/// The server may note the end of a connection a little after we see it. Whoever asks is closed
/// in order: its own end must not be noted behind the next one.
async fn told<R: Runtime>(peer: &Peer<R>, expected: &str) -> Outcome {
    let connection = peer.connect().await?;
    let mut answer = ask(&connection, "!last-close").await?;
    for _ in 0..50 {
        if answer == expected {
            break;
        }
        pause(peer).await;
        answer = ask(&connection, "!last-close").await?;
    }
    connection.close(Close::normal());
    connection.closed().await;
    same(answer.as_str(), expected, "what the server saw")
}

async fn pause<R: Runtime>(peer: &Peer<R>) {
    peer.runtime.sleep_until(peer.runtime.now() + Duration::from_millis(20)).await;
}
