use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use flate2::{Compress, FlushCompress};

use super::forms::Forms;
use super::inflater::TAIL;
use super::options::Deflate;
use super::params::{DeflateParams, Direction};
use super::pool::{self, Kind};
use crate::Role;

/// The first buffer for what is compressed.
const FIRST: usize = 4 << 10;

/// The longest stored block.
const STORED_MAX: usize = u16::MAX as usize;

/// Compresses what this side sends (RFC 7692 section 7.2.1).
pub(crate) struct Deflater {
    kind: Kind,
    no_context_takeover: bool,
    threshold: usize,
    /// With context takeover, from the first compressed message on.
    context: Option<Box<Compress>>,
}

impl Deflater {
    /// `None` when the peer wants a window that the compressor does not have: then every message
    /// is sent as it is, which is always allowed (section 6).
    pub(crate) fn new(options: &Deflate, params: DeflateParams, role: Role) -> Option<Box<Self>> {
        let Direction { no_context_takeover, window_bits } = params.sent_by(role);
        (window_bits >= Direction::MIN_OWN_BITS).then(|| {
            let kind = Kind { level: options.level, window_bits };
            // An empty message is never smaller.
            let threshold = options.threshold.max(1);
            Box::new(Self { kind, no_context_takeover, threshold, context: None })
        })
    }

    /// The compressed payload, or `None` when it is to be sent as it is: when it is short, or
    /// would not get shorter.
    pub(crate) fn deflate(&mut self, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < self.threshold {
            return None;
        }
        self.compress(payload, Tail::Left)
    }

    /// The next bytes of a message that is compressed whatever its length, or with `last` its end.
    ///
    /// Each part ends at a byte, so that it can be read as soon as it is there, and the context is
    /// kept or given back as after a message: a message that takes long holds nothing that the
    /// options do not allow. What would not get shorter goes as it is, in stored blocks (RFC 1951
    /// section 3.2.4).
    pub(crate) fn deflate_part(&mut self, payload: &[u8], last: bool) -> Bytes {
        if last {
            // The first byte of the block that the receiver completes (RFC 7692 section 7.2.3.6).
            return Bytes::from_static(&[0]);
        }
        self.compress(payload, Tail::Kept).unwrap_or_else(|| store(payload))
    }

    /// The same of a message for many, which is compressed once for all with the same parameters.
    ///
    /// The peer's window then has what this compressor never saw, so that it has to begin anew.
    pub(crate) fn deflate_shared(&mut self, payload: &[u8], forms: &Forms) -> Option<Bytes> {
        if payload.len() < self.threshold {
            return None;
        }
        let kind = self.kind;
        let form = forms.of(kind.window_bits, || {
            let mut context = pool::compressor(kind);
            let smaller = compress(&mut context, payload, Tail::Left);
            pool::put_compressor(kind, context);
            smaller
        })?;
        self.forget();
        Some(form)
    }

    fn compress(&mut self, payload: &[u8], tail: Tail) -> Option<Bytes> {
        let mut context = self.context.take().unwrap_or_else(|| pool::compressor(self.kind));
        let smaller = compress(&mut context, payload, tail);
        if smaller.is_some() && !self.no_context_takeover {
            self.context = Some(context);
        } else {
            // The peer does not learn what was not sent, so nothing may refer to it.
            pool::put_compressor(self.kind, context);
        }
        smaller
    }

    /// Gives the context back; the next message refers to none before it.
    pub(crate) fn forget(&mut self) {
        if let Some(context) = self.context.take() {
            pool::put_compressor(self.kind, context);
        }
    }
}

/// What becomes of the end of a sync flush.
#[derive(Clone, Copy, PartialEq)]
enum Tail {
    /// It is left out at the end of a message.
    Left,
    /// More of the message follows.
    Kept,
}

/// Compresses up to a sync flush; `None` as soon as it is no shorter.
fn compress(context: &mut Compress, payload: &[u8], tail: Tail) -> Option<Bytes> {
    let most = payload.len() + TAIL.len();
    pool::with_buffer(FIRST.min(most), |out| {
        let start = context.total_in();
        loop {
            let used = (context.total_in() - start) as usize;
            let rest = payload.get(used..)?;
            context.compress_vec(rest, out, FlushCompress::Sync).ok()?;
            if out.len() < out.capacity() {
                break;
            }
            if out.len() >= most {
                return None;
            }
            grow(out, most);
        }
        let whole = out.strip_suffix(&TAIL)?;
        let body = if tail == Tail::Left { whole } else { out };
        (body.len() < payload.len()).then(|| Bytes::copy_from_slice(body))
    })
}

/// The bytes as they are, in blocks that end where they do.
fn store(payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + 5 * payload.len().div_ceil(STORED_MAX));
    for block in payload.chunks(STORED_MAX) {
        let len = block.len() as u16;
        out.push(0);
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.into()
}

fn grow(out: &mut Vec<u8>, most: usize) {
    out.reserve_exact(out.len().min(most - out.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Inflater;

    /// What a receiver makes of a message in these parts.
    fn inflated(deflater: &mut Deflater, inflater: &mut Inflater, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sink = |piece: &[u8]| {
            out.extend_from_slice(piece);
            Ok(())
        };
        for part in parts {
            inflater.inflate(&deflater.deflate_part(part, false), &mut sink).unwrap();
        }
        inflater.inflate(&deflater.deflate_part(&[], true), &mut sink).unwrap();
        inflater.finish(&mut sink).unwrap();
        out
    }

    #[test]
    fn parts_come_out_as_they_went_in_with_and_without_context() {
        let mut seed = 1_u32;
        let noise: Vec<u8> = core::iter::repeat_with(|| {
            seed = seed.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            (seed >> 24) as u8
        })
        .take(150_000)
        .collect();
        let text = "as long as it repeats ".repeat(4000);
        for alone in [true, false] {
            let options = Deflate::new().server_no_context_takeover(alone);
            let direction = Direction { no_context_takeover: alone, window_bits: 15 };
            let params = DeflateParams { server: direction, client: direction };
            let mut deflater = Deflater::new(&options, params, Role::Server).unwrap();
            let mut inflater = Inflater::new(params, Role::Client);
            for parts in [&[text.as_bytes(), &noise, b"x", text.as_bytes()][..], &[&noise], &[b"y"]]
            {
                assert!(inflated(&mut deflater, &mut inflater, parts) == parts.concat());
            }
            assert!(deflater.context.is_none(), "a short part was stored");
            deflater.deflate_part(text.as_bytes(), false);
            assert_eq!(deflater.context.is_some(), !alone, "nothing is held without takeover");
        }
    }

    #[test]
    fn what_does_not_get_smaller_grows_by_five_bytes_a_block() {
        assert_eq!(store(b"ab")[..], [0, 2, 0, 0xFD, 0xFF, b'a', b'b']);
        assert_eq!(store(&alloc::vec![7; 65_536]).len(), 65_536 + 10);
    }
}
