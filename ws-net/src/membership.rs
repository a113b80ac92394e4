use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use ws_proto::{Cause, Closed, Event, Instant, RecvBuf};

use crate::Connection;
use crate::alarm::Alarm;
use crate::backlog::Freed;
use crate::contain::wake;
use crate::gate::{Permit, Purpose};
use crate::guard::guard;
use crate::log;
use crate::relay::pass;
use crate::runtime::Runtime;
use crate::shared::{Inner, Shared};

/// A connection's place in the lists and limits of its server, which it leaves when its task
/// ends, in whatever way.
pub(crate) struct Membership {
    pub(crate) connection: Connection,
    permit: Permit,
    alarm: Alarm,
}

impl Membership {
    /// Enters a connection that shakes hands.
    pub(crate) fn enter(shared: Arc<Shared>, mut permit: Permit) -> Self {
        permit.listed = true;
        shared.common.opening.insert(shared.serial, Arc::clone(&shared));
        Self { connection: Connection::new(shared), permit, alarm: Alarm::default() }
    }

    /// Wakes the task of `cx` at `deadline` or before. Ready when `deadline` has come already.
    pub(crate) fn poll_alarm<R: Runtime>(
        &mut self,
        deadline: Option<Instant>,
        time: (&R, Instant),
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Shared { common, serial, home, .. } = &**self.connection.shared();
        let moved = |to| {
            let from = home.load(Ordering::Relaxed);
            if from != to {
                home.store(to, Ordering::Relaxed);
                if from != 0 {
                    // Somebody may have taken it into a relay of its old runtime: it leaves.
                    drop(self.connection.shared().lock());
                }
            }
        };
        self.alarm.poll_set(&common.alarms, *serial, deadline, time, cx, moved)
    }

    /// The task is another one than before: the alarm is set for that one from now on.
    pub(crate) fn renew_alarm(&mut self) {
        self.alarm.renew(&self.connection.shared().common.alarms);
    }

    /// The connection is open: everybody can find it.
    pub(crate) fn attach(&mut self) {
        let Shared { common, serial, .. } = &**self.connection.shared();
        common.opening.pass_on(*serial, &common.members);
        self.permit.listed = true;
        self.permit.settle(Purpose::WebSocket);
        log::attached(self.connection.id(), common);
    }

    /// Whether the connection was ever attached.
    pub(crate) fn was_open(&self) -> bool {
        self.permit.purpose() == Purpose::WebSocket
    }

    /// The handshake is over; the connection goes on with ordinary requests.
    pub(crate) fn leave_to_http(&mut self) {
        self.detach();
        self.permit.settle(Purpose::Http);
    }

    /// The connection is closed: nobody finds it any more.
    pub(crate) fn detach(&mut self) {
        if !mem::take(&mut self.permit.listed) {
            return;
        }
        let shared = self.connection.shared();
        let Shared { common, serial, .. } = &**shared;
        match self.permit.purpose() {
            Purpose::Handshake => {
                drop(common.opening.remove(*serial));
                // Whoever hears of the first steps may have subscribed.
                common.topics.leave(*serial);
            }
            Purpose::WebSocket => {
                drop(common.members.remove(*serial));
                common.topics.leave(*serial);
                log::detached(self.connection.id(), common);
            }
            Purpose::Http => {}
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        let mut freed = Freed::default();
        let mut inner = shared.lock();
        inner.direct = None;
        inner.end_loan();
        let lost = inner.end.is_none();
        if lost {
            // The runtime ended the task, or it panicked: the waiting must not wait for ever.
            inner.end = Some(loop {
                if let Event::Closed(closed) = inner.last_news() {
                    break closed;
                }
            });
        }
        inner.waiters.take(|_| true, &mut freed);
        let waker = inner.waker.take();
        let listeners = inner.listeners.take();
        inner.drop_backlog(&mut freed);
        freed.put_unsent(inner.core.take_unsent());
        drop(inner);
        // Whatever else runs code of users, which may panic.
        pass::give_up(shared).into_iter().for_each(wake);
        let Shared { common, serial, .. } = &**shared;
        self.alarm.cancel(&common.alarms, *serial);
        self.detach();
        guard("the end of a payload", &self.connection, || freed.release());
        drop(waker);
        if listeners.is_some() {
            guard("a listener's end", &self.connection, || drop(listeners));
        }
        if lost {
            let shared = self.connection.shared();
            // Until here somebody could subscribe.
            shared.common.topics.leave(shared.serial);
            guard("the end of a store", &self.connection, || shared.close_storage());
        }
    }
}

impl Inner {
    /// Ends the connection of a driver that goes. Answers the next step or how it ended, which comes
    /// last. Messages that were not taken are lost.
    #[cold]
    pub(crate) fn last_news(&mut self) -> Event {
        self.core.abort();
        self.direct = None;
        let mut input = self.input.take().unwrap_or_else(|| Box::new(RecvBuf::with_capacity(0)));
        loop {
            let stashed = self.stash.take().map(|event| *event);
            match stashed.or_else(|| self.core.poll_event(&mut input, self.now)) {
                Some(event @ (Event::State { .. } | Event::Closed(_))) => return event,
                Some(_) => {}
                // The driver had the news of it when it was lost.
                None => return Event::Closed(Arc::new(Closed::new(Cause::Aborted))),
            }
        }
    }
}
