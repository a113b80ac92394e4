use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::sync::Arc;

use ws_proto::Prepared;

use crate::backlog::{Freed, Ticket};
use crate::delivery::{Delivery, SlowReceivers};
use crate::fanout::Fanout;
use crate::roster::Roster;
use crate::runtime::Runtime;
use crate::shared::{Common, Inner, Shared};
use crate::slow::Slow;
use crate::topics::SubscribeError;
use crate::{Connection, Manager, Server};

/// Those who get a message, chosen step by step.
///
/// ```no_run
/// # fn example(connection: &ws_net::Connection) {
/// let friends = |one: &ws_net::Connection| one.protocol().as_deref() == Some("friend");
/// let delivery = connection.to_others_in("room").only(friends).send("hello");
/// assert_eq!(delivery.skipped, 0);
/// # }
/// ```
///
/// A message is framed once, however many get it. All receivers see the messages that go to all of
/// a server in the same order, and those that go to one topic.
#[must_use = "nothing is sent before `send`"]
pub struct Audience<'a> {
    common: &'a Common,
    /// All connections, or those who subscribed to this topic.
    topic: Option<&'a str>,
    /// The connection that sends.
    except: Option<u64>,
    /// Those for whom the users' functions answered true.
    chosen: Option<Vec<Connection>>,
    slow: SlowReceivers,
}

impl<'a> Audience<'a> {
    fn new(common: &'a Common, topic: Option<&'a str>) -> Self {
        Self { common, topic, except: None, chosen: None, slow: common.slow.policy }
    }

    fn except(self, connection: &Connection) -> Self {
        Self { except: Some(connection.id().serial()), ..self }
    }

    /// Leaves out every connection for which `wanted` does not answer true. It is asked at once,
    /// about everybody who is there at this moment; whoever comes later gets nothing. It may call
    /// anything.
    pub fn only(mut self, wanted: impl FnMut(&Connection) -> bool) -> Self {
        let mut chosen = self.chosen.take().unwrap_or_else(|| self.snapshot());
        chosen.retain(wanted);
        Self { chosen: Some(chosen), ..self }
    }

    /// What happens to those who are too slow, in place of what the server does
    /// ([`Builder::slow_receivers`](crate::Builder::slow_receivers)).
    pub fn slow_receivers(self, policy: SlowReceivers) -> Self {
        Self { slow: policy, ..self }
    }

    /// Sends them a message. Does not wait; receivers whose outbound buffer is full are left out,
    /// unless there is another [policy](Self::slow_receivers), and the report counts them.
    pub fn send(self, message: impl Into<Prepared>) -> Delivery {
        let message = message.into();
        let mut fanout = Fanout::new(&message, Slow::Policy(self.slow));
        self.reach(&mut fanout);
        fanout.finish()
    }

    /// Sends them a message, and waits until everybody has it in the outbound buffer or has ended.
    ///
    /// Those who have room get it at once. For those who are slow it waits in its place in the
    /// order, behind their outbound buffer, whatever the policy is, and is not thrown away.
    ///
    /// Cancel-safe: nothing is sent before the first poll. Dropping the future takes the message
    /// back from those who have not got it into their outbound buffer; the others keep it.
    pub fn deliver(self, message: impl Into<Prepared>) -> impl Future<Output = Delivery> + Send {
        let message = message.into();
        async move {
            let ticket = Arc::new(Ticket::default());
            let mut fanout = Fanout::new(&message, Slow::Wait(&ticket));
            self.reach(&mut fanout);
            let receivers = fanout.take_awaited();
            let awaited = Awaited { ticket: Arc::clone(&ticket), receivers };
            let delivery = fanout.finish();
            let (taken, lost) = poll_fn(|cx| awaited.ticket.poll(cx)).await;
            Delivery { queued: delivery.queued + taken, closed: delivery.closed + lost, ..delivery }
        }
    }

    /// Those who are there now.
    fn snapshot(&self) -> Vec<Connection> {
        self.members(|members| {
            let mut connections = Vec::with_capacity(members.len());
            members.each(|serial, member| {
                if Some(serial) != self.except {
                    connections.push(Connection::new(Arc::clone(member)));
                }
            });
            connections
        })
    }

    /// Offers everybody the message, in the order that all messages of this circle have.
    fn reach(&self, fanout: &mut Fanout<'_>) {
        self.members(|members| match &self.chosen {
            None => fanout.offer_to(members, self.except),
            Some(chosen) => fanout.offer_to_some(members, chosen),
        });
    }

