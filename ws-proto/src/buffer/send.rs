use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Buf, Bytes};

/// Payloads up to this length are copied behind their header; longer ones are shared, as another
/// segment of a vectored write.
pub(crate) const COPY_MAX: usize = 4 << 10;

/// The most that is allocated because the last write was large.
const HINT_MAX: usize = 16 << 10;

/// Bytes on their way to the socket, ready for one vectored write.
///
/// Small frames lie behind each other in one piece; large payloads are shared, not copied. Read
/// it through [`bytes::Buf`]; `chunks_vectored` fills a vectored write.
#[derive(Default)]
pub struct SendBuf {
    /// In front of `tail`. Only large payloads need some, so an idle connection has a pointer.
    #[expect(clippy::box_collection, reason = "for its size while it is empty")]
    segments: Option<Box<VecDeque<Segment>>>,
    /// What small frames are appended to.
    tail: Vec<u8>,
    /// How much of the first piece is gone already.
    offset: usize,
    remaining: usize,
    /// Capacity of the first allocation of `tail`.
    hint: usize,
}

enum Segment {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl SendBuf {
    pub(crate) const fn new() -> Self {
        Self { segments: None, tail: Vec::new(), offset: 0, remaining: 0, hint: 0 }
    }

    /// Hands out the content. The next one probably is as large, so it will be allocated at once.
    pub(crate) fn hand_out(&mut self) -> Self {
        let hint = self.tail.len().min(HINT_MAX);
        core::mem::replace(self, Self { hint, ..Self::default() })
    }

    /// Appends bytes by copying.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.remaining += bytes.len();
    }

    /// Appends a header and its payload, which is copied when small and shared when large.
    #[inline]
    pub(crate) fn put_frame(&mut self, header: &[u8], payload: &Bytes) {
        let copied = payload.len() <= COPY_MAX;
        let room = header.len() + if copied { payload.len() } else { 0 };
        self.tail.reserve(if self.tail.capacity() == 0 { room.max(self.hint) } else { room });
        self.put(header);
        if copied { self.put(payload) } else { self.put_shared(payload.clone()) }
    }

    /// Appends bytes without copying.
    pub(crate) fn put_shared(&mut self, bytes: Bytes) {
        self.close_tail();
        self.remaining += bytes.len();
        self.push(Segment::Shared(bytes));
    }

    /// Appends what `write` appends to the vector, and answers what it answered.
    pub(crate) fn put_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.tail.len();
        let result = write(&mut self.tail);
        self.remaining += self.tail.len() - before;
        result
    }

    /// Appends all of another.
    pub(crate) fn append(&mut self, other: Self) {
        self.close_tail();
        self.remaining += other.remaining;
        for segment in other.segments.into_iter().flat_map(|segments| *segments) {
            self.push(segment);
        }
        self.tail = other.tail;
    }

    /// How much can be appended without an allocation while this is empty.
    pub(crate) fn capacity(&self) -> usize {
        self.tail.capacity()
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = core::mem::take(&mut self.tail);
            self.push(Segment::Owned(tail));
        }
    }

    fn push(&mut self, segment: Segment) {
        self.segments.get_or_insert_default().push_back(segment);
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let tail = (!self.tail.is_empty()).then_some(self.tail.as_slice());
        let mut skip = self.offset;
        self.segments
            .iter()
            .flat_map(|segments| segments.iter())
            .map(Segment::bytes)
            .chain(tail)
            .map(move |piece| piece.get(core::mem::take(&mut skip)..).unwrap_or_default())
    }
}

impl Buf for SendBuf {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces().next().unwrap_or_default()
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        slices.iter_mut().zip(self.pieces()).fold(0, |count, (slice, piece)| {
            *slice = std::io::IoSlice::new(piece);
            count + 1
        })
    }

    /// More than [`remaining`](Buf::remaining) counts as all of it.
    fn advance(&mut self, n: usize) {
        let n = n.min(self.remaining);
        self.remaining -= n;
        self.offset += n;
        if let Some(segments) = &mut self.segments {
            while let Some(first) = segments.front() {
                let len = first.bytes().len();
                if self.offset < len {
                    return;
                }
                self.offset -= len;
                segments.pop_front();
            }
            self.segments = None;
        }
        if self.remaining == 0 {
            // The memory is left for what comes next, if that is soon.
            self.offset = 0;
            self.tail.clear();
        }
    }
}

/// Sizes only: the content is the application's.
impl fmt::Debug for SendBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuf")
            .field("remaining", &self.remaining)
            .field("pieces", &self.pieces().count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> (SendBuf, Vec<u8>) {
        let mut buf = SendBuf::default();
        let large = Bytes::from(alloc::vec![b'x'; COPY_MAX + 1]);
        buf.put_frame(b"ab", &Bytes::from_static(b"small"));
        buf.put_frame(b"cd", &large);
        buf.put_frame(b"ef", &large);
        buf.put(b"end");
        let all = [b"absmallcd", large.as_ref(), b"ef", large.as_ref(), b"end"].concat();
        (buf, all)
    }

    #[test]
    fn any_way_of_taking_gives_the_same_bytes() {
        // Miri takes a thousand times as long: it takes no single bytes.
        let smallest = if cfg!(miri) { 997 } else { 1 };
        for step in [smallest, 3 * smallest, 4096, usize::MAX] {
            let (mut buf, all) = filled();
            assert_eq!(buf.remaining(), all.len());
            let mut taken = Vec::new();
            while buf.has_remaining() {
                let n = buf.chunk().len().min(step);
                assert!(n > 0);
                taken.extend_from_slice(&buf.chunk()[..n]);
                buf.advance(n);
            }
            assert!(taken == all, "step {step}");
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn large_payloads_are_segments_of_one_vectored_write() {
        let (mut buf, all) = filled();
        buf.advance(2);
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let count = buf.chunks_vectored(&mut slices);
        assert_eq!(count, 5);
        let joined: Vec<u8> = slices[..count].iter().flat_map(|s| s.iter().copied()).collect();
        assert_eq!(joined, all[2..]);
    }
}
