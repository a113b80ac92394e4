use std::{io, os::fd::AsFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::wire::fault;

/// How long a server may be silent while answers are due.
const STALLED_MS: u16 = 20_000;
const EVENTS: usize = 512;

/// An epoll of sockets that are watched for both directions, each edge reported once.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

/// What happened to a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) index: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); EVENTS] })
    }

    /// Reports what happens to `socket` under `index`.
    pub(crate) fn watch(&self, socket: impl AsFd, index: usize) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        Ok(self.epoll.add(socket, EpollEvent::new(flags, index as u64))?)
    }

    /// Waits for something to happen.
    ///
    /// # Errors
    /// Nothing happened for 20 s, or the system refused to wait.
    pub(crate) fn wait(&mut self) -> io::Result<impl Iterator<Item = Readiness> + use<'_>> {
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::from(STALLED_MS))? {
            0 => return Err(fault("the server was silent for 20 s while answers were due")),
            count => count,
        };
        Ok(self.events[..count].iter().map(|event| Readiness {
            index: event.data() as usize,
            readable: event.events().intersects(!EpollFlags::EPOLLOUT),
            writable: event.events().contains(EpollFlags::EPOLLOUT),
        }))
    }
}
