use ws_net::{ConnectError, HandshakeError, Runtime, Version};

use super::{Judge, ask, echo, same};

pub(super) async fn all<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    judge
        .check(version, "it is this version that is spoken", async |peer| {
            let connection = peer.connect().await?;
            same(connection.version(), Some(version), "the version")?;
            same(connection.protocol(), None, "the subprotocol")?;
            echo(&connection, "hello").await
        })
        .await;
    if judge.can(version, "subprotocol") {
        judge
            .check(version, "a subprotocol is agreed on", async |peer| {
                // Those with hashes carry a list, the old ones a single name.
                let client = peer.connect_with(|client| {
                    let client = client.subprotocol("chat");
                    if version.has_frames() { client.subprotocol("unheard-of") } else { client }
                });
                let connection = client.await?;
                same(connection.protocol().as_deref(), Some("chat"), "the subprotocol")
            })
            .await;
    }
    if judge.can(version, "header") {
        headers(judge, version).await;
    }
    if judge.can(version, "origin") {
        judge
            .check(version, "an origin that is refused is an error with its status", async |peer| {
                let tried = peer.try_connect(|client| client.origin("http://evil.example")).await;
                match tried {
                    Err(ConnectError::Answer {
                        error: HandshakeError::Status(401 | 403), ..
                    }) => Ok(()),
                    Err(error) => Err(format!("another error: {error}")),
                    Ok(_) => Err("the connection is open".into()),
                }
            })
            .await;
    }
}

async fn headers<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    judge
        .check(version, "our origin arrives", async |peer| {
            let connection =
                peer.connect_with(|client| client.origin("http://friend.example")).await?;
            let name = if matches!(version, Version::Hybi07 | Version::Hybi08) {
                "sec-websocket-origin"
            } else {
                "origin"
            };
            let answer = ask(&connection, &format!("!header {name}")).await?;
            same(answer.as_str(), "header http://friend.example", "what arrived")
        })
        .await;
    judge
        .check(version, "our headers and cookies arrive", async |peer| {
            let client = peer.connect_with(|client| {
                client.header("Cookie", "a=b; session=\"c d\"").header("X-Check", "one, two")
            });
            let connection = client.await?;
            let answer = ask(&connection, "!header cookie").await?;
            same(answer.as_str(), "header a=b; session=\"c d\"", "the cookie")?;
            same(ask(&connection, "!header x-check").await?, "header one, two".into(), "the header")
        })
        .await;
}

/// A server that does not speak a version says so, and our client says that it did.
pub(super) async fn refused<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    judge
        .check(version, "which it does not speak, is refused", async |peer| {
            match peer.try_connect(|client| client).await {
                Err(ConnectError::Answer { .. } | ConnectError::Closed { .. }) => Ok(()),
                Err(error) => Err(format!("another error: {error}")),
                Ok(_) => Err("the connection is open".into()),
            }
        })
        .await;
}
