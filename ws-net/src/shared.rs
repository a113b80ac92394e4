use std::any::Any;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Poll, Waker};

use ws_proto::{
    Accept, Close, Closed, Config, Event, Instant, Message, RecvBuf, Request, Response, SendError,
    SendErrorKind, SendStatus, State,
};

use crate::alarm::Alarms;
use crate::backlog::{Backlog, Freed};
use crate::data::Data;
use crate::delivery::SlowOptions;
use crate::errands::Errands;
use crate::gate::Gate;
use crate::loan::Loan;
use crate::relay::Relay;
use crate::roster::Roster;
use crate::runtime::Certificates;
use crate::sites::{Site, Sites};
use crate::storage::choice::StorageChoice;
use crate::storage::slot::StorageSlot;
use crate::streaming::{Reading, Streaming};
use crate::tally::Faults;
use crate::topics::Topics;
use crate::waiters::{Waiters, lock};
use crate::{Address, ConnectionId, Descriptor};

/// What the connections of one server have in common.
pub(crate) struct Common {
    pub(crate) config: Arc<Config>,
    /// The same for sockets that speak TLS.
    pub(crate) secure_config: Arc<Config>,
    /// The runtime's clock.
    pub(crate) clock: Box<dyn Fn() -> Instant + Send + Sync>,
    /// When to look at whom.
    pub(crate) alarms: Arc<Alarms>,
    /// The connections that shake hands.
    pub(crate) opening: Roster<Arc<Shared>>,
    /// The connections in state 4 and 5.
    pub(crate) members: Roster<Arc<Shared>>,
    /// Who subscribed to what.
    pub(crate) topics: Topics<Arc<Shared>>,
    /// To whom drivers write beside their own connection.
    pub(crate) errands: Errands<Arc<Relay<Arc<Shared>>>>,
    pub(crate) slow: SlowOptions,
    pub(crate) gate: Arc<Gate>,
    pub(crate) faults: Faults,
    /// Where it has listened.
    pub(crate) sites: Sites,
    pub(crate) storage: StorageChoice,
}

impl Common {
    /// The options for a client that came over TLS, or did not.
    pub(crate) fn config_for(&self, secure: bool) -> &Arc<Config> {
        if secure { &self.secure_config } else { &self.config }
    }
}

/// Who is at the other end of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: Address,
    /// Whether it came over TLS.
    pub(crate) secure: bool,
    /// Where it came in.
    pub(crate) site: Site,
}

impl Peer {
    /// One that came in nowhere: somebody else has accepted its stream, or it was dialled.
    pub(crate) fn new(address: Address) -> Self {
        Self { address, secure: false, site: Site::default() }
    }
}

/// What the handles of one connection and its driver share.
///
/// No lock is held while code of users runs, wakers included.
pub(crate) struct Shared {
    /// The counter of its id.
    pub(crate) serial: u64,
    pub(crate) peer_addr: Address,
    pub(crate) common: Arc<Common>,
    /// Set before the request is judged.
    pub(crate) request: OnceLock<Request>,
    rare: OnceLock<Box<Rare>>,
    /// Handles of users, and one of the driver.
    pub(crate) handles: AtomicU32,
    /// Somebody took the lock while a thread had a loan of this connection.
    pub(crate) contested: AtomicBool,
    /// The driver was called while it slept: there is more to do than to read.
    pub(crate) summoned: AtomicBool,
    /// Which runtime the driver runs on, by the number that its alarm tells; 0 until then.
    pub(crate) home: AtomicU32,
    /// The driver has something to do for others.
    pub(crate) errand: AtomicBool,
    /// The connection's seat in its relay, while it has one.
    pub(crate) seat: AtomicU8,
    /// Bytes that the driver has written since it held the lock last.
    written: AtomicU32,
    inner: Mutex<Inner>,
}

/// What only some connections have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) storage: StorageSlot,
    /// Set before the request, if there are any.
    pub(crate) certificates: OnceLock<Certificates>,
    /// Set before a client's connection is handed out.
    response: OnceLock<Response>,
    /// Set before the request is judged, if whoever took the stream over has decided.
    choice: OnceLock<Arc<Accept>>,
}

