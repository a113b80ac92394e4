use alloc::boxed::Box;

use bytes::{Buf, Bytes};

mod fragments;

use super::partial::Partial;
use crate::buffer::{Payload, SendBuf};
use crate::deflate::{Deflater, Settings};
use crate::wire::rfc6455::{FIN, Header, LENGTH_16, MAX_CONTROL, Opcode};
use crate::wire::{mask, sentinel};
use crate::{Close, Entropy, Limits, Message, Prepared, Role, SendErrorKind, SendStatus, Version};

/// What [`Connection::poll_transmit`](crate::Connection::poll_transmit) hands out.
#[derive(Debug)]
pub enum Transmit {
    /// Write these bytes, in one vectored write if the socket takes them.
    Data(SendBuf),
    /// Everything was written: end this side of the stream.
    Shutdown,
}

/// How many pings are answered one by one between two writes.
const MAX_PONGS: u8 = 16;

/// What waits to be written, and the watermarks.
#[derive(Default)]
pub(crate) struct Outbound {
    buf: SendBuf,
    /// Handed out and not yet reported as written.
    in_flight: usize,
    rare: Option<Box<Rare>>,
    /// Pongs queued since all that was handed out was written.
    pongs: u8,
    refused: bool,
    writable: bool,
    /// What goes first is with a batch.
    lent: bool,
    end: End,
}

/// What most servers' connections do without most of the time.
#[derive(Default)]
struct Rare {
    /// Clients mask with keys drawn from it.
    entropy: Option<Box<dyn Entropy>>,
    /// Only when compression was agreed to.
    deflater: Option<Box<Deflater>>,
    /// The answer to the newest ping, when there were too many.
    pong: Option<Bytes>,
    /// A message that is being sent in fragments.
    partial: Option<Partial>,
}

/// There is no random key.
struct Unready;

impl Rare {
    fn is_empty(&self) -> bool {
        self.deflater.is_none() && self.is_plain()
    }

    fn is_plain(&self) -> bool {
        self.entropy.is_none() && self.pong.is_none() && self.partial.is_none()
    }
}

#[derive(Debug, Default, PartialEq)]
enum End {
    #[default]
    Open,
    /// The stream ends behind what is queued.
    Due,
    /// The caller was told to end it.
    Told,
}

impl Outbound {
    /// Where handshake bytes go.
    pub(crate) fn buf(&mut self) -> &mut SendBuf {
        &mut self.buf
    }

    /// Makes this the queue of a client.
    pub(crate) fn mask_with(&mut self, entropy: Box<dyn Entropy>) {
        self.rare.get_or_insert_default().entropy = Some(entropy);
    }

    /// Compresses messages from now on.
    pub(crate) fn deflate_with(&mut self, deflater: Option<Box<Deflater>>) {
        if deflater.is_some() {
            self.rare.get_or_insert_default().deflater = deflater;
        }
    }

