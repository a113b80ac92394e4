use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes};

/// The bytes received and not yet parsed, owned by the caller.
///
/// One buffer can serve many connections in turn: it may be given to another connection, or
/// dropped, whenever [`is_idle`](Self::is_idle) is true. While a large message arrives the buffer
/// is not idle, because [`spare_mut`](Self::spare_mut) is then a part of that message.
pub struct RecvBuf {
    /// Initialised once, unless it was made for one message: then no further than it was read into.
    /// `start..end` is unread.
    chunk: Vec<u8>,
    start: usize,
    end: usize,
    message: Option<Target>,
}

/// A message under construction that is read into directly.
struct Target {
    /// The first `filled` bytes were received, `parsed` of them before.
    payload: Vec<u8>,
    filled: usize,
    parsed: usize,
    /// The payload never grows beyond this.
    want: usize,
    /// No more than this lies behind the parsed bytes.
    at_once: usize,
    loan: Loan,
}

/// Tells whose message a buffer reads into: only who holds the same loan gets it back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loan(Arc<()>);

/// A message's first direct read asks for no more than this, so that claiming a length costs the
/// peer as much as it costs us.
const FIRST_STEP: usize = 64 << 10;

/// Shorter messages are copied in less time than it takes to hand their memory on.
const LEAST_KEPT: usize = 1 << 10;

/// More room than this is used before more is allocated.
const FEW: usize = 16 << 10;

/// How much is allocated at once, as a multiple of what has arrived. It is not touched before more
/// arrives, and each further allocation copies all that is there.
pub(crate) const TRUST: usize = 16;

impl RecvBuf {
    /// Capacity of [`RecvBuf::default`]: 64 KiB and room for a header, so that one read takes a
    /// message of that size.
    pub const DEFAULT_CAPACITY: usize = (64 << 10) + 64;