/// The connection's own part, behind its lock.
pub(crate) struct Inner {
    pub(crate) core: ws_proto::Connection,
    /// Bytes that were received and not all parsed; `None` while the connection is idle.
    pub(crate) input: Option<Box<RecvBuf>>,
    /// A message that waits for [`poll_recv`](Self::poll_recv).
    pub(crate) slot: Option<Message>,
    /// What a thread has of the connection while it runs code of users.
    pub(crate) loan: Loan,
    /// An event met while looking for a message; only the driver tells events.
    pub(crate) stash: Option<Box<Event>>,
    /// What users keep with the connection.
    pub(crate) data: Option<Box<Data>>,
    pub(crate) waiters: Waiters<Wants>,
    pub(crate) reader: Reader,
    pub(crate) streaming: Streaming,
    pub(crate) owner: Owner,
    /// Connected from when that was told, also when it is over: of other states this says nothing.
    pub(crate) announced: State,
    /// The listeners of this connection alone; `None` until there are some, and when it is over.
    pub(crate) listeners: Option<Arc<Attached>>,
    /// How the connection ended, from the moment everything about it has been told.
    pub(crate) end: Option<Arc<Closed>>,
    pub(crate) driver: Activity,
    /// Wakes the task of the driver.
    pub(crate) waker: Option<Waker>,
    /// The time at which the driver's turn began.
    pub(crate) now: Instant,
    /// A send was refused: tell when there is room.
    pub(crate) room_wanted: bool,
    /// Somebody wants nothing to be received.
    pub(crate) paused: bool,
    /// Messages to many that wait behind the outbound buffer. While some do, the buffer holds more
    /// than its low-water mark, or a message is being sent in pieces, so that the driver comes by.
    pub(crate) backlog: Option<Box<Backlog>>,
    /// The driver has to look again, although it sleeps.
    pub(crate) called: bool,
    /// Where the peer came in. Here, since beside the other small ones it costs no room.
    site: Site,
    /// Where others may write what is queued while the driver sleeps, if they can. The driver
    /// forgets it before it lets the socket go.
    pub(crate) direct: Option<Descriptor<()>>,
    /// Where messages to many wait for this connection while it sleeps, and nobody else has taken
    /// its lock.
    pub(crate) relay: Option<Arc<Relay<Arc<Shared>>>>,
}

/// What holds handles: it is kept here, and its type is known elsewhere. One pointer while empty.
pub(crate) struct Attached(pub(crate) Box<dyn Any + Send + Sync>);

/// How the core queues a message.
type SendFn = fn(&mut ws_proto::Connection, &Message) -> Result<SendStatus, SendErrorKind>;

/// What the driver is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Activity {
    /// It is in its turn, and looks at everything once more before it sleeps.
    Running,
    /// Its task was woken.
    Woken,
    /// It sleeps.
    Asleep,
    /// The same, and the driver of another connection is about to write what is queued.
    Relayed,
}

impl Activity {
    /// Whether it does nothing before it is woken.
    pub(crate) fn is_asleep(self) -> bool {
        matches!(self, Self::Asleep | Self::Relayed)
    }
}

/// Who takes the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reader {
    /// Whoever calls `recv`.
    Handles,
    /// The message listeners.
    Listeners,
    /// Nobody: the messages are discarded.
    Nobody,
}

/// Who keeps the connection, and what happens when its last handle is dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// The server: nothing happens.
    Server,
    /// A handler that runs on: nobody takes messages any more, so they are discarded.
    Handler,
    /// The handles: nobody can use the connection any more, so it is closed.
    Handles,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wants {
    /// A message, a part of one, or the end.
    Message,
    /// Room in the outbound buffer, or the end.
    Room,
    /// Room for the next chunk of the message that is being sent in pieces, or the end.
    Piece,
    /// The handshake's end.
    Open,
    /// The end.
    End,
}

impl Shared {
    pub(crate) fn new(
        common: Arc<Common>,
        mut core: ws_proto::Connection,
        peer: Peer,
        reader: Reader,
        now: Instant,
    ) -> Self {
        let mut streaming = Streaming::default();
        if reader == Reader::Handles {
            // Until somebody asks for a message nobody knows how it is wanted.
            streaming.set_reading(Reading::Pieces);
            core.set_streaming(true, now);
        }
        let inner = Inner {
            core,
            input: None,
            slot: None,
            loan: Loan::default(),
            stash: None,
            data: None,
            waiters: Waiters::default(),
            reader,
            streaming,
            owner: Owner::Server,
            announced: State::Unknown,
            end: None,
            driver: Activity::Woken,
            waker: None,
            now,
            listeners: None,
            room_wanted: false,
            paused: false,
            backlog: None,
            called: false,
            site: peer.site,
            direct: None,
            relay: None,
        };
        Self {
            serial: ConnectionId::next(peer.address).serial(),
            peer_addr: peer.address,
            common,
            request: OnceLock::new(),
            rare: OnceLock::new(),
            handles: AtomicU32::new(0),
            contested: AtomicBool::new(false),
            summoned: AtomicBool::new(false),
            home: AtomicU32::new(0),
            errand: AtomicBool::new(false),
            seat: AtomicU8::new(0),
            written: AtomicU32::new(0),
            inner: Mutex::new(inner),
        }
    }

