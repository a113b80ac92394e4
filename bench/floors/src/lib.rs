//! An accept loop and non-blocking sockets on bare epoll, for the floors that use no runtime.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

const LISTENER: u64 = u64::MAX;
const EVENTS: usize = 512;

/// Sockets that are read when readable, by one thread.
#[derive(Debug)]
pub struct Loop {
    epoll: Epoll,
    listener: TcpListener,
    /// By index; a closed socket leaves a hole that the next one fills.
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
}

/// A socket and what could not be written to it yet.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    unsent: VecDeque<u8>,
}

impl Loop {
    /// Listens.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Self { epoll, listener, peers: Vec::new(), free: Vec::new() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Calls `input` with all sockets, the index of one that is readable, and what it sent, for
    /// ever. `buffer` limits what is read at once.
    ///
    /// # Errors
    /// The system refuses to wait or to accept.
    pub fn run(
        &mut self,
        buffer: usize,
        mut input: impl FnMut(&mut [Option<Peer>], usize, &[u8]),
    ) -> io::Result<()> {
        let mut buffer = vec![0; buffer];
        let mut events = vec![EpollEvent::empty(); EVENTS];
        loop {
            let count = self.epoll.wait(&mut events, EpollTimeout::NONE)?;
            for event in &events[..count] {
                if event.data() == LISTENER {
                    self.accept()?;
                    continue;
                }
                let index = event.data() as usize;
                if event.events().contains(EpollFlags::EPOLLOUT)
                    && let Some(peer) = &mut self.peers[index]
                {
                    peer.flush();
                }
                if event.events().intersects(!EpollFlags::EPOLLOUT) {
                    self.read(index, &mut buffer, &mut input);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let (stream, _) = match self.listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let index = self.free.pop().unwrap_or(self.peers.len());
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        self.epoll.add(&stream, EpollEvent::new(flags, index as u64))?;
        let peer = Some(Peer { stream, unsent: VecDeque::new() });
        match self.peers.get_mut(index) {
            Some(hole) => *hole = peer,
            None => self.peers.push(peer),
        }
        Ok(())
    }

    fn read(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        input: &mut impl FnMut(&mut [Option<Peer>], usize, &[u8]),
    ) {
        while let Some(peer) = &mut self.peers[index] {
            match peer.stream.read(buffer) {
                Ok(n) if n > 0 => {
                    input(&mut self.peers, index, &buffer[..n]);
                    if n < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => {
                    self.peers[index] = None;
                    self.free.push(index);
                }
            }
        }
    }
}

impl Peer {
    /// Writes `bytes` now, or keeps what the socket does not take.
    pub fn send(&mut self, bytes: &[u8]) {
        let written = if self.unsent.is_empty() { self.write(bytes) } else { 0 };
        self.unsent.extend(&bytes[written..]);
    }

    fn flush(&mut self) {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            let length = front.len();
            let written = (&self.stream).write(front).unwrap_or(0);
            self.unsent.drain(..written);
            if written < length {
                return;
            }
        }
    }

    /// A socket that fails takes nothing; reading finds out that it is gone.
    fn write(&mut self, mut bytes: &[u8]) -> usize {
        let all = bytes.len();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(_) => break,
            }
        }
        all - bytes.len()
    }
}