    /// What `f` answers for the roster; the default when nobody subscribed to the topic.
    fn members<V: Default>(&self, f: impl FnOnce(&Roster<Arc<Shared>>) -> V) -> V {
        match self.topic {
            None => f(&self.common.members),
            Some(topic) => {
                self.common.topics.members(topic).map(|members| f(&members)).unwrap_or_default()
            }
        }
    }
}

/// Those who have yet to take a message that somebody waits for. Dropping it takes it back.
struct Awaited {
    ticket: Arc<Ticket>,
    receivers: Vec<Arc<Shared>>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if !self.ticket.is_open() {
            return;
        }
        let mut freed = Freed::default();
        for receiver in mem::take(&mut self.receivers) {
            receiver.command(|inner, _| inner.forget(&self.ticket, &mut freed));
            freed.release();
        }
    }
}

impl fmt::Debug for Audience<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience")
            .field("topic", &self.topic)
            .field("except", &self.except)
            .field("chosen", &self.chosen.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Messages to many.
impl Manager {
    /// Sends a message to everybody. It is framed once. Does not wait; receivers whose outbound
    /// buffer is full are left out, unless the server has another
    /// [policy](crate::Builder::slow_receivers), and the report counts them.
    ///
    /// All receivers see the broadcasts of a server in the same order.
    pub fn broadcast(&self, message: impl Into<Prepared>) -> Delivery {
        self.to_all().send(message)
    }

    /// Sends a message to those for whom `wanted` answers true. It is asked about a snapshot of the
    /// open connections, before anything is sent, and may call anything.
    ///
    /// Does not wait. Slow receivers fare as with [`broadcast`](Self::broadcast), and the message
    /// has its place in the same order.
    pub fn broadcast_if(
        &self,
        message: impl Into<Prepared>,
        wanted: impl FnMut(&Connection) -> bool,
    ) -> Delivery {
        self.to_all().only(wanted).send(message)
    }

    /// Sends a message to those who [subscribed](Connection::subscribe) to `topic`. It is framed
    /// once. Does not wait; receivers whose outbound buffer is full are left out, unless the server
    /// has another [policy](crate::Builder::slow_receivers), and the report counts them.
    ///
    /// All receivers see the messages of one topic in the same order. What one task sends arrives
    /// in the order in which it was sent, whatever the topics. When several tasks send to different
    /// topics, or to a topic and to everybody, each receiver may see another order.
    pub fn publish(&self, topic: &str, message: impl Into<Prepared>) -> Delivery {
        self.to_topic(topic).send(message)
    }

    /// Everybody, to be narrowed down. Nothing is sent yet: [`Audience::send`] does not wait for
    /// slow receivers, [`Audience::deliver`] does. The order is that of
    /// [`broadcast`](Self::broadcast).
    pub fn to_all(&self) -> Audience<'_> {
        Audience::new(self.common(), None)
    }

    /// Those who [subscribed](Connection::subscribe) to `topic`, to be narrowed down. Nothing is
    /// sent yet: [`Audience::send`] does not wait for slow receivers, [`Audience::deliver`] does.
    /// The order is that of [`publish`](Self::publish).
    pub fn to_topic<'a>(&'a self, topic: &'a str) -> Audience<'a> {
        Audience::new(self.common(), Some(topic))
    }

    /// The topics that somebody subscribed to, sorted, with the number of connections that did.
    pub fn topics(&self) -> Vec<(String, usize)> {
        self.common().topics.all()
    }

    /// How many connections subscribed to `topic`.
    pub fn subscribers(&self, topic: &str) -> usize {
        self.common().topics.subscribers(topic)
    }
}

/// Messages to many, as with the [`Manager`].
impl<R: Runtime> Server<R> {
    /// Sends a message to everybody. Does not wait; who is too slow is left out by default. See
    /// [`Manager::broadcast`].
    pub fn broadcast(&self, message: impl Into<Prepared>) -> Delivery {
        self.manager().broadcast(message)
    }

    /// Sends a message to those for whom `wanted` answers true. Does not wait; who is too slow is
    /// left out by default. See [`Manager::broadcast_if`].
    pub fn broadcast_if(
        &self,
        message: impl Into<Prepared>,
        wanted: impl FnMut(&Connection) -> bool,
    ) -> Delivery {
        self.manager().broadcast_if(message, wanted)
    }

    /// Sends a message to those who [subscribed](Connection::subscribe) to `topic`. Does not wait;
    /// who is too slow is left out by default. See [`Manager::publish`], also for the order.
    pub fn publish(&self, topic: &str, message: impl Into<Prepared>) -> Delivery {
        self.manager().publish(topic, message)
    }

