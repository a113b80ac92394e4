use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

#[cfg(unix)]
use bytes::buf::Limit;
#[cfg(unix)]
use rustix::{
    buffer::spare_capacity,
    net::{RecvFlags, recv},
};
use socket2::Socket;
#[cfg(unix)]
use ws_proto::RecvBuf;

use crate::Descriptor;
use crate::runtime::{Address, Listener, Transport};
use crate::send::send;

/// A non-blocking socket, internet or Unix, and the reactor that tells when it is ready.
///
/// For runtimes whose reactor knows nothing but readiness: [`ReadyStream`] and [`ReadyListener`]
/// do the rest.
pub trait Readiness: Send + Sized + Unpin + 'static {
    /// Registers a socket.
    ///
    /// # Errors
    /// When the reactor refuses it.
    fn register(socket: Socket) -> io::Result<Self>;

    /// The socket.
    fn socket(&self) -> &Socket;

    /// What [`Transport::descriptor`] answers for streams.
    fn descriptor(&self) -> Option<Descriptor<Self>> {
        None
    }

    /// Waits until the socket became readable after the last call.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits until the socket became writable after the last call.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A connected stream over a [`Readiness`].
#[derive(Debug)]
pub struct ReadyStream<T> {
    socket: T,
    /// The last read left nothing behind: the next one waits for the reactor.
    drained: bool,
    /// The last write was cut short: the next one waits, too.
    full: bool,
}

impl<T: Readiness> ReadyStream<T> {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// When the reactor refuses it.
    pub fn new(socket: impl Into<Socket>) -> io::Result<Self> {
        // Clients speak first and at once, so something may be there already.
        Ok(Self { socket: T::register(socket.into())?, drained: false, full: false })
    }

    /// Reads with `read` as soon as there is something, where there is `room` for so many bytes.
    fn poll_read_with(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        mut read: impl FnMut(&Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.drained {
                ready!(self.socket.poll_readable(cx))?;
            }
            let read = read(self.socket.socket());
            self.drained = !matches!(read, Ok(n) if n == room);
            if !blocks(&read) {
                return Poll::Ready(read);
            }
        }
    }
}

