use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::candidate::Authorize;
use crate::listeners::Listeners;
use crate::shared::Common;
use crate::{Address, ConnectionId};

/// A future of which only the end matters.
pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who serves the ordinary HTTP requests on the port, if anybody.
pub(crate) type Http<S> = Option<Arc<dyn TakeOver<S>>>;

/// What the drivers of one server share: what the handles share, and the functions of users, which
/// may hold handles and so must not be held by them.
pub(crate) struct Endpoint {
    pub(crate) common: Arc<Common>,
    pub(crate) listeners: Listeners,
    /// Decides about requests.
    pub(crate) authorize: Option<Box<Authorize>>,
}

/// Takes over streams whose clients speak ordinary HTTP.
pub(crate) trait TakeOver<S>: Send + Sync {
    /// Serves the stream to its end. `received` was read from it already.
    fn take_over(&self, stream: S, received: Bytes, client: Client) -> BoxFuture;
}

/// Who speaks HTTP.
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "the server that reads it is off"))]
pub(crate) struct Client {
    pub(crate) id: ConnectionId,
    pub(crate) peer: Address,
    pub(crate) common: Arc<Common>,
}
