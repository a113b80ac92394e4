use std::sync::Arc;

use ws_proto::{Cause, ClientRequest, Closed, Config, Expired, HandshakeError};

use super::deadline::Deadline;
use super::entropy::{SystemEntropy, with_entropy};
use super::error::{ConnectError, Stage};
use super::redirect::RedirectError;
use crate::Connection;
use crate::alarm::Alarms;
use crate::delivery::SlowOptions;
use crate::door::{Dialled, Door as _};
use crate::driver::{Driver, Socket};
use crate::endpoint::Endpoint;
use crate::errands::Errands;
use crate::gate::Gate;
use crate::roster::Roster;
use crate::runtime::{Address, Runtime, Transport};
use crate::shared::{Common, Owner, Peer, Shared};
use crate::shares::Shares;
use crate::sites::Sites;
use crate::tally::Faults;
use crate::topics::{TopicLimits, Topics};

/// Shakes hands over `stream` in a task of its own, and waits until that is done. A redirect is an
/// error that can say another problem than [`RedirectError::NotFollowed`] when its caller knows one.
/// Dropping the future ends the stream.
pub(super) async fn open<R: Runtime, S: Transport>(
    deadline: &Deadline<'_, R>,
    config: &Arc<Config>,
    alarms: &Arc<Alarms>,
    request: &ClientRequest,
    stream: S,
    peer: Address,
) -> Result<Connection, ConnectError> {
    let runtime = deadline.runtime;
    let endpoint = endpoint(runtime, config, alarms);
    let permit = endpoint.common.gate.admit_beyond(peer);
    let core = || {
        let entropy = Box::new(SystemEntropy);
        // The deadline of its handshake counts from the beginning of everything.
        ws_proto::Connection::client(Arc::clone(config), request.clone(), entropy, deadline.started)
    };
    let core = with_entropy(core).map_err(ConnectError::Entropy)?;
    let socket = Socket::Open(stream);
    let (common, now) = (Arc::clone(&endpoint.common), runtime.now());
    let shared = Arc::new(Shared::new(common, core, Peer::new(peer), Dialled::READER, now));
    let driver = Driver::new(runtime.clone(), endpoint, Dialled, permit, socket, shared);
    let opening = Opening { connection: driver.connection().clone(), waits: true };
    opening.connection.shared().hand_over(Owner::Handles);
    runtime.spawn(driver);
    opening.finish().await.map_err(|closed| match &closed.cause {
        Cause::Handshake(HandshakeError::Redirect { status, location }) => ConnectError::Redirect {
            url: request.url(),
            status: *status,
            location: location.clone(),
            problem: RedirectError::NotFollowed,
            response: closed.response.clone(),
        },
        Cause::Handshake(error) => ConnectError::Answer {
            url: request.url(),
            error: error.clone(),
            response: closed.response.clone(),
        },
        Cause::Timeout(Expired::Handshake) => deadline.passed(Stage::Handshake),
        _ => ConnectError::Closed { url: request.url(), closed },
    })
}

/// A connection that shakes hands, aborted when nobody waits for it any more.
struct Opening {
    connection: Connection,
    waits: bool,
}

impl Opening {
    async fn finish(mut self) -> Result<Connection, Arc<Closed>> {
        let opened = self.connection.shared().opened().await;
        self.waits = false;
        opened?;
        self.connection.shared().keep_response();
        Ok(self.connection.clone())
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.waits {
            self.connection.abort();
        }
    }
}

/// What a server shares among its connections, for this one alone.
fn endpoint<R: Runtime>(runtime: &R, config: &Arc<Config>, alarms: &Arc<Alarms>) -> Arc<Endpoint> {
    let clock = runtime.clone();
    let common = Common {
        config: Arc::clone(config),
        secure_config: Arc::clone(config),
        clock: Box::new(move || clock.now()),
        alarms: Arc::clone(alarms),
        opening: Roster::default(),
        members: Roster::default(),
        gate: Arc::new(Gate::new(1, 1, Shares::of_whole(1, 1))),
        faults: Faults::default(),
        sites: Sites::default(),
        storage: false.into(),
        topics: Topics::new(TopicLimits::default()),
        errands: Errands::default(),
        slow: SlowOptions::default(),
    };
    Arc::new(Endpoint::new::<()>(Arc::new(common), None, None, None))
}