    /// Looks at the connection, and wakes the driver afterwards if it was called.
    pub(crate) fn visit<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let answer = f(&mut inner);
        let waker = inner.called_driver(self);
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        answer
    }

    /// Changes the connection at the present time; the driver will look at what has changed.
    pub(crate) fn command<T>(&self, f: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        self.visit(|inner| {
            inner.called = true;
            let now = inner.now(&self.common);
            f(inner, now)
        })
    }

    /// What only some connections have, made now if need be.
    pub(crate) fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Peer {
        let inner = self.lock();
        let secure = inner.core.config().is_secure();
        Peer { address: self.peer_addr, secure, site: inner.site }
    }

    /// Whether it came over TLS. The options of the core say it, where it costs no room.
    pub(crate) fn is_secure(&self) -> bool {
        self.lock().core.config().is_secure()
    }

    /// What the other end has proved about itself.
    pub(crate) fn certificates(&self) -> Option<&Certificates> {
        self.rare.get()?.certificates.get()
    }

    /// How its request is to be accepted, where that was said before.
    pub(crate) fn choice(&self) -> Option<&Arc<Accept>> {
        self.rare.get()?.choice.get()
    }

    /// Says it, once, if there is anything to say.
    pub(crate) fn choose(&self, choice: Option<Arc<Accept>>) {
        if let Some(choice) = choice {
            let _ = self.rare().choice.set(choice);
        }
    }

    /// The answer that a client got.
    pub(crate) fn response(&self) -> Option<&Response> {
        self.rare.get()?.response.get()
    }

    /// Keeps that answer where it can be looked at without the lock.
    pub(crate) fn keep_response(&self) {
        let response = self.lock().core.response().cloned();
        if let Some(response) = response {
            let _ = self.rare().response.set(response);
        }
    }

    /// Lets go of the store.
    pub(crate) fn close_storage(&self) {
        if let Some(rare) = self.rare.get() {
            rare.storage.close();
        }
    }

    /// Whether nobody holds the lock.
    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.inner.try_lock().is_ok()
    }

    /// The lock itself. What was written is told, what is lent to this thread comes back, and what
    /// waits in a relay is queued first.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock_as_leader();
        if inner.is_lent() {
            self.call_in(&mut inner);
        }
        if inner.relay.is_some() {
            inner.leave_relay(self);
        }
        inner
    }

    /// The same, with what waits in a relay left there, for who writes it, and what is lent where it
    /// is: for leaders, who visit those who sleep, and for the driver where it looks at both itself.
    pub(crate) fn lock_as_leader(&self) -> MutexGuard<'_, Inner> {
        let mut inner = lock(&self.inner);
        // What was written is with the system before somebody else writes.
        let written = self.written.load(Ordering::Acquire);
        if written > 0 {
            self.written.store(0, Ordering::Relaxed);
            inner.core.handle_transmitted(written as usize);
        }
        inner
    }

    /// Says what was written without taking the lock: whoever takes it next tells the core. Only the
    /// driver calls this, once behind each time that it had the lock. `false` when it is too much to
    /// be noted.
    pub(crate) fn note_written(&self, n: usize) -> bool {
        let written = u32::try_from(n);
        self.written.store(written.unwrap_or(0), Ordering::Release);
        written.is_ok()
    }

    /// One more handle.
    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// One handle less. That of the driver does not count.
    pub(crate) fn drop_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 2 {
            let mut freed = Freed::default();
            self.visit(|inner| inner.abandon(&self.common, &mut freed));
            freed.release();
        }
    }

    /// From now on it is the `owner` who keeps the connection.
    pub(crate) fn hand_over(&self, owner: Owner) {
        let mut freed = Freed::default();
        self.visit(|inner| inner.pass_to(owner, self, &mut freed));
        freed.release();
    }
}

impl Inner {
    /// The next message as a whole.
    pub(crate) fn poll_recv(
        &mut self,
        common: &Common,
    ) -> Poll<Option<Result<Message, Arc<Closed>>>> {
        if self.streaming.reading() != Reading::Whole && self.end.is_none() {
            let now = self.now(common);
            if !self.join_messages(now) {
                return Poll::Pending;
            }
        }
        self.poll_message(common)
    }

