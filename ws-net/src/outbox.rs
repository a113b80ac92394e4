use std::io::{self, IoSlice};
use std::mem;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use ws_proto::{SendBuf, Transmit};

use crate::Descriptor;
use crate::pool;
use crate::runtime::Transport;

/// Pieces per vectored write. Each large payload has a header in front of it, so half as many.
pub(crate) const PIECES: usize = 64;

/// When no piece is larger they are copied behind each other: the system takes about 100 ns more
/// for each piece of a write, which is what copying 4 KiB takes.
const SMALL: usize = 4 << 10;

/// What is not longer is offered to the socket without asking the runtime whether that takes
/// something: it nearly always does, all of it.
const AT_ONCE: usize = 64 << 10;

/// What the core handed out and the socket has not taken yet.
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: SendBuf,
    stage: Stage,
    /// The end of the stream follows `bytes`, so that both may leave together.
    last: bool,
}

#[derive(Default, PartialEq)]
enum Stage {
    /// Nothing to do behind `bytes`.
    #[default]
    Clean,
    /// The transport may hold something back.
    Unflushed,
    /// The outgoing direction ends behind `bytes`.
    Ending,
    /// It takes nothing any more; what the peer sent before is still read.
    Broken,
}

/// Whether `pieces` are written faster when they are copied behind each other.
pub(crate) fn are_small(pieces: &[IoSlice<'_>]) -> bool {
    pieces.iter().all(|piece| piece.len() <= SMALL)
}

impl Outbox {
    /// Takes what the core handed out, and whether the stream ends behind it. Bytes are taken only
    /// while none are left. They come back when the socket takes none any more.
    #[inline]
    pub(crate) fn put(&mut self, transmit: Transmit, last: bool) -> Option<SendBuf> {
        match transmit {
            Transmit::Data(bytes) if self.stage == Stage::Broken => return Some(bytes),
            Transmit::Shutdown if self.stage == Stage::Broken => {}
            Transmit::Data(bytes) => {
                debug_assert!(!self.has_bytes());
                self.bytes = bytes;
                self.last = last;
            }
            Transmit::Shutdown => self.stage = Stage::Ending,
        }
        None
    }

    /// Writing failed: takes nothing from now on, and answers what was not written.
    pub(crate) fn break_off(&mut self) -> SendBuf {
        mem::replace(self, Self { stage: Stage::Broken, ..Self::default() }).bytes
    }

    /// What was written last, for its memory.
    pub(crate) fn into_sent(self) -> SendBuf {
        self.bytes
    }

    /// Whether bytes are left.
    #[inline]
    pub(crate) fn has_bytes(&self) -> bool {
        self.bytes.has_remaining()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_bytes() && !matches!(self.stage, Stage::Unflushed | Stage::Ending)
    }

    /// Whether a new outbox would do as well.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.is_idle() && self.stage != Stage::Broken
    }

    /// Writes until nothing is left or the socket takes no more, and adds to `written`.
    #[inline]
    pub(crate) fn poll_write(
        &mut self,
        socket: &mut impl Transport,
        cx: &mut Context<'_>,
        written: &mut usize,
    ) -> Poll<io::Result<()>> {
        while self.has_bytes() {
            let n = ready!(self.poll_write_some(socket, cx))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.bytes.advance(n);
            *written += n;
            if self.stage == Stage::Clean {
                self.stage = Stage::Unflushed;
            }
        }
        if self.is_idle() {
            return Poll::Ready(Ok(()));
        }
        ready!(socket.poll_flush(cx))?;
        if self.stage == Stage::Ending {
            ready!(socket.poll_shutdown(cx))?;
        }
        self.stage = Stage::Clean;
        Poll::Ready(Ok(()))
    }

    fn poll_write_some(
        &self,
        socket: &mut impl Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let first = self.bytes.chunk();
        if first.len() == self.bytes.remaining() {
            if first.len() <= AT_ONCE
                && let Some(result) = write_at_once(socket, first, self.last)
            {
                return Poll::Ready(result);
            }
            return socket.poll_write_vectored(cx, &[IoSlice::new(first)]);
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        let count = self.bytes.chunks_vectored(&mut slices);
        let pieces = slices.get(..count).unwrap_or_default();
        if are_small(pieces) {
            return pool::gather(pieces, |bytes| {
                socket.poll_write_vectored(cx, &[IoSlice::new(bytes)])
            });
        }
        socket.poll_write_vectored(cx, pieces)
    }
}

/// Writes to the descriptor, if there is one. What is `last`, since the end of the stream follows,
/// leaves in one packet with that. `None` when the runtime has to wait for the socket.
#[inline]
fn write_at_once(socket: &impl Transport, bytes: &[u8], last: bool) -> Option<io::Result<usize>> {
    let descriptor: Descriptor<()> = socket.descriptor()?.within();
    let result =
        if last { descriptor.write_last(bytes) } else { descriptor.write(&[IoSlice::new(bytes)]) };
    let not_now = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
    };
    if result.as_ref().is_err_and(not_now) { None } else { Some(result) }
}

#[cfg(all(test, unix))]
mod tests;
