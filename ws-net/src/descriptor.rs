//! The one file with `unsafe` in this crate: writing to a socket whose owner is elsewhere.
#![allow(unsafe_code)]

#[cfg(unix)]
pub use unix::Descriptor;
#[cfg(all(test, unix))]
pub(crate) use unix::{LAST_WRITES, WRITES};

#[cfg(not(unix))]
pub use elsewhere::Descriptor;

#[cfg(unix)]
mod unix {
    use std::io::{self, IoSlice};
    use std::marker::PhantomData;
    use std::num::NonZero;
    use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

    use socket2::SockRef;

    use crate::send::{send, send_last};

    #[cfg(test)]
    thread_local! {
        /// Writes of this thread, for tests that want to know.
        pub(crate) static WRITES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };

        /// Those of them that the end of a stream follows.
        pub(crate) static LAST_WRITES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// The descriptor of the socket that an `S` owns: others than its owner may write to it as long
    /// as it is there, see [`Transport::descriptor`](crate::Transport::descriptor).
    ///
    /// It is of one type, so that no other can pass it on as its own.
    #[derive(Debug)]
    pub struct Descriptor<S> {
        /// With all bits turned over: so it is never zero, and none at all takes no more memory.
        inverted: NonZero<RawFd>,
        of: PhantomData<fn() -> S>,
    }

    impl<S> Descriptor<S> {
        /// That of a stream socket, internet or Unix, in non-blocking mode.
        ///
        /// # Safety
        /// The socket must stay open, under this descriptor, until the `S` whose
        /// [`Transport::descriptor`](crate::Transport::descriptor) answers this is dropped,
        /// whatever is done with that `S` as a transport.
        pub unsafe fn new(socket: BorrowedFd<'_>) -> Self {
            // Only -1 would be zero, which is never a socket.
            let inverted = NonZero::new(!socket.as_raw_fd()).unwrap_or(NonZero::<RawFd>::MIN);
            Self { inverted, of: PhantomData }
        }

        /// The same as that of a `T` which owns the `S` and drops it only when it is dropped itself.
        pub(crate) fn within<T>(self) -> Descriptor<T> {
            Descriptor { inverted: self.inverted, of: PhantomData }
        }
    }

    /// That of a transport of any type, whose owner forgets it before the transport is dropped.
    impl Descriptor<()> {
        /// Writes some of `bufs`, in order, and answers how many bytes the system took. Does not
        /// wait.
        pub(crate) fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            send(&SockRef::from(&self.socket()), bufs)
        }

        /// Writes some of `buf`, which the end of the stream follows at once: both may leave
        /// together. Does not wait.
        pub(crate) fn write_last(&self, buf: &[u8]) -> io::Result<usize> {
            #[cfg(test)]
            LAST_WRITES.set(LAST_WRITES.get() + 1);
            send_last(&SockRef::from(&self.socket()), buf)
        }

        fn socket(&self) -> BorrowedFd<'_> {
            #[cfg(test)]
            WRITES.set(WRITES.get() + 1);
            // SAFETY: who made this says that the descriptor is open until its transport is dropped.
            // The driver, which owns that, makes one just to write with it; those that others have
            // it forgets before, under the lock that they hold here.
            unsafe { BorrowedFd::borrow_raw(!self.inverted.get()) }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::convert::Infallible;
    use std::io::{self, IoSlice};
    use std::marker::PhantomData;

    /// There is none on this system.
    #[derive(Debug)]
    pub struct Descriptor<S>(Infallible, PhantomData<fn() -> S>);

    impl<S> Descriptor<S> {
        pub(crate) fn within<T>(self) -> Descriptor<T> {
            match self.0 {}
        }
    }

    impl Descriptor<()> {
        pub(crate) fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            match self.0 {}
        }

        pub(crate) fn write_last(&self, _: &[u8]) -> io::Result<usize> {
            match self.0 {}
        }
    }
}

/// That of a socket of the standard library, for tests.
#[cfg(all(test, unix))]
pub(crate) fn of<S>(socket: &impl std::os::fd::AsFd) -> Descriptor<S> {
    // SAFETY: tests keep the socket as long as what they use as a transport.
    unsafe { Descriptor::new(socket.as_fd()) }
}

#[cfg(all(test, unix))]
#[expect(clippy::disallowed_types, reason = "the peer needs no runtime")]
mod tests {
    use std::io::{IoSlice, Read};
    use std::net::{TcpListener, TcpStream};

    use super::{Descriptor, of};

    #[test]
    fn bytes_arrive_and_the_socket_stays_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let descriptor: Descriptor<()> = of::<TcpStream>(&socket).within();
        assert_eq!(descriptor.write(&[IoSlice::new(b"one")]).unwrap(), 3);
        assert_eq!(descriptor.write(&[IoSlice::new(b"two")]).unwrap(), 3);
        let mut read = [0; 6];
        peer.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"onetwo");
        drop(socket);
        assert_eq!(peer.read(&mut read).unwrap(), 0);
    }

    /// Elsewhere both leave one behind the other, and Miri has no system that would wait.
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    #[test]
    fn the_last_bytes_leave_with_the_end() {
        use std::io::ErrorKind;

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The system gives up after some 200 ms, which may pass between two lines of a test.
        for last in 1.. {
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            peer.set_nonblocking(true).unwrap();
            let descriptor: Descriptor<()> = of::<TcpStream>(&socket).within();
            assert_eq!(descriptor.write_last(b"last").unwrap(), 4);
            let mut read = [0; 8];
            match peer.read(&mut read) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ if last < 10 => continue,
                early => panic!("they did not wait: {early:?}"),
            }
            drop(socket);
            peer.set_nonblocking(false).unwrap();
            assert_eq!(peer.read(&mut read).unwrap(), 4);
            assert_eq!(peer.read(&mut read).unwrap(), 0);
            break;
        }
    }

    /// Miri knows no vectored writes to sockets.
    #[cfg(not(miri))]
    #[test]
    fn several_pieces_leave_in_one_write_until_the_socket_is_full() {
        use std::io::ErrorKind;

        let (socket, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let descriptor: Descriptor<()> = of(&socket);
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
        assert_eq!(size_of::<Option<Descriptor<()>>>(), 4);
    }
}
