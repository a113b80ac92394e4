use std::{
    io::{self, ErrorKind},
    time::Instant,
};

use nix::sys::socket::MsgFlags;

use crate::{
    deflate::Unpacker,
    options::Options,
    socket::Socket,
    wire::{Wire, fault},
};

/// The least payload that is thrown away in the kernel instead of being copied out of it.
const SKIP_FROM: usize = 4096;

/// One connection that sends batches and checks what comes back.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    /// Batches that were begun before this one.
    turn: usize,
    /// The number of the next batch.
    next: usize,
    /// How much of the batch has been written; more than it has when nothing is to be sent.
    written: usize,
    /// Messages of the batch that have come back whole.
    received: usize,
    /// Bytes of the next message that have come.
    at: usize,
    /// Reads messages whose bytes are not known beforehand.
    unpacker: Option<Box<Unpacker>>,
    /// All bytes that have come.
    pub(crate) bytes: u64,
    /// When the batch was begun.
    pub(crate) begun: Instant,
}

impl Connection {
    /// Connects and opens the WebSocket.
    pub(crate) fn open(options: &Options, wire: &Wire) -> io::Result<Self> {
        let mut socket = Socket::connect(options.connect, options.tls)?;
        wire.open(&mut socket)?;
        socket.set_nonblocking()?;
        let unpacker = wire.reel.as_ref().map(|(_, takeover)| Box::new(Unpacker::new(*takeover)));
        Ok(Self {
            socket,
            turn: 0,
            next: 0,
            written: usize::MAX,
            received: 0,
            at: 0,
            unpacker,
            bytes: 0,
            begun: Instant::now(),
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends the batch, or as much of it as the socket takes now.
    pub(crate) fn begin(&mut self, wire: &Wire) -> io::Result<()> {
        self.begun = Instant::now();
        self.expect_batch();
        self.written = 0;
        self.turn = self.next;
        self.next += 1;
        self.flush(wire)
    }

    /// Waits for a batch that another connection sends.
    pub(crate) fn expect_batch(&mut self) {
        self.received = 0;
    }

    /// Sends more of the batch, if there is more of it.
    pub(crate) fn flush(&mut self, wire: &Wire) -> io::Result<()> {
        let batch = wire.batch(self.turn);
        while self.written < batch.len() {
            match self.socket.write_some(&batch[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.socket.flush_some()
    }

    /// Reads until the socket is empty. Returns how many messages that completed.
    pub(crate) fn receive(&mut self, wire: &Wire, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.received;
        loop {
            let skippable = self.skippable(wire).min(buffer.len());
            let (wanted, flags) = match skippable {
                0 => (buffer.len(), MsgFlags::empty()),
                n => (n, MsgFlags::MSG_TRUNC),
            };
            let n = match self.socket.read_some(&mut buffer[..wanted], flags) {
                Ok(0) => return Err(fault("the server closed")),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.bytes += n as u64;
            if skippable > 0 {
                self.at += n;
                self.complete(wire);
            } else {
                self.check(wire, &buffer[..n])?;
            }
            if n < wanted && self.socket.is_plain() {
                break;
            }
        }
        Ok(self.received - before)
    }

    /// Whether the whole batch has come back.
    pub(crate) fn done(&self, wire: &Wire) -> bool {
        self.due(wire) == 0
    }

    /// Messages of the batch that have not come back.
    pub(crate) fn due(&self, wire: &Wire) -> usize {
        wire.count - self.received
    }

    /// Reads all that is there and forgets it.
    pub(crate) fn discard(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            match self.socket.read_some(buffer, MsgFlags::empty()) {
                Ok(0) => return Err(fault("the server closed")),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes that are payload for sure and that nobody wants to see.
    fn skippable(&self, wire: &Wire) -> usize {
        if !self.socket.is_plain() || self.unpacker.is_some() {
            return 0;
        }
        let end = wire.head.len() + wire.payloads[0].len();
        let inside = self.at >= wire.head.len() && self.at < end;
        let left = end.saturating_sub(self.at);
        if inside && !wire.verify && left >= SKIP_FROM { left } else { 0 }
    }

    fn check(&mut self, wire: &Wire, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(payload) = wire.payloads.get(self.received) else {
                return Err(fault(format!("{} bytes came that nobody asked for", bytes.len())));
            };
            if let (Some(unpacker), Some((reel, _))) = (&mut self.unpacker, &wire.reel) {
                let (used, whole) = unpacker.take(bytes, wire.first, reel, wire.verify)?;
                self.received += usize::from(whole);
                bytes = &bytes[used..];
                continue;
            }
            let body = wire.head.len();
            let tail = body + payload.len();
            let (expected, compare) = if self.at < body {
                (&wire.head[self.at..], true)
            } else if self.at < tail {
                (&payload[self.at - body..], wire.verify)
            } else {
                (&wire.tail[self.at - tail..], true)
            };
            let n = expected.len().min(bytes.len());
            let (now, later) = bytes.split_at(n);
            if compare && now != &expected[..n] {
                return Err(fault(format!(
                    "message {} differs at byte {}: expected {}, got {}",
                    self.received,
                    self.at,
                    expected[..n.min(32)].escape_ascii(),
                    now[..n.min(32)].escape_ascii(),
                )));
            }
            self.at += n;
            bytes = later;
            self.complete(wire);
        }
        Ok(())
    }

    fn complete(&mut self, wire: &Wire) {
        if self.at == wire.head.len() + wire.payloads[0].len() + wire.tail.len() {
            self.at = 0;
            self.received += 1;
        }
    }
}
