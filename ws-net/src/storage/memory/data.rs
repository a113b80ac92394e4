use std::collections::{HashMap, HashSet, VecDeque};
use std::convert;

use super::ledger::Cost;
use crate::StorageValue;

pub(super) type List = VecDeque<StorageValue>;
pub(super) type Hash = HashMap<StorageValue, StorageValue>;
pub(super) type Set = HashSet<StorageValue>;

/// What a key holds.
#[derive(Debug)]
pub(super) enum Data {
    String(StorageValue),
    List(List),
    Hash(Box<Hash>),
    Set(Box<Set>),
}

impl Data {
    /// The name of the type in Redis.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
        }
    }

    pub(super) fn cost(&self) -> Cost {
        match self {
            Self::String(value) => value.cost(),
            Self::List(list) => list.cost(),
            Self::Hash(hash) => hash.cost(),
            Self::Set(set) => set.cost(),
        }
    }
}

/// One of the types that a key can hold. The default is what a new key starts with.
pub(super) trait Kind: Default {
    fn of(data: &Data) -> Option<&Self>;
    fn of_mut(data: &mut Data) -> Option<&mut Self>;
    fn into_data(self) -> Data;

    /// Without the key.
    fn cost(&self) -> Cost;

    /// Whether the key goes, because it holds nothing any more.
    fn is_spent(&self) -> bool;

    /// Gives memory back that a much larger past has left.
    fn shrink(&mut self);
}

impl Kind for StorageValue {
    fn of(data: &Data) -> Option<&Self> {
        if let Data::String(value) = data { Some(value) } else { None }
    }

    fn of_mut(data: &mut Data) -> Option<&mut Self> {
        if let Data::String(value) = data { Some(value) } else { None }
    }

    fn into_data(self) -> Data {
        Data::String(self)
    }

    fn cost(&self) -> Cost {
        Cost::value(self.len())
    }

    fn is_spent(&self) -> bool {
        false
    }

    fn shrink(&mut self) {}
}

/// A type that holds several values: how `Data` holds it, and what its content costs.
macro_rules! collection {
    ($kind:ident, $wrap:expr, $cost:expr) => {
        impl Kind for $kind {
            fn of(data: &Data) -> Option<&Self> {
                if let Data::$kind(held) = data { Some(held) } else { None }
            }

            fn of_mut(data: &mut Data) -> Option<&mut Self> {
                if let Data::$kind(held) = data { Some(held) } else { None }
            }

            fn into_data(self) -> Data {
                Data::$kind($wrap(self))
            }

            fn cost(&self) -> Cost {
                self.iter().map($cost).sum()
            }

            fn is_spent(&self) -> bool {
                self.is_empty()
            }

            fn shrink(&mut self) {
                if is_loose(self.len(), self.capacity()) {
                    self.shrink_to(2 * self.len());
                }
            }
        }
    };
}

collection!(List, convert::identity, Kind::cost);
collection!(Hash, Box::new, |(field, value)| Cost::name(field) + value.cost());
collection!(Set, Box::new, Kind::cost);

/// Whether most of a capacity is not used. Halving it then costs constant time per removal.
pub(super) fn is_loose(len: usize, capacity: usize) -> bool {
    capacity > 16 && len < capacity / 4
}
