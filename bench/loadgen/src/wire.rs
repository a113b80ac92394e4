use std::io::{self, Read, Write};

use crate::{
    options::{Options, Protocol, Takeover},
    reel::Reel,
};

/// The request that each connection sends. The key is that of RFC 6455 section 1.3: this is a load
/// generator, and a fresh key would only cost it time.
const RFC6455_REQUEST: &str = "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n{extensions}\r\n";
const RFC6455_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Keys, key bytes and answer are those of draft-hixie-76 section 1.2.
const DRAFT76_REQUEST: &str = "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://{host}\r\n\r\n^n:ds[4U";
const DRAFT76_ANSWER: &[u8; 16] = b"8jKS'y:G*Co,Wxa-";

const EXTENSIONS: &str = "Sec-WebSocket-Extensions: permessage-deflate";
const NO_TAKEOVER: &str = "; server_no_context_takeover; client_no_context_takeover";

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const MASKED: u8 = 0x80;
/// The length follows in 2 bytes, or in 8.
const LENGTH_16: u8 = 0x7E;
const LENGTH_64: u8 = 0x7F;
/// Says that a message is compressed (RFC 7692 section 6).
const RSV1: u8 = 0x40;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
/// An empty close frame, masked.
const CLOSE: [u8; 6] = [0x88, MASKED, MASK[0], MASK[1], MASK[2], MASK[3]];
/// An empty close frame as a server answers it.
const CLOSE_ANSWER: u8 = 0x88;

/// The bytes of one way to speak at one message size: all that is sent, and the shape of all that
/// must come back.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    protocol: Protocol,
    request: Vec<u8>,
    /// The batches that are sent first, if they differ from those that come later.
    openings: Vec<Vec<u8>>,
    /// The messages of a batch behind each other, as a client sends them, for each batch until
    /// they are repeated.
    batches: Vec<Vec<u8>>,
    /// What was compressed, and how.
    pub(crate) reel: Option<(Reel, Takeover)>,
    /// The first byte of each frame that comes back, `RSV1` aside.
    pub(crate) first: u8,
    /// Messages of a batch.
    pub(crate) count: usize,
    /// What stands before, in and after the payload of each message that comes back.
    pub(crate) head: Vec<u8>,
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) tail: &'static [u8],
    pub(crate) verify: bool,
}

impl Wire {
    /// Builds the bytes of batches of `messages` messages with `size` bytes of payload each.
    pub(crate) fn new(options: &Options, size: usize, messages: usize) -> Self {
        let protocol = options.protocol;
        let first = if options.text { TEXT } else { BINARY };
        let payloads: Vec<_> = (0..messages).map(|index| payload(size, index)).collect();
        let mut batch = Vec::new();
        for payload in &payloads {
            match protocol {
                Protocol::Ws => {
                    put_head(&mut batch, first, MASKED, size);
                    put_masked(&mut batch, payload);
                }
                Protocol::Draft76 => put_sentinel(&mut batch, payload),
                // As many bytes as a masked frame, the mask key being part of the payload here.
                Protocol::Raw => {
                    put_head(&mut batch, first, 0, size);
                    batch.extend(MASK);
                    batch.extend(payload);
                }
            }
        }
        let mut wire = Self {
            protocol,
            request: request(options),
            openings: Vec::new(),
            batches: vec![batch],
            reel: None,
            first,
            count: messages,
            head: Vec::new(),
            payloads,
            tail: &[],
            verify: options.verify,
        };
        match protocol {
            Protocol::Ws => put_head(&mut wire.head, first, 0, size),
            Protocol::Draft76 => {
                wire.head.push(0x00);
                wire.tail = &[0xFF];
            }
            Protocol::Raw => {
                put_head(&mut wire.head, first, 0, size);
                wire.head.extend(MASK);
            }
        }
        if let Some(takeover) = options.deflate {
            let reel = Reel::new(size, messages, takeover);
            wire.openings = compressed_batches(first, &reel.first, messages);
            wire.batches = compressed_batches(first, &reel.later, messages);
            wire.reel = Some((reel, takeover));
        }
        wire
    }

    /// The bytes of the batch with this number.
    pub(crate) fn batch(&self, number: usize) -> &[u8] {
        let later = || &self.batches[number % self.batches.len()];
        self.openings.get(number).unwrap_or_else(later)
    }

    /// The same, for messages that a raw server hands on as they are: no mask key in them.
    pub(crate) fn for_broadcast(options: &Options, size: usize, messages: usize) -> Self {
        let mut wire = Self::new(options, size, messages);
        if wire.protocol == Protocol::Raw {
            wire.head.truncate(wire.head.len() - MASK.len());
            let frames = wire.payloads.iter().flat_map(|p| [&wire.head[..], p].concat());
            wire.batches = vec![frames.collect()];
        }
        wire
    }

