use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    Sink, Stream, StreamExt as _,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
    future::{self, Either},
    pin_mut,
    stream::TryStreamExt as _,
};

/// Everybody who hears what anybody says: a channel to each, as the example `server` of
/// tokio-tungstenite has it. Payloads are shared, not copied.
pub struct Room<M>(Arc<Mutex<Members<M>>>);

struct Members<M> {
    next: u64,
    senders: HashMap<u64, UnboundedSender<M>>,
}

/// A place in a [`Room`], left when it is dropped.
pub struct Place<M> {
    room: Room<M>,
    id: u64,
}

impl<M: Clone> Room<M> {
    /// Comes in. The receiver gets what all others say.
    pub fn join(&self) -> (Place<M>, UnboundedReceiver<M>) {
        let (sender, receiver) = unbounded();
        let mut members = self.members();
        let id = members.next;
        members.next += 1;
        members.senders.insert(id, sender);
        (Place { room: self.clone(), id }, receiver)
    }

    fn members(&self) -> MutexGuard<'_, Members<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Clone> Place<M> {
    /// Says something to all others.
    pub fn say(&self, message: &M) {
        for (id, sender) in &self.room.members().senders {
            if *id != self.id {
                // Who is gone leaves the room in a moment.
                let _ = sender.unbounded_send(message.clone());
            }
        }
    }
}

impl<M> Drop for Place<M> {
    fn drop(&mut self) {
        let mut members = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.senders.remove(&self.id);
    }
}

/// Tells the room what comes from `socket`, and the socket what is said in the room, flushing when
/// nothing more is at hand.
///
/// # Errors
/// Those of the stream.
pub async fn visit<S, M, E>(room: Room<M>, socket: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E>,
    M: Clone,
{
    let (place, heard) = room.join();
    let (outgoing, incoming) = socket.split();
    let hear = incoming.try_for_each(|message| {
        if is_data(&message) {
            place.say(&message);
        }
        ready(Ok(()))
    });
    let tell = heard.map(Ok).forward(outgoing);
    pin_mut!(hear, tell);
    match future::select(hear, tell).await {
        Either::Left((result, _)) | Either::Right((result, _)) => result,
    }
}

impl<M> Clone for Room<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Default for Room<M> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Members { next: 0, senders: HashMap::new() })))
    }
}

impl<M> fmt::Debug for Room<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Place<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("id", &self.id).finish_non_exhaustive()
    }
}