    /// Gives back what is held only to make the next messages smaller.
    pub(crate) fn rest(&mut self) {
        if let Some(deflater) = self.deflater() {
            deflater.forget();
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Transmit> {
        if self.lent {
            return None;
        }
        if self.in_flight == 0 {
            // A peer that takes nothing gets no more answers for each time this is asked.
            self.answer_ping();
        }
        if self.buf.has_remaining() {
            let buf = self.buf.hand_out();
            self.in_flight += buf.remaining();
            return Some(Transmit::Data(buf));
        }
        if self.end != End::Due || self.in_flight > 0 {
            return None;
        }
        self.end = End::Told;
        Some(Transmit::Shutdown)
    }

    /// Writes what is queued with `write`, without handing it out. Answers it when nothing is left;
    /// otherwise what is to be dropped.
    pub(crate) fn write_with(
        &mut self,
        write: impl FnOnce(&SendBuf) -> usize,
        limits: &Limits,
    ) -> Result<SendBuf, SendBuf> {
        if self.in_flight > 0 || self.lent || self.end != End::Open {
            return Err(SendBuf::default());
        }
        self.answer_ping();
        let queued = self.buf.remaining();
        let written = if queued > 0 { write(&self.buf) } else { 0 };
        let result = if written >= queued {
            self.pongs = 0;
            Ok(self.buf.hand_out())
        } else {
            let payloads = if written > 0 { self.buf.payloads() } else { SendBuf::default() };
            self.buf.advance(written);
            Err(payloads)
        };
        self.transmitted(0, limits);
        result
    }

    pub(crate) fn transmitted(&mut self, n: usize, limits: &Limits) {
        self.in_flight = self.in_flight.saturating_sub(n);
        if n > 0 && self.in_flight == 0 {
            self.pongs = 0;
        }
        if self.refused && self.buffered() <= limits.outbound_low {
            self.refused = false;
            self.writable = true;
        }
    }

    /// What was handed out will not be written.
    pub(crate) fn lose(&mut self, limits: &Limits) {
        self.transmitted(self.in_flight, limits);
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    pub(crate) fn take_writable(&mut self) -> bool {
        core::mem::take(&mut self.writable)
    }

    #[inline]
    pub(crate) fn buffered(&self) -> usize {
        self.in_flight + self.buf.remaining()
    }

    #[inline]
    pub(crate) fn check_room(&mut self, limits: &Limits) -> Result<(), SendErrorKind> {
        if self.buffered() < limits.outbound_high {
            return Ok(());
        }
        self.refused = true;
        Err(SendErrorKind::Full)
    }

    /// Whether a frame can be masked, if it has to be. Nothing but that frame is to be queued before
    /// the next call.
    #[inline]
    pub(crate) fn check_entropy(&mut self) -> Result<(), SendErrorKind> {
        if self.rare.is_none() { Ok(()) } else { self.check_rare_entropy() }
    }

    #[inline(never)]
    fn check_rare_entropy(&mut self) -> Result<(), SendErrorKind> {
        // It goes first, and takes a key.
        self.answer_ping();
        let ready = self.entropy().is_none_or(|entropy| entropy.is_ready());
        if ready { Ok(()) } else { Err(SendErrorKind::NoEntropy) }
    }

    #[inline]
    pub(crate) fn status(&mut self, limits: &Limits) -> SendStatus {
        if self.check_room(limits).is_ok() { SendStatus::Ready } else { SendStatus::Filled }
    }

    #[inline]
    pub(crate) fn put_message(&mut self, message: &Message, version: Version) {
        if let Some(rare) = &self.rare
            && rare.deflater.is_some()
        {
            return self.put_compressible(message, version);
        }
        self.put_plain(message, version);
    }

    /// The same, compressed if that makes it shorter.
    fn put_compressible(&mut self, message: &Message, version: Version) {
        if let Some(mut deflater) = self.rare.as_mut().and_then(|rare| rare.deflater.take()) {
            let put = |payload: &[u8]| self.put_deflated(message, payload);
            let deflated = deflater.deflate(message.payload(), put).is_some();
            self.deflate_with(Some(deflater));
            if deflated {
                return;
            }
        }
        self.put_plain(message, version);
    }

    /// The same, not compressed.
    #[inline]
    pub(super) fn put_plain(&mut self, message: &Message, version: Version) {
        if version.has_frames() {
            self.put_frame(Opcode::of(message.kind()), message.payload());
        } else {
            put_text(&mut self.buf, message.payload());
        }
    }

    pub(crate) fn put_prepared(&mut self, prepared: &Prepared, version: Version, role: Role) {
        let message = prepared.message();
        if let (Some(deflater), Some(forms)) = (self.deflater(), prepared.forms())
            && let Some(payload) = deflater.deflate_shared(message.payload(), forms)
        {
            return self.put_deflated(message, &payload);
        }
        if !version.has_frames() || role == Role::Client {
            return self.put_plain(message, version);
        }
        match prepared.unmasked() {
            (_, Some(frame)) => self.buf.put_shared(frame.clone()),
            (header, None) => self.buf.put_frame(header.as_bytes(), message.payload()),
        }
    }

    /// Whether messages need a header, perhaps compression, and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.rare.as_ref().is_none_or(|rare| rare.is_plain())
    }

    /// How every message is compressed, if it is and stands by itself.
    pub(super) fn compression(&self) -> Option<Settings> {
        self.rare.as_ref()?.deflater.as_ref()?.settings()
    }

    /// Whether what a message is compressed to depends on those before it.
    pub(super) fn keeps_context(&self) -> bool {
        let deflater = self.rare.as_ref().and_then(|rare| rare.deflater.as_ref());
        deflater.is_some_and(|deflater| deflater.settings().is_none())
    }

    /// Queues whole frames.
    pub(super) fn put_frames(&mut self, frames: &Bytes) {
        self.answer_ping();
        self.buf.put_frame(&[], frames);
    }

    /// Moves what is queued to `bytes`, which is empty, and answers how much it was. It counts as
    /// handed out, and nothing else is until it is [taken back](Self::take_back).
    pub(super) fn lend(&mut self, bytes: &mut SendBuf) -> usize {
        self.lent = true;
        let before = self.buf.remaining();
        if before > 0 {
            core::mem::swap(&mut self.buf, bytes);
            self.in_flight += before;
        }
        before
    }

    /// The compressor, if it has a context to keep; otherwise one that does the same.
    pub(super) fn lend_deflater(&mut self) -> (Option<Box<Deflater>>, Option<Deflater>) {
        let Some(rare) = &mut self.rare else { return (None, None) };
        match rare.deflater.as_ref().and_then(|deflater| deflater.twin()) {
            None => (rare.deflater.take(), None),
            twin => (None, twin),
        }
    }

    /// Whether messages are compressed.
    #[inline]
    pub(super) fn is_compressed(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.deflater.is_some())
    }

    /// Whether all that there is to write is with a batch that was given nothing, and nothing is
    /// under way.
    #[inline]
    pub(super) fn has_only_lent(&self) -> bool {
        self.lent && self.in_flight == 0 && self.rare.is_none() && !self.buf.has_remaining()
    }

    /// Takes what was lent back and hands it out, where there is nothing else.
    #[inline]
    pub(super) fn hand_out_lent(&mut self, bytes: &mut SendBuf) -> Option<SendBuf> {
        self.lent = false;
        let n = bytes.remaining();
        if n == 0 {
            return None;
        }
        self.in_flight = n;
        Some(bytes.hand_out())
    }

    /// Whether what goes first is with a batch.
    pub(super) fn is_lent(&self) -> bool {
        self.lent
    }

    /// Queues what was lent, and what was appended to it, in front of all that was not handed out
    /// yet. `bytes` is empty then, with such memory as the queue had.
    pub(super) fn take_back(&mut self, bytes: &mut SendBuf, before: usize) {
        self.lent = false;
        if !bytes.has_remaining() {
            return;
        }
        self.in_flight = self.in_flight.saturating_sub(before);
        core::mem::swap(&mut self.buf, bytes);
        if bytes.has_remaining() {
            self.buf.append(bytes.hand_out());
        }
    }

    pub(crate) fn put_ping(&mut self, payload: &Bytes) {
        self.put_frame(Opcode::Ping, payload);
    }

    pub(crate) fn put_pong(&mut self, payload: &Bytes) {
        self.put_frame(Opcode::Pong, payload);
    }

    /// Queues the closing handshake of the version; draft75 has none. `false` when it may not be
    /// sent any more: the stream ends instead.
    pub(crate) fn put_close(&mut self, close: &Close, version: Version) -> bool {
        if self.end != End::Open {
            return false;
        }
        match version {
            Version::Draft75 => {}
            Version::Draft76 if self.is_half_sent() => {
                // `FF` would end the text as if it were whole.
                self.end();
                return false;
            }
            Version::Draft76 => self.buf.put(&sentinel::CLOSE),
            _ => {
                if self.check_entropy().is_err() {
                    // Nobody would answer what is not sent.
                    self.end();
                    return false;
                }
                self.put_frame(Opcode::Close, close.payload(&mut [0; Close::MAX_PAYLOAD]));
            }
        }
        true
    }

    /// Answers a ping. Of more than [`MAX_PONGS`] between two writes only the newest is answered
    /// (RFC 6455 section 5.5.3 allows it), so that pings cannot fill the queue.
    pub(crate) fn owe_pong(&mut self, payload: Bytes) {
        if self.pongs < MAX_PONGS {
            self.pongs += 1;
            self.answer_ping();
            self.put_frame(Opcode::Pong, &payload);
        } else {
            self.rare.get_or_insert_default().pong = Some(payload);
        }
    }

    /// Ends the stream behind what is queued.
    pub(crate) fn end(&mut self) {
        if self.end == End::Open {
            self.end = End::Due;
        }
    }

    /// Whether the stream ends behind what was handed out, and nothing is owed before.
    pub(crate) fn ends_next(&self) -> bool {
        let owes = || self.rare.as_ref().is_some_and(|rare| rare.pong.is_some());
        self.end == End::Due && !self.buf.has_remaining() && !self.lent && !owes()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.end == End::Told
    }

    /// Nobody is told any more that there is room.
    pub(crate) fn stop_waiting(&mut self) {
        self.refused = false;
        self.writable = false;
    }

    /// Nothing is sent any more. Answers what was queued.
    pub(crate) fn discard(&mut self) -> SendBuf {
        core::mem::replace(self, Self { end: End::Told, ..Self::default() }).buf
    }

    /// The pong goes before whatever is queued after its ping.
    #[inline]
    fn answer_ping(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| rare.pong.is_some()) {
            self.put_newest_pong();
        }
    }