    /// Everybody, to be narrowed down. Nothing is sent yet, see [`Manager::to_all`].
    pub fn to_all(&self) -> Audience<'_> {
        self.manager().to_all()
    }

    /// Those who [subscribed](Connection::subscribe) to `topic`, to be narrowed down. Nothing is
    /// sent yet, see [`Manager::to_topic`].
    pub fn to_topic<'a>(&'a self, topic: &'a str) -> Audience<'a> {
        self.manager().to_topic(topic)
    }

    /// The topics that somebody subscribed to, sorted, with the number of connections that did.
    pub fn topics(&self) -> Vec<(String, usize)> {
        self.manager().topics()
    }

    /// How many connections subscribed to `topic`.
    pub fn subscribers(&self, topic: &str) -> usize {
        self.manager().subscribers(topic)
    }
}

/// Topics, and messages to many.
impl Connection {
    /// Subscribes to a topic, which comes into being with its first subscriber. `false` when the
    /// connection had subscribed before. Subscriptions end with [`unsubscribe`](Self::unsubscribe),
    /// or when the connection is closed (state 6). Does not wait.
    ///
    /// # Errors
    /// [`SubscribeError`] when the connection is not open, or says which limit it would exceed.
    pub fn subscribe(&self, topic: &str) -> Result<bool, SubscribeError> {
        let shared = self.shared();
        let (serial, entry) = (shared.serial, Arc::clone(shared));
        shared.common.topics.subscribe(serial, topic, || self.state(), entry)
    }

    /// Ends a subscription; `false` when there is none. What was published before may still
    /// arrive. Does not wait.
    pub fn unsubscribe(&self, topic: &str) -> bool {
        let shared = self.shared();
        let was_there = shared.common.topics.unsubscribe(shared.serial, topic);
        if was_there {
            // Those who were to write what was published before have forgotten it.
            shared.visit(Inner::call_if_relayed);
        }
        was_there
    }

    /// The topics that this connection subscribed to, sorted.
    pub fn topics(&self) -> Vec<String> {
        self.shared().common.topics.of(self.id().serial())
    }

    /// Sends a message to everybody on this server but this client. Does not wait; receivers
    /// whose outbound buffer is full are left out, unless the server has another
    /// [policy](crate::Builder::slow_receivers), and the report counts them.
    ///
    /// All receivers see the broadcasts of a server in the same order.
    pub fn broadcast(&self, message: impl Into<Prepared>) -> Delivery {
        self.to_others().send(message)
    }

    /// Sends a message to those but this client for whom `wanted` answers true. It is asked about a
    /// snapshot of the open connections, before anything is sent, and may call anything.
    ///
    /// Does not wait. Slow receivers fare as with [`broadcast`](Self::broadcast), and the message
    /// has its place in the same order.
    pub fn broadcast_if(
        &self,
        message: impl Into<Prepared>,
        wanted: impl FnMut(&Connection) -> bool,
    ) -> Delivery {
        self.to_others().only(wanted).send(message)
    }

    /// Sends a message to everybody on this server, this client included, as
    /// [`broadcast`](Self::broadcast) does: without waiting, in the same order, and by the same
    /// policy for receivers that are too slow, of which this client may be one.
    pub fn send_all(&self, message: impl Into<Prepared>) -> Delivery {
        Audience::new(&self.shared().common, None).send(message)
    }

    /// Sends a message to those but this client who [subscribed](Self::subscribe) to `topic`. This
    /// client needs no subscription for it. Does not wait; receivers whose outbound buffer is full
    /// are left out, unless the server has another [policy](crate::Builder::slow_receivers), and
    /// the report counts them.
    ///
    /// All receivers see the messages of one topic in the same order; for several topics see
    /// [`Manager::publish`].
    pub fn publish(&self, topic: &str, message: impl Into<Prepared>) -> Delivery {
        self.to_others_in(topic).send(message)
    }

    /// Everybody on this server but this client, to be narrowed down. Nothing is sent yet:
    /// [`Audience::send`] does not wait for slow receivers, [`Audience::deliver`] does. The order
    /// is that of [`broadcast`](Self::broadcast).
    pub fn to_others(&self) -> Audience<'_> {
        Audience::new(&self.shared().common, None).except(self)
    }

    /// Those but this client who [subscribed](Self::subscribe) to `topic`, to be narrowed down.
    /// Nothing is sent yet: [`Audience::send`] does not wait for slow receivers,
    /// [`Audience::deliver`] does. The order is that of [`publish`](Self::publish).
    pub fn to_others_in<'a>(&'a self, topic: &'a str) -> Audience<'a> {
        Audience::new(&self.shared().common, Some(topic)).except(self)
    }
}

#[cfg(test)]
mod tests;
