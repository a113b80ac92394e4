//! What the targets share.

use std::sync::Arc;

use arbitrary::Arbitrary;
use ws_proto::{Config, Limits};
use ws_tests::entropy::Repeatable;
use ws_tests::feed::{Echo, Outcome, cut, every_way};
use ws_tests::requests::frame;

/// Bytes that may come many times in a row. Long messages are read in another way, from 16 KiB on
/// in frames and from 128 KiB on in the drafts, and the input of a run is far shorter.
#[derive(Arbitrary, Debug)]
pub struct Piece {
    bytes: Vec<u8>,
    repeat: u16,
}

/// First bytes of frames, and their payloads.
pub type Frames = Vec<(u8, Piece)>;

/// More than any length at which something changes.
const MOST: usize = 400_000;

/// The pieces in a row.
pub fn joined(pieces: &[Piece]) -> Vec<u8> {
    let mut joined = Vec::new();
    for Piece { bytes, repeat } in pieces {
        // Half of them come once, so that many runs are quick.
        for _ in 0..=repeat.saturating_sub(0x8000) {
            if joined.len() + bytes.len() > MOST {
                return joined;
            }
            joined.extend_from_slice(bytes);
        }
    }
    joined
}

/// How frames are written.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    /// As clients of hybi and RFC 6455 send them.
    Masked,
    /// As servers of these versions send them.
    Unmasked,
    /// As in draft75 and draft76.
    Sentinel,
}

/// Pieces as payloads of frames which are mostly plausible, and by themselves in between.
pub fn frames(framing: Framing, pieces: Frames) -> Vec<u8> {
    const FIRST: [u8; 9] = [0x82, 0x81, 0x02, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88];
    let mut out = Vec::new();
    for (first, piece) in pieces {
        let mut payload = joined(&[piece]);
        if out.len() + payload.len() > MOST {
            break;
        }
        let likely = FIRST.get(usize::from(first % 12)).copied();
        if likely.is_some() {
            payload.iter_mut().for_each(|byte| *byte &= 0x7F);
        }
        match (framing, first) {
            (_, 0xE0..) => out.append(&mut payload),
            (Framing::Sentinel, _) => out.extend([&[0], &payload[..], &[0xFF]].concat()),
            (Framing::Masked, _) => out.extend(frame(likely.unwrap_or(first), &payload)),
            (Framing::Unmasked, _) => {
                let masked = frame(likely.unwrap_or(first), &payload);
                let header = masked.len() - payload.len() - 4;
                out.extend([masked[0], masked[1] & 0x7F]);
                out.extend(&masked[2..header]);
                out.append(&mut payload);
            }
        }
    }
    out
}

/// Limits that a run can meet; the default ones it cannot.
#[derive(Arbitrary, Debug)]
pub struct Small {
    message: u16,
    frame: u16,
    fragments: u8,
    control: u8,
    more: u8,
}

/// A configuration with the default limits or small ones, under which the requests and answers of
/// `ws_tests` pass.
pub fn config(small: Option<&Small>) -> Arc<Config> {
    let mut limits = Limits::default();
    if let Some(small) = small {
        limits.max_message = 1 + 4 * usize::from(small.message);
        limits.max_frame = small.frame.checked_sub(1).map(|frame| 1 + 4 * usize::from(frame));
        limits.max_streamed = Some(limits.max_message as u64 + u64::from(small.more));
        limits.max_fragments = 1 + u32::from(small.fragments);
        limits.max_control_per_second = 1 + u32::from(small.control);
        limits.max_head = 512 + usize::from(small.more);
        limits.max_uri = 64 + usize::from(small.more);
        limits.max_headers = 16 + usize::from(small.more);
    }
    // An echo that is refused would depend on what was written before, and so on the cuts.
    (limits.outbound_high, limits.outbound_low) = (4 * MOST, MOST);
    Arc::new(Config::builder().limits(limits).build().expect("good limits"))
}

/// As [`every_way`]. Long bytes come in fewer and longer cuts: one by one they take too long.
pub fn ways(config: &Arc<Config>, bytes: &[u8]) -> Outcome {
    if bytes.len() <= 1 << 10 {
        return every_way(config, bytes);
    }
    let [outcome, _] = same_when_cut(
        bytes,
        || Echo::new(config),
        |seed| {
            let mut entropy = Repeatable::new(seed);
            move || 1 + entropy.below(6000)
        },
    );
    outcome
}

/// Feeds `bytes` whole and in two cuts, to a side that takes messages whole and to one that takes
/// them in pieces. Answers what came of them whole.
pub fn same_when_cut<F: FnMut() -> usize>(
    bytes: &[u8],
    start: impl Fn() -> Echo,
    cuts: impl Fn(u64) -> F,
) -> [Outcome; 2] {
    let both = |start: &dyn Fn() -> Echo| {
        let whole = cut(start(), bytes, |rest| rest);
        let expected = whole.clone().map(Outcome::without_pongs);
        for seed in 0..2 {
            let mut next = cuts(seed);
            let cut = cut(start(), bytes, |_| next());
            assert_eq!(cut.map(Outcome::without_pongs), expected);
        }
        whole
    };
    both(&|| start().in_pieces());
    both(&start)
}
