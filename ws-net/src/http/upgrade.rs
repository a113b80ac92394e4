use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use hyper::{Request, Response};
use ws_proto::{Accept, Answer, Config, HandshakeError, Version, Versions};

use super::handoff::{handoff, judge, rejected, response, whatever};
use crate::driver::Socket;
use crate::log;
use crate::shared::Peer;
use crate::upgrade::Taken;
use crate::{Address, Connection, ConnectionId, Incoming, Outcome, Runtime, Server, Upgrade};

impl<R: Runtime> Server<R> {
    /// Takes over the connection of a request that a hyper 1 server of yours has read, or one that
    /// builds on hyper, such as axum. That server must serve its connections with upgrades
    /// (`serve_connection(..).with_upgrades()`), on whatever streams it likes; for runtimes that
    /// hyper has no adapter for, [`HyperIo`](crate::http::HyperIo) and
    /// [`HyperTimer`](crate::http::HyperTimer) are one. Turn Nagle's algorithm off on the sockets
    /// (`set_nodelay`), which hyper leaves on: it keeps small messages back. This server needs no
    /// address: see [`Builder::build`](crate::Builder::build).
    ///
    /// What comes before the request is that server's business: `max_connections`,
    /// `max_handshakes` and the handshake timeout of this one begin here. So give hyper a timer,
    /// without which it waits for ever for a head, and a `header_read_timeout`.
    ///
    /// The request is judged by all rules of this server. Then choose who gets the connection:
    /// [`HttpUpgrade::serve`], [`HttpUpgrade::run`] or [`HttpUpgrade::incoming`]. Return the
    /// answer that each of them makes; when hyper has written it, hyper hands out the stream and
    /// the connection opens. Its body fits every body type:
    /// `answer.map(http_body_util::Full::new)`.
    ///
    /// hyper writes heads in its own way, so draft75 and draft76 are refused here with status 426,
    /// also when the server speaks them; [`upgrade`](Self::upgrade) takes them from the raw stream.
    /// Names of headers are in lower case, as hyper has them. Does not wait.
    ///
    /// Who the client is stands in no request: put its [`Address`] into the extensions before, or
    /// say it with [`HttpUpgrade::peer`], which is too late for refusals here.
    ///
    /// ```no_run
    /// use ws_net::http::{Request, Response};
    /// # use ws_net::{Bytes, Runtime, Server};
    ///
    /// # async fn f<R: Runtime, B>(server: Server<R>, mut request: Request<B>) -> Response<Bytes> {
    /// match server.upgrade_http(&mut request) {
    ///     Ok(upgrade) => {
    ///         upgrade
    ///             .serve(|connection| async move {
    ///                 connection.send("welcome").await.ok();
    ///             })
    ///             .await
    ///     }
    ///     Err(refusal) => refusal,
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// The answer to a request that broke a rule: 400, 403, 405, 414, 426, 431 or 505 as on a port
    /// of this server, which tells [`on_rejected`](Self::on_rejected). It ends its connection.
    #[expect(clippy::result_large_err, reason = "both are answers, made once in a connection")]
    pub fn upgrade_http<B>(
        &self,
        request: &mut Request<B>,
    ) -> Result<HttpUpgrade<R>, Response<Bytes>> {
        let config = self.config();
        let known = request.extensions().get().copied();
        let peer = known.unwrap_or(Address::Unnamed);
        let judged = judge(request, config).and_then(|request| {
            let version = request.version();
            if version.has_frames() {
                Ok(request)
            } else {
                Err(HandshakeError::UnsupportedVersion(version.name().into()))
            }
        });
        let asked = judged.map_err(|error| {
            let answer = refusal(&error, config);
            let id = ConnectionId::next(peer);
            let peer = Peer { secure: config.is_secure(), ..Peer::new(peer) };
            self.insides().1.refuse(&rejected(id, peer, error, &answer));
            response(&answer)
        })?;
        let (promise, answered) = handoff(hyper::upgrade::on(request), whatever);
        let taken = Taken::Asked(asked.clone(), Socket::Promised(promise));
        let upgrade = Upgrade::new(self, taken).peer(peer);
        let (named, answered) = (known.is_some(), Box::pin(answered));
        Ok(HttpUpgrade { request: asked, upgrade, named, answered })
    }
}

/// The answer of a server that speaks no version here that hyper cannot write the answer to.
fn refusal(error: &HandshakeError, config: &Config) -> Answer {
    let drafts = [Version::Draft75, Version::Draft76];
    let spoken = drafts.into_iter().fold(config.versions(), Versions::without);
    let here = config.clone().into_builder().versions(spoken).build();
    Answer::refuse(error, here.as_ref().unwrap_or(config))
}

