//! What a thread keeps for the next compressed message, so that idle connections hold nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;

use zlib_rs::{Deflate, DeflateConfig, Inflate};

use super::params::Direction;

/// Spare contexts of each direction. A message is compressed in one go, so that compressors are two
/// for each level and window, one for short messages; decompressors are held while a message
/// arrives.
const SPARE: usize = 4;

/// A larger buffer is not kept.
const BUFFER_MAX: usize = 64 << 10;

/// How a compressor is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind {
    pub(super) level: u8,
    /// 9 to 15.
    pub(super) window_bits: u8,
    pub(super) block: Block,
}

/// How much a compressor collects before it writes a block. For each block, however short, it clears
/// memory for the longest one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Block {
    /// 2,047 literals and matches: 6 KiB to clear.
    Short,
    /// 8,191 of them: 24 KiB.
    Long,
}

impl Block {
    /// The one that is large enough for all of a message, or the larger one.
    pub(super) fn of(payload: &[u8]) -> Self {
        if payload.len() < 2 << 10 { Self::Short } else { Self::Long }
    }

    /// What zlib calls the memory level: 6 less than the power of two of literals and matches.
    fn memory_level(self) -> i32 {
        match self {
            Self::Short => 5,
            Self::Long => 7,
        }
    }
}

impl Kind {
    fn config(self) -> DeflateConfig {
        DeflateConfig {
            level: self.level.into(),
            // Negative for bare DEFLATE, without zlib's header.
            window_bits: -i32::from(self.window_bits),
            mem_level: self.block.memory_level(),
            ..DeflateConfig::default()
        }
    }
}

#[derive(Default)]
struct Pool {
    compressors: Vec<(Kind, Box<Deflate>)>,
    #[expect(clippy::vec_box, reason = "connections have them boxed, to be small without them")]
    decompressors: Vec<Box<Inflate>>,
    buffer: Vec<u8>,
}

std::thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// A compressor without any context.
#[expect(clippy::unnecessary_box_returns, reason = "as it is kept")]
pub(super) fn compressor(kind: Kind) -> Box<Deflate> {
    let spare = with(|pool| {
        let at = pool.compressors.iter().position(|(of, _)| *of == kind)?;
        Some(pool.compressors.swap_remove(at).1)
    });
    spare.unwrap_or_else(|| Box::new(Deflate::new_with_config(kind.config())))
}

/// Takes a compressor back, for whichever connection of this thread needs one next.
pub(super) fn put_compressor(kind: Kind, mut compressor: Box<Deflate>) {
    compressor.reset();
    put_fresh_compressor(kind, compressor);
}

/// The same of one that has no context.
pub(super) fn put_fresh_compressor(kind: Kind, compressor: Box<Deflate>) {
    put(|pool| &mut pool.compressors, (kind, compressor));
}

/// A decompressor with the largest window and without any context.
#[expect(clippy::unnecessary_box_returns, reason = "as it is kept")]
pub(super) fn decompressor() -> Box<Inflate> {
    let new = || Box::new(Inflate::new(false, Direction::MAX_BITS));
    with(|pool| pool.decompressors.pop()).unwrap_or_else(new)
}

/// Takes a decompressor with the largest window back.
pub(super) fn put_decompressor(mut decompressor: Box<Inflate>) {
    decompressor.reset(false);
    put(|pool| &mut pool.decompressors, decompressor);
}

/// Lends `f` a buffer of `len` bytes or more, whatever they are.
pub(super) fn with_buffer<T>(len: usize, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = with(|pool| Some(core::mem::take(&mut pool.buffer))).unwrap_or_default();
    if buffer.len() < len {
        grow(&mut buffer, len);
    }
    let result = f(&mut buffer);
    if buffer.len() <= BUFFER_MAX {
        with(|pool| {
            pool.buffer = buffer;
            Some(())
        });
    }
    result
}

/// Makes a buffer that long.
pub(super) fn grow(buffer: &mut Vec<u8>, len: usize) {
    buffer.reserve_exact(len.saturating_sub(buffer.len()));
    buffer.resize(len, 0);
}

/// Keeps it in place of the oldest, when there are enough.
fn put<T>(of: impl FnOnce(&mut Pool) -> &mut Vec<T>, spare: T) {
    let oldest = with(|pool| {
        let spares = of(pool);
        let oldest = (spares.len() >= SPARE).then(|| spares.remove(0));
        spares.push(spare);
        oldest
    });
    drop(oldest);
}

/// `None` also when the thread ends and its pool is gone.
fn with<T>(f: impl FnOnce(&mut Pool) -> Option<T>) -> Option<T> {
    POOL.try_with(|pool| f(&mut pool.borrow_mut())).ok().flatten()
}
