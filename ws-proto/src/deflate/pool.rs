//! What a thread keeps for the next compressed message, so that idle connections hold nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;

use flate2::{Compress, Compression, Decompress};

/// Spare contexts of each kind. A message is compressed in one go, so more than one compressor is
/// there only for other levels and windows; decompressors are held while a message arrives.
const SPARE: usize = 4;

/// A larger buffer is not kept.
const BUFFER_MAX: usize = 64 << 10;

/// How a compressor is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind {
    pub(super) level: u8,
    /// 9 to 15.
    pub(super) window_bits: u8,
}

#[derive(Default)]
struct Pool {
    compressors: Vec<(Kind, Box<Compress>)>,
    #[expect(clippy::vec_box, reason = "connections have them boxed, to be small without them")]
    decompressors: Vec<Box<Decompress>>,
    buffer: Vec<u8>,
}

std::thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// A compressor without any context.
pub(super) fn compressor(kind: Kind) -> Box<Compress> {
    let spare = with(|pool| {
        let at = pool.compressors.iter().position(|(of, _)| *of == kind)?;
        Some(pool.compressors.swap_remove(at).1)
    });
    spare.unwrap_or_else(|| {
        let level = Compression::new(kind.level.into());
        Box::new(Compress::new_with_window_bits(level, false, kind.window_bits))
    })
}

/// Takes a compressor back, for whichever connection of this thread needs one next.
pub(super) fn put_compressor(kind: Kind, mut compressor: Box<Compress>) {
    compressor.reset();
    put_fresh_compressor(kind, compressor);
}

/// The same of one that has no context.
pub(super) fn put_fresh_compressor(kind: Kind, compressor: Box<Compress>) {
    put(|pool| &mut pool.compressors, (kind, compressor));
}

/// A decompressor with the largest window and without any context.
pub(super) fn decompressor() -> Box<Decompress> {
    with(|pool| pool.decompressors.pop()).unwrap_or_else(|| Box::new(Decompress::new(false)))
}

/// Takes a decompressor with the largest window back.
pub(super) fn put_decompressor(mut decompressor: Box<Decompress>) {
    decompressor.reset(false);
    put(|pool| &mut pool.decompressors, decompressor);
}

/// Lends `f` an empty buffer with room for `capacity` bytes.
pub(super) fn with_buffer<T>(capacity: usize, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = with(|pool| Some(core::mem::take(&mut pool.buffer))).unwrap_or_default();
    buffer.reserve_exact(capacity);
    let result = f(&mut buffer);
    if buffer.capacity() <= BUFFER_MAX {
        buffer.clear();
        with(|pool| {
            pool.buffer = buffer;
            Some(())
        });
    }
    result
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
