use std::mem;

use crate::acceptor::Bound;
use crate::local::LocalAddress;

/// The sockets of a server, and who accepts from them.
pub(super) struct Sockets<L> {
    /// Nobody accepts from them yet.
    waiting: Vec<Bound<L>>,
    /// Futures of `serve` and `run` that accept.
    serving: usize,
    /// Sockets that are accepted from in the background, for `accept`. While there are some, those
    /// that are added join them.
    aside: usize,
    /// Where they listen, in the order in which they were added.
    addresses: Vec<LocalAddress>,
}

impl<L> Sockets<L> {
    /// Whether nobody would accept from a socket that is added now.
    pub(super) fn is_late(&self) -> bool {
        self.serving > 0 && self.aside == 0
    }

    /// Keeps a socket for whoever accepts first, or hands it back when that has been `accept`: then
    /// it counts among those of [`take_aside`](Self::take_aside).
    pub(super) fn add(&mut self, socket: Bound<L>) -> Option<Bound<L>> {
        self.addresses.push(socket.address.clone());
        if self.aside > 0 {
            self.aside += 1;
            return Some(socket);
        }
        self.waiting.push(socket);
        None
    }

    /// All that wait, for `accept`, which says of each with [`end_aside`](Self::end_aside) when that
    /// is over.
    pub(super) fn take_aside(&mut self) -> Vec<Bound<L>> {
        self.aside += self.waiting.len();
        self.take_waiting()
    }

    /// Whether any are accepted from for `accept`.
    pub(super) fn is_aside(&self) -> bool {
        self.aside > 0
    }

    pub(super) fn end_aside(&mut self, place: &LocalAddress) {
        self.aside -= 1;
        self.forget(place);
    }

    /// All that wait and `own`, for a future of `serve` or `run`. Unless that is none, it says with
    /// [`end`](Self::end) when it is over.
    pub(super) fn begin(&mut self, own: Option<Bound<L>>) -> Vec<Bound<L>> {
        self.addresses.extend(own.iter().map(|own| own.address.clone()));
        let mut taken = self.take_waiting();
        taken.extend(own);
        self.serving += usize::from(!taken.is_empty());
        taken
    }

    /// Nobody accepts at these places any more.
    pub(super) fn end(&mut self, places: &[LocalAddress]) {
        self.serving -= 1;
        for place in places {
            self.forget(place);
        }
    }

    fn forget(&mut self, place: &LocalAddress) {
        if let Some(at) = self.addresses.iter().position(|address| address == place) {
            self.addresses.remove(at);
        }
    }

    /// All that wait: nobody will accept from them.
    pub(super) fn close(&mut self) -> Vec<Bound<L>> {
        let waiting = self.take_waiting();
        for socket in &waiting {
            self.forget(&socket.address);
        }
        waiting
    }

    fn take_waiting(&mut self) -> Vec<Bound<L>> {
        mem::take(&mut self.waiting)
    }

    pub(super) fn addresses(&self) -> &[LocalAddress] {
        &self.addresses
    }
}

impl<L> Default for Sockets<L> {
    fn default() -> Self {
        Self { waiting: Vec::new(), serving: 0, aside: 0, addresses: Vec::new() }
    }
}
