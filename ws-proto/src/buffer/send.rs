use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::{fmt, iter};

use bytes::{Buf, Bytes};

use crate::Message;

/// Payloads up to this length are copied behind their header; longer ones are shared, as another
/// piece of a vectored write.
pub(crate) const COPY_MAX: usize = 4 << 10;

/// Payloads for which a thread keeps room.
const FEW: usize = 64;

/// The most that is allocated because the last write was large.
const HINT_MAX: usize = 16 << 10;

/// Bytes on their way to the socket, ready for one vectored write.
///
/// Small frames and the headers of large ones lie behind each other in one allocation; large
/// payloads are shared, not copied. Read it through [`bytes::Buf`]; `chunks_vectored` fills a
/// vectored write.
#[derive(Default)]
pub struct SendBuf {
    /// What was copied, in order; the first `gone` bytes are taken.
    copied: Vec<u8>,
    gone: usize,
    /// What lies between the copied bytes. Only large payloads need it, so an idle connection has
    /// a pointer.
    shared: Option<Box<Between>>,
    /// Capacity of the first allocation of `copied`.
    hint: usize,
}

/// What a frame carries.
pub(crate) trait Payload {
    fn bytes(&self) -> &[u8];

    /// The same, to be kept.
    fn share(self) -> Bytes;
}

impl Payload for &Bytes {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    fn share(self) -> Bytes {
        self.clone()
    }
}

