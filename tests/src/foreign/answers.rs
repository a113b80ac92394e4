use ws_net::{ConnectError, Deflate, Runtime, Version};

use super::{Judge, Outcome, Peer};

/// An answer that is wrong, in which versions, and what the error has to say: the culprit and the
/// clause.
type Wrong = (&'static str, fn(Version) -> bool, [&'static str; 2]);

#[rustfmt::skip]
const WRONG: [Wrong; 12] = [
    ("wrong-accept", Version::has_frames, ["Sec-WebSocket-Accept", "RFC 6455 section 4.1"]),
    ("no-accept", Version::has_frames, ["Sec-WebSocket-Accept is missing", "RFC 6455 section"]),
    ("wrong-upgrade", Version::has_frames, ["upgrades to \"carrier-pigeon\"", "RFC 6455 section 4.1"]),
    ("wrong-connection", Version::has_frames, ["the Connection of the answer is \"close\"", "RFC 6455 section 4.1"]),
    ("wrong-protocol", Version::has_frames, ["subprotocol \"not-offered\"", "RFC 6455 section 4.1"]),
    ("wrong-extension", Version::has_frames, ["extension \"x-not-offered\"", "RFC 6455 section 4.1"]),
    ("wrong-window", is_rfc6455, ["server_max_window_bits", "RFC 7692 section 7.1.2.1"]),
    ("wrong-parameter", is_rfc6455, ["no_such_parameter", "RFC 7692 section 7.1"]),
    ("wrong-preamble", is_draft75, ["draft75", "draft-hixie-75 section 3.1"]),
    ("wrong-challenge", is_draft76, ["16 bytes", "draft-hixie-76 section 4.1"]),
    ("wrong-origin", is_hixie, ["WebSocket-Origin", "draft-hixie-7"]),
    ("wrong-location", is_hixie, ["WebSocket-Location", "draft-hixie-7"]),
];

/// The names of the variants, apart from those that begin with `deflate:`.
pub(super) fn is_known(variant: &str) -> bool {
    WRONG.iter().any(|(name, ..)| *name == variant)
}

pub(super) async fn all<R: Runtime>(judge: &mut Judge<R>, version: Version) {
    for (name, concerns, words) in WRONG {
        let Some(url) = judge.target.variants.get(name).cloned() else { continue };
        if concerns(version) {
            let check = async |peer: &Peer<R>| told(peer, words).await;
            judge.check_at(url, version, format!("{name} is an error that names it"), check).await;
        }
    }
}

async fn told<R: Runtime>(peer: &Peer<R>, words: [&str; 2]) -> Outcome {
    // What was not asked for must not come; so much is asked for, and always the same.
    let compress = peer.version == Version::Rfc6455;
    let deflate = compress.then(Deflate::new);
    match peer.try_connect(|client| client.subprotocol("chat").deflate(deflate)).await {
        Err(error @ ConnectError::Answer { .. }) => {
            let text = error.to_string();
            let lacking = words.iter().find(|word| !text.contains(*word));
            lacking.map_or(Ok(()), |word| Err(format!("{word:?} is not in the error: {text}")))
        }
        Err(error) => Err(format!("another error: {error}")),
        Ok(_) => Err("the connection is open".into()),
    }
}

fn is_rfc6455(version: Version) -> bool {
    version == Version::Rfc6455
}

fn is_draft75(version: Version) -> bool {
    version == Version::Draft75
}

fn is_draft76(version: Version) -> bool {
    version == Version::Draft76
}

fn is_hixie(version: Version) -> bool {
    !version.has_frames()
}
