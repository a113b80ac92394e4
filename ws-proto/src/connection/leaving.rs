use super::{Connection, Phase};
use crate::{Role, State, Version};

impl Connection {
    /// Server: says before the first byte whether dropping the socket ends the stream as well as a
    /// shutdown does, and loses nothing that was written. The connection is then over as soon as
    /// both close frames have passed: no message follows the peer's (RFC 6455 section 5.5.1), and
    /// the server ends the stream first (section 7.1.1), so there is no end of the peer's stream to
    /// wait for.
    ///
    /// It is ended and read to its end as without this where more may come all the same: a socket
    /// that is dropped then would be reset, and the peer might lose the close frame. That is where
    /// something came behind the peer's close frame, where [`linger`](Self::linger) was called, and
    /// where the peer was ever pinged, whose pong may cross the close frames.
    pub fn set_ends_when_dropped(&mut self, ends: bool) {
        self.ends_when_dropped = ends && self.role == Role::Server;
    }

    /// Says that more may come from the peer than was given to this connection, see
    /// [`set_ends_when_dropped`](Self::set_ends_when_dropped).
    pub fn linger(&mut self) {
        self.lingers = true;
    }

    /// Whether the end of this side of the stream follows what was handed out last, with nothing in
    /// between: the next [`poll_transmit`](Self::poll_transmit) is the order to end it, or the
    /// connection is over as soon as that is written. A system that is told so, as Linux by
    /// `MSG_MORE`, sends both in one packet.
    pub fn ends_next(&self) -> bool {
        self.out.ends_next()
    }

    /// Ends the connection if all has been said and written. Answers whether that was so.
    pub(super) fn leave(&mut self) -> bool {
        let leaves = self.ends_when_dropped
            && !self.lingers
            && self.state() == State::Closing
            && self.version().is_some_and(Version::has_frames)
            && self.ending.as_ref().is_some_and(|ending| ending.clean)
            && matches!(self.phase, Phase::Discard)
            && !self.unwritable
            && self.out.buffered() == 0;
        if leaves {
            self.finish();
        }
        leaves
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use bytes::Buf;

    use super::*;
    use crate::{Accept, Close, Config, Event, Instant, Message, RecvBuf, Transmit};

    /// A close frame with the code 1000, masked with zeros.
    const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8];
    const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
    const NOW: Instant = Instant::from_nanos(0);

    struct Peer {
        server: Connection,
        input: RecvBuf,
    }

    impl Peer {
        /// A server that is open, whose answer was written.
        fn open() -> Self {
            let mut server = Connection::server(Arc::new(Config::default()), NOW);
            server.set_ends_when_dropped(true);
            let mut peer = Self { server, input: RecvBuf::default() };
            peer.feed(
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            );
            peer.server.accept(&Accept::new(), NOW).unwrap();
            peer.transmit().unwrap();
            peer.feed(&[]);
            assert_eq!(peer.server.state(), State::Connected);
            peer
        }

        /// Gives the server these bytes; answers how the connection ended, if it did.
        fn feed(&mut self, bytes: &[u8]) -> Option<bool> {
            assert_eq!(self.input.feed(bytes), bytes.len());
            let mut clean = None;
            while let Some(event) = self.server.poll_event(&mut self.input, NOW) {
                if let Event::Closed(closed) = event {
                    clean = Some(closed.clean);
                }
            }
            clean
        }

        /// Writes all; answers the bytes, or that the stream is to be ended.
        fn transmit(&mut self) -> Result<Vec<u8>, ()> {
            let mut written = Vec::new();
            while let Some(transmit) = self.server.poll_transmit() {
                let Transmit::Data(mut bytes) = transmit else { return Err(()) };
                let n = bytes.remaining();
                written.extend_from_slice(&bytes.copy_to_bytes(n));
                self.server.handle_transmitted(n);
            }
            Ok(written)
        }
    }

    #[test]
    fn the_last_byte_of_the_answer_is_the_end() {
        let mut peer = Peer::open();
        assert_eq!(peer.feed(&CLOSE), None);
        assert_eq!(peer.transmit(), Ok([0x88, 2, 0x03, 0xE8].into()));
        assert_eq!(peer.feed(&[]), Some(true));
        assert_eq!(peer.server.state(), State::Closed);
        assert_eq!(peer.server.poll_timeout(), None);
    }

    #[test]
    fn the_end_is_known_when_the_last_bytes_are_handed_out() {
        for drops in [true, false] {
            let mut peer = Peer::open();
            peer.server.set_ends_when_dropped(drops);
            peer.server.send(Message::text("x")).unwrap();
            assert!(!peer.server.ends_next());
            let Some(Transmit::Data(first)) = peer.server.poll_transmit() else {
                panic!("a frame")
            };
            assert!(!peer.server.ends_next(), "more may be sent");
            assert_eq!(peer.feed(&CLOSE), None);
            assert!(!peer.server.ends_next(), "the close frame is queued");
            let Some(Transmit::Data(last)) = peer.server.poll_transmit() else { panic!("a frame") };
            assert!(peer.server.ends_next());
            peer.server.handle_transmitted(first.remaining());
            assert!(peer.server.ends_next(), "nothing can come in between any more");
            peer.server.handle_transmitted(last.remaining());
            match peer.server.poll_transmit() {
                None => assert_eq!((drops, peer.feed(&[])), (true, Some(true))),
                Some(Transmit::Shutdown) => assert!(!drops),
                Some(Transmit::Data(_)) => panic!("more was written"),
            }
            assert!(!peer.server.ends_next(), "it has ended");
        }
    }

