//! The two kinds of servers: one behind a socket, and our core as a value.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ws_proto::Config;

use crate::feed::Echo;

/// A server that echoes.
pub trait Peer {
    /// Sends bytes. What comes of it shows when something is received.
    fn send(&mut self, bytes: &[u8]);

    /// Lets the server take what was sent before it gets more.
    fn pause(&mut self);

    /// Ends this side's stream.
    fn end(&mut self);

    /// Waits for bytes.
    fn receive(&mut self, patience: Patience) -> Received;
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// Up to the deadline of the case.
    Case,
    /// As long as a server takes for what it does at once.
    Short,
}

/// What came.
#[derive(Debug)]
pub enum Received {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The end of the stream.
    End,
    /// Nothing in time.
    Nothing,
}

/// How long a silence is taken for one.
const SHORT: Duration = Duration::from_millis(300);

/// How long the server has for the first of two writes.
const PAUSE: Duration = Duration::from_millis(30);

/// A server behind a socket.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    deadline: Instant,
}

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// Those of the system.
    pub fn connect(address: SocketAddr, patience: Duration) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, deadline: Instant::now() + patience })
    }
}

impl Peer for Socket {
    fn send(&mut self, bytes: &[u8]) {
        // A server that refuses may be gone already; what it said is still there to be read.
        let _ = self.stream.write_all(bytes);
    }

    fn pause(&mut self) {
        std::thread::sleep(PAUSE);
    }

    fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn receive(&mut self, patience: Patience) -> Received {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = if patience == Patience::Short { left.min(SHORT) } else { left };
        if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
            return Received::Nothing;
        }
        let mut bytes = vec![0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => Received::End,
            Ok(n) => {
                bytes.truncate(n);
                Received::Bytes(bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Received::Nothing
            }
            Err(_) => Received::End,
        }
    }
}

/// How much of what is sent at once is cut as finely as asked for, and how the rest is.
const BYTEWISE: usize = 8 << 10;
const LONG_STEP: usize = 1021;

/// Our core, without a socket, on an invented clock.
pub struct Core {
    echo: Echo,
    step: usize,
    taken: usize,
}

impl Core {
    /// A core that gets its input in pieces of `step` bytes.
    pub fn new(config: &Arc<Config>, step: usize) -> Self {
        Self { echo: Echo::new(config), step, taken: 0 }
    }

    fn ended(&self) -> bool {
        self.echo.seen().ended || self.echo.seen().last().starts_with("closed")
    }
}

impl Peer for Core {
    fn send(&mut self, bytes: &[u8]) {
        // A mebibyte byte by byte would take minutes and show nothing that its first bytes do not.
        let (begin, rest) = bytes.split_at(bytes.len().min(BYTEWISE));
        for piece in begin.chunks(self.step).chain(rest.chunks(self.step.max(LONG_STEP))) {
            // What comes behind the end is never read.
            if self.ended() {
                return;
            }
            self.echo.feed(piece);
        }
    }

    fn pause(&mut self) {}

    fn end(&mut self) {
        self.echo.eof();
    }

    fn receive(&mut self, patience: Patience) -> Received {
        for waited in [false, true] {
            let unseen = self.echo.seen().sent[self.taken..].to_vec();
            if !unseen.is_empty() {
                self.taken += unseen.len();
                return Received::Bytes(unseen);
            }
            if self.ended() {
                return Received::End;
            }
            if patience == Patience::Case && !waited {
                self.echo.wait();
            }
        }
        Received::Nothing
    }
}
