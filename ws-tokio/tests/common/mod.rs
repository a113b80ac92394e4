//! Clients that know nothing of the crates under test: bytes out, bytes in.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use ws_tokio::{Connection, Server};

/// Longer than anything here takes, so that a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port that runs in the background.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

/// Serves every connection with `handler`.
pub(crate) async fn serve<F, H>(handler: F) -> Running
where
    F: Fn(Connection) -> H + Send + Sync + 'static,
    H: Future<Output = ()> + Send + 'static,
{
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let own = server.clone();
    tokio::spawn(async move { own.serve(handler).await.unwrap() });
    Running { address: server.local_addr().unwrap(), server }
}

/// Runs `server` with its listeners.
pub(crate) fn run(server: Server) -> Running {
    let own = server.clone();
    tokio::spawn(async move { own.run().await.unwrap() });
    Running { address: server.local_addr().unwrap(), server }
}

pub(crate) async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it never came true");
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Draft75,
    Draft76,
    Rfc6455,
}

/// A raw client that has shaken hands.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) dialect: Dialect,
    pub(crate) head: String,
}

impl Client {
    pub(crate) async fn join(address: SocketAddr) -> Self {
        Self::join_as(address, Dialect::Rfc6455).await
    }

    pub(crate) async fn join_as(address: SocketAddr, dialect: Dialect) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream, dialect, head: String::new() };
        let headers = match dialect {
            Dialect::Draft75 => "Upgrade: WebSocket\r\nConnection: Upgrade\r\n",
            Dialect::Draft76 => {
                "Upgrade: WebSocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\r\n\
                 Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\r\n"
            }
            Dialect::Rfc6455 => {
                "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            }
        };
        let host = format!("Host: {address}\r\nOrigin: http://{address}\r\n");
        client.write(format!("GET /chat HTTP/1.1\r\n{headers}{host}\r\n").as_bytes()).await;
        if dialect == Dialect::Draft76 {
            client.write(b"Tm[K T2u").await;
        }
        client.head = client.read_head().await;
        assert!(client.head.starts_with("HTTP/1.1 101 "), "{}", client.head);
        if dialect == Dialect::Draft76 {
            assert_eq!(client.read_exact(16).await, b"fQJ,fN/4F4!~K~MH");
        }
        client
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn read_exact(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.expect("nothing came").unwrap();
        bytes
    }

    /// Everything until the server ends the stream.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("no end").unwrap();
        bytes
    }

    pub(crate) async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read_exact(1).await);
        }
        String::from_utf8(head).unwrap()
    }

    /// Sends a text message in the client's dialect.
    pub(crate) async fn say(&mut self, text: &str) {
        let bytes = match self.dialect {
            Dialect::Rfc6455 => frame(0x81, text.as_bytes()),
            _ => [b"\x00", text.as_bytes(), b"\xFF"].concat(),
        };
        self.write(&bytes).await;
    }

    /// The next text message, in the client's dialect.
    pub(crate) async fn hear(&mut self) -> String {
        if self.dialect == Dialect::Rfc6455 {
            let (first, payload) = self.frame().await;
            assert_eq!(first, 0x81);
            return String::from_utf8(payload).unwrap();
        }
        assert_eq!(self.read_exact(1).await, [0]);
        let mut text = Vec::new();
        while text.last() != Some(&0xFF) {
            text.extend(self.read_exact(1).await);
        }
        text.pop();
        String::from_utf8(text).unwrap()
    }

    /// The next RFC 6455 frame: its first byte and its payload.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.read_exact(2).await;
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.read_exact(2).await.try_into().unwrap())),
            127 => {
                let length = u64::from_be_bytes(self.read_exact(8).await.try_into().unwrap());
                usize::try_from(length).unwrap()
            }
            short => usize::from(short),
        };
        (head[0], self.read_exact(length).await)
    }

    /// Closes with code 1000 and reads to the end: what the server said in between.
    pub(crate) async fn close(mut self) -> Vec<u8> {
        self.write(&frame(0x88, &[0x03, 0xE8])).await;
        self.read_to_end().await
    }
}

/// An RFC 6455 frame of a client.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..126 => frame.push(0x80 | u8::try_from(n).unwrap()),
        n @ 126..0x1_0000 => {
            frame.push(0xFE);
            frame.extend(u16::try_from(n).unwrap().to_be_bytes());
        }
        n => {
            frame.push(0xFF);
            frame.extend((n as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
