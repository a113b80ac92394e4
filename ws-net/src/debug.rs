use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The components that say what they do, as targets of `tracing`.
const TARGETS: [&str; 5] =
    ["ws::server", "ws::client", "ws::connection", "ws::manager", "ws::protocol"];

/// Installs the printer, unless there is a subscriber already.
pub(crate) fn install() {
    let targets: Targets = TARGETS.map(|target| (target, LevelFilter::DEBUG)).into_iter().collect();
    let printer = fmt::layer().with_ansi(false).with_filter(targets);
    // One that is there already was chosen by the program.
    let _ = tracing_subscriber::registry().with(printer).try_init();
}
