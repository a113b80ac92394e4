use alloc::vec::Vec;

use bytes::Bytes;

use super::Connection;
use crate::deflate::Settings;
use crate::wire::rfc6455::{Header, MAX_HEADER, Opcode};
use crate::wire::sentinel;
use crate::{Prepared, Role, State};

/// What the frames of a message for many depend on: connections with equal formats send the same
/// bytes, so that callers who have many of them can frame once for all, see
/// [`Prepared::append_to`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameFormat {
    /// Frames with headers (RFC 6455 section 5.2), or texts between sentinels
    /// (draft-hixie-76 section 5.3).
    framed: bool,
    compression: Option<Settings>,
}

impl Connection {
    /// The format of this connection's frames. `None` when it is not open, when each frame depends
    /// on others (a masking key, a context that is kept, a message that is sent in fragments), or
    /// when a pong has to go first. It may become another one whenever the connection is used. Does
    /// not wait.
    pub fn frame_format(&self) -> Option<FrameFormat> {
        let version = self.check_open().ok()?;
        if self.role != Role::Server || !self.out.is_plain() || self.out.keeps_context() {
            return None;
        }
        Some(FrameFormat { framed: version.has_frames(), compression: self.out.compression() })
    }

    /// Queues whole frames of this connection's format, also when the outbound buffer is at its
    /// high-water mark: for callers that bound what they hold. They are dropped when the connection
    /// is not open. Does not wait.
    ///
    /// Ask for [`frame_format`](Self::frame_format) before: frames of another one are nonsense to the
    /// peer, and those in the middle of a message are an error (RFC 6455 section 5.4).
    pub fn queue_frames(&mut self, frames: &Bytes) {
        if self.check_open().is_ok() {
            debug_assert!(self.frame_format().is_some(), "its frames depend on others");
            self.out.put_frames(frames);
        }
    }

    /// The same, but writes them at once with `write` if nothing else is to be written before; that
    /// answers how many of the bytes were written. Does not wait unless `write` does.
    ///
    /// Answers whether all was written; what was not is queued.
    pub fn transmit_frames(&mut self, frames: &Bytes, write: impl FnOnce(&[u8]) -> usize) -> bool {
        let ready = self.state() == State::Connected && !self.unwritable && self.out.is_plain();
        if !ready || self.buffered_amount() > 0 || self.out.is_lent() {
            self.queue_frames(frames);
            return false;
        }
        let written = write(frames);
        self.stalled &= written == 0;
        if written >= frames.len() {
            return true;
        }
        self.queue_frames(&frames.slice(written..));
        false
    }
}

impl Prepared {
    /// Appends the frame of this message to `out`, as connections of this format send it, if payload
    /// and the longest header (14 bytes) are no more than `room`, whatever compression makes of them.
    /// `false` when they are, or when the version has no such messages; nothing is appended then.
    #[must_use = "it says whether there is a frame"]
    pub fn append_to(&self, out: &mut Vec<u8>, format: FrameFormat, room: usize) -> bool {
        let message = self.message();
        let payload = message.payload();
        if payload.len() + MAX_HEADER > room || !format.framed && !message.is_text() {
            return false;
        }
        if !format.framed {
            out.push(sentinel::START);
            out.extend_from_slice(payload);
            out.push(sentinel::END);
            return true;
        }
        let compression = format.compression.zip(self.forms());
        let deflated = compression.and_then(|(how, forms)| how.deflate_shared(payload, forms));
        if let Some(payload) = deflated {
            let header = Header::new(Opcode::of(message.kind()), payload.len(), None).deflated();
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(&payload);
            return true;
        }
        let (header, frame) = self.unmasked();
        if let Some(frame) = frame {
            out.extend_from_slice(frame);
        } else {
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(payload);
        }
        true
    }
}
