use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use zlib_rs::{Deflate as Compressor, DeflateFlush};

use super::forms::Forms;
use super::inflater::TAIL;
use super::options::Deflate;
use super::params::{DeflateParams, Direction};
use super::pool::{self, Block, Kind};
use crate::Role;

/// The first buffer for what is compressed.
const FIRST: usize = 4 << 10;

/// The longest stored block.
const STORED_MAX: usize = u16::MAX as usize;

/// What compressors have in common that make the same of a message which stands by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    level: u8,
    window_bits: u8,
    threshold: usize,
}

/// Compresses what this side sends (RFC 7692 section 7.2.1).
pub(crate) struct Deflater {
    settings: Settings,
    no_context_takeover: bool,
    /// With context takeover, from the first compressed message on.
    context: Option<Box<Compressor>>,
}

impl Deflater {
    /// `None` when the peer wants a window that the compressor does not have: then every message
    /// is sent as it is, which is always allowed (section 6).
    pub(crate) fn new(options: &Deflate, params: DeflateParams, role: Role) -> Option<Box<Self>> {
        let Direction { no_context_takeover, window_bits } = params.sent_by(role);
        (window_bits >= Direction::MIN_OWN_BITS).then(|| {
            // An empty message is never smaller.
            let threshold = options.threshold.max(1);
            let settings = Settings { level: options.level, window_bits, threshold };
            Box::new(Self { settings, no_context_takeover, context: None })
        })
    }

    /// One that does the same, if none of the two has anything to remember.
    pub(crate) fn twin(&self) -> Option<Self> {
        let settings = self.settings()?;
        Some(Self { settings, no_context_takeover: true, context: None })
    }

    /// Lends `put` the compressed payload. `None` when it is to be sent as it is: when it is short,
    /// or would not get shorter.
    pub(crate) fn deflate<T>(&mut self, payload: &[u8], put: impl FnOnce(&[u8]) -> T) -> Option<T> {
        if payload.len() < self.settings.threshold {
            return None;
        }
        self.compress(payload, Tail::Left, put)
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
        self.compress(payload, Tail::Kept, Bytes::copy_from_slice).unwrap_or_else(|| store(payload))
    }

    /// The same of a message for many, see [`Settings::deflate_shared`].
    ///
    /// The peer's window then has what this compressor never saw, so that it has to begin anew.
    pub(crate) fn deflate_shared(&mut self, payload: &[u8], forms: &Forms) -> Option<Bytes> {
        let form = self.settings.deflate_shared(payload, forms)?;
        self.forget();
        Some(form)
    }

    /// The settings, if there is never anything to remember.
    pub(crate) fn settings(&self) -> Option<Settings> {
        self.no_context_takeover.then_some(self.settings)
    }

    fn compress<T>(
        &mut self,
        payload: &[u8],
        tail: Tail,
        put: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let (kind, flush) = if self.no_context_takeover {
            (self.settings.kind_alone(payload), DeflateFlush::FullFlush)
        } else {
            (self.settings.kind(Block::Long), DeflateFlush::SyncFlush)
        };
        let context = self.context.take().unwrap_or_else(|| pool::compressor(kind));
        let (smaller, context) = compress_and_put(kind, context, payload, (flush, tail), put);
        self.context = context;
        smaller
    }

    /// Gives the context back; the next message refers to none before it.
    pub(crate) fn forget(&mut self) {
        if let Some(context) = self.context.take() {
            pool::put_compressor(self.settings.kind(Block::Long), context);
        }
    }
}

impl Settings {
    /// The compressed payload of a message for many, made once for all with the same parameters.
    /// `None` when it is to be sent as it is.
    pub(crate) fn deflate_shared(self, payload: &[u8], forms: &Forms) -> Option<Bytes> {
        if payload.len() < self.threshold {
            return None;
        }
        forms.of(self.window_bits, || {
            let kind = self.kind_alone(payload);
            let context = pool::compressor(kind);
            let ends = (DeflateFlush::FullFlush, Tail::Left);
            compress_and_put(kind, context, payload, ends, Bytes::copy_from_slice).0
        })
    }

    /// For a message that stands by itself.
    fn kind_alone(self, payload: &[u8]) -> Kind {
        self.kind(Block::of(payload))
    }

    fn kind(self, block: Block) -> Kind {
        Kind { level: self.level, window_bits: self.window_bits, block }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("settings", &self.settings)
            .field("no_context_takeover", &self.no_context_takeover)
            .finish_non_exhaustive()
    }
}

/// What becomes of the end of a flush.
#[derive(Clone, Copy, PartialEq)]
enum Tail {
    /// It is left out at the end of a message.
    Left,
    /// More of the message follows.
    Kept,
}

/// Compresses up to a flush, for `put`; `None` when it is no shorter. The context comes back when
/// what follows may refer to it, and goes to the pool otherwise.
fn compress_and_put<T>(
    kind: Kind,
    mut context: Box<Compressor>,
    payload: &[u8],
    (flush, tail): (DeflateFlush, Tail),
    put: impl FnOnce(&[u8]) -> T,
) -> (Option<T>, Option<Box<Compressor>>) {
    let most = longest(payload.len());
    let flushed = pool::with_buffer(FIRST.min(most), |buffer| {
        let out = flush_into(buffer, most, &mut context, payload, flush)?;
        let whole = out.strip_suffix(&TAIL).unwrap_or(out);
        let body = if tail == Tail::Left { whole } else { out };
        Some((body.len() < payload.len()).then(|| put(body)))
    });
    let Some(smaller) = flushed else {
        // A reset would leave the place in it that what was not written has taken.
        return (None, None);
    };
    if flush == DeflateFlush::FullFlush {
        // It has forgotten everything, at less than what a reset costs.
        pool::put_fresh_compressor(kind, context);
    } else if smaller.is_none() {
        // The peer does not learn what was not sent, so nothing may refer to it.
        pool::put_compressor(kind, context);
    } else {
        return (smaller, Some(context));
    }
    (smaller, None)
}

