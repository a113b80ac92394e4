use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::Builder;
use crate::runtime::Runtime;

/// The components that say what they do, as targets of `tracing`.
const TARGETS: [&str; 5] =
    ["ws::server", "ws::client", "ws::connection", "ws::manager", "ws::protocol"];

impl<R: Runtime> Builder<R> {
    /// Whether [`build`](Self::build) lets the whole process print to stdout what servers, clients,
    /// connections, managers and the protocol do. A program that has installed a subscriber of
    /// `tracing` of its own keeps it, and sees the same under the targets `ws::server`,
    /// `ws::client`, `ws::connection`, `ws::manager` and `ws::protocol`. Default: no.
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = debug;
        self
    }
}

/// Installs the printer, unless there is a subscriber already.
pub(crate) fn install() {
    let targets: Targets = TARGETS.map(|target| (target, LevelFilter::DEBUG)).into_iter().collect();
    let printer = fmt::layer().with_ansi(false).with_filter(targets);
    // One that is there already was chosen by the program.
    let _ = tracing_subscriber::registry().with(printer).try_init();
}
