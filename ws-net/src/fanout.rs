use std::sync::Arc;
use std::task::Waker;

use ws_proto::{Prepared, SendErrorKind};

use crate::roster::Roster;
use crate::shared::Shared;

/// What became of a message to many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "it says who did not get the message"]
pub struct Delivery {
    /// Connections that have it in their outbound buffer.
    pub queued: usize,
    /// Connections that were left out because their outbound buffer is full.
    pub skipped: usize,
    /// Connections that were left out because they are closing.
    pub closed: usize,
    /// Connections that were left out because their version has no binary messages.
    pub unsupported: usize,
}

/// One message on its way to many. It is framed once, and their tasks are woken when all have it,
/// each of which writes all that has gathered in one go.
pub(crate) struct Fanout<'a> {
    message: &'a Prepared,
    delivery: Delivery,
    wakers: Vec<Waker>,
}

impl<'a> Fanout<'a> {
    pub(crate) fn new(message: &'a Prepared) -> Self {
        Self { message, delivery: Delivery::default(), wakers: Vec::new() }
    }

    /// Queues the message on every member but `except`. The roster is locked meanwhile, so that
    /// all members get all messages in the same order.
    pub(crate) fn offer_to(&mut self, members: &Roster<Arc<Shared>>, except: Option<u64>) {
        members.each(|serial, member| {
            if Some(serial) != except {
                self.offer(member);
            }
        });
    }

    /// Queues the message on one connection.
    pub(crate) fn offer(&mut self, member: &Shared) {
        let (sent, waker) = member.command_quietly(|inner| inner.core.send_prepared(self.message));
        self.wakers.extend(waker);
        *match sent.map_err(|error| error.kind) {
            Ok(_) => &mut self.delivery.queued,
            Err(SendErrorKind::Full) => &mut self.delivery.skipped,
            Err(SendErrorKind::TextOnly) => &mut self.delivery.unsupported,
            Err(_) => &mut self.delivery.closed,
        } += 1;
    }

    /// Wakes their tasks. No lock is held any more.
    pub(crate) fn finish(self) -> Delivery {
        self.wakers.into_iter().for_each(Waker::wake);
        self.delivery
    }
}
