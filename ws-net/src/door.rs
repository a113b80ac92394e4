use std::collections::VecDeque;
use std::future::{Future, Ready};
use std::mem;
use std::sync::{Arc, Mutex};

use ws_proto::Accept;

use crate::shared::Reader;
use crate::waiters::{Watched, lock};
use crate::{Connection, Incoming, Outcome};

/// One of the ways in which connections come to their users: three of servers, one of clients.
pub(crate) trait Door: Clone + Send + 'static {
    /// Runs in the task of the connection.
    type Handler: Future<Output: Outcome> + Send + 'static;

    /// Who takes the messages.
    const READER: Reader;

    /// The request of this connection passed every check and may be accepted in this way. How it
    /// is accepted now, or `None` when somebody else answers it later.
    fn request(&self, _: &Connection, accept: Accept) -> Option<Accept> {
        Some(accept)
    }

    /// The connection is open. Runs code of users. What the task of the connection polls from now
    /// on, or `None` when its handles or its listeners are all that it has.
    fn open(&self, _: &Connection) -> Option<Self::Handler> {
        None
    }
}

/// `serve`: one asynchronous function per connection.
pub(crate) struct Serve<F>(pub(crate) Arc<F>);

/// `accept`: requests wait until somebody takes them.
#[derive(Clone)]
pub(crate) struct Queued(pub(crate) Arc<Watched<IncomingQueue>>);

/// The requests that wait, in the order of their arrival.
#[derive(Default)]
pub(crate) struct IncomingQueue {
    pub(crate) incoming: VecDeque<Incoming>,
    /// The server has stopped.
    pub(crate) closed: bool,
}

impl IncomingQueue {
    /// Takes out those that have ended meanwhile, before the queue would have to grow. So it is no
    /// longer than twice the limit of handshakes, each of which ends with its deadline.
    fn make_room(&mut self) -> Vec<Incoming> {
        if self.incoming.len() < self.incoming.capacity() {
            return Vec::new();
        }
        let (waiting, ended): (_, VecDeque<_>) =
            mem::take(&mut self.incoming).into_iter().partition(|one| !one.has_ended());
        self.incoming = waiting;
        ended.into()
    }

    /// The next one. It may have ended meanwhile, but dropping it wakes others, which has to wait
    /// until nobody looks at the queue.
    pub(crate) fn pop(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }
}

/// `run`: listeners.
#[derive(Clone)]
pub(crate) struct Listen;

/// A client's connection, which no server hands out.
#[derive(Clone)]
pub(crate) struct Dialled;

/// An upgrade that is served: one asynchronous function for this connection alone.
pub(crate) struct ServeOnce<F>(Arc<Mutex<Option<F>>>);

impl<F> ServeOnce<F> {
    pub(crate) fn new(handler: F) -> Self {
        Self(Arc::new(Mutex::new(Some(handler))))
    }
}

impl<F> Clone for ServeOnce<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Clone for Serve<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F, H> Door for Serve<F>
where
    F: Fn(Connection) -> H + Send + Sync + 'static,
    H: Future<Output: Outcome> + Send + 'static,
{
    type Handler = H;

    const READER: Reader = Reader::Handles;

    fn open(&self, connection: &Connection) -> Option<H> {
        Some((self.0)(connection.clone()))
    }
}

impl Door for Queued {
    type Handler = Ready<()>;

    const READER: Reader = Reader::Handles;

    fn request(&self, connection: &Connection, accept: Accept) -> Option<Accept> {
        // It is there since it was checked.
        let request = connection.request()?.clone();
        let incoming = Incoming::new(connection.clone(), request, accept);
        let late = self.0.update(|queue| {
            if queue.closed {
                return vec![incoming];
            }
            let ended = queue.make_room();
            queue.incoming.push_back(incoming);
            ended
        });
        if !connection.shared().common.gate.is_open() {
            late.into_iter().for_each(Incoming::turn_away);
        }
        // Otherwise dropping it was an answer.
        None
    }
}

impl Door for Listen {
    type Handler = Ready<()>;

    const READER: Reader = Reader::Listeners;
}

impl Door for Dialled {
    type Handler = Ready<()>;

    const READER: Reader = Reader::Handles;
}

impl<F, H> Door for ServeOnce<F>
where
    F: FnOnce(Connection) -> H + Send + 'static,
    H: Future<Output: Outcome> + Send + 'static,
{
    type Handler = H;

    const READER: Reader = Reader::Handles;

    fn open(&self, connection: &Connection) -> Option<H> {
        let handler = lock(&self.0).take()?;
        Some(handler(connection.clone()))
    }
}
