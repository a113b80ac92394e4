//! Sockets of the system between a server and its clients in memory.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

/// Two ends of a stream, neither of which waits.
pub(super) fn pair() -> [UnixStream; 2] {
    let (server, client) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    client.set_nonblocking(true).unwrap();
    [server, client]
}

/// Appends what has arrived.
pub(super) fn read_all(mut socket: &UnixStream, bytes: &mut Vec<u8>) {
    match socket.read_to_end(bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
    }
}