    fn put_newest_pong(&mut self) {
        if let Some(payload) = self.rare.as_mut().and_then(|rare| rare.pong.take()) {
            self.put_frame(Opcode::Pong, &payload);
            self.tidy();
        }
    }

    #[inline]
    fn entropy(&mut self) -> Option<&mut Box<dyn Entropy>> {
        self.rare.as_mut()?.entropy.as_mut()
    }

    #[inline]
    fn deflater(&mut self) -> Option<&mut Box<Deflater>> {
        self.rare.as_mut()?.deflater.as_mut()
    }

    fn partial(&mut self) -> Option<&mut Partial> {
        self.rare.as_mut()?.partial.as_mut()
    }

    /// Gives the memory back for what was there for a while only.
    fn tidy(&mut self) {
        self.rare.take_if(|rare| rare.is_empty());
    }

    #[inline]
    fn put_frame(&mut self, opcode: Opcode, payload: impl Payload) {
        let len = payload.bytes().len();
        match self.key() {
            Ok(None) => put_unmasked(&mut self.buf, opcode, payload),
            Ok(key) => self.put_keyed(&Header::new(opcode, len, key), key, payload),
            Err(Unready) => {}
        }
    }

    fn put_deflated(&mut self, message: &Message, payload: impl Payload) {
        let Ok(key) = self.key() else { return };
        let len = payload.bytes().len();
        let header = Header::new(Opcode::of(message.kind()), len, key).deflated();
        self.put_keyed(&header, key, payload);
    }

