use alloc::boxed::Box;
use alloc::sync::Arc;

use super::writer::Writer;
use super::{Connection, Phase};
use crate::{Answer, Config, Instant, Request};

impl Connection {
    /// A server's side behind an HTTP server of another make, which has read the request and
    /// writes the answer, too.
    ///
    /// It begins as [`server_from`](Self::server_from) does. After any `&mut` call up to the
    /// answer drain [`poll_answer`](Self::poll_answer), too; when the answer was written and its
    /// status is 101, say so with [`handle_answered`](Self::handle_answered) and move bytes from
    /// then on. In between the state is 2 (waiting), and the deadline of the handshake goes on.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ws_proto::{Accept, Config, Connection, Instant, Request, State};
    ///
    /// let config = Arc::new(Config::default());
    /// let headers: [(&str, &[u8]); 5] = [
    ///     ("host", b"example.com"),
    ///     ("upgrade", b"websocket"),
    ///     ("connection", b"Upgrade"),
    ///     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ///     ("sec-websocket-version", b"13"),
    /// ];
    /// let request = Request::from_parts("GET", "/chat", 1, headers, &config)?;
    /// let now = Instant::from_nanos(0);
    /// let mut connection = Connection::server_apart(config, request, now);
    /// connection.accept(&Accept::new(), now).unwrap();
    /// let answer = connection.poll_answer().unwrap();
    /// assert_eq!(answer.status(), 101);
    /// // The HTTP server writes it and lets the stream go.
    /// connection.handle_answered(now);
    /// assert_eq!(connection.state(), State::Connected);
    /// # Ok::<(), ws_proto::HandshakeError>(())
    /// ```
    pub fn server_apart(config: Arc<Config>, request: Request, now: Instant) -> Self {
        let connection = Self::server_from(config, request, now);
        Self { writer: Writer::Other(Box::default()), ..connection }
    }

    /// The answer that the HTTP server is to write, once; `None` when nobody has decided yet, and
    /// for connections that write their own. May answer differently after any `&mut` call.
    #[must_use]
    pub fn poll_answer(&mut self) -> Option<Answer> {
        match &mut self.writer {
            Writer::Own => None,
            Writer::Other(answer) => answer.take(),
        }
    }

