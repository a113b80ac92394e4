use ws_net::{Message, Runtime, SendErrorKind, Version};

use super::{Judge, ask, echo, hear, hear_text, same, say};
use crate::entropy::noise;

const SIZES: [usize; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576];

/// Characters of every length in UTF-8, and U+0000.
const UNICODE: &str = "a é 世 👋 \0 \u{10FFFF}";

pub(super) async fn all<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    for size in SIZES {
        let name = format!("text of {size} bytes");
        judge
            .check(version, name, async |peer| echo(&peer.connect().await?, "t".repeat(size)).await)
            .await;
    }
    judge
        .check(version, "text in UTF-8, with U+0000", async |peer| {
            echo(&peer.connect().await?, UNICODE).await
        })
        .await;
    judge
        .check(version, "500 texts without waiting, in order", async |peer| {
            let connection = peer.connect().await?;
            for index in 0..500 {
                say(&connection, index.to_string()).await?;
            }
            for index in 0..500 {
                same(hear_text(&connection).await?, index.to_string(), "the echo")?;
            }
            Ok(())
        })
        .await;
    judge
        .check(version, "50 connections at once", async |peer| {
            let mut connections = Vec::new();
            for _ in 0..50 {
                connections.push(peer.connect().await?);
            }
            for (index, connection) in connections.iter().enumerate() {
                say(connection, format!("connection {index}")).await?;
            }
            for (index, connection) in connections.iter().enumerate() {
                same(hear_text(connection).await?, format!("connection {index}"), "the echo")?;
            }
            Ok(())
        })
        .await;
    if !version.has_frames() {
        return text_only(judge, version).await;
    }
    if judge.can(version, "binary") {
        for size in SIZES {
            let name = format!("binary of {size} bytes");
            judge
                .check(version, name, async |peer| echo(&peer.connect().await?, noise(size)).await)
                .await;
        }
    }
    control(judge, version).await;
}

/// What draft75 and draft76 cannot carry is refused before anything is sent.
async fn text_only<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    judge
        .check(version, "binary and pings are refused on this side", async |peer| {
            let connection = peer.connect().await?;
            let refused = connection.send(Message::from(vec![1, 2, 3])).await;
            same(refused.map_err(|error| error.kind), Err(SendErrorKind::TextOnly), "the outcome")?;
            let refused = connection.ping("there?").map(drop).map_err(|error| error.kind);
            same(refused, Err(SendErrorKind::TextOnly), "the outcome of a ping")?;
            echo(&connection, "text goes on").await
        })
        .await;
}

async fn control<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    if judge.can(version, "pings") {
        for payload in ["", "there?", &"p".repeat(125)] {
            let name = format!("our ping of {} bytes arrives", payload.len());
            judge
                .check(version, name, async |peer| {
                    let connection = peer.connect().await?;
                    connection.ping(payload.to_owned()).map_err(|error| error.to_string())?;
                    same(ask(&connection, "!pings").await?, format!("pings {payload}"), "what came")
                })
                .await;
        }
    }
    if judge.can(version, "ping") {
        for payload in ["", "here?", &"p".repeat(125)] {
            let name = format!("their ping of {} bytes is answered", payload.len());
            judge
                .check(version, name, async |peer| {
                    let connection = peer.connect().await?;
                    let answer = ask(&connection, &format!("!ping {payload}")).await?;
                    same(answer, format!("pong {payload}"), "what came")
                })
                .await;
        }
    }
    if judge.can(version, "fragments") {
        judge
            .check(version, "their text in fragments, cut inside a character", async |peer| {
                let connection = peer.connect().await?;
                same(ask(&connection, "!fragments").await?, "one 世界 text".into(), "the text")?;
                echo(&connection, "and on").await
            })
            .await;
    }
    if judge.can(version, "fragments") && judge.can(version, "binary") {
        judge
            .check(version, "their binary in fragments", async |peer| {
                let connection = peer.connect().await?;
                say(&connection, "!fragments binary").await?;
                same(hear(&connection).await?, "one 世界 text".as_bytes().to_vec().into(), "it")
            })
            .await;
    }
}
