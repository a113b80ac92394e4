use std::sync::Arc;

use ws_proto::{Prepared, SendErrorKind};

use crate::ConnectionId;
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

/// Queues `message` on every member that is `wanted`, then wakes their tasks, each of which
/// writes all that has gathered in one go.
///
/// The roster is locked meanwhile, so that all members get all messages in the same order.
pub(crate) fn broadcast(
    members: &Roster<Arc<Shared>>,
    message: &Prepared,
    wanted: impl Fn(ConnectionId) -> bool,
) -> Delivery {
    let mut delivery = Delivery::default();
    let mut wakers = Vec::new();
    members.each(|_, member| {
        if !wanted(member.id) {
            return;
        }
        let (sent, waker) = member.command_quietly(|inner| inner.core.send_prepared(message));
        wakers.extend(waker);
        *match sent.map_err(|error| error.kind) {
            Ok(_) => &mut delivery.queued,
            Err(SendErrorKind::Full) => &mut delivery.skipped,
            Err(SendErrorKind::TextOnly) => &mut delivery.unsupported,
            Err(_) => &mut delivery.closed,
        } += 1;
    });
    for waker in wakers {
        waker.wake();
    }
    delivery
}
