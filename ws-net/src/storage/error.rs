use std::error::Error;

/// Why a store did not execute a command. The store is as it was before, except where the answer
/// of a store in another process was lost ([`Backend`](Self::Backend)).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The caller used a command of one type on a key that holds another: `WRONGTYPE` of Redis.
    #[error("the key holds another type than the command is for: delete it, or use another key")]
    WrongType,
    /// The caller counts with a value that is not a 64-bit integer in plain decimal: no spaces,
    /// no `+`, no leading zeros.
    #[error("the value is not an integer of 64 bits, so it cannot be counted up or down")]
    NotInteger,
    /// The caller counts beyond 64 bits.
    #[error("the counter would leave the range of 64 bits; it keeps its value")]
    Overflow,
    /// The caller asked for a value that expires at once.
    #[error("a value cannot be stored for no time: use a longer time, or delete the key")]
    InvalidExpiry,
    /// The value does not fit in the store.
    #[error("the storage limit `{limit}` of {max} is reached: delete something, or raise it")]
    Full {
        /// The limit, as in [`StorageLimits`](crate::StorageLimits).
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// The store does not know the command, which is named.
    #[error("this store does not support the command {0}")]
    Unsupported(&'static str),
    /// The store answered a command, which is named, with something of another type: its
    /// implementation of [`Storage`](crate::Storage) is wrong.
    #[error("the store gave {0} an answer of the wrong type: its implementation needs a fix")]
    UnexpectedReply(&'static str),
    /// The system behind the store failed.
    #[error("the system behind the store failed: {0}")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
}

impl StorageError {
    /// A failure of the system behind the store.
    pub fn backend(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Backend(error.into())
    }

    /// The error that an error reply of Redis means, so that it is the same error for every
    /// store. `text` is the whole line without the leading `-`.
    pub fn from_redis(text: &str) -> Self {
        let has = |part| text.contains(part);
        if text.starts_with("WRONGTYPE") {
            Self::WrongType
        } else if has("is not an integer") {
            Self::NotInteger
        } else if has("would overflow") {
            Self::Overflow
        } else if has("invalid expire time") {
            Self::InvalidExpiry
        } else {
            Self::backend(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_replies_of_redis_are_the_errors_of_every_store() {
        let read = StorageError::from_redis;
        let wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value";
        assert!(matches!(read(wrong_type), StorageError::WrongType));
        let not_integer = "ERR value is not an integer or out of range";
        assert!(matches!(read(not_integer), StorageError::NotInteger));
        assert!(matches!(read("ERR hash value is not an integer"), StorageError::NotInteger));
        let overflow = "ERR increment or decrement would overflow";
        assert!(matches!(read(overflow), StorageError::Overflow));
        assert!(matches!(read("ERR decrement would overflow"), StorageError::Overflow));
        let expiry = "ERR invalid expire time in 'psetex' command";
        assert!(matches!(read(expiry), StorageError::InvalidExpiry));
        let other = read("LOADING Redis is loading the dataset in memory");
        assert!(matches!(&other, StorageError::Backend(_)));
        assert!(other.to_string().ends_with("LOADING Redis is loading the dataset in memory"));
        assert!(other.source().is_some());
    }
}
