use crate::StorageValue;

/// What a store answers to a command, in the types of the Redis protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StorageReply {
    /// The command was executed and has nothing to tell: `OK` of Redis.
    Done,
    /// There is no such key, field or element.
    Nil,
    /// A number; 1 and 0 for yes and no.
    Integer(i64),
    /// A value.
    Value(StorageValue),
    /// Any number of values. `HGETALL` answers field, value, field, value and so on.
    List(Vec<StorageValue>),
}

impl From<bool> for StorageReply {
    fn from(yes: bool) -> Self {
        Self::Integer(yes.into())
    }
}

impl From<Option<StorageValue>> for StorageReply {
    fn from(value: Option<StorageValue>) -> Self {
        value.map_or(Self::Nil, Self::Value)
    }
}