    /// Says that the answer with status 101 was written and that the stream is the connection's
    /// from now on. Bytes that the HTTP server has read behind the request are the first input.
    /// Does nothing when no such answer was handed out.
    pub fn handle_answered(&mut self, now: Instant) {
        self.now = now;
        if !matches!(self.phase, Phase::Answered(_)) || self.writer.has_answer() {
            return;
        }
        self.writer = Writer::Own;
        let phase = core::mem::replace(&mut self.phase, Phase::Discard);
        if let (Phase::Answered(request), Some(agreed)) = (phase, self.agreed.take()) {
            self.go_on(&request, agreed);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;
    use crate::{
        Accept, Cause, Close, CommandError, Event, Expired, HandshakeError, Message, RecvBuf,
        Reject, State, Transmit, Version,
    };

    const START: Instant = Instant::from_nanos(0);

    fn request(version: Version) -> Request {
        let mut headers: Vec<(&str, &[u8])> = Vec::from([
            ("host", &b"a"[..]),
            ("upgrade", if version.has_frames() { b"websocket" } else { b"WebSocket" }),
            ("connection", b"Upgrade"),
            ("origin", b"http://a"),
        ]);
        match version {
            Version::Draft75 => {}
            Version::Draft76 => headers.extend([
                ("sec-websocket-key1", &b"18x 6]8vM;54 *(5:  {   U1]8  z [  8"[..]),
                ("sec-websocket-key2", b"1_ tx7X d  <  nw  334J702) 7]o}` 0"),
            ]),
            Version::Hybi07 => headers.push(("sec-websocket-version", b"7")),
            Version::Hybi08 => headers.push(("sec-websocket-version", b"8")),
            Version::Rfc6455 => headers.push(("sec-websocket-version", b"13")),
        }
        if version.has_frames() {
            headers.push(("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="));
        }
        Request::from_parts("GET", "/", 1, headers, &Config::default()).unwrap()
    }

    fn apart(version: Version) -> Connection {
        Connection::server_apart(Arc::new(Config::default()), request(version), START)
    }

    /// What happens next: the numbers of the states, and the cause of the end.
    fn told(connection: &mut Connection, input: &mut RecvBuf) -> (Vec<u8>, Option<Cause>) {
        let (mut states, mut cause) = (Vec::new(), None);
        while let Some(event) = connection.poll_event(input, START) {
            match event {
                Event::State { to, .. } => states.push(to as u8),
                Event::Closed(closed) => cause = Some(closed.cause.clone()),
                event => panic!("{event:?}"),
            }
        }
        (states, cause)
    }

    #[test]
    fn nothing_is_written_or_read_before_the_answer_was() {
        let mut connection = apart(Version::Rfc6455);
        let mut input = RecvBuf::default();
        input.feed(b"\x81\x82\0\0\0\0hi");
        assert_eq!(told(&mut connection, &mut input).0, [1]);
        assert!(connection.poll_answer().is_none() && !connection.wants_input());
        connection.handle_answered(START);
        connection.accept(&Accept::new().header("X-A", "b").unwrap(), START).unwrap();
        assert_eq!(told(&mut connection, &mut input).0, [2]);
        // Too early: the answer was not handed out.
        connection.handle_answered(START);
        assert_eq!(connection.state(), State::Waiting);
        let answer = connection.poll_answer().unwrap();
        let accept = answer.headers().find(|(name, _)| *name == "Sec-WebSocket-Accept");
        assert_eq!(accept.unwrap().1, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(answer.headers().any(|field| field == ("X-A", b"b")));
        assert!(connection.poll_answer().is_none() && connection.poll_transmit().is_none());
        assert!(!connection.wants_input());
        let again = connection.accept(&Accept::new(), START);
        assert_eq!(again, Err(CommandError::NoRequest(State::Waiting)));

        connection.handle_answered(START);
        for state in [State::Waiting, State::Handshaking] {
            let event = connection.poll_event(&mut input, START);
            assert!(matches!(event, Some(Event::State { from, .. }) if from == state));
        }
        let event = connection.poll_event(&mut input, START);
        assert!(matches!(event, Some(Event::Message(message)) if message == Message::text("hi")));
        assert!(connection.poll_transmit().is_none());
    }

    #[test]
    fn every_version_opens() {
        for version in Version::ALL {
            let mut connection = apart(version);
            let mut input = RecvBuf::default();
            connection.accept(&Accept::new(), START).unwrap();
            assert_eq!(connection.poll_answer().unwrap().status(), 101);
            connection.handle_answered(START);
            if version == Version::Draft76 {
                input.feed(b"Tm[K T2u");
            }
            assert_eq!(told(&mut connection, &mut input), (Vec::from([1, 2, 3, 4]), None));
            let written = connection.poll_transmit();
            assert_eq!(written.is_some(), version == Version::Draft76, "{version}");
        }
    }

    #[test]
    fn a_refusal_is_handed_out_and_the_stream_ends() {
        type Step = fn(&mut Connection);
        let late: Step = |connection| {
            connection.handle_timeout(START + Duration::from_secs(3600));
        };
        let undecided = Cause::Timeout(Expired::Decision);
        let ways: [(Step, u16, Cause); 9] = [
            (|connection| connection.turn_away(START).unwrap(), 503, Cause::Unavailable),
            (
                |connection| connection.reject(&Reject::new(404), START).unwrap(),
                404,
                Cause::Rejected(404),
            ),
            (
                |connection| connection.refuse(HandshakeError::OriginRequired, START).unwrap(),
                403,
                Cause::Handshake(HandshakeError::OriginRequired),
            ),
            // This side should have known that no request has that fault.
            (
                |connection| connection.refuse(HandshakeError::WrongAccept, START).unwrap(),
                500,
                Cause::Handshake(HandshakeError::WrongAccept),
            ),
            (|connection| connection.close(Close::normal(), START), 503, Cause::Local),
            (late, 503, undecided.clone()),
            // Accepted, but nobody has written that yet.
            (
                |connection| {
                    connection.accept(&Accept::new(), START).unwrap();
                    connection.turn_away(START).unwrap();
                },
                503,
                Cause::Unavailable,
            ),
            (
                |connection| {
                    connection.accept(&Accept::new(), START).unwrap();
                    connection.close(Close::normal(), START);
                },
                503,
                Cause::Local,
            ),
            (
                |connection| {
                    connection.accept(&Accept::new(), START).unwrap();
                    connection.handle_timeout(START + Duration::from_secs(3600));
                },
                503,
                undecided,
            ),
        ];
        for (way, status, why) in ways {
            let mut connection = apart(Version::Rfc6455);
            way(&mut connection);
            assert_eq!(connection.poll_answer().map(|answer| answer.status()), Some(status));
            assert!(matches!(connection.poll_transmit(), Some(Transmit::Shutdown)));
            connection.handle_answered(START);
            connection.handle_eof(START);
            let (states, cause) = told(&mut connection, &mut RecvBuf::default());
            assert_eq!((states.last(), cause), (Some(&6), Some(why)));
        }
    }

    #[test]
    fn an_end_takes_an_acceptance_back() {
        for end in [Connection::abort, |connection: &mut Connection| connection.handle_eof(START)] {
            let mut connection = apart(Version::Rfc6455);
            connection.accept(&Accept::new(), START).unwrap();
            end(&mut connection);
            assert!(connection.poll_answer().is_none());
        }
    }
}
