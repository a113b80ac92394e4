#![expect(clippy::unnecessary_box_returns, clippy::vec_box, reason = "chunks move as a pointer")]

use std::cell::RefCell;
use std::mem;

use ws_proto::RecvBuf;

/// Chunks that a thread keeps for its next reads: one is in use at a time unless connections stop
/// in the middle of their input, and four hold 256 KiB.
const KEPT: usize = 4;

thread_local! {
    static CHUNKS: RefCell<Vec<Box<RecvBuf>>> = const { RefCell::new(Vec::new()) };
}

/// A chunk of this thread, or a new one.
pub(crate) fn take() -> Box<RecvBuf> {
    // The thread's storage is gone while the thread ends.
    let kept = CHUNKS.try_with(|chunks| chunks.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_default()
}

/// Gives back the chunk of `input`, and answers what has to be kept: a message that is being read
/// into, or bytes that wait for a decision.
pub(crate) fn give_back(mut input: Box<RecvBuf>) -> Option<Box<RecvBuf>> {
    if input.is_idle() {
        keep(input);
        return None;
    }
    let Some(chunk) = input.take_chunk() else { return Some(input) };
    // The old allocations stay with the thread and the new one goes, so that a burst of large
    // messages leaves nothing behind that splits the free memory.
    let message = mem::replace(&mut *input, chunk);
    keep(input);
    Some(Box::new(message))
}

/// The same, or a chunk of the thread when it has neither bytes nor room.
pub(crate) fn with_room(input: Box<RecvBuf>) -> Box<RecvBuf> {
    if input.is_idle() && !input.has_room() { take() } else { input }
}

fn keep(chunk: Box<RecvBuf>) {
    if !chunk.has_room() {
        return;
    }
    let _ = CHUNKS.try_with(|chunks| {
        let mut chunks = chunks.borrow_mut();
        if chunks.len() < KEPT {
            chunks.push(chunk);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_few_chunks() {
        let taken: Vec<_> = (0..KEPT + 3).map(|_| take()).collect();
        assert!(taken.into_iter().all(|chunk| give_back(chunk).is_none()));
        assert_eq!(CHUNKS.with_borrow(Vec::len), KEPT);
        take();
        assert_eq!(CHUNKS.with_borrow(Vec::len), KEPT - 1);
    }
}