    /// The next whole message, which the driver put aside or which is parsed now.
    pub(crate) fn poll_message(
        &mut self,
        common: &Common,
    ) -> Poll<Option<Result<Message, Arc<Closed>>>> {
        if self.is_lent() {
            self.want_back();
            return Poll::Pending;
        }
        if let Some(message) = self.slot.take() {
            self.called = true;
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(end) = &self.end {
            let failed = !end.clean && !self.streaming.tell_end();
            return Poll::Ready(failed.then(|| Err(Arc::clone(end))));
        }
        let now = self.now(common);
        if self.reader != Reader::Handles {
            return Poll::Pending;
        }
        let (None, Some(input)) = (&self.stash, &mut self.input) else { return Poll::Pending };
        match self.core.poll_event(input, now) {
            Some(Event::Message(message)) => {
                self.called = true;
                return Poll::Ready(Some(Ok(message)));
            }
            Some(event) => self.stash = Some(Box::new(event)),
            None => {}
        }
        // Input that is used up, or an event: both are the driver's.
        self.called = true;
        Poll::Pending
    }

    /// Queues `message` with `send`; it is taken out unless there is no room, and comes back to be
    /// dropped without the lock, since its payload may have an owner.
    pub(crate) fn poll_send(
        &mut self,
        message: &mut Option<Message>,
        send: SendFn,
    ) -> Poll<Result<Option<Message>, SendError<Message>>> {
        // Once refused, messages wait until the buffer is low, so that writes stay large.
        if (self.room_wanted || self.backlog.is_some()) && self.is_open() {
            self.want_room();
            return Poll::Pending;
        }
        let Some(own) = message.take() else { return Poll::Ready(Ok(None)) };
        match send(&mut self.core, &own) {
            Ok(_) => {
                self.called = true;
                Poll::Ready(Ok(Some(own)))
            }
            Err(SendErrorKind::Full | SendErrorKind::Unfinished) => {
                *message = Some(own);
                self.want_room();
                Poll::Pending
            }
            Err(kind) => Poll::Ready(Err(SendError { message: own, kind })),
        }
    }

    /// Whether a message would be taken now, or refused for another reason than its size.
    pub(crate) fn poll_room(&mut self, common: &Common) -> Poll<()> {
        if !self.is_open() {
            return Poll::Ready(());
        }
        let full = self.core.buffered_amount() >= common.config.limits().outbound_high;
        let behind = self.room_wanted || self.backlog.is_some() || self.streaming.is_writing();
        if !full && !behind {
            return Poll::Ready(());
        }
        self.want_room();
        Poll::Pending
    }

    /// A task waits for room. The driver may have fallen asleep before its last write, of which it
    /// tells nobody, so that the first who waits calls it.
    pub(crate) fn want_room(&mut self) {
        self.called |= !mem::replace(&mut self.room_wanted, true);
    }

    /// Where messages wait for room. The first one calls the driver, as above.
    pub(crate) fn backlog_mut(&mut self) -> &mut Backlog {
        self.called |= self.backlog.is_none();
        self.backlog.get_or_insert_default()
    }

    /// From now on messages are discarded.
    pub(crate) fn stop_reading(&mut self) {
        self.reader = Reader::Nobody;
        self.slot = None;
        self.paused = false;
    }

    /// The last handle is gone.
    pub(crate) fn abandon(&mut self, common: &Common, freed: &mut Freed) {
        // When it is over, the driver may have dropped its handle and another one be left.
        if self.owner == Owner::Server || self.end.is_some() {
            return;
        }
        self.called = true;
        self.stop_reading();
        if self.owner == Owner::Handles {
            let now = self.now(common);
            self.close(Close::normal(), now, freed);
        }
    }

    /// Whether messages can still be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.core.state() < State::Closing
    }

    /// The time: the turn's while the driver runs, the clock's otherwise.
    pub(crate) fn now(&self, common: &Common) -> Instant {
        if self.driver == Activity::Running { self.now } else { (common.clock)() }
    }

    /// Answers the waker of the driver if it was called and sleeps. It is the runtime's, which uses
    /// no connection when its wakers are cloned.
    pub(crate) fn called_driver(&mut self, shared: &Shared) -> Option<Waker> {
        if !mem::take(&mut self.called) || !self.driver.is_asleep() {
            return None;
        }
        self.wake(shared)
    }

    /// The driver, which sleeps, has something to do: answers its waker.
    pub(crate) fn wake(&mut self, shared: &Shared) -> Option<Waker> {
        self.summon(shared);
        self.waker.clone()
    }

    /// The same for who wakes it later, with the waker that it has then.
    pub(crate) fn summon(&mut self, shared: &Shared) {
        self.driver = Activity::Woken;
        shared.summoned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every idle connection holds beside its task; what only some need is boxed. In glibc it
    /// just fills what lies between two that tokio aligns to 128: 16 bytes more or less cost 120.
    #[test]
    fn an_idle_connection_is_small() {
        #[cfg(target_pointer_width = "64")]
        assert!(matches!(size_of::<Shared>(), 457..=472), "{}", size_of::<Shared>());
    }
}
