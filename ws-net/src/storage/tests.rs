//! What Redis documents for its commands, asked of [`MemoryStorage`] through `dyn Storage`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::{Instant, MemoryStorage, StorageLimits};

mod bounds;
mod collections;
mod expiry;
mod model;
mod remote;
mod sequences;
mod strings;

/// The answer of a future that does not wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a store in memory does not wait"),
    }
}

/// Awaits on a store that must answer.
macro_rules! ask {
    ($store:ident.$method:ident($($arg:expr),*)) => {
        ready($store.$method($($arg),*)).unwrap()
    };
}

/// Awaits on a store that must refuse.
macro_rules! refused {
    ($store:ident.$method:ident($($arg:expr),*), $error:pat) => {
        let answer = ready($store.$method($($arg),*));
        assert!(matches!(answer, Err($error)), "{answer:?}");
    };
}

use {ask, refused};

fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

fn limited(limits: StorageLimits) -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::with_limits(limits).unwrap())
}

/// A clock that stands still until it is told otherwise.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }

    fn store(&self, limits: StorageLimits) -> MemoryStorage {
        let nanos = Arc::clone(&self.0);
        let store = MemoryStorage::with_limits(limits).unwrap();
        store.with_clock(move || Instant::from_nanos(nanos.load(Ordering::Relaxed)))
    }
}

/// Sorted, for answers without an order.
fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values
}
