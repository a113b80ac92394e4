use std::{io, mem};

use flate2::{Decompress, FlushDecompress};

use crate::{options::Takeover, reel::Reel, wire::fault};

const COMPRESSED: u8 = 0x40;
const TAIL: &[u8] = &[0x00, 0x00, 0xFF, 0xFF];

/// Takes the frames of a server apart whose lengths nobody knows beforehand. Those of the first
/// round of the reel are inflated and compared, later ones only if all are to be verified.
#[derive(Debug)]
pub(crate) struct Unpacker {
    head: Vec<u8>,
    /// Bytes of payload that are still to come.
    left: usize,
    body: Vec<u8>,
    inflate: Option<Decompress>,
    takeover: Takeover,
    /// Messages that came whole.
    messages: usize,
}

impl Unpacker {
    pub(crate) fn new(takeover: Takeover) -> Self {
        Self {
            head: Vec::with_capacity(10),
            left: 0,
            body: Vec::new(),
            inflate: Some(Decompress::new(false)),
            takeover,
            messages: 0,
        }
    }

    /// Takes bytes until the end of a frame. Returns how many, and whether a message is whole.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        first: u8,
        reel: &Reel,
        verify: bool,
    ) -> io::Result<(usize, bool)> {
        let mut used = 0;
        while !self.has_head() {
            let Some(byte) = bytes.get(used) else { return Ok((used, false)) };
            self.head.push(*byte);
            used += 1;
            if self.has_head() {
                self.left = self.length();
                self.check_head(first, reel.payloads[0].len())?;
            }
        }
        let n = self.left.min(bytes.len() - used);
        if self.inflate.is_some() {
            self.body.extend_from_slice(&bytes[used..used + n]);
        }
        used += n;
        self.left -= n;
        if self.left > 0 {
            return Ok((used, false));
        }
        self.check_body(reel)?;
        self.messages += 1;
        self.head.clear();
        if self.messages == reel.payloads.len() && !verify {
            self.inflate = None;
            self.body = Vec::new();
        }
        Ok((used, true))
    }

    fn has_head(&self) -> bool {
        let needed = match self.head.get(1) {
            Some(126) => 4,
            Some(127) => 10,
            None | Some(_) => 2,
        };
        self.head.len() == needed
    }

    fn length(&self) -> usize {
        match self.head.get(2..) {
            Some([]) | None => usize::from(self.head[1]),
            Some(long) => long.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        }
    }

    /// Opcode and FIN are those that were sent; what is not compressed has its length.
    fn check_head(&self, first: u8, size: usize) -> io::Result<()> {
        let compressed = self.head[0] & COMPRESSED != 0;
        let right = self.head[0] & !COMPRESSED == first && (compressed || self.left == size);
        if right {
            return Ok(());
        }
        Err(fault(format!("message {} has the head {:02x?}", self.messages, self.head)))
    }

    fn check_body(&mut self, reel: &Reel) -> io::Result<()> {
        let Some(inflate) = &mut self.inflate else { return Ok(()) };
        let expected = &reel.payloads[self.messages % reel.payloads.len()];
        let mut body = mem::take(&mut self.body);
        if self.head[0] & COMPRESSED != 0 {
            if self.takeover == Takeover::Off {
                inflate.reset(false);
            }
            body.extend_from_slice(TAIL);
            // Room for more than is expected, so that a longer message shows.
            let mut plain = Vec::with_capacity(expected.len() + 64);
            inflate
                .decompress_vec(&body, &mut plain, FlushDecompress::Sync)
                .map_err(|error| fault(format!("message {}: {error}", self.messages)))?;
            body = plain;
        }
        if &body != expected {
            return Err(fault(format!("message {} inflates to something else", self.messages)));
        }
        body.clear();
        self.body = body;
        Ok(())
    }
}
