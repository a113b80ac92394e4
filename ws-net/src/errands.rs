use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::waiters::lock;

/// What the driver of a connection is to do for others, under the serial number of that one.
pub(crate) struct Errands<T> {
    queue: Mutex<VecDeque<(u64, T)>>,
    /// How many there are, to be asked without the lock.
    count: AtomicUsize,
}

impl<T> Errands<T> {
    /// Adds one. Wake the driver behind it.
    pub(crate) fn put(&self, serial: u64, errand: T) {
        let mut queue = lock(&self.queue);
        queue.push_back((serial, errand));
        self.count.store(queue.len(), Ordering::Release);
    }

    /// Takes the oldest one of this connection. It costs next to nothing when there are none.
    #[inline]
    pub(crate) fn take(&self, serial: u64) -> Option<T> {
        if self.count.load(Ordering::Acquire) == 0 { None } else { self.find(serial) }
    }

    #[inline(never)]
    fn find(&self, serial: u64) -> Option<T> {
        let mut queue = lock(&self.queue);
        // Mostly it is among the first: drivers run in the order in which they are woken.
        let at = queue.iter().position(|(own, _)| *own == serial)?;
        let (_, errand) = queue.remove(at)?;
        self.count.store(queue.len(), Ordering::Release);
        Some(errand)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl<T> Default for Errands<T> {
    fn default() -> Self {
        Self { queue: Mutex::default(), count: AtomicUsize::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_takes_its_own_in_their_order() {
        let errands = Errands::default();
        assert_eq!(errands.take(1), None);
        for (serial, errand) in [(1, 'a'), (2, 'b'), (1, 'c')] {
            errands.put(serial, errand);
        }
        let taken = [3, 1, 1, 1, 2, 2].map(|serial| errands.take(serial));
        assert_eq!(taken, [None, Some('a'), Some('c'), None, Some('b'), None]);
        assert_eq!(errands.len(), 0);
    }
}
