use ws_net::{Connection, Deflate, DeflateParams, Runtime, Version};

use super::{Judge, Outcome, Peer, ask, echo, same};
use crate::entropy::noise;

pub(super) async fn all<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    judge
        .check(version, "no compression when none was offered", async |peer| {
            let connection = peer.connect().await?;
            same(connection.deflate(), None, "what was agreed to")
        })
        .await;
    if !judge.can(version, "deflate") {
        return judge
            .check(version, "an offer of compression is declined", async |peer| {
                let connection = peer.connect_with(|client| client.deflate(Deflate::new())).await?;
                same(connection.deflate(), None, "what was agreed to")?;
                echo(&connection, "plain ".repeat(100)).await
            })
            .await;
    }
    for (name, offer, agreed) in offers() {
        let can = ["empty-deflate", "fragments"].map(|ability| judge.can(version, ability));
        let check = async |peer: &Peer<R>| {
            let connection = peer.connect_with(|client| client.deflate(offer)).await?;
            let params = connection.deflate().ok_or("the server declined the offer")?;
            if !agreed(params) {
                return Err(format!("the server made of it: {params}"));
            }
            talk(&connection, can).await
        };
        judge.check(version, format!("compression {name}"), check).await;
    }
    let variants: Vec<_> = judge
        .target
        .variants
        .iter()
        .filter_map(|(name, url)| Some((name.strip_prefix("deflate:")?.to_owned(), url.to_owned())))
        .collect();
    for (wanted, url) in variants {
        let can = ["empty-deflate", "fragments"].map(|ability| judge.can(version, ability));
        let name = format!("compression when the server wants {wanted}");
        let check = async |peer: &Peer<R>| {
            let connection = peer.connect_with(|client| client.deflate(with_contexts())).await?;
            let params = connection.deflate().ok_or("the server declined the offer")?.to_string();
            for parameter in wanted.split(',') {
                if !params.split("; ").any(|agreed| agreed == parameter) {
                    return Err(format!("{parameter} is not in what was agreed to: {params}"));
                }
            }
            talk(&connection, can).await
        };
        judge.check_at(url, version, name, check).await;
    }
}

fn with_contexts() -> Deflate {
    Deflate::new().server_no_context_takeover(false).client_no_context_takeover(false)
}

type Offer = (&'static str, Deflate, fn(DeflateParams) -> bool);

/// What we offer, and what has to be agreed to. What limits this side is kept whether the answer
/// repeats it or not.
fn offers() -> [Offer; 7] {
    let contexts = with_contexts;
    [
        ("with both contexts", contexts(), |_| true),
        (
            "with server_no_context_takeover",
            contexts().server_no_context_takeover(true),
            |params| params.server_no_context_takeover(),
        ),
        (
            "with client_no_context_takeover",
            contexts().client_no_context_takeover(true),
            |params| params.client_no_context_takeover(),
        ),
        ("without contexts", Deflate::new(), |params| {
            params.server_no_context_takeover() && params.client_no_context_takeover()
        }),
        ("with server_max_window_bits=10", contexts().server_max_window_bits(10), |params| {
            params.server_max_window_bits() <= 10
        }),
        ("with client_max_window_bits=10", contexts().client_max_window_bits(10), |params| {
            params.client_max_window_bits() <= 10
        }),
        (
            "with everything limited",
            Deflate::new().server_max_window_bits(9).client_max_window_bits(9),
            |params| {
                params.server_no_context_takeover()
                    && params.client_no_context_takeover()
                    && params.server_max_window_bits() == 9
                    && params.client_max_window_bits() == 9
            },
        ),
    ]
}

/// Messages of every sort, so that each side's context is used, and must be the right one.
async fn talk(connection: &Connection, [empty, fragments]: [bool; 2]) -> Outcome {
    for round in 0..3 {
        if empty {
            echo(connection, "").await?;
        }
        echo(connection, "short").await?;
        echo(connection, "the same words again, ".repeat(20)).await?;
        echo(connection, format!("round {round} ").repeat(10_000)).await?;
        echo(connection, "é世👋".repeat(7_000)).await?;
        echo(connection, noise(70_000)).await?;
        echo(connection, vec![0; 300_000]).await?;
        if fragments {
            same(ask(connection, "!fragments").await?, "one 世界 text".into(), "the fragments")?;
        }
    }
    Ok(())
}
