use std::collections::VecDeque;
use std::sync::Mutex;

use crate::waiters::lock;

/// What the drivers of connections are to do for others, under the serial numbers of these.
pub(crate) struct Errands<T>(Mutex<VecDeque<(u64, T)>>);

impl<T> Errands<T> {
    /// Adds one.
    pub(crate) fn put(&self, serial: u64, errand: T) {
        lock(&self.0).push_back((serial, errand));
    }

    /// Takes the oldest one of this connection.
    pub(crate) fn take(&self, serial: u64) -> Option<T> {
        let mut queue = lock(&self.0);
        // Mostly it is among the first: drivers run in the order in which they are woken.
        let at = queue.iter().position(|(own, _)| *own == serial)?;
        queue.remove(at).map(|(_, errand)| errand)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl<T> Default for Errands<T> {
    fn default() -> Self {
        Self(Mutex::default())
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
