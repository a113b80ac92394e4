use alloc::boxed::Box;

use bytes::Buf;

use super::Connection;
use super::outbound::{Transmit, put_deflated, put_text, put_unmasked};
use crate::buffer::SendBuf;
use crate::deflate::Deflater;
use crate::wire::Whole;
use crate::wire::rfc6455::Opcode;
use crate::{Instant, Message, RecvBuf, Role, State};

/// Messages that are framed, or parsed, while their [`Connection`] is not at hand, such as behind a
/// lock that would have to be taken for each of them.
///
/// [`Connection::begin_batch`] says what it may take, [`Connection::end_batch`] queues what it took,
/// [`Connection::transmit_batch`] hands it out as well. In between the connection may be used as
/// always, but hands out nothing to be written: the messages of the batch go before whatever was
/// queued meanwhile. Who parses with [`poll_message`](Self::poll_message) passes the connection's
/// receive buffer to nothing else until then, and judges no deadline, for the connection does not
/// know yet that its peer is alive. One batch can serve many connections in turn. What it took, and a
/// context of compression that it was lent, are lost with one that is dropped before it ended, and
/// the connection that began it can only be aborted then.
#[derive(Debug, Default)]
pub struct Batch {
    buf: SendBuf,
    framing: Framing,
    /// Bytes that may still be taken, and one more.
    room: usize,
    /// Bytes that were queued before.
    before: usize,
    /// The connection's, which sends without compression meanwhile: it has a context to keep.
    deflater: Option<Box<Deflater>>,
    /// One that does as the connection's.
    twin: Option<Deflater>,
    /// How messages are parsed, if they may be.
    whole: Option<Whole>,
    /// When the last one was parsed.
    received: Option<Instant>,
}

/// How messages are framed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Framing {
    /// Not at all.
    #[default]
    Closed,
    /// As unmasked frames (RFC 6455).
    Frames,
    /// The same, compressed where that makes them shorter (RFC 7692).
    Deflated,
    /// As text between two bytes (draft75, draft76).
    Text,
}

/// No header, with what is behind the payload, is longer.
const OVERHEAD: usize = 10;

/// Memory that a batch keeps while it is empty.
const MOST_KEPT: usize = 64 << 10;

/// Memory that a connection is supplied with, which holds it until all is written.
const MOST_SUPPLIED: usize = 16 << 10;

impl Batch {
    /// An empty one, without memory.
    pub const fn new() -> Self {
        let buf = SendBuf::new();
        Self {
            buf,
            framing: Framing::Closed,
            room: 0,
            before: 0,
            deflater: None,
            twin: None,
            whole: None,
            received: None,
        }
    }

    /// The next message in the connection's receive buffer, if it is one that takes no more than a
    /// look: received whole, in one frame, and not compressed. `None` otherwise, and when the buffer
    /// is empty; then nothing was taken, and the connection has to look itself, behind
    /// [`Connection::end_batch`]. Does not wait.
    #[inline]
    pub fn poll_message(&mut self, input: &mut RecvBuf, now: Instant) -> Option<Message> {
        let message = self.whole?.take(input)?;
        self.received = Some(now);
        Some(message)
    }

    /// Takes a message. `false` when it was not taken and has to go through [`Connection::send`],
    /// because it would reach the high-water mark, or has to be masked, or cannot be sent at all.
    /// Otherwise what is left of `message` may be dropped: a large payload was moved out of it. Does
    /// not wait.
    #[inline]
    #[must_use]
    pub fn take(&mut self, message: &mut Message) -> bool {
        let cost = message.len().saturating_add(OVERHEAD);
        if cost >= self.room {
            return false;
        }
        match self.framing {
            Framing::Deflated => self.put_deflated(message),
            Framing::Frames => self.put_plain(message),
            Framing::Text if message.is_text() => put_text(&mut self.buf, message),
            _ => return false,
        }
        self.room -= cost;
        true
    }

    #[inline]
    fn put_plain(&mut self, message: &mut Message) {
        put_unmasked(&mut self.buf, Opcode::of(message.kind()), message);
    }