    /// The masking key of the next frame, if this side masks. Without one that it needs, a frame is
    /// not queued.
    fn key(&mut self) -> Result<Option<[u8; 4]>, Unready> {
        let Some(entropy) = self.entropy() else { return Ok(None) };
        if !entropy.is_ready() {
            return Err(Unready);
        }
        let mut key = [0; 4];
        entropy.fill(&mut key);
        Ok(Some(key))
    }

    /// Queues a frame, masked with the key if there is one.
    fn put_keyed(&mut self, header: &Header, key: Option<[u8; 4]>, payload: impl Payload) {
        let Some(key) = key else {
            return self.buf.put_frame(header.as_bytes(), payload);
        };
        self.buf.put(header.as_bytes());
        self.buf.put_with(|out| mask::append(key, payload.bytes(), out));
    }
}

/// The frame of a server. Headers of a length that is known where they are written cost a store.
#[inline]
pub(super) fn put_unmasked(buf: &mut SendBuf, opcode: Opcode, payload: impl Payload) {
    let first = FIN | opcode as u8;
    match payload.bytes().len() {
        len @ 0..=MAX_CONTROL => buf.put_frame(&[first, len as u8], payload),
        len @ ..=0xFFFF => {
            let [high, low] = (len as u16).to_be_bytes();
            buf.put_frame(&[first, LENGTH_16, high, low], payload);
        }
        len => buf.put_frame(Header::new(opcode, len, None).as_bytes(), payload),
    }
}

/// A compressed frame of a server.
pub(super) fn put_deflated(buf: &mut SendBuf, opcode: Opcode, payload: impl Payload) {
    let header = Header::new(opcode, payload.bytes().len(), None).deflated();
    buf.put_frame(header.as_bytes(), payload);
}

/// A message of draft75 and draft76.
#[inline]
pub(super) fn put_text(buf: &mut SendBuf, payload: impl Payload) {
    buf.put_frame(&[sentinel::START], payload);
    buf.put(&[sentinel::END]);
}
