use std::ffi::c_int;
use std::io::{self, IoSlice};

use socket2::Socket;

/// Rust's `main` ignores SIGPIPE, but a program of another language that uses this as a library may
/// be killed by it. Apple has no such flag; there sockets are told when they are made.
#[cfg(all(unix, not(target_vendor = "apple")))]
const FLAGS: c_int = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const FLAGS: c_int = 0;

/// Writes some of `bufs`, in order, to a stream socket, and answers how many bytes the system took.
pub(crate) fn send(socket: &Socket, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    match bufs {
        [buf] => socket.send_with_flags(buf, FLAGS),
        _ => socket.send_vectored_with_flags(bufs, FLAGS),
    }
}