/// What lies in a buffer that is used again.
impl Payload for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn share(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

/// It is moved out, which spares the allocation that the first clone of bytes makes.
impl Payload for &mut Message {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn share(self) -> Bytes {
        self.take_payload()
    }
}

/// Payloads that were not copied.
#[derive(Default)]
struct Between {
    queue: VecDeque<Shared>,
    /// Bytes of all of them.
    remaining: usize,
}

/// A payload that was not copied.
struct Shared {
    /// It comes before the copied bytes from here on.
    at: usize,
    bytes: Bytes,
}

impl SendBuf {
    pub(crate) const fn new() -> Self {
        Self { copied: Vec::new(), gone: 0, shared: None, hint: 0 }
    }

    /// Hands out the content. The next one probably is as large, so it will be allocated at once.
    pub(crate) fn hand_out(&mut self) -> Self {
        let hint = self.copied.len().min(HINT_MAX);
        core::mem::replace(self, Self { hint, ..Self::default() })
    }

    /// Appends bytes by copying.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    /// Appends a header and its payload, which is copied when small and shared when large.
    #[inline]
    pub(crate) fn put_frame(&mut self, header: &[u8], payload: impl Payload) {
        let bytes = payload.bytes();
        let copied = bytes.len() <= COPY_MAX;
        let room = header.len() + if copied { bytes.len() } else { 0 };
        self.copied.reserve(if self.copied.capacity() == 0 { room.max(self.hint) } else { room });
        self.put(header);
        if copied { self.put(bytes) } else { self.put_shared(payload.share()) }
    }

    /// Appends bytes without copying.
    pub(crate) fn put_shared(&mut self, bytes: Bytes) {
        let at = self.copied.len();
        let shared = self.shared.get_or_insert_default();
        shared.remaining += bytes.len();
        shared.queue.push_back(Shared { at, bytes });
    }

    /// Appends what `write` appends to the vector, and answers what it answered.
    pub(crate) fn put_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        write(&mut self.copied)
    }

    /// Appends all of another.
    pub(crate) fn append(&mut self, other: Self) {
        let few = other.copied.len() <= COPY_MAX;
        let Self { copied, gone, shared, .. } = other;
        let copied = Bytes::from(copied);
        let mut from = gone;
        for Shared { at, bytes } in shared.into_iter().flat_map(|shared| shared.queue) {
            self.put_slice(&copied, from, at, few);
            self.put_shared(bytes);
            from = at;
        }
        self.put_slice(&copied, from, copied.len(), few);
    }

    fn put_slice(&mut self, bytes: &Bytes, from: usize, to: usize, copy: bool) {
        match bytes.get(from..to) {
            None | Some([]) => {}
            Some(few) if copy => self.put(few),
            Some(_) => self.put_shared(bytes.slice(from..to)),
        }
    }

    /// Takes `n` bytes up to the last payload that is shared, and answers how many are left.
    fn advance_shared(&mut self, mut n: usize) -> usize {
        let Some(shared) = &mut self.shared else { return n };
        while let Some(first) = shared.queue.front_mut() {
            let copied = n.min(first.at - self.gone);
            self.gone += copied;
            n -= copied;
            if self.gone < first.at || n < first.bytes.len() {
                first.bytes.advance(n);
                shared.remaining -= n;
                return 0;
            }
            n -= first.bytes.len();
            shared.remaining -= first.bytes.len();
            shared.queue.pop_front();
        }
        n
    }

    /// The payloads that are shared, so that taking bytes drops none of them.
    pub(crate) fn payloads(&self) -> Self {
        let mut payloads = Self::default();
        for shared in self.each_shared() {
            payloads.put_shared(shared.bytes.clone());
        }
        payloads
    }

    /// Whether it is known, without a look at large payloads, that `other` holds the same bytes in
    /// the same pieces: both share these payloads, and what lies between them is equal. Then a copy
    /// of the bytes of one serves the other, too. `false` says nothing.
    pub fn is_twin_of(&self, other: &Self) -> bool {
        let pieces = |buf: &Self| buf.shared.as_ref().map_or(0, |shared| shared.queue.len());
        let same = |(one, other): (&Shared, &Shared)| {
            one.at == other.at
                && one.bytes.as_ptr() == other.bytes.as_ptr()
                && one.bytes.len() == other.bytes.len()
        };
        self.gone == other.gone
            && self.copied == other.copied
            && pieces(self) == pieces(other)
            && self.each_shared().zip(other.each_shared()).all(same)
    }

    /// Bytes that it can take before it needs more memory, large payloads aside.
    pub(crate) fn capacity(&self) -> usize {
        self.copied.capacity()
    }

    /// Takes over the memory of `sent`, if nothing is in either and that is more, but no more than
    /// `most`.
    #[inline]
    pub(crate) fn recycle(&mut self, mut sent: Self, most: usize) {
        let larger = self.copied.capacity() < sent.copied.capacity();
        let fits = sent.copied.capacity() <= most;
        if larger && fits && !self.has_remaining() && !sent.has_remaining() {
            if sent.shared.is_some() {
                sent.trim();
            }
            *self = sent;
        }
    }

    /// Gives back the room for large payloads if it is more than for a few.
    #[cold]
    fn trim(&mut self) {
        self.shared.take_if(|shared| shared.queue.capacity() > FEW);
    }

    fn each_shared(&self) -> impl Iterator<Item = &Shared> {
        self.shared.iter().flat_map(|shared| shared.queue.iter())
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let shared = || self.each_shared();
        let starts = iter::once(self.gone).chain(shared().map(|shared| shared.at));
        let ends = shared().map(|shared| shared.at).chain([self.copied.len()]);
        let copied = starts.zip(ends).map(|(from, to)| self.copied.get(from..to));
        let shared = shared().map(|shared| shared.bytes.as_ref()).chain([&[][..]]);
        copied
            .zip(shared)
            .flat_map(|(copied, shared)| [copied.unwrap_or_default(), shared])
            .filter(|piece| !piece.is_empty())
    }
}

impl Buf for SendBuf {
    #[inline]
    fn remaining(&self) -> usize {
        let copied = self.copied.len() - self.gone;
        match &self.shared {
            None => copied,
            Some(shared) => copied + shared.remaining,
        }
    }

