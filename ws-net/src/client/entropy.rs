use std::cell::RefCell;
use std::io;

use ws_proto::Entropy;

/// What one call of the system brings: 256 masking keys, or more than any handshake draws.
const BLOCK: usize = 1024;

/// A masking key (RFC 6455 section 5.3).
const KEY: usize = 4;

thread_local! {
    /// A thread masks with bytes of its own, so that idle connections hold none.
    static BYTES: RefCell<Block> = const { RefCell::new(Block::new(system)) };
}

/// The generator of the operating system, asked for a block at a time.
pub(super) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        // The block is gone while its thread ends; then nobody who has asked gets here.
        let _ = BYTES.try_with(|block| block.borrow_mut().fill(bytes));
    }

    fn is_ready(&mut self) -> bool {
        BYTES.try_with(|block| block.borrow_mut().provide(KEY).is_ok()).unwrap_or(false)
    }
}

/// What `f` makes with [`SystemEntropy`], or the error of the system when it had to go without.
pub(super) fn with_entropy<T>(f: impl FnOnce() -> T) -> io::Result<T> {
    with_block(|block| block.begin(BLOCK))?;
    let made = f();
    with_block(Block::outcome).map(|()| made)
}

fn with_block<T>(f: impl FnOnce(&mut Block) -> io::Result<T>) -> io::Result<T> {
    BYTES
        .try_with(|block| f(&mut block.borrow_mut()))
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

/// A random number.
pub(super) fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    with_block(|block| {
        block.begin(bytes.len())?;
        block.fill(&mut bytes);
        block.outcome()
    })?;
    Ok(u64::from_le_bytes(bytes))
}

fn system(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::from)
}

/// Random bytes that nobody has had yet: the first `left`.
struct Block {
    bytes: [u8; BLOCK],
    left: usize,
    source: fn(&mut [u8]) -> io::Result<()>,
    failure: Option<io::Error>,
}

impl Block {
    const fn new(source: fn(&mut [u8]) -> io::Result<()>) -> Self {
        Self { bytes: [0; BLOCK], left: 0, source, failure: None }
    }

    /// Makes sure that `n` bytes are there, at most a block.
    fn provide(&mut self, n: usize) -> io::Result<()> {
        if self.left < n {
            (self.source)(&mut self.bytes)?;
            self.left = BLOCK;
        }
        Ok(())
    }

    /// The same before all that [`outcome`](Self::outcome) judges.
    fn begin(&mut self, n: usize) -> io::Result<()> {
        self.failure = None;
        self.provide(n)
    }

    /// Hands out bytes, which are forgotten here. When the source fails they stay as they are,
    /// and [`outcome`](Self::outcome) says so.
    fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(BLOCK) {
            if let Err(error) = self.provide(piece.len()) {
                self.failure = Some(error);
                return;
            }
            let start = self.left - piece.len();
            for (to, from) in piece.iter_mut().zip(self.bytes.iter_mut().skip(start)) {
                *to = std::mem::take(from);
            }
            self.left = start;
        }
    }

    /// Whether everything since the last call was filled.
    fn outcome(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_block_is_fetched_once_and_handed_out_once() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        fn counted(bytes: &mut [u8]) -> io::Result<()> {
            CALLS.fetch_add(1, Relaxed);
            system(bytes)
        }
        let mut block = Block::new(counted);
        let mut keys = HashSet::new();
        for _ in 0..BLOCK / KEY {
            let mut key = [0; KEY];
            block.fill(&mut key);
            keys.insert(key);
        }
        assert_eq!(CALLS.load(Relaxed), 1);
        // Among 256 numbers of 32 bits two are the same once in 130,000 runs, three never.
        assert!(keys.len() > BLOCK / KEY - 2, "{}", keys.len());
        assert!(block.bytes.iter().all(|byte| *byte == 0), "what was handed out is forgotten");
        let mut long = vec![0; 3 * BLOCK];
        block.fill(&mut long);
        assert_eq!(CALLS.load(Relaxed), 4);
        assert!(long.chunks(16).all(|piece| piece.iter().any(|byte| *byte != 0)));
        assert!(block.outcome().is_ok());
    }

    #[test]
    fn a_source_that_fails_is_noticed() {
        let mut block = Block::new(|_| Err(io::Error::other("broken")));
        assert_eq!(block.provide(KEY).unwrap_err().to_string(), "broken");
        let mut key = [0; KEY];
        block.fill(&mut key);
        assert_eq!(block.outcome().unwrap_err().to_string(), "broken");
        assert!(block.outcome().is_ok(), "it is told once");
        block.fill(&mut key);
        block.source = system;
        block.begin(KEY).unwrap();
        block.fill(&mut key);
        assert!(block.outcome().is_ok() && key != [0; KEY], "what failed before is not told");
    }

    #[test]
    fn the_system_gives_numbers() {
        assert_ne!(random().unwrap(), random().unwrap());
        assert!(SystemEntropy.is_ready());
        let mut bytes = [0; 16];
        with_entropy(|| SystemEntropy.fill(&mut bytes)).unwrap();
        assert_ne!(bytes, [0; 16]);
    }
}
