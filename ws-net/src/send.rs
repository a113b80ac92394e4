use std::ffi::c_int;
use std::io::{self, IoSlice};

use socket2::Socket;

/// Rust's `main` ignores SIGPIPE, but a program of another language that uses this as a library may
/// be killed by it. Apple has no such flag; there sockets are told when they are made.
#[cfg(all(unix, not(target_vendor = "apple")))]
const FLAGS: c_int = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const FLAGS: c_int = 0;

/// For what the end of the stream follows at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE: c_int = libc::MSG_MORE;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const MORE: c_int = 0;

/// Writes some of `bufs`, in order, to a stream socket, and answers how many bytes the system took.
pub(crate) fn send(socket: &Socket, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    match bufs {
        [buf] => socket.send_with_flags(buf, FLAGS),
        _ => socket.send_vectored_with_flags(bufs, FLAGS),
    }
}

/// Writes some of the last bytes before the stream ends. The system may keep them until then, and
/// after as long as a retransmission would take, 200 ms at the least, gives up waiting.
#[cfg(unix)]
pub(crate) fn send_last(socket: &Socket, buf: &[u8]) -> io::Result<usize> {
    socket.send_with_flags(buf, FLAGS | MORE)
}