    /// A buffer that takes `capacity` bytes at a time, at least 16. It grows once what was read
    /// behind a long text of draft75 or draft76 needs more, up to 1 MiB.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { chunk: vec![0; capacity.max(16)], start: 0, end: 0, message: None }
    }

    /// A buffer for one message that is expected to take up to `capacity` bytes with its framing, at
    /// least 16. Where it comes alone, uncompressed, in one frame and in one read by
    /// [`message_mut`](Self::message_mut), is shorter than `capacity`, and takes three quarters of
    /// it or more, and no less than 1 KiB, the memory becomes that of the message: nothing is
    /// copied, and nothing is initialised before. Otherwise it is a buffer as any other. When the
    /// message is taken the buffer is without a chunk, see [`take_chunk`](Self::take_chunk).
    pub fn for_message(capacity: usize) -> Self {
        Self { chunk: Vec::with_capacity(capacity.max(16)), start: 0, end: 0, message: None }
    }

    /// A buffer without memory, to be exchanged before it is read into.
    pub const fn empty() -> Self {
        Self { chunk: Vec::new(), start: 0, end: 0, message: None }
    }

    /// Where the next received bytes belong; report them with [`filled`](Self::filled).
    ///
    /// Empty only when the buffer is full of bytes that no event was taken of, or without a chunk,
    /// see [`take_chunk`](Self::take_chunk).
    #[inline]
    pub fn spare_mut(&mut self) -> &mut [u8] {
        if self.message.is_some() || self.start != self.end || self.is_raw() {
            return self.spare_behind();
        }
        (self.start, self.end) = (0, 0);
        &mut self.chunk
    }

    /// The same behind what is there already.
    #[inline(never)]
    fn spare_behind(&mut self) -> &mut [u8] {
        self.restore();
        if let Some(target) = &mut self.message {
            return target.spare_mut();
        }
        self.chunk.resize(self.chunk.capacity(), 0);
        if self.start == self.end || self.end == self.chunk.len() {
            self.chunk.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.chunk.get_mut(self.end..).unwrap_or_default()
    }

    /// The message that is being read into, or memory that was made [for one](Self::for_message), for
    /// a reader that appends to it: it need not be initialised, so that one read can take all that
    /// there is room for. Report the bytes with [`filled`](Self::filled), as those that were read
    /// into [`spare_mut`](Self::spare_mut), before anything else is called. What is appended beyond
    /// the limit is cut off.
    ///
    /// `None` when the next bytes belong elsewhere; then use `spare_mut`.
    pub fn message_mut(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.restore();
        if !self.appends() {
            return None;
        }
        if let Some(target) = &mut self.message {
            return Some(target.append());
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let chunk = &mut self.chunk;
        // What was appended and not reported was not received.
        chunk.truncate(self.end);
        let room = chunk.capacity() - chunk.len();
        Some(chunk.limit(room))
    }

    /// Whether [`message_mut`](Self::message_mut) answers something.
    #[inline]
    pub fn appends(&self) -> bool {
        self.message.is_some() || self.is_raw()
    }

    /// Whether the chunk was made for one message, and has more room than that took.
    #[inline]
    fn is_raw(&self) -> bool {
        self.chunk.len() < self.chunk.capacity()
    }

    /// Whether the next bytes go straight into the message that is under construction.
    #[inline]
    pub fn is_lent(&self) -> bool {
        self.message.is_some()
    }

    /// Whether [`spare_mut`](Self::spare_mut) is not empty.
    #[inline]
    pub fn has_room(&self) -> bool {
        match &self.message {
            Some(target) => target.room() > 0,
            None => self.end - self.start < self.chunk.capacity(),
        }
    }

    /// Says that the first `n` bytes of [`spare_mut`](Self::spare_mut) were received, or that `n`
    /// bytes were appended to [`message_mut`](Self::message_mut). More than there are counts as all.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        if let Some(target) = &mut self.message {
            return target.filled(n);
        }
        self.restore();
        self.end = self.chunk.len().min(self.end.saturating_add(n));
    }

    /// Who appends has the vector in hand, and could have done with it what it likes.
    #[inline]
    fn restore(&mut self) {
        if self.chunk.len() < self.end {
            self.chunk.resize(self.end, 0);
        }
    }

    /// Takes the chunk away while a message is read into directly, so that others can use it in
    /// the meantime. What is left has no room of its own as soon as [`is_lent`](Self::is_lent) is
    /// false: exchange it then, or [give it another](Self::put_chunk) before. `None` when no message
    /// is being read into.
    pub fn take_chunk(&mut self) -> Option<Self> {
        if self.message.is_none() || self.start != self.end {
            return None;
        }
        (self.start, self.end) = (0, 0);
        let chunk = core::mem::take(&mut self.chunk);
        Some(Self { chunk, start: 0, end: 0, message: None })
    }

    /// Takes the chunk of `other`, for what follows the message that is read into directly. Nothing
    /// happens when this has a chunk, or `other` is not [idle](Self::is_idle).
    pub fn put_chunk(&mut self, other: &mut Self) {
        if self.chunk.capacity() == 0 && other.is_idle() {
            self.chunk = core::mem::take(&mut other.chunk);
            (other.start, other.end) = (0, 0);
        }
    }

    /// Copies as much of `bytes` as there is room for, and answers how much that was. For tests
    /// and for callers that have their bytes elsewhere already.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        if let Some(mut message) = self.message_mut() {
            let n = message.remaining_mut().min(bytes.len());
            message.put_slice(bytes.get(..n).unwrap_or_default());
            self.filled(n);
            return n;
        }
        let spare = self.spare_mut();
        let n = spare.len().min(bytes.len());
        if let (Some(to), Some(from)) = (spare.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        self.filled(n);
        n
    }

    /// How many bytes it takes at a time, apart from the message that is read into directly.
    pub fn capacity(&self) -> usize {
        self.chunk.capacity()
    }

    /// Number of received bytes that were not parsed yet.
    #[inline]
    pub fn len(&self) -> usize {
        self.unread().len() + self.message.as_ref().map_or(0, Target::len)
    }

    /// The byte that is parsed next, if it was received: of a frame FIN and the opcode (RFC 6455
    /// section 5.2). `None` while a message is read into directly.
    #[inline]
    pub fn first(&self) -> Option<u8> {
        if self.start < self.end { self.chunk.get(self.start).copied() } else { None }
    }

    /// Whether every received byte was parsed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer holds nothing of its connection, so that it may be used for another.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.start == self.end && self.message.is_none()
    }

    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        self.chunk.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `n` unread bytes, or all when there are fewer, to be changed in place.
    pub(crate) fn unread_mut(&mut self, n: usize) -> &mut [u8] {
        let n = n.min(self.end - self.start);
        self.chunk.get_mut(self.start..self.start + n).unwrap_or_default()
    }

    /// Whether the first `n` unread bytes are all that there are, and in memory that was made for
    /// such a message.
    #[inline]
    pub(crate) fn is_made_for(&self, n: usize) -> bool {
        n >= LEAST_KEPT
            && self.is_raw()
            && n == self.end - self.start
            && n >= self.chunk.capacity() / 4 * 3
    }

    /// Takes `len` unread bytes behind the first `skipped` ones in the memory that they were read
    /// into. The buffer has none then, and the other bytes are gone.
    pub(crate) fn give_away(&mut self, skipped: usize, len: usize) -> Bytes {
        let mut chunk = core::mem::take(&mut self.chunk);
        let from = self.start + skipped;
        chunk.truncate(from + len);
        (self.start, self.end) = (0, 0);
        let mut bytes = Bytes::from(chunk);
        bytes.advance(from.min(bytes.len()));
        bytes
    }

    /// Forgets everything that was received.
    pub(crate) fn clear(&mut self) {
        self.message = None;
        self.start = self.end;
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
    }

    /// Makes the next reads go behind `payload` until it has `want` bytes, of which no more than
    /// `at_once` wait to be parsed.
    pub(crate) fn lend(&mut self, payload: Vec<u8>, want: usize, at_once: usize) -> Loan {
        debug_assert!(self.is_empty() && payload.len() < want && at_once > 0);
        let parsed = payload.len();
        let loan = Loan::default();
        let target = Target { payload, filled: parsed, parsed, want, at_once, loan: loan.clone() };
        self.message = Some(target);
        loan
    }

    /// What was received behind the parsed part of the message that was lent under `loan`, to be
    /// changed in place. `None` when this buffer holds no message, or another connection's.
    pub(crate) fn fresh_mut(&mut self, loan: &Loan) -> Option<&mut [u8]> {
        let target = self.message.as_mut().filter(|target| target.is_under(loan))?;
        target.payload.get_mut(target.parsed..target.filled)
    }

    /// All of [`fresh_mut`](Self::fresh_mut) is parsed; the message stays lent.
    pub(crate) fn consume_fresh(&mut self) {
        if let Some(target) = &mut self.message {
            target.parsed = target.filled;
        }
    }

    /// Whether the message that is lent has all that was wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.message.as_ref().is_some_and(|target| target.filled == target.want)
    }

    /// Takes back what was lent under `loan`, with what was received behind it. `None` when this
    /// buffer holds no message, or another connection's.
    pub(crate) fn reclaim(&mut self, loan: &Loan) -> Option<Vec<u8>> {
        let Target { mut payload, filled, .. } =
            self.message.take_if(|target| target.is_under(loan))?;
        payload.truncate(filled);
        Some(payload)
    }

    /// The same with the first `n` bytes of what was received behind it. The others are unread
    /// bytes again, for which the chunk grows if it has to.
    pub(crate) fn reclaim_start(&mut self, loan: &Loan, n: usize) -> Option<Vec<u8>> {
        let parsed = self.message.as_ref()?.parsed;
        let mut payload = self.reclaim(loan)?;
        let behind = payload.get(parsed.saturating_add(n)..).unwrap_or_default();
        if self.chunk.len() < behind.len() {
            self.chunk = vec![0; behind.len().max(Self::DEFAULT_CAPACITY)];
        }
        if let Some(unread) = self.chunk.get_mut(..behind.len()) {
            unread.copy_from_slice(behind);
            (self.start, self.end) = (0, behind.len());
        }
        payload.truncate(parsed.saturating_add(n));
        if payload.capacity() / 2 > payload.len() {
            payload.shrink_to_fit();
        }
        Some(payload)
    }
}

