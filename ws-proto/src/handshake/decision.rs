use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::error::Error;
use core::iter::successors;

use bytes::Bytes;

use super::extra_headers::{ExtraHeaders, InvalidHeader};
use super::request::Request;

/// How a request is accepted: with which subprotocol, and with which headers beside those of the
/// handshake.
///
/// ```
/// use ws_proto::Accept;
///
/// let accept = Accept::new().subprotocol("chat").header("Set-Cookie", "seat=7; HttpOnly")?;
/// # Ok::<(), ws_proto::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Accept {
    pub(super) subprotocol: Chosen,
    pub(super) headers: ExtraHeaders,
}

/// Who chooses the subprotocol.
#[derive(Clone, Debug, Default)]
pub(super) enum Chosen {
    #[default]
    ByPolicy,
    Nothing,
    This(Arc<str>),
}

impl Accept {
    /// The subprotocol of the configured policy, no further headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses this subprotocol. When the client did not offer it, accepting fails with
    /// [`CommandError::NotOffered`](crate::CommandError::NotOffered).
    pub fn subprotocol(mut self, name: impl Into<Arc<str>>) -> Self {
        self.subprotocol = Chosen::This(name.into());
        self
    }

    /// Leaves the subprotocol out again if `request` does not offer it: for one that was chosen
    /// before anybody has seen the request. Then an [earlier](Self::then) decision chooses, or the
    /// policy.
    ///
    /// ```
    /// use ws_proto::{Accept, Request};
    ///
    /// fn decide(request: &Request) -> Accept {
    ///     Accept::new().subprotocol("chat").if_offered(request)
    /// }
    /// ```
    pub fn if_offered(mut self, request: &Request) -> Self {
        if let Chosen::This(name) = &self.subprotocol
            && !request.subprotocols().any(|offered| offered == &**name)
        {
            self.subprotocol = Chosen::ByPolicy;
        }
        self
    }

    /// Chooses no subprotocol, whatever the policy says. When a draft75 or draft76 client asked
    /// for one, accepting fails with
    /// [`CommandError::SubprotocolNeeded`](crate::CommandError::SubprotocolNeeded).
    pub fn no_subprotocol(mut self) -> Self {
        self.subprotocol = Chosen::Nothing;
        self
    }

    /// Adds a header to the answer, such as `Set-Cookie`.
    ///
    /// These are reserved, for they decide what the handshake means or where the answer ends:
    /// `Connection`, `Content-Length`, `Host`, `Origin`, `Trailer`, `Transfer-Encoding`, `Upgrade`,
    /// and all that begin with `Sec-WebSocket-` or `WebSocket-`.
    ///
    /// # Errors
    /// [`InvalidHeader`] when it could be read as something else, or is reserved.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Adds a later decision: its headers come behind those of this one, and the subprotocol is
    /// its own if it chose one or none, and otherwise the one of this.
    pub fn then(mut self, later: &Self) -> Self {
        if !matches!(later.subprotocol, Chosen::ByPolicy) {
            self.subprotocol = later.subprotocol.clone();
        }
        self.headers.append(&later.headers);
        self
    }
}

/// How a request is refused: an HTTP status, headers and a body.
///
/// ```
/// use ws_proto::Reject;
///
/// let reject = Reject::new(401).header("WWW-Authenticate", "Basic realm=\"chat\"")?;
/// # Ok::<(), ws_proto::InvalidHeader>(())
/// ```
///
/// Where a function answers a `Result` with it, `?` makes one of every error, also of a boxed one,
/// of those of `anyhow`, and of a text: a fault of this side, which the client must not read. It
/// gets status 500, and [`reason`](Self::reason) has the words. What the client did wrong needs a
/// status that says so.
///
/// ```
/// use ws_proto::{Accept, Reject};
///
/// fn decide(seat: &str, plan: &str) -> Result<Accept, Reject> {
///     let seat: usize = seat.parse().map_err(|_| Reject::new(400))?;
///     let row = plan.lines().nth(seat).ok_or("the plan has too few rows")?;
///     Ok(Accept::new().header("X-Row", row)?)
/// }
/// assert_eq!(decide("nine", "A").unwrap_err().status(), 400);
/// assert_eq!(decide("9", "A").unwrap_err().status(), 500);
/// ```
#[derive(Clone, Debug)]
pub struct Reject {
    status: u16,
    pub(super) headers: ExtraHeaders,
    pub(super) body: Option<Bytes>,
    reason: Option<Arc<str>>,
}

impl Reject {
    /// Refuses with a status from 300 to 599, such as 401, 403, 404 or 503. Any other number
    /// refuses nothing; it is a mistake of this side and is sent as 500, which says so.
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 300..=599) { status } else { 500 };
        Self { status, headers: ExtraHeaders::default(), body: None, reason: None }
    }

    /// Adds a header to the answer, such as `Retry-After`, or `Content-Type` when the body is not
    /// plain text in UTF-8.
    ///
    /// # Errors
    /// [`InvalidHeader`] when it could be read as something else, or is one of those that
    /// [`Accept::header`] names as reserved.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// The body. Without one the answer says what its status means; a 304 has none in either case
    /// (RFC 9110 section 15.4.5).
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Says why, for the log of this side. It is never sent.
    pub fn because(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The status that is sent.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason for the log, if one was given.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// An error of this side, with what is behind it.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Reject {
    fn from(error: E) -> Self {
        let error = error.into();
        let mut words = error.to_string();
        for cause in successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
            // Some say that themselves.
            if !words.ends_with(&cause) {
                words = format!("{words}: {cause}");
            }
        }
        Self::new(500).because(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_decisions_come_behind_earlier_ones() {
        let first = || Accept::new().subprotocol("a").header("X-A", "1").unwrap();
        let both = first().then(&Accept::new().header("X-B", "2").unwrap());
        assert_eq!(both.headers.as_bytes(), b"X-A: 1\r\nX-B: 2\r\n");
        assert!(matches!(&both.subprotocol, Chosen::This(name) if &**name == "a"));
        let other = first().then(&Accept::new().subprotocol("b"));
        assert!(matches!(&other.subprotocol, Chosen::This(name) if &**name == "b"));
        assert!(matches!(
            first().then(&Accept::new().no_subprotocol()).subprotocol,
            Chosen::Nothing
        ));
    }

    #[test]
    fn an_error_is_a_500_that_keeps_its_words_to_itself() {
        #[derive(Debug, thiserror::Error)]
        #[error("the table is locked")]
        struct Locked;
        #[derive(Debug, thiserror::Error)]
        enum Failure {
            #[error("no seats: {0}")]
            Seats(#[source] Locked),
            #[error("no names")]
            Names(#[source] Locked),
        }
        let boxed: Box<dyn Error + Send + Sync> = Box::new(Failure::Names(Locked));
        for (reject, reason) in [
            (Reject::from(Failure::Seats(Locked)), "no seats: the table is locked"),
            (Reject::from(boxed), "no names: the table is locked"),
            (Reject::from("no room"), "no room"),
        ] {
            assert_eq!((reject.status(), reject.reason()), (500, Some(reason)));
            assert!(reject.body.is_none() && reject.headers.as_bytes().is_empty());
        }
    }

    #[test]
    fn a_status_that_refuses_nothing_is_a_500() {
        for (status, sent) in [(300, 300), (599, 599), (101, 500), (200, 500), (600, 500)] {
            assert_eq!(Reject::new(status).status(), sent);
        }
    }
}