    #[test]
    fn a_pong_that_is_owed_comes_before_the_end() {
        let mut peer = Peer::open();
        assert_eq!(peer.feed(&PING.repeat(16)), None);
        let Some(Transmit::Data(pongs)) = peer.server.poll_transmit() else { panic!("pongs") };
        peer.server.send(Message::text("x")).unwrap();
        assert_eq!(peer.feed(&PING), None);
        peer.server.handle_eof(NOW);
        let Some(Transmit::Data(text)) = peer.server.poll_transmit() else { panic!("a frame") };
        assert!(!peer.server.ends_next(), "the newest ping is answered behind it");
        peer.server.handle_transmitted(pongs.remaining() + text.remaining());
        let Some(Transmit::Data(last)) = peer.server.poll_transmit() else { panic!("a pong") };
        assert!(peer.server.ends_next());
        peer.server.handle_transmitted(last.remaining());
        assert!(matches!(peer.server.poll_transmit(), Some(Transmit::Shutdown)));
    }

    #[test]
    fn a_batch_comes_before_the_end() {
        let mut peer = Peer::open();
        let mut batch = crate::Batch::new();
        peer.server.begin_batch(&mut batch, 1000);
        assert!(batch.take(&mut Message::text("x")));
        peer.server.handle_eof(NOW);
        assert!(!peer.server.ends_next());
        peer.server.end_batch(&mut batch);
        assert!(!peer.server.ends_next(), "it is queued");
        let Some(Transmit::Data(_)) = peer.server.poll_transmit() else { panic!("a frame") };
        assert!(peer.server.ends_next());
    }

    #[test]
    fn the_peers_answer_is_the_end() {
        let mut peer = Peer::open();
        peer.server.close(Close::normal(), NOW);
        assert_eq!(peer.feed(&[]), None);
        assert_eq!(peer.transmit(), Ok([0x88, 2, 0x03, 0xE8].into()));
        assert_eq!(peer.feed(&[&PING[..], &CLOSE].concat()), Some(true));
        assert_eq!(peer.transmit(), Ok(Vec::new()));
    }

    #[test]
    fn who_goes_on_sending_is_read_to_the_end() {
        for starts in [false, true] {
            let mut peer = Peer::open();
            if starts {
                peer.server.close(Close::normal(), NOW);
                peer.transmit().unwrap();
            }
            assert_eq!(peer.feed(&[&CLOSE[..], &PING].concat()), None, "{starts}");
            assert_eq!(peer.transmit(), Err(()), "{starts}");
            assert!(peer.server.wants_input());
            peer.server.handle_eof(NOW);
            assert_eq!(peer.feed(&[]), Some(true));
        }
    }

    #[test]
    fn who_was_pinged_is_read_to_the_end() {
        let mut peer = Peer::open();
        peer.server.ping(b"".as_slice().into()).unwrap();
        peer.transmit().unwrap();
        assert_eq!(peer.feed(&CLOSE), None);
        assert_eq!(peer.transmit(), Err(()), "its pong may be on the way");
        peer.server.handle_eof(NOW);
        assert_eq!(peer.feed(&[]), Some(true));
    }

    #[test]
    fn who_is_known_to_go_on_is_read_to_the_end() {
        let mut peer = Peer::open();
        assert_eq!(peer.feed(&CLOSE), None);
        peer.server.linger();
        assert_eq!(peer.transmit(), Err(()));
    }

    #[test]
    fn a_ping_that_was_sent_by_itself_counts() {
        let mut peer = Peer::open();
        peer.server.handle_timeout(peer.server.poll_timeout().unwrap());
        assert_eq!(peer.transmit(), Ok([0x89, 0].into()));
        assert_eq!(peer.feed(&CLOSE), None);
        assert_eq!(peer.transmit(), Err(()));
    }

    #[test]
    fn nothing_is_left_out_for_it() {
        let mut peer = Peer::open();
        assert_eq!(peer.feed(&CLOSE), None);
        let Some(Transmit::Data(bytes)) = peer.server.poll_transmit() else { panic!("a frame") };
        peer.server.handle_transmitted(bytes.remaining() - 1);
        assert_eq!(peer.feed(&[]), None, "a byte is not written yet");
        peer.server.handle_transmitted(1);
        assert_eq!(peer.feed(&[]), Some(true));
        assert!(format!("{:?}", peer.server).contains("Closed"));
    }

    #[test]
    fn a_fault_is_lingered_over() {
        let mut peer = Peer::open();
        assert_eq!(peer.feed(&[0x83, 0x80, 0, 0, 0, 0]), None);
        assert_eq!(peer.transmit(), Err(()));
        assert_eq!(peer.server.state(), State::Closing);
    }
}
