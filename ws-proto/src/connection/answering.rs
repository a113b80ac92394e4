use alloc::boxed::Box;
use alloc::vec::Vec;

use super::writer::Writer;
use super::{Connection, Phase};
use crate::handshake::draft76::Challenge;
use crate::handshake::{self, Agreed};
use crate::{
    Accept, Answer, Cause, CommandError, Config, HandshakeError, Instant, Reject, Request, State,
    Version,
};

/// Answering requests.
impl Connection {
    /// Server: opens the connection that was asked for.
    ///
    /// # Errors
    /// [`CommandError`] when no request waits, or when the choice does not fit the request; it can
    /// then still be rejected.
    pub fn accept(&mut self, accept: &Accept, now: Instant) -> Result<(), CommandError> {
        self.now = now;
        let request = match core::mem::replace(&mut self.phase, Phase::Discard) {
            Phase::Decide(request) => request,
            phase => {
                self.phase = phase;
                return Err(CommandError::NoRequest(self.state()));
            }
        };
        let agreed = self.answer(|config, out| handshake::answer(&request, accept, config, out));
        let agreed = match agreed {
            Ok(agreed) => agreed,
            Err(error) => {
                self.phase = Phase::Decide(request);
                return Err(error);
            }
        };
        if self.writer.is_other() {
            self.steps.enter(State::Waiting);
            self.agreed = Some(agreed);
            self.phase = Phase::Answered(request);
        } else {
            self.go_on(&request, agreed);
        }
        Ok(())
    }

    /// Server: answers the request with an HTTP status and closes. A request that is still being
    /// read may be rejected, too; the rest of it is discarded.
    ///
    /// # Errors
    /// [`CommandError::NoRequest`] when no request waits or is being read.
    pub fn reject(&mut self, reject: &Reject, now: Instant) -> Result<(), CommandError> {
        self.now = now;
        if !matches!(self.phase, Phase::Request(_) | Phase::Decide(_)) {
            return Err(CommandError::NoRequest(self.state()));
        }
        self.send_away(reject, Cause::Rejected(reject.status()));
        Ok(())
    }

    /// Server: answers the request that waits with 503 because there is no room for another
    /// connection, or none is to be opened any more. It is not the application that refuses, which
    /// the cause tells: [`Cause::Unavailable`]. One that is still being read is left alone, for it
    /// is owed no answer.
    ///
    /// # Errors
    /// [`CommandError::NoRequest`] when no request waits.
    pub fn turn_away(&mut self, now: Instant) -> Result<(), CommandError> {
        self.now = now;
        if self.state() >= State::Closing || !self.is_unanswered() {
            return Err(CommandError::NoRequest(self.state()));
        }
        self.send_away(&Reject::new(503), Cause::Unavailable);
        Ok(())
    }

    fn send_away(&mut self, reject: &Reject, cause: Cause) {
        self.answer(|_, out| handshake::reject(reject, out));
        self.begin_closing(cause);
        self.end_stream();
    }

    /// Server: refuses the request that waits, because it broke a rule that the caller judges, such
    /// as [`OriginPolicy::judge`](crate::OriginPolicy::judge): answered and told as the rules that
    /// are judged here. An error that only an answer can have is answered with 500.
    ///
    /// # Errors
    /// [`CommandError::NoRequest`] when no request waits.
    pub fn refuse(&mut self, error: HandshakeError, now: Instant) -> Result<(), CommandError> {
        self.now = now;
        if !matches!(self.phase, Phase::Decide(_)) {
            return Err(CommandError::NoRequest(self.state()));
        }
        self.fail(Cause::Handshake(error));
        Ok(())
    }

    /// The answer that accepts was written: draft76 goes on with the bytes behind the request.
    pub(super) fn go_on(&mut self, request: &Request, agreed: Agreed) {
        if agreed.version == Version::Draft76 {
            if self.state() < State::Waiting {
                self.steps.enter(State::Waiting);
            }
            self.phase = Phase::Challenge(Box::new(Challenge::new(request)));
            self.agreed = Some(agreed);
        } else {
            self.open(agreed);
        }
    }

    /// Whether a request waits for its answer.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self.phase, Phase::Decide(_)) || self.writer.has_answer()
    }

    /// Writes an answer, or keeps it for the one who does.
    pub(super) fn answer<T>(&mut self, write: impl FnOnce(&Config, &mut Vec<u8>) -> T) -> T {
        let Writer::Other(answer) = &mut self.writer else {
            let request =
                if let Phase::Request(begun) = &self.phase { begun.as_ref() } else { None };
            let no_content = request.is_some_and(|begun| begun.wants_no_content());
            return self.out.buf().put_with(|out| {
                let start = out.len();
                let result = write(&self.config, out);
                if no_content {
                    handshake::drop_content(out, start);
                }
                result
            });
        };
        let mut out = Vec::new();
        let result = write(&self.config, &mut out);
        if !out.is_empty() {
            **answer = Some(Answer::take_apart(out));
        }
        result
    }
}
