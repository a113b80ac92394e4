//! An echo server on the core alone, with blocking sockets and a thread for each connection:
//! `cargo run -p ws-proto --example blocking`, then connect to `ws://127.0.0.1:9001`.
//!
//! It shows every call that a loop around the core has to make. It has no limit of connections.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sockets, threads and the clock are what the loop brings"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant as Clock};

use bytes::Buf;
use ws_proto::{Accept, Config, Connection, Event, Instant, RecvBuf, Reject, Transmit};

/// What is queued before it is written, so that many small answers go in one write.
const BATCH: usize = 64 << 10;

/// The shortest time that a socket can be told to wait.
const TICK: Duration = Duration::from_millis(1);

/// A connection, its socket, and the clock that it goes by.
struct Session {
    core: Connection,
    input: RecvBuf,
    socket: TcpStream,
    start: Clock,
    /// Nothing can be written any more.
    broken: bool,
    over: bool,
}

impl Session {
    fn new(socket: TcpStream, config: Arc<Config>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        // The core's deadline for a peer that reads nothing; a blocked write does not see it.
        socket.set_write_timeout(Some(config.timeouts().stall))?;
        let core = Connection::server(config, Instant::from_nanos(0));
        let (input, start) = (RecvBuf::default(), Clock::now());
        Ok(Self { core, input, socket, start, broken: false, over: false })
    }

    fn now(&self) -> Instant {
        self.start.elapsed().into()
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            self.obey();
            if self.over {
                return Ok(());
            }
            self.read()?;
            // Before the time is told, so that the peer is not blamed for what has come.
            self.obey();
            self.core.handle_timeout(self.now());
        }
    }

    /// The law of the loop: every event, then all that is to be written, until there is neither.
    fn obey(&mut self) {
        loop {
            let now = self.now();
            let event = self.core.poll_event(&mut self.input, now);
            let had_event = event.is_some();
            if let Some(event) = event {
                self.handle(event);
                if self.core.buffered_amount() < BATCH {
                    continue;
                }
            }
            if !self.write() && !had_event {
                return;
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Request(request) => {
                println!("{} asks for {}", request.version(), request.target());
                if let Err(error) = self.core.accept(&Accept::new(), now) {
                    println!("it is refused: {error}");
                    // It waits for an answer, so it can be rejected.
                    let _ = self.core.reject(&Reject::new(400), now);
                }
            }
            Event::Message(message) => {
                // It fails only when the connection is being closed.
                let _ = self.core.send(message);
            }
            Event::Closed(closed) => {
                println!("{closed}");
                self.over = true;
            }
            _ => {}
        }
    }

    /// Waits for bytes, but not beyond the next deadline.
    fn read(&mut self) -> io::Result<()> {
        let left = |at: Instant| at.saturating_duration_since(self.now()).max(TICK);
        let wait = self.core.poll_timeout().map(left);
        if !self.core.wants_input() {
            thread::sleep(wait.unwrap_or(TICK));
            return Ok(());
        }
        self.socket.set_read_timeout(wait)?;
        match self.socket.read(self.input.spare_mut()) {
            Ok(0) => self.core.handle_eof(self.now()),
            Ok(n) => self.input.filled(n),
            Err(error) if is_timeout(&error) => {}
            Err(_) => self.core.handle_reset(self.now()),
        }
        Ok(())
    }

    /// Writes all that is to be written. Answers whether there was anything.
    fn write(&mut self) -> bool {
        let mut any = false;
        while let Some(transmit) = self.core.poll_transmit() {
            any = true;
            match transmit {
                Transmit::Data(data) => self.write_data(data),
                // A socket that is gone needs no end.
                Transmit::Shutdown => drop(self.socket.shutdown(Shutdown::Write)),
            }
        }
        any
    }

    fn write_data(&mut self, mut data: impl Buf) {
        while data.has_remaining() && !self.broken {
            match self.socket.write(data.chunk()) {
                Ok(n) => {
                    data.advance(n);
                    self.core.handle_transmitted(n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.broken = true;
                    return self.core.handle_write_failure(self.now());
                }
            }
        }
        // What comes behind a failure counts as written.
        self.core.handle_transmitted(data.remaining());
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9001")?;
    println!("listening on ws://{}", listener.local_addr()?);
    let config = Arc::new(Config::default());
    for socket in listener.incoming() {
        match socket.and_then(|socket| Session::new(socket, Arc::clone(&config))) {
            Ok(session) => drop(thread::spawn(move || session.run())),
            Err(error) => {
                eprintln!("a client was not served: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_and_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let session = Session::new(listener.accept().unwrap().0, Arc::default()).unwrap();
        let server = thread::spawn(move || session.run());
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\n\r\n\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xE8";
        client.write_all(request).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", answer.escape_ascii());
        assert!(answer.ends_with(b"\x81\x02hi\x88\x02\x03\xE8"), "{}", answer.escape_ascii());
        drop(client);
        server.join().unwrap().unwrap();
    }
}