impl Target {
    fn is_under(&self, loan: &Loan) -> bool {
        Arc::ptr_eq(&self.loan.0, &loan.0)
    }

    fn len(&self) -> usize {
        self.filled - self.parsed
    }

    /// How many more bytes may come before those that are there are parsed.
    fn room(&self) -> usize {
        (self.want - self.filled).min(self.at_once.saturating_sub(self.len()))
    }

    fn spare_mut(&mut self) -> &mut [u8] {
        self.restore();
        if self.payload.len() == self.filled {
            self.reserve();
            let room = self.payload.capacity() - self.filled;
            self.payload.resize(self.filled + self.step().min(room), 0);
        }
        let room = self.room();
        let spare = self.payload.get_mut(self.filled..).unwrap_or_default();
        let n = spare.len().min(room);
        spare.get_mut(..n).unwrap_or_default()
    }

    fn append(&mut self) -> Limit<&mut Vec<u8>> {
        self.restore();
        self.payload.truncate(self.filled);
        self.reserve();
        let room = self.room().min(self.payload.capacity() - self.filled);
        (&mut self.payload).limit(room)
    }

    /// Who appends has the vector in hand, and could have done with it what it likes.
    fn restore(&mut self) {
        self.payload.truncate(self.want);
        if self.payload.len() < self.filled {
            self.payload.resize(self.filled, 0);
        }
    }