/// More than a flush makes of that many bytes: with a fixed code nine bits of eight, and some bytes
/// for each block.
fn longest(len: usize) -> usize {
    len.saturating_add(len / 8 + len / 256 + 64)
}

/// What the flush brought, if it came to its end within `most` bytes.
fn flush_into<'a>(
    buffer: &'a mut Vec<u8>,
    most: usize,
    context: &mut Compressor,
    payload: &[u8],
    flush: DeflateFlush,
) -> Option<&'a [u8]> {
    let (in_before, out_before) = (context.total_in(), context.total_out());
    loop {
        let used = (context.total_in() - in_before) as usize;
        let filled = (context.total_out() - out_before) as usize;
        let free = buffer.get_mut(filled..).unwrap_or_default();
        context.compress(payload.get(used..).unwrap_or_default(), free, flush).ok()?;
        let filled = (context.total_out() - out_before) as usize;
        if filled < buffer.len() {
            return buffer.get(..filled).filter(|out| out.ends_with(&TAIL));
        }
        if filled >= most {
            return None;
        }
        pool::grow(buffer, most.min(2 * filled));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Inflater;

    /// Numbers below another one, the same in each run.
    fn random() -> impl FnMut(u32) -> u32 {
        let mut seed = 7_u32;
        move |below| {
            seed = seed.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            (seed >> 8) % below
        }
    }

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
        let mut random = random();
        let noise: Vec<u8> = (0..150_000).map(|_| random(256) as u8).collect();
        let text = "as long as it repeats ".repeat(4000);
        for alone in [true, false] {
            let options = Deflate::new().server_no_context_takeover(alone);
            let direction = Direction { no_context_takeover: alone, window_bits: 15 };
            let params =
                DeflateParams { server: direction, client: direction, names_server_bits: false };
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
    fn a_message_by_itself_refers_to_none_before_it() {
        let mut random = random();
        let messages: Vec<Vec<u8>> = (0..24)
            .map(|n| {
                let length = if n % 8 == 7 { random(150_000) } else { 1 + random(900) };
                // Some are noise, which is given up in the middle.
                let letters = [3, 12, 256][n % 3];
                (0..length).map(|_| b'a'.wrapping_add(random(letters) as u8)).collect()
            })
            .collect();
        for (level, window_bits) in (2..=9).flat_map(|level| [9, 12, 15].map(|bits| (level, bits)))
        {
            let direction = Direction { no_context_takeover: true, window_bits };
            let params =
                DeflateParams { server: direction, client: direction, names_server_bits: false };
            let options = Deflate::new().level(level).threshold(0);
            let mut sender = Deflater::new(&options, params, Role::Server).unwrap();
            let mut receiver = Inflater::new(params, Role::Client);
            let mut sent = 0;
            for message in &messages {
                let Some(deflated) = sender.deflate(message, <[u8]>::to_vec) else { continue };
                sent += 1;
                let mut out = Vec::new();
                let mut sink = |piece: &[u8]| {
                    out.extend_from_slice(piece);
                    Ok(())
                };
                // It begins each message without a window.
                receiver.inflate(&deflated, &mut sink).unwrap();
                receiver.finish(&mut sink).unwrap();
                assert!(out == *message);
            }
            assert!(sent > messages.len() / 2);
        }
    }

    #[test]
    fn messages_that_do_not_get_smaller_wear_no_compressor_out() {
        let mut random = random();
        for (alone, window_bits) in [(true, 9), (true, 15), (false, 9), (false, 15)] {
            let direction = Direction { no_context_takeover: alone, window_bits };
            let params =
                DeflateParams { server: direction, client: direction, names_server_bits: false };
            let mut sender = Deflater::new(&Deflate::new(), params, Role::Server).unwrap();
            for len in [256, 3000] {
                for _ in 0..400 {
                    let noise: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
                    assert!(sender.deflate(&noise, |_| ()).is_none());
                }
            }
            assert!(sender.deflate(&[b'a'; 256], |_| ()).is_some(), "it goes on");
        }
    }

    #[test]
    fn a_short_block_holds_all_of_a_short_message() {
        let mut random = random();
        let settings = Settings { level: 6, window_bits: 15, threshold: 1 };
        for letters in [2, 40, 150] {
            let payload: Vec<u8> = (0..2047).map(|_| random(letters) as u8).collect();
            assert_eq!(Block::of(&payload), Block::Short);
            let compressed = [Block::Short, Block::Long].map(|block| {
                let kind = settings.kind(block);
                let ends = (DeflateFlush::FullFlush, Tail::Left);
                compress_and_put(kind, pool::compressor(kind), &payload, ends, <[u8]>::to_vec).0
            });
            assert!(compressed[0].is_some() && compressed[0] == compressed[1]);
        }
    }

    #[test]
    fn what_does_not_get_smaller_grows_by_five_bytes_a_block() {
        assert_eq!(store(b"ab")[..], [0, 2, 0, 0xFD, 0xFF, b'a', b'b']);
        assert_eq!(store(&alloc::vec![7; 65_536]).len(), 65_536 + 10);
    }
}
