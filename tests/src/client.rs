//! A blocking client over a real socket: the client's side of the core, and bare bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use bytes::Buf;
use ws_proto::{
    ClientRequest, Close, Closed, Config, Connection, Event, Instant, Message, RecvBuf, State,
    Timeouts, Transmit, Version,
};

use crate::entropy::Repeatable;
use crate::requests::replace;

/// How long a server may take for what it should do at once. Far more than it needs, so that a
/// busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A WebSocket client. Every method blocks, panics when the server lets [`PATIENCE`] pass, and
/// belongs on a thread of its own.
pub struct Client<S = TcpStream> {
    socket: S,
    core: Connection,
    input: RecvBuf,
    start: Clock,
    closed: Option<Closed>,
}

/// What a client talks through.
pub trait Wire: Read + Write {
    /// Ends the outgoing direction.
    ///
    /// # Errors
    /// What the system says.
    fn end(&mut self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Client {
    /// A client that has shaken hands.
    ///
    /// # Panics
    /// When the server does not agree.
    pub fn open(address: SocketAddr, version: Version) -> Self {
        match Self::ask(address, request(address).version(version)) {
            Ok(client) => client,
            Err(closed) => panic!("{version} was refused: {closed}"),
        }
    }

    /// A client that has sent this request and has read the answer; [`Closed`] when it is a
    /// refusal.
    ///
    /// # Panics
    /// When there is no server.
    pub fn ask(address: SocketAddr, request: ClientRequest) -> Result<Self, Arc<Closed>> {
        Self::ask_through(dial(address), request)
    }

    /// The port that the server sees.
    ///
    /// # Panics
    /// When the system has forgotten it.
    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("a connected socket").port()
    }
}

impl<S: Wire> Client<S> {
    /// As [`Client::ask`], through a stream that was opened elsewhere.
    ///
    /// # Errors
    /// [`Closed`] when the answer is a refusal.
    pub fn ask_through(socket: S, request: ClientRequest) -> Result<Self, Arc<Closed>> {
        let start = Clock::now();
        let entropy = Box::new(Repeatable::new(7));
        let now = Instant::from_nanos(0);
        let mut client = Self {
            socket,
            core: Connection::client(Arc::new(Config::default()), request, entropy, now),
            input: RecvBuf::default(),
            start,
            closed: None,
        };
        loop {
            match client.event() {
                Event::State { to: State::Connected, .. } => return Ok(client),
                Event::Closed(closed) => return Err(closed),
                _ => {}
            }
        }
    }

    /// Sends a message.
    ///
    /// # Panics
    /// When the connection is over.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.send_all([message]);
    }

    /// Sends messages in one write.
    ///
    /// # Panics
    /// When the connection is over.
    pub fn send_all(&mut self, messages: impl IntoIterator<Item = impl Into<Message>>) {
        for message in messages {
            self.core.send(message.into()).expect("the client can send");
        }
        self.flush();
    }

    /// The next message, or `None` at the end.
    pub fn recv(&mut self) -> Option<Message> {
        while self.closed.is_none() {
            match self.event() {
                Event::Message(message) => return Some(message),
                Event::Closed(closed) => self.closed = Some(Arc::unwrap_or_clone(closed)),
                _ => {}
            }
        }
        None
    }

    /// The next message, which is text.
    ///
    /// # Panics
    /// When it is not, or when the connection ends.
    pub fn recv_text(&mut self) -> String {
        let message = self.recv();
        let text = message.as_ref().and_then(Message::as_text);
        text.unwrap_or_else(|| panic!("no text: {message:?}, {:?}", self.closed)).to_owned()
    }

    /// Sends a text and takes the next one.
    pub fn ask_text(&mut self, text: &str) -> String {
        self.send(text);
        self.recv_text()
    }

    /// Closes, and waits for the end.
    pub fn close(mut self, close: impl Into<Close>) -> Closed {
        let now = self.now();
        self.core.close(close, now);
        self.closed()
    }