    fn filled(&mut self, n: usize) {
        self.restore();
        self.filled = self.payload.len().min(self.filled.saturating_add(n));
    }

    /// As much as has arrived, so that the memory that is touched follows the bytes and not the
    /// claim.
    fn step(&self) -> usize {
        self.filled.clamp(FIRST_STEP, 1 << 20).min(self.want - self.filled)
    }

    /// Makes room for more than a few bytes.
    fn reserve(&mut self) {
        if self.payload.capacity() - self.filled < self.step().min(FEW) {
            let capacity =
                self.filled.saturating_mul(TRUST).clamp(self.filled + self.step(), self.want);
            self.payload.reserve_exact(capacity - self.filled);
        }
    }
}

/// One read takes what a default socket buffer holds.
impl Default for RecvBuf {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }
}

/// Sizes only: the content is the peer's.
impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBuf")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("in_message", &self.message.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_means_no_spare() {
        let mut buf = RecvBuf::with_capacity(16);
        assert_eq!(buf.feed(&[7; 20]), 16);
        assert!(buf.spare_mut().is_empty());
        buf.consume(10);
        assert_eq!(buf.spare_mut().len(), 10);
        assert_eq!(buf.unread(), [7; 6]);
        buf.consume(6);
        assert!(buf.is_idle());
        assert_eq!(buf.spare_mut().len(), 16);
    }

    #[test]
    fn the_chunk_of_a_lent_message_can_be_used_elsewhere() {
        let mut buf = RecvBuf::with_capacity(16);
        assert!(buf.take_chunk().is_none());
        let loan = buf.lend(vec![1; 3], 5, 9);
        let mut chunk = buf.take_chunk().unwrap();
        assert!(chunk.is_idle());
        assert_eq!(chunk.spare_mut().len(), 16);
        assert_eq!(buf.feed(&[2; 9]), 2);
        assert!(buf.reclaim(&Loan::default()).is_none(), "another's loan");
        assert_eq!(buf.reclaim(&loan).unwrap(), [1, 1, 1, 2, 2]);
        assert!(buf.is_idle() && buf.spare_mut().is_empty());
    }

    #[test]
    fn a_lent_message_is_read_into_and_grows_with_what_arrives() {
        let mut buf = RecvBuf::with_capacity(16);
        let loan = buf.lend(vec![1; 10], 10 << 20, usize::MAX);
        assert!(buf.spare_mut().len() <= FIRST_STEP);
        assert!(buf.is_empty() && !buf.is_idle(), "nothing new has arrived yet");
        buf.filled(3);
        assert_eq!(buf.len(), 3);
        assert!(!buf.is_idle());
        let payload = buf.reclaim(&loan).unwrap();
        assert_eq!(payload, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
        assert!(payload.capacity() <= 10 + FIRST_STEP);
        assert!(buf.is_idle());
    }

    #[test]
    fn a_lent_message_is_appended_to_between_reads_into_slices() {
        let mut buf = RecvBuf::with_capacity(16);
        assert!(buf.message_mut().is_none());
        let want = FIRST_STEP * TRUST * 2;
        let loan = buf.lend(vec![1; 10], want, usize::MAX);
        buf.spare_mut()[..5].fill(2);
        buf.filled(5);
        let mut message = buf.message_mut().unwrap();
        assert!(message.remaining_mut() <= FIRST_STEP);
        message.put_slice(&[3; 7]);
        buf.filled(7);
        assert_eq!(buf.len(), 12);
        buf.consume_fresh();
        while buf.has_room() {
            let mut message = buf.message_mut().unwrap();
            let room = message.remaining_mut();
            message.put_bytes(4, room);
            buf.filled(room);
        }
        assert_eq!(buf.message_mut().unwrap().remaining_mut(), 0);
        assert!(buf.spare_mut().is_empty());
        let payload = buf.reclaim(&loan).unwrap();
        assert_eq!(payload.len(), want);
        assert_eq!(payload[..22], [[1; 10].as_slice(), &[2; 5], &[3; 7]].concat());
        assert!(payload[22..] == vec![4; want - 22]);
    }

    #[test]
    fn memory_for_a_message_is_used_again_until_it_is_taken() {
        let mut buf = RecvBuf::for_message(2000);
        assert_eq!((buf.capacity(), buf.has_room(), buf.is_idle()), (2000, true, true));
        assert_eq!(buf.feed(&[1; 1200]), 1200);
        buf.consume(1200);
        assert_eq!(buf.message_mut().unwrap().remaining_mut(), 2000);
        assert_eq!(buf.feed(&[2; 1200]), 1200);
        // Who appends and does not report it has received nothing.
        buf.message_mut().unwrap().put_slice(&[3; 400]);
        assert_eq!((buf.len(), buf.message_mut().unwrap().remaining_mut()), (1200, 800));
        assert!(!buf.is_made_for(1500) && !buf.is_made_for(1200), "not three quarters");
        assert_eq!(buf.feed(&[4; 400]), 400);
        assert!(buf.is_made_for(1600) && !buf.is_made_for(1599));
        assert_eq!(buf.give_away(1000, 400), [[2; 200], [4; 200]].concat());
        assert!(buf.is_idle() && buf.capacity() == 0);
        let mut short = RecvBuf::for_message(LEAST_KEPT);
        short.feed(&[5; LEAST_KEPT - 1]);
        assert!(!short.is_made_for(LEAST_KEPT - 1), "it is copied");
        buf.put_chunk(&mut RecvBuf::with_capacity(16));
        assert_eq!(buf.feed(&[5; 20]), 16);
    }

    #[test]
    fn whoever_misuses_a_lent_message_gets_no_more_than_wrong_bytes() {
        let mut buf = RecvBuf::with_capacity(16);
        let loan = buf.lend(vec![1; 10], 20, usize::MAX);
        buf.message_mut().unwrap().get_mut().extend([2; 30]);
        buf.filled(30);
        assert_eq!((buf.len(), buf.has_room()), (10, false));
        buf.consume_fresh();
        for report in [true, false] {
            core::mem::take(*buf.message_mut().unwrap().get_mut());
            if report {
                buf.filled(7);
            }
            assert_eq!((buf.len(), buf.spare_mut().len()), (0, 0));
            assert_eq!(buf.message_mut().unwrap().remaining_mut(), 0);
        }
        assert_eq!(buf.reclaim(&loan).unwrap().len(), 20);
    }

    #[test]
    fn whoever_misuses_memory_for_a_message_gets_no_more_than_wrong_bytes() {
        for (consumed, instead) in [(0, 0), (30, 0), (30, 10), (60, 10), (10, 500)] {
            for step in 0..4 {
                let mut buf = RecvBuf::for_message(100);
                buf.feed(&[1; 60]);
                buf.consume(consumed);
                let all = buf.len();
                **buf.message_mut().unwrap().get_mut() = vec![2; instead];
                match step {
                    0 => buf.filled(0),
                    1 => assert!(!buf.spare_mut().is_empty() || !buf.has_room()),
                    2 => drop(buf.message_mut()),
                    _ => {}
                }
                assert_eq!(buf.len(), buf.unread().len());
                assert!(step == 3 || buf.len() == all, "{consumed}, {instead}, {step}");
                while buf.has_room() && buf.len() < 1000 {
                    assert!(buf.feed(&[3; 16]) > 0, "{consumed}, {instead}, {step}");
                }
            }
        }
    }
}