    #[inline]
    fn has_remaining(&self) -> bool {
        self.gone < self.copied.len()
            || self.shared.as_ref().is_some_and(|shared| shared.remaining > 0)
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        if self.shared.is_none() {
            return self.copied.get(self.gone..).unwrap_or_default();
        }
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
    #[inline]
    fn advance(&mut self, n: usize) {
        let n = if self.shared.is_some() { self.advance_shared(n) } else { n };
        if n < self.copied.len() - self.gone {
            self.gone += n;
        } else if self.shared.as_ref().is_none_or(|shared| shared.remaining == 0) {
            // The memory is left for what comes next, if that is soon.
            self.gone = 0;
            self.copied.clear();
        }
    }
}

/// Sizes only: the content is the application's.
impl fmt::Debug for SendBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuf")
            .field("remaining", &self.remaining())
            .field("pieces", &self.pieces().count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

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

    #[test]
    fn twins_share_all_large_payloads() {
        let payloads = [b'a', b'b'].map(|byte| Bytes::from(vec![byte; 5000]));
        let holding = |header: &[u8], payloads: &[Bytes]| {
            let mut buf = SendBuf::default();
            for payload in payloads {
                buf.put_frame(header, payload);
            }
            buf
        };
        let buf = holding(b"ab", &payloads);
        assert!(buf.is_twin_of(&holding(b"ab", &payloads)));
        let [a, b] = &payloads;
        let equal = Bytes::copy_from_slice(a);
        for (header, others) in [
            (b"ac", vec![a.clone(), b.clone()]),
            (b"ab", vec![a.clone()]),
            (b"ab", vec![b.clone(), a.clone()]),
            (b"ab", vec![a.slice(1..), b.clone()]),
            (b"ab", vec![a.slice(..4999), b.clone()]),
            (b"ab", vec![equal, b.clone()]),
        ] {
            assert!(!buf.is_twin_of(&holding(header, &others)), "{others:?}");
        }
        let mut rest = holding(b"ab", &payloads);
        rest.advance(1);
        assert!(!buf.is_twin_of(&rest) && !rest.is_twin_of(&buf));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize),
        Share(usize),
        Append(usize, usize, usize),
        Take(usize),
        Reuse,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let length = || prop_oneof![0..20_usize, 4000..4200_usize, 0..20_000_usize];
        let step = prop_oneof![
            3 => length().prop_map(Step::Put),
            2 => length().prop_map(Step::Share),
            1 => (length(), length(), length()).prop_map(|(a, b, c)| Step::Append(a, b, c)),
            3 => length().prop_map(Step::Take),
            1 => Just(Step::Reuse),
        ];
        prop::collection::vec(step, 0..20)
    }

    proptest! {
        #[test]
        fn like_one_vector(steps in steps()) {
            let mut buf = SendBuf::default();
            let mut twin = Vec::new();
            let mut next = 0_u8;
            let mut bytes = |n| {
                next = next.wrapping_add(1);
                alloc::vec![next; n]
            };
            for step in steps {
                match step {
                    Step::Put(n) => {
                        let bytes = bytes(n);
                        buf.put(&bytes);
                        twin.extend(bytes);
                    }
                    Step::Share(n) => {
                        let bytes = bytes(n);
                        buf.put_shared(bytes.clone().into());
                        twin.extend(bytes);
                    }
                    Step::Append(copied, shared, taken) => {
                        let (copied, shared) = (bytes(copied), bytes(shared));
                        let mut other = SendBuf::default();
                        other.put(&copied);
                        other.put_shared(shared.clone().into());
                        other.put(&copied);
                        let all = [&copied[..], &shared, &copied].concat();
                        let taken = taken.min(all.len());
                        other.advance(taken);
                        buf.append(other);
                        twin.extend_from_slice(&all[taken..]);
                    }
                    Step::Take(n) => {
                        buf.advance(n);
                        twin.drain(..n.min(twin.len()));
                    }
                    Step::Reuse => {
                        buf.advance(usize::MAX);
                        buf.trim();
                        twin.clear();
                    }
                }
                prop_assert_eq!(buf.remaining(), twin.len());
                prop_assert!(buf.pieces().collect::<Vec<_>>().concat() == twin);
            }
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