    fn put_deflated(&mut self, message: &mut Message) {
        let deflater = self.deflater.as_deref_mut().or(self.twin.as_mut());
        let put = |payload: &[u8]| put_deflated(&mut self.buf, Opcode::of(message.kind()), payload);
        if deflater.and_then(|deflater| deflater.deflate(message.payload(), put)).is_none() {
            self.put_plain(message);
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        !self.buf.has_remaining()
    }

    /// Takes over the memory of what was sent, for the next messages, up to 64 KiB and room for 64
    /// large payloads.
    #[inline]
    pub fn recycle(&mut self, sent: SendBuf) {
        self.buf.recycle(sent, MOST_KEPT);
    }

    /// The memory that it keeps while it is empty, for [`Connection::supply`]. That is none while it
    /// is begun, and when it has more than 16 KiB.
    #[inline]
    #[must_use]
    pub fn take_spare(&mut self) -> SendBuf {
        let few = self.buf.capacity() <= MOST_SUPPLIED;
        if few && self.framing == Framing::Closed {
            core::mem::take(&mut self.buf)
        } else {
            SendBuf::new()
        }
    }
}

impl Connection {
    /// Lets what is queued next use the memory of `spare`, if the queue has none and `spare` is
    /// empty, with no more than 16 KiB. It is handed out with what was queued.
    pub fn supply(&mut self, spare: SendBuf) {
        // Not `recycle`: with two callers it would not be inlined where every write passes.
        let queued = self.out.buf();
        let few = spare.capacity() <= MOST_SUPPLIED;
        if few && queued.capacity() == 0 && !queued.has_remaining() && !spare.has_remaining() {
            *queued = spare;
        }
    }

    /// Lets `batch`, which is new or was ended, take messages of less than `most` bytes in all, and
    /// of what is free below the high-water mark. It takes none when the connection is not open,
    /// masks, owes a pong, is sending a message in fragments, or has another batch that was not
    /// ended. What was received can be parsed with it while the connection is open, unless a message
    /// is unfinished or something has to be told first. With context takeover it is the batch that
    /// compresses until [`end_batch`](Self::end_batch): what is queued meanwhile is sent as it is.
    #[inline]
    pub fn begin_batch(&mut self, batch: &mut Batch, most: usize) {
        debug_assert!(batch.framing == Framing::Closed, "it was not ended");
        if batch.framing != Framing::Closed {
            return;
        }
        batch.received = None;
        batch.whole = if self.has_news() { None } else { self.whole() };
        let open = most > 0 && self.state() == State::Connected && self.role == Role::Server;
        batch.framing = match self.version() {
            Some(version) if open && self.out.is_plain() && !self.out.is_lent() => {
                if version.has_frames() { Framing::Frames } else { Framing::Text }
            }
            _ => Framing::Closed,
        };
        batch.room = self.config.limits.outbound_high.saturating_sub(self.buffered_amount());
        batch.room = batch.room.min(most);
        if batch.framing != Framing::Closed {
            batch.before = self.out.lend(&mut batch.buf);
            if self.out.is_compressed() {
                (batch.deflater, batch.twin) = self.out.lend_deflater();
                batch.framing = Framing::Deflated;
            }
        }
    }

    /// Queues what `batch` took, in front of what was queued since
    /// [`begin_batch`](Self::begin_batch). When the connection is over it is not sent, see
    /// [`take_unsent`](Self::take_unsent).
    pub fn end_batch(&mut self, batch: &mut Batch) {
        self.note_batch(batch);
        if core::mem::take(&mut batch.framing) == Framing::Closed {
            return;
        }
        let before = core::mem::take(&mut batch.before);
        let deflater = batch.deflater.take();
        batch.twin = None;
        if self.state() != State::Closed {
            self.out.deflate_with(deflater);
            self.out.take_back(&mut batch.buf, before);
        } else if !batch.is_empty() {
            self.keep_unsent(core::mem::take(&mut batch.buf));
        }
    }

    /// [`end_batch`](Self::end_batch) and then [`poll_transmit`](Self::poll_transmit), which takes
    /// less where nothing else waits to be written. What comes is
    /// [reported](Self::handle_transmitted) as ever, and `poll_transmit` may have more behind it.
    #[inline]
    #[must_use]
    pub fn transmit_batch(&mut self, batch: &mut Batch) -> Option<Transmit> {
        let plain = matches!(batch.framing, Framing::Frames | Framing::Text);
        if !plain || self.state() != State::Connected || !self.out.has_only_lent() {
            self.end_batch(batch);
            return self.poll_transmit();
        }
        self.note_batch(batch);
        batch.framing = Framing::Closed;
        batch.before = 0;
        let bytes = self.out.hand_out_lent(&mut batch.buf)?;
        self.watch_for_stall();
        Some(Transmit::Data(bytes))
    }

    /// Notes when messages were taken with it.
    #[inline]
    fn note_batch(&mut self, batch: &mut Batch) {
        batch.whole = None;
        if let Some(received) = batch.received.take() {
            self.now = self.now.max(received);
            self.last_received = self.last_received.max(received);
        }
    }
}
