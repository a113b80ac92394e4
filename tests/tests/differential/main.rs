//! tungstenite and fastwebsockets read the same bytes as `ws-proto`, and it reads theirs.
//!
//! Whoever differs needs an exception by name, see [`exceptions::EXCEPTIONS`]. Compared are all
//! messages and control frames, in order, and the end: open, closed with which code and reason, or
//! failed with which code.

mod exceptions;
mod ours;
mod outcome;
mod peers;
mod stream;

use proptest::prelude::*;
use ws_proto::Role;

use exceptions::EXCEPTIONS;
use outcome::{End, Outcome};
use peers::{PEERS, Peer};
use stream::Stream;

/// Completes every frame that is not too long for all three.
static REST: [u8; outcome::LIMIT + 14] = [0; outcome::LIMIT + 14];

/// The exception that a peer needs with these bytes, or why none will do.
fn judge(peer: &Peer, role: Role, bytes: &[u8]) -> Result<Option<&'static str>, String> {
    let ours = ours::receive(role, bytes);
    let mut theirs = (peer.receive)(role, bytes);
    let waits = theirs.items == ours.outcome.items && theirs.end == End::Open;
    if waits && matches!(ours.outcome.end, End::Failed(_)) {
        // We fail at the first wrong byte, the peers when the frame is complete. The RFC names no
        // moment, so the frame is completed for them.
        theirs = (peer.receive)(role, &[bytes, &REST].concat());
    }
    if ours.outcome == theirs {
        return Ok(None);
    }
    match exceptions::find(peer.name, &ours, &theirs) {
        Some(exception) => Ok(Some(exception.name)),
        None => Err(format!("{} as {role:?} differs: {theirs:?}\nfrom {ours:?}", peer.name)),
    }
}

/// What we answer is right for the peers on the other end.
fn answers_are_understood(stream: &Stream) -> Result<(), String> {
    let ours = ours::receive(stream.role, &stream.bytes);
    let code = match &ours.outcome.end {
        End::Open => None,
        End::Failed(code) => Some(*code),
        End::Closed(body) => body.as_ref().map(|(code, _)| *code),
    };
    for peer in PEERS {
        let theirs = (peer.receive)(other(stream.role), &ours.answers);
        let understood = match &theirs.end {
            End::Open => ours.outcome.end == End::Open,
            End::Closed(body) => body.as_ref().map(|(code, _)| *code) == code,
            // It refuses 1014, which we send back.
            End::Failed(1002) => code == Some(1014),
            End::Failed(_) => false,
        };
        if !understood {
            return Err(format!("{} made {theirs:?} of the answers in {ours:?}", peer.name));
        }
    }
    Ok(())
}

fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

fn agree(stream: &Stream) -> Result<(), TestCaseError> {
    for peer in PEERS {
        judge(&peer, stream.role, &stream.bytes).map_err(TestCaseError::fail)?;
    }
    answers_are_understood(stream).map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn right_frames_are_the_same_messages(stream in stream::right()) {
        agree(&stream)?;
    }

    #[test]
    fn wrong_frames_are_the_same_faults(stream in stream::wrong()) {
        agree(&stream)?;
    }

    #[test]
    fn what_we_send_they_read(
        role in stream::role(),
        items in stream::items(),
        close in stream::close(),
    ) {
        let sent = ours::send(role, &items, &close);
        let end = close.map_or(End::Open, |close| End::Closed(Some(close)));
        let expected = Outcome { items, end };
        for peer in PEERS {
            prop_assert_eq!(&(peer.receive)(other(role), &sent), &expected, "{}", peer.name);
        }
    }

    #[test]
    fn what_they_send_we_read(
        role in stream::role(),
        items in stream::items(),
        size in prop_oneof![1usize..200, Just(70_000)],
        close in stream::close(),
    ) {
        let size = size.max(items.iter().map(outcome::Item::len).max().unwrap_or(0) / 500);
        for peer in PEERS {
            let sent = (peer.send)(role, &items, size, &close);
            let ours = ours::receive(other(role), &sent);
            let end = close.clone().map_or(End::Open, |close| End::Closed(Some(close)));
            let expected = Outcome { items: items.clone(), end };
            prop_assert_eq!(&ours.outcome, &expected, "{}", peer.name);
        }
    }
}

#[test]
fn every_exception_is_needed() {
    for exception in &EXCEPTIONS {
        let (role, bytes) = (exception.shown_by)();
        let peer = PEERS.iter().find(|peer| peer.name == exception.peer).expect("its peer");
        let used = judge(peer, role, &bytes).unwrap_or_else(|difference| panic!("{difference}"));
        assert_eq!(used, Some(exception.name), "{}; {}", exception.peer, exception.clause);
    }
}
