use std::sync::{Arc, Mutex};

use crate::Storage;
use crate::waiters::lock;

/// The place of a store in its connection.
#[derive(Default)]
pub(crate) struct StorageSlot(Mutex<Option<Arc<dyn Storage>>>);

impl StorageSlot {
    /// The store, which `make` makes at the first call. Calls that meet may make several; all of
    /// them answer the same one.
    pub(crate) fn open(
        &self,
        make: impl FnOnce() -> Option<Arc<dyn Storage>>,
    ) -> Option<Arc<dyn Storage>> {
        if let Some(store) = &*lock(&self.0) {
            return Some(Arc::clone(store));
        }
        // Without the lock, since it runs code of users; so does dropping a store.
        let new = make()?;
        let mut held = lock(&self.0);
        let store = Arc::clone(held.get_or_insert_with(|| Arc::clone(&new)));
        drop(held);
        Some(store)
    }

    /// Lets go of the store: those that nobody else holds are dropped.
    pub(crate) fn close(&self) {
        let store = lock(&self.0).take();
        drop(store);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStorage;

    #[test]
    fn stores_are_made_once_and_let_go_at_the_end() {
        let slot = StorageSlot::default();
        assert!(slot.open(|| None).is_none());
        let first = slot.open(|| Some(Arc::new(MemoryStorage::new()))).unwrap();
        let again = slot.open(|| unreachable!("the store is there")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        drop(again);
        slot.close();
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn calls_that_meet_answer_the_same_store() {
        let slot = StorageSlot::default();
        let mut inner = None;
        let outer = slot.open(|| {
            inner = slot.open(|| Some(Arc::new(MemoryStorage::new())));
            Some(Arc::new(MemoryStorage::new()))
        });
        assert!(Arc::ptr_eq(&outer.unwrap(), &inner.unwrap()));
    }
}
