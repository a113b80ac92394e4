//! A load generator for echo and broadcast servers: one thread, one epoll, frames that were built
//! and masked before the clock starts.
//!
//! It is a library and a program, so that the runner reads reports with the type that wrote them.

mod broadcast;
mod connect;
mod connection;
mod deflate;
mod echo;
mod idle;
mod poller;
mod process;
mod reel;
mod report;
mod socket;
mod wire;

pub mod options;

pub use process::{Probe, allow_many_files, pin_to};
pub use report::{Latency, Report};

use options::{Options, Work};

/// Does the work that the options name.
///
/// # Errors
/// The system refused something, the server closed, stalled, or answered with other bytes than it
/// should have.
pub fn run(options: &Options) -> std::io::Result<Report> {
    allow_many_files()?;
    if let Some(core) = options.cpu {
        pin_to(&[core])?;
    }
    match options.work {
        Work::Echo(work) => echo::run(options, work),
        Work::Broadcast(work) => broadcast::run(options, work),
        Work::Idle(work) => idle::run(options, work),
        Work::Connect(work) => connect::run(options, work),
    }
}
