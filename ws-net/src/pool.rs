#![expect(clippy::unnecessary_box_returns, clippy::vec_box, reason = "chunks move as a pointer")]

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::mem;

use ws_proto::RecvBuf;

/// Chunks that a thread keeps beside the one for its next read: one is in use at a time unless
/// connections stop in the middle of their input, and four hold 256 KiB.
const KEPT: usize = 3;

/// What a chunk takes that is used instead when reads fill the usual one: the socket of a peer that
/// is ahead holds that much, and each read and write less is saved. With room for some headers
/// beside 256 KiB, so that messages whose size is a power of two fit in whole. A thread keeps one.
pub(crate) const WIDE: usize = (256 << 10) + (1 << 10);

/// More than what a hundred long messages need beside them in small blocks.
const BALLAST: usize = 120 << 10;

/// So many reads without a long message, and a thread expects no more of them for now.
const CALM: u32 = 1 << 12;

/// The chunks of a thread.
struct Chunks {
    usual: Vec<Box<RecvBuf>>,
    wide: Option<Box<RecvBuf>>,
    /// Memory that nobody touches, and that is free while long messages come: the small blocks that
    /// they and the runtime need meanwhile lie there then. Above or among the messages a single one
    /// that stays would keep an allocator that grows upwards from giving back all of that.
    ballast: Vec<u8>,
    /// The wide one is made before the thread reads for the first time: it is not touched until it
    /// is used, and made then, among large messages, it would keep an allocator that grows upwards
    /// from giving back what lies below it. It is made twice, because glibc takes the end of the
    /// first as a sign that blocks of this size come and go: then it gives back what is free above
    /// twice that, and not the memory of each read's messages for the next to take it anew.
    begun: bool,
}

#[cfg(test)]
thread_local! {
    /// Buffers for one message that were made, for tests that want to know.
    pub(crate) static MADE_FOR_MESSAGES: Cell<usize> = const { Cell::new(0) };
}