    /// Waits for the end; messages on the way are thrown away.
    ///
    /// # Panics
    /// Never: the loop ends with `Closed`.
    pub fn closed(mut self) -> Closed {
        while self.recv().is_some() {}
        self.closed.take().expect("recv ends with it")
    }

    /// The client's side of the core.
    pub fn core(&self) -> &Connection {
        &self.core
    }

    /// The next event. The law of the loop: events, then bytes, then wait.
    fn event(&mut self) -> Event {
        loop {
            let now = self.now();
            if let Some(event) = self.core.poll_event(&mut self.input, now) {
                return event;
            }
            self.flush();
            // Writing may have ended it.
            if let Some(event) = self.core.poll_event(&mut self.input, now) {
                return event;
            }
            match self.socket.read(self.input.spare_mut()) {
                Ok(0) => self.core.handle_eof(self.now()),
                Ok(n) => self.input.filled(n),
                // The second is a stream that TLS calls cut off.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                    ) =>
                {
                    self.core.handle_eof(self.now());
                    self.core.abort();
                }
                Err(error) => panic!("nothing came from the server: {error}"),
            }
            let now = self.now();
            self.core.handle_timeout(now);
        }
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.core.poll_transmit() {
            let written = match transmit {
                Transmit::Data(mut data) => {
                    let bytes = data.copy_to_bytes(data.remaining());
                    self.core.handle_transmitted(bytes.len());
                    self.socket.write_all(&bytes)
                }
                Transmit::Shutdown => self.socket.end(),
            };
            if written.is_err() {
                self.core.abort();
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::from(self.start.elapsed())
    }
}

/// A request for the root of the server at this address, from a page of its own.
///
/// # Panics
/// Never: the URL is well formed.
pub fn request(address: SocketAddr) -> ClientRequest {
    let request = ClientRequest::new(&format!("ws://{address}/")).expect("a well-formed URL");
    request.origin(&format!("http://{address}")).expect("a well-formed origin")
}

/// `request` as a page of the server at this address sends it.
pub fn addressed(request: &str, address: SocketAddr) -> String {
    let request = replace(request, "Host", &address.to_string());
    replace(&request, "Origin", &format!("http://{address}"))
}

/// A socket that is connected to this address and gives up after [`PATIENCE`].
///
/// # Panics
/// When nobody listens there.
pub fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens");
    socket.set_nodelay(true).expect("a TCP socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
    socket.set_write_timeout(Some(PATIENCE)).expect("a TCP socket");
    socket
}

/// The same with less patience than the default handshake timeout, so that a server which ignores
/// its own is seen.
///
/// # Panics
/// As [`dial`].
pub fn dial_briefly(address: SocketAddr) -> TcpStream {
    let socket = dial(address);
    let patience = Timeouts::default().handshake * 4 / 5;
    socket.set_read_timeout(Some(patience)).expect("a TCP socket");
    socket
}

/// Everything up to the end of the stream, as text; a reset is an end, too.
///
/// # Panics
/// When the server lets [`PATIENCE`] pass.
pub fn read_to_end(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => {
            panic!("the server did not end the stream: {error}, after {bytes:?}")
        }
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Sends `bytes` to the server at this address, and answers everything that comes back.
///
/// # Panics
/// When the server does not end the stream within [`PATIENCE`].
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = dial(address);
    socket.write_all(bytes).expect("the server reads");
    read_to_end(&mut socket)
}

/// One HTTP answer: its head, and as much of a body as `Content-Length` says.
///
/// # Panics
/// When none comes within [`PATIENCE`].
pub fn read_answer(socket: &mut TcpStream, with_body: bool) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("the server sends a whole head");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.filter(|_| with_body).unwrap_or(0)];
    socket.read_exact(&mut body).expect("the server sends the whole body");
    (head, String::from_utf8_lossy(&body).into_owned())
}