/// A request that [`Server::upgrade_http`] found good, until it is said who gets the connection.
/// Dropping it leaves the request to the caller's own answer.
///
/// When the server is full or closed the answer is 503.
#[must_use = "the client waits for an answer"]
pub struct HttpUpgrade<R: Runtime> {
    request: ws_proto::Request,
    upgrade: Upgrade<R>,
    /// It was said who the client is.
    named: bool,
    answered: Answered,
}

/// The answer that hyper is to write.
type Answered = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

impl<R: Runtime> HttpUpgrade<R> {
    /// Says who is at the other end, see [`Upgrade::peer`]. Default: the [`Address`] in the
    /// extensions of the request, or [`Address::Unnamed`], which has no share: that is logged as a
    /// warning, once for each server where addresses have shares.
    pub fn peer(mut self, peer: impl Into<Address>) -> Self {
        self.upgrade = self.upgrade.peer(peer);
        self.named = true;
        self
    }

    /// Says whether the client came over TLS, see [`Upgrade::secure`]. Default: no. It comes too
    /// late for [`Rejected::secure`](crate::Rejected::secure), which has what
    /// [`Builder::secure`](crate::Builder::secure) says.
    pub fn secure(mut self, secure: bool) -> Self {
        self.upgrade = self.upgrade.secure(secure);
        self
    }

    /// Says how it is accepted: with which subprotocol, and with which headers, see
    /// [`Upgrade::accept_with`].
    pub fn accept_with(mut self, accept: Accept) -> Self {
        self.upgrade = self.upgrade.accept_with(accept);
        self
    }

    /// Accepts it, and runs `handler` as [`Server::serve`] does when the connection is open.
    ///
    /// Answers what hyper is to write. Waits for [`Builder::authorize`](crate::Builder::authorize), at
    /// most until the deadline of the handshake, and otherwise no longer than one turn of the
    /// connection's task. Dropping the future leaves the request unanswered, and the connection does
    /// not open.
    pub async fn serve<F, H>(self, handler: F) -> Response<Bytes>
    where
        F: FnOnce(Connection) -> H + Send + 'static,
        H: Future<Output: Outcome> + Send + 'static,
    {
        self.note_nameless();
        // That nobody is let in is in the answer.
        let _ = self.upgrade.serve(handler);
        self.answered.await
    }

    /// Accepts it and leaves it to the listeners, as [`Server::run`] does; otherwise as
    /// [`serve`](Self::serve).
    pub async fn run(self) -> Response<Bytes> {
        self.note_nameless();
        let _ = self.upgrade.run();
        self.answered.await
    }

    /// Leaves the decision to the caller, as [`Server::accept`] does: accept or reject what comes
    /// first, in a task of its own, since [`Incoming::accept`] waits until hyper has written the
    /// answer. What comes second is that answer, as soon as it is decided, or 503 at the deadline
    /// of the handshake.
    ///
    /// # Errors
    /// The answer with status 503 when the server is full or closed, and that of
    /// [`Builder::authorize`](crate::Builder::authorize) when it refuses.
    pub async fn incoming(
        self,
    ) -> Result<(Incoming, impl Future<Output = Response<Bytes>> + Send + 'static), Response<Bytes>>
    {
        self.note_nameless();
        let Self { upgrade, mut answered, .. } = self;
        let mut waiting = pin!(upgrade.incoming());
        let mut refused = false;
        // A request that is refused before is answered before.
        let decided = poll_fn(|cx| {
            if !refused && let Poll::Ready(incoming) = waiting.as_mut().poll(cx) {
                match incoming {
                    Ok(incoming) => return Poll::Ready(Ok(incoming)),
                    Err(_) => refused = true,
                }
            }
            answered.as_mut().poll(cx).map(Err)
        });
        match decided.await {
            Ok(incoming) => Ok((incoming, answered)),
            Err(answer) => Err(answer),
        }
    }

    /// The request: target and headers.
    pub fn request(&self) -> &ws_proto::Request {
        &self.request
    }

    /// Says that the limits for each address do nothing, if nobody has said who this is.
    fn note_nameless(&self) {
        if !self.named && self.upgrade.gate().note_nameless() {
            log::nameless();
        }
    }
}

impl<R: Runtime> fmt::Debug for HttpUpgrade<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpUpgrade").field("request", self.request()).finish_non_exhaustive()
    }
}
