use std::fmt::Write as _;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::options::Takeover;

/// All payloads together are more than two windows of 32 KiB, so that no compressor finds a
/// message that it had before.
const ENOUGH: usize = 96 << 10;

/// What ends a block that is flushed, and is not sent (RFC 7692 section 7.2.1).
const TAIL: &[u8] = &[0x00, 0x00, 0xFF, 0xFF];

const WORDS: [&str; 16] = [
    "sensor",
    "pressure",
    "temperature",
    "door",
    "north",
    "harbour",
    "status",
    "open",
    "closed",
    "delta",
    "limit",
    "warning",
    "operator",
    "valve",
    "minute",
    "average",
];

/// Messages that differ, compressed beforehand.
///
/// They are sent again and again. With context takeover a message refers to those before it, so
/// what is sent first differs from what is sent in all later rounds, where the end of the reel
/// comes before its beginning. All later rounds are the same: references are distances.
#[derive(Clone, Debug)]
pub(crate) struct Reel {
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) first: Vec<Vec<u8>>,
    pub(crate) later: Vec<Vec<u8>>,
}

impl Reel {
    /// As many messages of `size` bytes as it takes, a multiple of `batch`.
    pub(crate) fn new(size: usize, batch: usize, takeover: Takeover) -> Self {
        let count = ENOUGH.div_ceil(size.max(1)).next_multiple_of(batch);
        let mut random = 1;
        let payloads: Vec<_> = (0..count).map(|index| sample(size, index, &mut random)).collect();
        let mut compress = Compress::new(Compression::default(), false);
        let mut round = || -> Vec<Vec<u8>> {
            let each = payloads.iter().map(|payload| {
                if takeover == Takeover::Off {
                    compress.reset();
                }
                compressed(&mut compress, payload)
            });
            each.collect()
        };
        let (first, later) = (round(), round());
        Self { payloads, first, later }
    }
}

fn compressed(compress: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 64);
    let before = compress.total_in();
    loop {
        let done = (compress.total_in() - before) as usize;
        let status = compress.compress_vec(&payload[done..], &mut out, FlushCompress::Sync);
        assert_eq!(status.expect("deflate takes anything"), Status::Ok, "nothing ends the stream");
        let done = (compress.total_in() - before) as usize;
        if done == payload.len() && out.len() < out.capacity() {
            break;
        }
        out.reserve(out.capacity());
    }
    assert!(out.ends_with(TAIL), "a flush ends with an empty block");
    out.truncate(out.len() - TAIL.len());
    out
}

/// Records as services exchange them: the same names again and again, other values.
fn sample(size: usize, index: usize, random: &mut u64) -> Vec<u8> {
    let mut text = String::with_capacity(size + 128);
    while text.len() < size {
        let [a, b, c] = [(); 3].map(|()| next(random));
        let word = |n: u64| WORDS[n as usize % WORDS.len()];
        let _ = write!(
            text,
            "{{\"id\":{index},\"name\":\"{}-{}\",\"value\":{}.{:02},\"note\":\"{} {}\",\"at\":{}}},",
            word(a),
            a % 977,
            b % 1000,
            b % 97,
            word(c),
            word(c >> 8),
            1_700_000_000 + c % 100_000,
        );
    }
    text.truncate(size);
    text.into_bytes()
}

/// xorshift64: repeatable, which matters here, and random enough to differ.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    #[test]
    fn later_rounds_inflate_behind_each_other() {
        for (size, takeover) in
            [(125, Takeover::On), (16 << 10, Takeover::On), (300, Takeover::Off)]
        {
            let reel = Reel::new(size, 16, takeover);
            assert!(reel.payloads.len().is_multiple_of(16));
            let mut decompress = Decompress::new(false);
            for round in [&reel.first, &reel.later, &reel.later] {
                for (packed, payload) in round.iter().zip(&reel.payloads) {
                    if takeover == Takeover::Off {
                        decompress.reset(false);
                    }
                    let mut out = Vec::with_capacity(size + 64);
                    let packed = [packed, TAIL].concat();
                    decompress.decompress_vec(&packed, &mut out, FlushDecompress::Sync).unwrap();
                    assert_eq!(&out, payload);
                }
            }
        }
    }

    #[test]
    fn context_makes_small_messages_smaller() {
        let bytes = |takeover| Reel::new(125, 1, takeover).later.concat().len();
        assert!(bytes(Takeover::On) * 4 < bytes(Takeover::Off) * 3);
    }
}