impl<T: Readiness> Transport for ReadyStream<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, buf.len(), |mut socket| socket.read(buf))
    }

    #[cfg(unix)]
    fn poll_fill(&mut self, cx: &mut Context<'_>, input: &mut RecvBuf) -> Poll<io::Result<usize>> {
        // No vector promises that it has no more room than was asked for.
        let exact = |message: &Limit<&mut Vec<u8>>| {
            message.get_ref().capacity() - message.get_ref().len() == message.limit()
        };
        let Some(mut message) = input.message_mut().filter(exact) else {
            return self.poll_fill_slice(cx, input);
        };
        let n = ready!(self.poll_read_with(cx, message.limit(), |socket| {
            let buf = spare_capacity(message.get_mut());
            Ok(recv(socket, buf, RecvFlags::empty())?.0)
        }))?;
        input.filled(n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
        loop {
            if self.full {
                ready!(self.socket.poll_writable(cx))?;
            }
            let written = send(self.socket.socket(), bufs);
            self.full = !matches!(written, Ok(n) if n == offered);
            if !blocks(&written) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket.socket().shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(error) if error.kind() == ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }

    fn descriptor(&self) -> Option<Descriptor<Self>> {
        self.socket.descriptor().map(Descriptor::within)
    }
}

/// A listening socket over a [`Readiness`].
#[derive(Debug)]
pub struct ReadyListener<T> {
    socket: T,
    /// Nobody is left to be accepted: the next call waits for the reactor.
    drained: bool,
}

impl<T: Readiness> ReadyListener<T> {
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// When the reactor refuses it.
    pub fn new(socket: impl Into<Socket>) -> io::Result<Self> {
        Ok(Self { socket: T::register(socket.into())?, drained: false })
    }
}

impl<T: Readiness> Listener for ReadyListener<T> {
    type Stream = ReadyStream<T>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(ReadyStream<T>, Address)>> {
        let (stream, peer) = loop {
            if self.drained {
                ready!(self.socket.poll_readable(cx))?;
            }
            let accepted = self.socket.socket().accept();
            self.drained = blocks(&accepted);
            if !self.drained {
                break accepted?;
            }
        };
        let Some(peer) = peer.as_socket() else {
            return Poll::Ready(Ok((ReadyStream::new(stream)?, Address::Unnamed)));
        };
        // Linux hands the setting of the listening socket on. On macOS it fails when the peer has
        // reset the stream already, which is no fault of the system.
        if cfg!(not(target_os = "linux")) {
            let _ = stream.set_tcp_nodelay(true);
        }
        Poll::Ready(Ok((ReadyStream::new(stream)?, Address::Tcp(peer))))
    }

    fn ends_when_dropped(&self) -> bool {
        true
    }
}

fn blocks<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[cfg(all(test, unix))]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::task::Waker;

    use bytes::BufMut;
    use socket2::{Domain, Type};
    use ws_proto::{Accept, Config, Connection, Event, Instant};

    use super::*;

    /// A reactor that says once what it is told to say.
    struct Watched {
        socket: Socket,
        readable: Cell<bool>,
        writable: Cell<bool>,
        asked: Cell<usize>,
    }

    impl Watched {
        fn once(&self, ready: &Cell<bool>) -> Poll<io::Result<()>> {
            self.asked.set(self.asked.get() + 1);
            if ready.take() { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
    }

    impl Readiness for Watched {
        fn register(socket: Socket) -> io::Result<Self> {
            socket.set_nonblocking(true)?;
            let (readable, writable) = (Cell::new(false), Cell::new(false));
            Ok(Self { socket, readable, writable, asked: Cell::new(0) })
        }

        fn socket(&self) -> &Socket {
            &self.socket
        }

        fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.once(&self.readable)
        }

        fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.once(&self.writable)
        }
    }

    fn pair() -> (ReadyStream<Watched>, Socket) {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        (ReadyStream::new(ours).unwrap(), theirs)
    }

    fn write(stream: &mut ReadyStream<Watched>, bytes: &[u8]) -> Poll<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        stream.poll_write_vectored(&mut cx, &[IoSlice::new(bytes)]).map(Result::unwrap)
    }

    #[test]
    fn a_socket_that_is_full_is_written_again_when_the_reactor_says_so() {
        let (mut stream, mut peer) = pair();
        let bytes = vec![7; 4 << 20];
        let Poll::Ready(first) = write(&mut stream, &bytes) else { panic!("no room at all") };
        assert!(first < bytes.len());
        assert!(write(&mut stream, &bytes[first..]).is_pending());
        let mut read = vec![0; first];
        peer.read_exact(&mut read).unwrap();
        assert!(write(&mut stream, b"x").is_pending(), "before it was told");
        stream.socket.writable.set(true);
        assert!(write(&mut stream, b"x").is_ready());
        assert!(write(&mut stream, b"y").is_ready(), "there was room for all");
        assert_eq!(stream.socket.asked.get(), 3);
    }

    /// The beginning of a long frame, taken by the core, so that the rest goes into its message.
    fn expecting(payload: usize) -> (Connection, RecvBuf) {
        let now = Instant::from_nanos(0);
        let mut core = Connection::server(Config::default().into(), now);
        let mut input = RecvBuf::default();
        let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert_eq!(input.feed(request.as_bytes()), request.len());
        while let Some(event) = core.poll_event(&mut input, now) {
            if let Event::Request(_) = event {
                core.accept(&Accept::new(), now).unwrap();
            }
        }
        let mut frame = vec![0x82, 0xFF];
        frame.put_u64(payload as u64);
        frame.extend([0; 4]);
        frame.resize(frame.len() + (32 << 10), 1);
        assert_eq!(input.feed(&frame), frame.len());
        assert!(core.poll_event(&mut input, now).is_none() && input.is_lent());
        (core, input)
    }

    /// With more room than is wanted the message is read through a slice.
    #[test]
    fn a_read_takes_no_more_than_its_message_wants() {
        let payload = 100 << 10;
        for spare in [0, 1 << 10] {
            let (mut core, mut input) = expecting(payload);
            let (mut stream, mut peer) = pair();
            peer.write_all(&vec![2; payload]).unwrap();
            drop(peer);
            let wanted = input.message_mut().unwrap().remaining_mut();
            input.message_mut().unwrap().get_mut().reserve_exact(wanted + spare);
            let mut cx = Context::from_waker(Waker::noop());
            let mut taken = 0;
            while taken < payload - (32 << 10) {
                let Poll::Ready(Ok(n)) = stream.poll_fill(&mut cx, &mut input) else {
                    panic!("there is more")
                };
                taken += n;
            }
            assert_eq!(taken, payload - (32 << 10));
            let event = core.poll_event(&mut input, Instant::from_nanos(1));
            let Some(Event::Message(message)) = event else { panic!("{event:?}") };
            let (first, rest) = message.as_bytes().split_at(32 << 10);
            assert!(first.iter().all(|byte| *byte == 1) && rest.iter().all(|byte| *byte == 2));
            assert_eq!(rest.len(), taken);
        }
    }
}
