//! The one file with `unsafe` in this crate: writing to a socket whose owner is elsewhere.
#![allow(unsafe_code)]
#![cfg_attr(
    unix,
    expect(
        clippy::disallowed_types,
        reason = "none is made, but one's way of writing raises no signal"
    )
)]

#[cfg(unix)]
pub use unix::{Descriptor, LastingSocket};

#[cfg(not(unix))]
pub use elsewhere::Descriptor;

#[cfg(unix)]
mod unix {
    use std::io::{self, IoSlice, Write};
    use std::mem::ManuallyDrop;
    use std::net::TcpStream;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};

    /// A stream socket, internet or Unix, in non-blocking mode, that stays open until it is dropped.
    ///
    /// # Safety
    /// `as_fd` must answer the same open descriptor from the first call until the value is dropped,
    /// whatever else is done with it.
    pub unsafe trait LastingSocket: AsFd {}

    /// A socket that others than its owner may write to as long as it is open, see
    /// [`Transport::descriptor`](crate::Transport::descriptor).
    #[derive(Debug)]
    pub struct Descriptor(BorrowedFd<'static>);

    impl Descriptor {
        /// That of a transport which is this socket, or owns it as long as it is there itself.
        pub fn of(socket: &impl LastingSocket) -> Self {
            // SAFETY: the socket is open until it is dropped, and so until its transport is; the
            // driver, which owns that, forgets this before, under the lock that writers hold.
            Self(unsafe { BorrowedFd::borrow_raw(socket.as_fd().as_raw_fd()) })
        }

        /// Writes some of `bufs`, in order, and answers how many bytes the system took. Does not
        /// wait.
        pub(crate) fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            // SAFETY: the descriptor is open, as above, and not closed at the end. The system does
            // not ask which kind of stream socket bytes are sent to.
            let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(self.0.as_raw_fd()) });
            match bufs {
                [buf] => (&*socket).write(buf),
                _ => (&*socket).write_vectored(bufs),
            }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io::{self, IoSlice};

    /// There is none on this system.
    #[derive(Debug)]
    pub enum Descriptor {}

    impl Descriptor {
        pub(crate) fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            match *self {}
        }
    }
}

// SAFETY: nothing but dropping it closes a socket of the standard library.
#[cfg(all(test, unix))]
unsafe impl LastingSocket for std::os::unix::net::UnixStream {}

// SAFETY: the same.
#[cfg(all(test, unix))]
unsafe impl LastingSocket for std::net::TcpStream {}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{ErrorKind, IoSlice, Read};
    use std::net::{TcpListener, TcpStream};

    use super::Descriptor;

    #[test]
    fn bytes_arrive_and_the_socket_stays_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let descriptor = Descriptor::of(&socket);
        assert_eq!(descriptor.write(&[IoSlice::new(b"one")]).unwrap(), 3);
        assert_eq!(descriptor.write(&[IoSlice::new(b"two")]).unwrap(), 3);
        let mut read = [0; 6];
        peer.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"onetwo");
        drop(socket);
        assert_eq!(peer.read(&mut read).unwrap(), 0);
    }

    /// Miri knows no vectored writes to sockets.
    #[cfg(not(miri))]
    #[test]
    fn several_pieces_leave_in_one_write_until_the_socket_is_full() {
        let (socket, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let descriptor = Descriptor::of(&socket);
        assert_eq!(descriptor.write(&[IoSlice::new(b"one"), IoSlice::new(b"two")]).unwrap(), 6);
        let mut read = [0; 6];
        peer.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"onetwo");
        let full = loop {
            if let Err(error) = descriptor.write(&[IoSlice::new(&[0; 4096])]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        drop(peer);
        let gone = descriptor.write(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
    }
}
