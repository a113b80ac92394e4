use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Waker;

use ws_proto::{Accept, Instant, RecvBuf};

use super::*;
use crate::toy::party::REQUEST;

/// A socket and what the runtime was asked to write.
struct Socket(UnixStream, Vec<u8>);

impl Transport for Socket {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before = self.1.len();
        for buf in bufs {
            self.1.extend_from_slice(buf);
        }
        Poll::Ready(Ok(self.1.len() - before))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn descriptor(&self) -> Option<Descriptor<Self>> {
        Some(crate::descriptor::of(&self.0))
    }
}

fn pair() -> (Socket, UnixStream) {
    let (own, peer) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    (Socket(own, Vec::new()), peer)
}

/// The length of a frame that is copied.
const FRAME: usize = 4 + 4000;

/// Writes so many frames, as the `last` ones or not; answers how many bytes, and how that ended.
fn write(socket: &mut Socket, frames: usize, last: bool) -> (usize, Poll<io::Result<()>>) {
    let now = Instant::from_nanos(0);
    let mut core = ws_proto::Connection::server(Arc::default(), now);
    let mut input = RecvBuf::default();
    input.feed(REQUEST);
    while core.poll_event(&mut input, now).is_some() {}
    core.accept(&Accept::new(), now).unwrap();
    assert!(core.poll_transmit().is_some());
    for _ in 0..frames {
        core.send(vec![0; 4000].into()).unwrap();
    }
    let mut outbox = Outbox::default();
    assert!(outbox.put(core.poll_transmit().unwrap(), last).is_none());
    let mut written = 0;
    let poll = outbox.poll_write(socket, &mut Context::from_waker(Waker::noop()), &mut written);
    (written, poll)
}

#[test]
fn the_runtime_is_asked_when_the_socket_is_full_or_the_write_is_large() {
    let (mut socket, mut peer) = pair();
    let (written, poll) = write(&mut socket, 1, false);
    assert!(matches!(poll, Poll::Ready(Ok(()))));
    assert_eq!((written, socket.1.len()), (FRAME, 0));
    peer.read_exact(&mut [0; FRAME]).unwrap();
    let many = AT_ONCE / FRAME + 1;
    assert_eq!(write(&mut socket, many, false).0, many * FRAME);
    assert_eq!(socket.1.len(), many * FRAME);
    for last in [false, true] {
        let before = socket.1.len();
        while socket.1.len() == before {
            assert_eq!(write(&mut socket, 1, last).0, FRAME);
        }
    }
}

#[test]
fn an_error_of_the_socket_is_told_once() {
    let (mut socket, peer) = pair();
    drop(peer);
    let (written, poll) = write(&mut socket, 1, false);
    let Poll::Ready(Err(error)) = poll else { panic!("{poll:?}") };
    assert_eq!((written, error.kind()), (0, io::ErrorKind::BrokenPipe));
    assert!(socket.1.is_empty());
}
