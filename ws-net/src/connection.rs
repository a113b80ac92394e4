use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use ws_proto::{
    Close, CloseCode, Closed, Headers, Message, Reject, Request, Response, Role, SendError,
    SendErrorKind, SendStatus, State, Version,
};

use crate::backlog::Freed;
use crate::burst;
use crate::log;
use crate::shared::{Inner, Reader, Shared, Wants};
use crate::{Address, ConnectionId, LocalAddress, Storage};

#[cfg(feature = "deflate")]
mod compression;
mod listeners;

/// A handle of one connection: cheap to clone, the same type on every runtime.
///
/// Every method may be called from any task or thread at the same time. Only
/// [`recv`](Self::recv), [`send`](Self::send), [`recv_stream`](Self::recv_stream),
/// [`send_stream`](Self::send_stream), the two that send uncompressed, [`ready`](Self::ready) and
/// [`closed`](Self::closed) wait, and dropping their futures loses nothing. [`split`](Self::split)
/// makes two halves of it, for code that wants to own each.
///
/// Asking how things stand ([`state`](Self::state), [`version`](Self::version),
/// [`protocol`](Self::protocol), [`buffered_amount`](Self::buffered_amount), [`data`](Self::data)
/// and others) takes the connection's lock, as sending does. So that the answer is right, it also
/// ends the connection's share in what those who sleep between two messages to many are sent
/// together, and the next such message costs more. Do not ask every member between broadcasts:
/// listeners tell what changes, and [`Delivery`](crate::Delivery) how many were slow.
///
/// How long the connection lives depends on where it comes from. With
/// [`serve`](crate::Server::serve) it is closed when the handler returns. One that was accepted
/// through [`Incoming`](crate::Incoming), or made by a [`Client`](crate::Client), is closed with
/// code 1000 when its last handle is dropped.
/// With [`run`](crate::Server::run) it lives until somebody closes it.
pub struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.add_handle();
        Self { shared }
    }

    /// The next message.
    ///
    /// `None` when the connection was closed properly, by whichever side;
    /// `Some(Err(closed))` once, and `None` from then on, when it ended in another way. Messages
    /// that came before the end are handed out first.
    ///
    /// As long as a message waits to be taken, nothing more is read from the socket. The peer is
    /// then held back by its own system, and its silence ends nothing. That it has left is noticed
    /// when a write fails, and not before.
    ///
    /// Waits for the peer. Cancel-safe: a message is taken out only when it is returned. When
    /// several tasks call it, each message goes to one of them. With `run` the message listeners
    /// get the messages, and this waits for the end.
    pub fn recv(&self) -> impl Future<Output = Option<Result<Message, Arc<Closed>>>> + Send {
        let mut place = self.shared.place();
        poll_fn(move |cx| match burst::poll_next(place.shared, cx) {
            Some(next) => next.map(|message| Some(Ok(message))),
            None => place.poll(Wants::Message, cx, Inner::poll_recv),
        })
    }

    /// Sends a message to this client alone.
    ///
    /// It is queued and leaves with everything else that is queued in the same turn of the
    /// connection's task; no flush is needed. Waits while the outbound buffer is full, that is
    /// when the peer reads more slowly than this side sends. Cancel-safe: a dropped future has
    /// either queued the message, or nothing of it. Messages of one task keep their order.
    ///
    /// # Errors
    /// The message comes back when the connection is not open (any more), or when its version
    /// cannot carry it: draft75 and draft76 have no binary messages.
    pub fn send(
        &self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), SendError<Message>>> + Send {
        let mut message = Some(message.into());
        let mut place = self.shared.place();
        poll_fn(move |cx| {
            if message.as_mut().is_none_or(|message| burst::send(place.shared, message)) {
                message = None;
                return Poll::Ready(Ok(()));
            }
            let queue = ws_proto::Connection::queue;
            let sent = place.poll(Wants::Room, cx, |inner, _| inner.poll_send(&mut message, queue));
            sent.map_ok(drop)
        })
    }

    /// Sends a message to this client alone, without waiting for room.
    ///
    /// # Errors
    /// As [`send`](Self::send), and with `SendErrorKind::Full` when the outbound buffer is at its
    /// high-water mark, or messages to many wait behind it; with `SendErrorKind::Unfinished` while a
    /// message is on its way in pieces, see [`send_stream`](Self::send_stream).
    /// [`ready`](Self::ready) waits until neither is so.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<SendStatus, SendError<Message>> {
        let mut message = message.into();
        if burst::send(&self.shared, &mut message) {
            return Ok(SendStatus::Ready);
        }
        let queued = self.shared.command(|inner, _| inner.try_send(&message));
        queued.map_err(|kind| SendError { message, kind })
    }

    /// Waits until there is room in the outbound buffer, for code that makes a message only when it
    /// can leave, such as the newest state of a game, and sends it with
    /// [`try_send`](Self::try_send).
    ///
    /// It comes when [`send`](Self::send) would go on: after the buffer was full, not before it is
    /// down to [`Limits::outbound_low`](crate::Limits). Cancel-safe. It keeps no place, so what
    /// others send in between may take the room.
    ///
    /// # Errors
    /// When the connection is not open, yet or any more.
    pub fn ready(&self) -> impl Future<Output = Result<(), SendError<()>>> + Send {
        self.shared.wait(Wants::Room, |inner, common| {
            ready!(inner.poll_room(common));
            Poll::Ready(match inner.core.state() {
                State::Connected => Ok(()),
                state => Err(SendError { message: (), kind: SendErrorKind::NotConnected(state) }),
            })
        })
    }

    /// Sends a ping with at most 125 bytes (RFC 6455 section 5.5.2). Does not wait; the answer is
    /// told to [`on_pong`](Self::on_pong). Pings that keep the connection alive are sent without it,
    /// see [`Timeouts`](crate::Timeouts).
    ///
    /// # Errors
    /// The payload comes back when it is too long, the connection is not open, or its version has
    /// no pings (draft75, draft76).
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<SendStatus, SendError<Bytes>> {
        let message = payload.into();
        let queued = self.shared.command(|inner, _| inner.core.queue_ping(&message));
        queued.map_err(|kind| SendError { message, kind })
    }

    /// Sends a pong that nobody asked for, with at most 125 bytes: a sign of life (RFC 6455
    /// section 5.5.3). Does not wait. Pings are answered without it.
    ///
    /// # Errors
    /// As for [`ping`](Self::ping).
    pub fn pong(&self, payload: impl Into<Bytes>) -> Result<SendStatus, SendError<Bytes>> {
        let message = payload.into();
        let queued = self.shared.command(|inner, _| inner.core.queue_pong(&message));
        queued.map_err(|kind| SendError { message, kind })
    }

    /// Stops receiving until [`resume`](Self::resume). Does not wait.
    ///
    /// Nothing more is read from the socket, so a peer that goes on sending is held back by its own
    /// system; its silence is not blamed meanwhile. Message listeners are told nothing more, not
    /// even what is in memory already, whereas [`recv`](Self::recv) hands that out. Pings are not
    /// answered either, and a peer that leaves is noticed later. Sending goes on. A pause that
    /// begins before the connection is open holds from then on; closing ends it.
    pub fn pause(&self) {
        self.shared.command(|inner, _| inner.paused = inner.reader != Reader::Nobody);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.shared.command(|inner, _| inner.paused = false);
    }

    /// Starts the closing handshake. Does not wait; [`closed`](Self::closed) tells when it is
    /// over, and a program that ends before cuts it off. What was sent before still leaves; messages
    /// that arrive from now on are discarded. draft75 and draft76 carry neither code nor reason.
    /// Further calls do nothing.
    pub fn close(&self, close: impl Into<Close>) {
        self.shared.close(close.into());
    }

    /// Refuses the client. Does not wait.
    ///
    /// As long as its request is being read or decided about, it is answered with the status,
    /// headers and body of `reject`; listeners and [`Builder::authorize`](crate::Builder::authorize)
    /// run so early. Later the connection is closed with code 1008 (policy). The reason in `reject`
    /// is logged, with status 500 as an error, one a second and the others for debugging, and never
    /// sent. Does nothing when the connection is closing already.
    pub fn reject(&self, reject: &Reject) {
        let mut freed = Freed::default();
        let late = self.shared.command(|inner, now| {
            let late = !inner.is_open();
            if inner.core.reject(reject, now).is_err() {
                inner.close(CloseCode::POLICY.into(), now, &mut freed);
            }
            late
        });
        freed.release();
        if let (false, Some(reason)) = (late, reject.reason()) {
            log::refused_because(self, reject.status(), reason);
        }
    }

    /// Keeps `value` with the connection, for [`data`](Self::data) of every handle. Answers the
    /// value of the same type that was there before. Does not wait.
    ///
    /// There is one value of each type; wrap what has a common type in one of your own. They are
    /// dropped with the last handle and the task of the connection, so that they can be read when
    /// it is over. One that holds a handle of its own connection keeps both for ever: take it out
    /// with [`take_data`](Self::take_data), or hold the [`ConnectionId`].
    pub fn set_data<T: Any + Send + Sync>(&self, value: T) -> Option<Arc<T>> {
        let value = Arc::new(value);
        let old = self.shared.lock().data.get_or_insert_default().put(value);
        old.and_then(|old| old.downcast().ok())
    }

    /// Takes the value of this type out. Does not wait.
    pub fn take_data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let taken = self.shared.lock().data.as_mut()?.take::<T>();
        taken?.downcast().ok()
    }

    /// The value of this type that was attached last, by [`set_data`](Self::set_data) or in
    /// [`Builder::authorize`](crate::Builder::authorize). Does not wait. Values that change bring
    /// their own lock or atomic.
    pub fn data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let found = self.shared.lock().data.as_ref()?.find::<T>();
        found?.downcast().ok()
    }

    /// Ends the connection at once: what is queued is lost, and the peer sees the stream end
    /// without a closing handshake. Does not wait.
    pub fn abort(&self) {
        self.shared.command(|inner, _| inner.core.abort());
    }

    /// How the connection ended. Waits until it has; cancel-safe.
    pub async fn closed(&self) -> Arc<Closed> {
        let end = self.shared.wait(Wants::End, |inner, _| match &inner.end {
            Some(end) => Poll::Ready(Arc::clone(end)),
            None => Poll::Pending,
        });
        end.await
    }

    /// The name of this connection, unique for the life of the process.
    pub fn id(&self) -> ConnectionId {
        ConnectionId::of(self.shared.serial, self.shared.peer_addr)
    }

    /// The state.
    pub fn state(&self) -> State {
        self.shared.lock().core.state()
    }

    /// The version, once the handshake is done.
    pub fn version(&self) -> Option<Version> {
        self.shared.lock().core.version()
    }

    /// The subprotocol that both sides agreed to, if there is one.
    pub fn protocol(&self) -> Option<String> {
        self.shared.lock().core.subprotocol().map(String::from)
    }

    /// The request of the client: target and headers, in their order and case. `None` as long as
    /// it was not read, which only state listeners can see.
    pub fn request(&self) -> Option<&Request> {
        self.shared.request.get()
    }

    /// The header fields of the request: in their order and case, found in any case. `None` as long
    /// as [`request`](Self::request) is.
    pub fn headers(&self) -> Option<&Headers> {
        self.request().map(Request::headers)
    }

    /// On a client's side, the answer of the server: its header fields, such as `Set-Cookie`, in
    /// their order and case. `None` on a server's side. The answer that refuses is in
    /// [`ConnectError`](crate::ConnectError).
    pub fn response(&self) -> Option<&Response> {
        self.shared.response()
    }

    /// Whether nothing is received, because of a [`pause`](Self::pause).
    pub fn is_paused(&self) -> bool {
        let inner = self.shared.lock();
        inner.paused && inner.is_open()
    }

    /// The store of this connection, which speaks the commands of Redis. `None` when the server
    /// gives none, before the request was read, and from the moment the connection is over and
    /// everybody was told; the store is let go then.
    ///
    /// It is made at the first call. A factory of users runs in that call.
    pub fn storage(&self) -> Option<Arc<dyn Storage>> {
        let request = self.request()?;
        if self.shared.lock().end.is_some() {
            return None;
        }
        let choice = &self.shared.common.storage;
        let store = self.shared.rare().storage.open(|| choice.open(self.id(), request));
        // It may have ended meanwhile, and what was made since then nobody would let go.
        if self.shared.lock().end.is_some() {
            self.shared.close_storage();
            return None;
        }
        store
    }

    /// The certificates that the client has shown and TLS has checked, in DER, its own first; see
    /// `Tls::request_client_certificates`. `None` without TLS, without any, and before the request
    /// was read.
    pub fn peer_certificates(&self) -> Option<&[Bytes]> {
        self.shared.certificates().map(|chain| &**chain)
    }

    /// Whether the client came over TLS, here or, as [`Builder::secure`](crate::Builder::secure)
    /// says, at the proxy in front of this server; on a client's side, whether it speaks TLS. Of a
    /// stream that somebody else has accepted, what [`Transport::is_secure`](crate::Transport) or
    /// [`Upgrade::secure`](crate::Upgrade::secure) says. It does not change, and asking takes the
    /// connection's lock: ask once.
    pub fn is_secure(&self) -> bool {
        self.shared.is_secure()
    }

    /// The address of the client, or of the proxy in front of this server.
    pub fn peer_addr(&self) -> Address {
        self.shared.peer_addr
    }

    /// Where the client came in, as [`Server::local_addrs`](crate::Server::local_addrs) names it: of
    /// a socket that listens on all addresses (`0.0.0.0`), not the one that the client chose. `None`
    /// where this server has not accepted the stream itself, and on a client's side. It does not
    /// change, and asking takes the connection's lock: ask once.
    pub fn local_addr(&self) -> Option<LocalAddress> {
        self.shared.common.sites.address(self.shared.peer().site)
    }

    /// Bytes that were sent and not yet taken by the system. Of messages to many that wait behind
    /// the outbound buffer the payloads are counted.
    pub fn buffered_amount(&self) -> usize {
        self.shared.lock().buffered_amount()
    }

    /// Whether this side connected.
    pub(crate) fn is_client(&self) -> bool {
        self.shared.lock().core.role() == Role::Client
    }

    /// Answers the request that waits, if there is one, with 503: the server is full or stops.
    pub(crate) fn turn_away(&self) {
        let _ = self.shared.command(|inner, now| inner.core.turn_away(now));
    }

    /// The same, and [closes](Self::close) where no request waits: in one step, so that none comes
    /// in between.
    pub(crate) fn turn_away_or_close(&self, close: Close) {
        let mut freed = Freed::default();
        self.shared.command(|inner, now| {
            if inner.core.turn_away(now).is_err() {
                inner.close(close, now, &mut freed);
            }
        });
        freed.release();
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

/// Handles of the same connection are equal.
impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        self.shared.serial == other.shared.serial
    }
}

impl Eq for Connection {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer", &self.peer_addr())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