    /// Opens the WebSocket on a fresh stream, which must be blocking.
    pub(crate) fn open(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        if self.request.is_empty() {
            return Ok(());
        }
        stream.write_all(&self.request)?;
        let mut answer = [0; 4096];
        let mut filled = 0;
        loop {
            match stream.read(&mut answer[filled..])? {
                0 => return Err(fault("the server closed in the middle of the handshake")),
                n => filled += n,
            }
            if self.opened(&answer[..filled])? {
                return Ok(());
            }
        }
    }

    /// The request, for who sends it without waiting.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Whether `answer` is the whole answer to the request.
    pub(crate) fn opened(&self, answer: &[u8]) -> io::Result<bool> {
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(false);
        };
        let (head, rest) = answer.split_at(end + 4);
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(fault(format!("refused: {}", head.escape_ascii())));
        }
        if let Some((_, takeover)) = self.reel {
            check_extension(head, takeover)?;
        }
        let (right, complete) = if self.protocol == Protocol::Draft76 {
            (DRAFT76_ANSWER.starts_with(rest), rest.len() == DRAFT76_ANSWER.len())
        } else {
            let accept = RFC6455_ACCEPT.as_bytes();
            let accepted = head.windows(accept.len()).any(|window| window == accept);
            (accepted && rest.is_empty(), true)
        };
        if right { Ok(complete) } else { Err(fault("the answer to the handshake is wrong")) }
    }

    /// What a client sends to close, and the first byte of the answer; nothing on raw TCP.
    pub(crate) fn close(&self) -> (&'static [u8], u8) {
        match self.protocol {
            Protocol::Ws => (&CLOSE, CLOSE_ANSWER),
            Protocol::Draft76 => (&[0xFF, 0x00], 0xFF),
            Protocol::Raw => (&[], 0),
        }
    }
}

pub(crate) fn fault(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

fn request(options: &Options) -> Vec<u8> {
    let template = match options.protocol {
        Protocol::Ws => RFC6455_REQUEST,
        Protocol::Draft76 => DRAFT76_REQUEST,
        Protocol::Raw => "",
    };
    let extensions = match options.deflate {
        None => String::new(),
        Some(Takeover::On) => format!("{EXTENSIONS}\r\n"),
        Some(Takeover::Off) => format!("{EXTENSIONS}{NO_TAKEOVER}\r\n"),
    };
    let request = template.replace("{host}", &options.connect.to_string());
    request.replace("{extensions}", &extensions).into_bytes()
}

/// A server must compress in the way that was asked for, or it does other work than the others.
fn check_extension(head: &[u8], takeover: Takeover) -> io::Result<()> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let answer = head.lines().find(|line| line.starts_with("sec-websocket-extensions:"));
    let Some(answer) = answer.filter(|line| line.contains("permessage-deflate")) else {
        return Err(fault("the server does not agree to compress"));
    };
    let kept = !answer.contains("server_no_context_takeover")
        && !answer.contains("client_no_context_takeover");
    match takeover {
        Takeover::On if !kept => Err(fault(format!("the server keeps no context: {answer}"))),
        // Whether clients keep theirs need not be said again (RFC 7692 section 7.1.1.2).
        Takeover::Off if !answer.contains("server_no_context_takeover") => {
            Err(fault(format!("the server keeps a context: {answer}")))
        }
        _ => Ok(()),
    }
}

/// Frames of messages that are compressed already, `batch` of them behind each other.
fn compressed_batches(first: u8, packed: &[Vec<u8>], batch: usize) -> Vec<Vec<u8>> {
    let frames = |messages: &[Vec<u8>]| {
        let mut out = Vec::new();
        for message in messages {
            put_head(&mut out, first | RSV1, MASKED, message.len());
            put_masked(&mut out, message);
        }
        out
    };
    packed.chunks(batch).map(frames).collect()
}

/// ASCII that differs from message to message of a batch, so that `--verify` sees a wrong order.
fn payload(size: usize, index: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + ((at + 7 * index) % 26) as u8).collect()
}

fn put_head(out: &mut Vec<u8>, first: u8, mask: u8, size: usize) {
    out.push(first);
    match size {
        0..=125 => out.push(mask | size as u8),
        126..=0xFFFF => {
            out.push(mask | LENGTH_16);
            out.extend((size as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | LENGTH_64);
            out.extend((size as u64).to_be_bytes());
        }
    }
}

fn put_masked(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

fn put_sentinel(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(0x00);
    out.extend(payload);
    out.push(0xFF);
}
