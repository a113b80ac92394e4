use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) mod choice;
pub(crate) mod command;
pub(crate) mod error;
mod json;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod reply;
pub(crate) mod slot;
#[cfg(test)]
mod tests;
pub(crate) mod typed;
pub(crate) mod value;

use crate::{StorageCommand, StorageError, StorageReply};

/// A store with the data types of Redis, in memory ([`MemoryStorage`](crate::MemoryStorage)) or
/// anywhere else.
///
/// Keys are text; values, fields and members are any bytes. All methods with names of Redis
/// commands are defined on `dyn Storage`, so a store is used as `Arc<dyn Storage>` or
/// `&dyn Storage`, and one that is written elsewhere implements [`execute`](Self::execute) alone.
/// They do what Redis does: `incr` answers the new value, a key that holds another type is
/// [`StorageError::WrongType`], and a list, hash or set that becomes empty is gone. Where Redis
/// takes several elements they take one. `push`, `pop`, `get_or` and `to_json` are there for
/// programs that come from node-websocket-server.
///
/// All of them wait as long as [`execute`](Self::execute) does, which a store in memory never does.
/// A future that was never polled has done nothing; of one that is dropped while it waits nobody
/// knows whether the command was executed.
///
/// ```
/// # use std::{pin::pin, task::{Context, Waker}};
/// use std::sync::Arc;
///
/// use ws_net::{MemoryStorage, Storage, StorageError};
///
/// async fn join(store: &dyn Storage) -> Result<i64, StorageError> {
///     store.sadd("rooms", "lobby").await?;
///     store.hset("user", "name", "Ada").await?;
///     let name = store.hget("user", "name").await?;
///     assert_eq!(name.unwrap(), "Ada");
///     store.incr("visits").await
/// }
///
/// let store: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
/// # let mut visits = pin!(async move {
/// assert_eq!(join(&*store).await?, 1);
/// # Ok::<(), StorageError>(()) });
/// # assert!(visits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// ```
///
/// A store in another process sends [`name`](StorageCommand::name),
/// [`key`](StorageCommand::key) and [`args`](StorageCommand::args), and translates the answer:
///
/// ```
/// # use ws_net::{Storage, StorageCommand, StorageError, StorageFuture, StorageReply};
/// # struct Client;
/// # impl Client {
/// #     async fn request(&self, _: Vec<Vec<u8>>) -> std::io::Result<Resp> { Ok(Resp::Nil) }
/// # }
/// # enum Resp { Ok, Nil, Integer(i64), Bulk(Vec<u8>), Array(Vec<Vec<u8>>), Error(String) }
/// struct Remote {
///     client: Client,
///     prefix: String,
/// }
///
/// impl Storage for Remote {
///     fn execute<'a>(&'a self, command: StorageCommand<'a>) -> StorageFuture<'a> {
///         StorageFuture::new(async move {
///             let key = format!("{}{}", self.prefix, command.key());
///             let mut request = vec![command.name().into(), key.into_bytes()];
///             request.extend(command.args().map(|arg| arg.into_owned()));
///             match self.client.request(request).await.map_err(StorageError::backend)? {
///                 Resp::Ok => Ok(StorageReply::Done),
///                 Resp::Nil => Ok(StorageReply::Nil),
///                 Resp::Integer(n) => Ok(StorageReply::Integer(n)),
///                 Resp::Bulk(bytes) => Ok(StorageReply::Value(bytes.into())),
///                 Resp::Array(all) => {
///                     Ok(StorageReply::List(all.into_iter().map(Into::into).collect()))
///                 }
///                 Resp::Error(text) => Err(StorageError::from_redis(&text)),
///             }
///         })
///     }
/// }
/// ```
///
/// (`KEYS` answers whole keys: a store that puts a prefix before them takes it off again there.)
pub trait Storage: Send + Sync {
    /// Executes one command as Redis does, as a whole or not at all.
    ///
    /// May wait, for a store that is somewhere else. When the future is dropped before it is
    /// ready, the command may have been executed or not.
    ///
    /// # Errors
    /// What [`StorageError`] lists; [`StorageError::Unsupported`] for commands that this store
    /// does not know.
    fn execute<'a>(&'a self, command: StorageCommand<'a>) -> StorageFuture<'a>;
}

/// The answer of [`Storage::execute`]: there already, without an allocation, or to be waited for.
#[must_use = "futures do nothing unless polled"]
pub struct StorageFuture<'a>(Answer<'a>);

enum Answer<'a> {
    Ready(Option<Result<StorageReply, StorageError>>),
    Pending(Pin<Box<dyn Future<Output = Result<StorageReply, StorageError>> + Send + 'a>>),
}

impl<'a> StorageFuture<'a> {
    /// An answer that is there already.
    pub fn ready(answer: Result<StorageReply, StorageError>) -> Self {
        Self(Answer::Ready(Some(answer)))
    }

    /// An answer that has to be waited for.
    pub fn new(
        answer: impl Future<Output = Result<StorageReply, StorageError>> + Send + 'a,
    ) -> Self {
        Self(Answer::Pending(Box::pin(answer)))
    }
}

/// Panics, as most futures do, when it is polled again after it was ready.
impl Future for StorageFuture<'_> {
    type Output = Result<StorageReply, StorageError>;

    #[expect(clippy::expect_used, reason = "the fault is the caller's, and no peer can cause it")]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Ready(answer) => {
                Poll::Ready(answer.take().expect("a future was polled after it was ready"))
            }
            Answer::Pending(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for StorageFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageFuture").finish_non_exhaustive()
    }
}