thread_local! {
    /// The chunk for the next read, where the way to it is shortest.
    static NEXT: Cell<Option<Box<RecvBuf>>> = const { Cell::new(None) };

    /// Reads since the last of a long message, up to [`CALM`].
    static READS: Cell<u32> = const { Cell::new(0) };

    static CHUNKS: RefCell<Chunks> = const {
        RefCell::new(Chunks {
            usual: Vec::new(),
            wide: None,
            ballast: Vec::new(),
            begun: false,
        })
    };

    /// Without a chunk, for the next message that is expected.
    static EMPTY: Cell<Option<Box<RecvBuf>>> = const { Cell::new(None) };

    static GATHERED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Chunks {
    fn take_ballast(&mut self) {
        self.ballast = Vec::with_capacity(BALLAST);
        READS.set(CALM);
    }

    /// A long message comes.
    fn drop_ballast(&mut self) {
        self.ballast = Vec::new();
        READS.set(0);
    }
}

/// Lends `f` the bytes of the first `pieces` behind each other, in memory that the thread keeps: as
/// many as there is room for in as much as a usual chunk has, and one at least.
pub(crate) fn gather<T>(pieces: &[IoSlice<'_>], f: impl FnOnce(&[u8]) -> T) -> T {
    // Taken out, since `f` may be code of users.
    let mut bytes = take_gathered();
    copy(pieces, &mut bytes);
    let answer = f(&bytes);
    keep_gathered(bytes);
    answer
}

/// The memory that the thread keeps for [`gather`].
pub(crate) fn take_gathered() -> Vec<u8> {
    GATHERED.try_with(Cell::take).unwrap_or_default()
}

/// Gives it back.
pub(crate) fn keep_gathered(bytes: Vec<u8>) {
    let _ = GATHERED.try_with(|kept| kept.set(bytes));
}

/// Fills `bytes` with the first `pieces`, see [`gather`].
pub(crate) fn copy(pieces: &[IoSlice<'_>], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.reserve_exact(RecvBuf::DEFAULT_CAPACITY);
    for piece in pieces {
        if !bytes.is_empty() && bytes.len() + piece.len() > RecvBuf::DEFAULT_CAPACITY {
            break;
        }
        bytes.extend_from_slice(piece);
    }
}

/// A chunk of this thread, or a new one.
pub(crate) fn take(wide: bool) -> Box<RecvBuf> {
    if wide { take_other(true) } else { take_usual() }
}

/// The same that is not wide.
#[inline]
pub(crate) fn take_usual() -> Box<RecvBuf> {
    // The thread's storage is gone while the thread ends.
    NEXT.try_with(Cell::take).ok().flatten().unwrap_or_else(|| take_other(false))
}

/// A buffer with `room` for a message whose memory it becomes, see [`RecvBuf::for_message`].
pub(crate) fn take_for_message(room: usize) -> Box<RecvBuf> {
    #[cfg(test)]
    MADE_FOR_MESSAGES.set(MADE_FOR_MESSAGES.get() + 1);
    let chunk = RecvBuf::for_message(room);
    match EMPTY.try_with(Cell::take).ok().flatten() {
        Some(mut empty) => {
            *empty = chunk;
            empty
        }
        None => Box::new(chunk),
    }
}

/// Keeps what is left of it; nothing of a connection is in it.
pub(crate) fn keep_empty(mut input: Box<RecvBuf>) {
    if input.has_room() {
        *input = RecvBuf::empty();
    }
    let _ = EMPTY.try_with(|empty| empty.set(Some(input)));
}

#[inline(never)]
fn take_other(wide: bool) -> Box<RecvBuf> {
    let take = |chunks: &RefCell<Chunks>| {
        let mut chunks = chunks.borrow_mut();
        if !mem::replace(&mut chunks.begun, true) {
            drop(make(true));
            chunks.take_ballast();
            chunks.wide = Some(make(true));
        }
        if wide { chunks.wide.take() } else { chunks.usual.pop() }
    };
    let kept = CHUNKS.try_with(take).ok().flatten();
    kept.unwrap_or_else(|| make(wide))
}

fn make(wide: bool) -> Box<RecvBuf> {
    let size = if wide { WIDE } else { RecvBuf::DEFAULT_CAPACITY };
    Box::new(RecvBuf::with_capacity(size))
}

/// Gives back the chunk of `input`, and answers what has to be kept: a message that is being read
/// into, or bytes that wait for a decision.
pub(crate) fn give_back(mut input: Box<RecvBuf>) -> Option<Box<RecvBuf>> {
    if input.is_idle() {
        keep(input);
        return None;
    }
    let Some(chunk) = input.take_chunk() else { return Some(input) };
    let _ = CHUNKS.try_with(|chunks| chunks.borrow_mut().drop_ballast());
    // The old allocations stay with the thread and the new one goes, so that a burst of large
    // messages leaves nothing behind that splits the free memory.
    let message = mem::replace(&mut *input, chunk);
    keep(input);
    Some(Box::new(message))
}

/// Gives `input` a chunk of this thread, if it has none, for what follows its message.
pub(crate) fn complete(mut input: Box<RecvBuf>) -> Box<RecvBuf> {
    if input.capacity() > 0 {
        return input;
    }
    let mut chunk = take(false);
    // As above: the old allocation is used, and the new one goes.
    mem::swap(&mut *chunk, &mut *input);
    chunk.put_chunk(&mut input);
    chunk
}

/// `input`, or a chunk of the thread when it has neither bytes nor room, or is less wide than
/// asked for.
pub(crate) fn with_room(input: Box<RecvBuf>, wide: bool) -> Box<RecvBuf> {
    if !input.is_idle() || (input.has_room() && (!wide || input.capacity() >= WIDE)) {
        return input;
    }
    keep(input);
    take(wide)
}

/// Keeps a chunk from [`take_usual`] that is idle and has room.
#[inline]
pub(crate) fn keep_usual(chunk: Box<RecvBuf>) {
    debug_assert!(chunk.has_room() && !chunk.appends(), "it is no usual one");
    if READS.get() < CALM {
        return keep(chunk);
    }
    if let Ok(Some(other)) = NEXT.try_with(|next| next.replace(Some(chunk))) {
        keep_other(other);
    }
}

fn keep(chunk: Box<RecvBuf>) {
    if !chunk.has_room() {
        return;
    }
    let reads = READS.get();
    if reads < CALM {
        READS.set(reads + 1);
        if reads + 1 == CALM {
            let _ = CHUNKS.try_with(|chunks| chunks.borrow_mut().take_ballast());
        }
    }
    keep_other(chunk);
}

#[inline(never)]
fn keep_other(chunk: Box<RecvBuf>) {
    let _ = CHUNKS.try_with(|chunks| {
        let mut chunks = chunks.borrow_mut();
        if chunk.appends() {
            // It was made for one message, and would become that of another connection.
        } else if chunk.capacity() >= WIDE {
            chunks.wide = Some(chunk);
        } else if chunks.usual.len() < KEPT && chunk.capacity() == RecvBuf::DEFAULT_CAPACITY {
            chunks.usual.push(chunk);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ws_proto::{Accept, Connection, Event, Instant};

    use super::*;

    #[test]
    fn a_thread_keeps_few_chunks() {
        let wide = (0..3).map(|_| take(true));
        let taken: Vec<_> = (0..KEPT + 3).map(|_| take(false)).chain(wide).collect();
        assert!(taken.into_iter().all(|chunk| give_back(chunk).is_none()));
        let kept = || CHUNKS.with_borrow(|chunks| (chunks.usual.len(), chunks.wide.is_some()));
        assert_eq!(kept(), (KEPT, true));
        take(false);
        assert_eq!(kept(), (KEPT - 1, true));
        assert_eq!(with_room(take(false), true).capacity(), WIDE);
        assert_eq!(kept(), (KEPT - 1, false));
    }

    #[test]
    fn the_ballast_is_there_unless_long_messages_come() {
        let there = || CHUNKS.with_borrow(|chunks| chunks.ballast.capacity() >= BALLAST);
        assert!(!there(), "nothing was read yet");
        keep(take(false));
        assert!(there());
        CHUNKS.with_borrow_mut(Chunks::drop_ballast);
        for _ in 1..CALM {
            keep(take(false));
            assert!(!there());
        }
        keep(take(false));
        assert!(there());
    }

    #[test]
    fn what_follows_an_unfinished_message_gets_a_chunk_again() {
        let now = Instant::from_nanos(0);
        let mut core = Connection::server(Arc::default(), now);
        let mut input = take(false);
        input.feed(
            b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
              Host: a\r\nOrigin: http://a\r\n\r\n\0",
        );
        while let Some(event) = core.poll_event(&mut input, now) {
            if let Event::Request(_) = event {
                core.accept(&Accept::new(), now).unwrap();
            }
        }
        while !input.is_lent() {
            input.feed(&[b'x'; 1024]);
            assert!(core.poll_event(&mut input, now).is_none());
        }
        let unfinished = give_back(input).unwrap();
        assert_eq!(unfinished.capacity(), 0);
        let mut input = complete(unfinished);
        assert_eq!(input.capacity(), RecvBuf::DEFAULT_CAPACITY);
        input.feed(b"yz\xFF");
        assert!(matches!(core.poll_event(&mut input, now), Some(Event::Message(_))));
        assert!(input.is_idle() && input.has_room());
    }

    #[test]
    fn a_chunk_of_another_size_is_not_kept() {
        let kept = || CHUNKS.with_borrow(|chunks| (chunks.usual.len(), chunks.wide.is_some()));
        let before = kept();
        let usual = RecvBuf::DEFAULT_CAPACITY;
        for capacity in [usual - 1, usual + 1] {
            assert!(give_back(Box::new(RecvBuf::with_capacity(capacity))).is_none());
        }
        for capacity in [usual - 1, usual, usual + 1, WIDE] {
            assert!(give_back(take_for_message(capacity)).is_none());
        }
        assert_eq!(kept(), before);
    }

    #[test]
    fn gathered_pieces_lie_behind_each_other_up_to_a_limit() {
        let many = [7; 4096].as_slice();
        let gathered = |pieces: &[&[u8]]| {
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            gather(&slices, <[u8]>::to_vec)
        };
        assert_eq!(gathered(&[b"ab", b"", b"c"]), b"abc");
        let most = RecvBuf::DEFAULT_CAPACITY / many.len();
        assert_eq!(gathered(&[many; 64]), many.repeat(most));
        assert_eq!(gather(&[], |bytes| gathered(&[b"inside", bytes])), b"inside");
        let one = vec![1; RecvBuf::DEFAULT_CAPACITY + 1];
        assert_eq!(gathered(&[&one, b"not this"]), one);
    }
}
