use std::any::Any;
use std::mem;
use std::sync::Arc;

use crate::contain::contain;

/// A value of users.
pub(crate) type Value = Arc<dyn Any + Send + Sync>;

/// What users keep with a connection: one value of each type, in a list, since they are few.
#[derive(Default)]
pub(crate) struct Data(Vec<Value>);

impl Data {
    /// Puts a value in the place of the one of its type, which is answered.
    pub(crate) fn put<T: Any + Send + Sync>(&mut self, value: Arc<T>) -> Option<Value> {
        if let Some(held) = self.0.iter_mut().find(|held| is::<T>(held)) {
            return Some(mem::replace(held, value));
        }
        self.0.push(value);
        None
    }

    /// Takes the value of this type out.
    pub(crate) fn take<T: Any>(&mut self) -> Option<Value> {
        let at = self.0.iter().position(is::<T>)?;
        Some(self.0.swap_remove(at))
    }

    /// The value of this type.
    pub(crate) fn find<T: Any>(&self) -> Option<Value> {
        self.0.iter().find(|held| is::<T>(held)).cloned()
    }
}

/// Dropping a value is code of users, and the tasks of connections do not panic.
impl Drop for Data {
    fn drop(&mut self) {
        for value in self.0.drain(..) {
            contain("the drop of a connection's data", || drop(value));
        }
    }
}

fn is<T: Any>(value: &Value) -> bool {
    (**value).is::<T>()
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn there_is_one_value_of_each_type() {
        let mut data = Data::default();
        assert!(data.put(Arc::new(1_u32)).is_none());
        assert!(data.put(Arc::new("one")).is_none());
        let old = data.put(Arc::new(2_u32)).unwrap();
        assert_eq!(old.downcast_ref(), Some(&1_u32));
        assert_eq!(data.find::<u32>().unwrap().downcast_ref(), Some(&2_u32));
        assert_eq!(data.take::<&str>().unwrap().downcast_ref(), Some(&"one"));
        assert!(data.find::<&str>().is_none() && data.find::<u8>().is_none());
        assert_eq!(size_of::<Option<Box<Data>>>(), size_of::<usize>());
    }

    #[test]
    fn a_value_that_panics_when_it_is_dropped_harms_nobody() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("boom");
            }
        }
        /// What it throws panics in turn when it is dropped.
        struct Cluster;
        impl Drop for Cluster {
            fn drop(&mut self) {
                panic_any(Bomb);
            }
        }
        let witness = Arc::new(7);
        let mut data = Data::default();
        data.put(Arc::new(Bomb));
        data.put(Arc::new(Cluster));
        data.put(Arc::clone(&witness));
        drop(data);
        assert_eq!(Arc::strong_count(&witness), 1);
    }
}
