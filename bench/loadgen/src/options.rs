//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Loads a server from one thread and prints what it did as one line of JSON.
#[derive(Clone, Copy, Debug, Parser)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub work: Work,
    /// Where the server listens.
    #[arg(long, global = true, default_value = "127.0.0.1:9001")]
    pub connect: SocketAddr,
    /// How to speak to it.
    #[arg(long, global = true, value_enum, default_value = "ws")]
    pub protocol: Protocol,
    /// Process whose CPU time and memory are reported.
    #[arg(long, global = true)]
    pub server_pid: Option<i32>,
    /// Core to run on.
    #[arg(long, global = true)]
    pub cpu: Option<usize>,
    /// Seconds to measure.
    #[arg(long, global = true, default_value = "1", value_parser = seconds)]
    pub seconds: Duration,
    /// Seconds before that, in which nothing is counted; with 0 nothing is sent before.
    #[arg(long, global = true, default_value = "0.3", value_parser = seconds)]
    pub warm_up: Duration,
    /// Messages (or connects) after which to stop, should that come before the time is up.
    #[arg(long, global = true, default_value_t = u64::MAX)]
    pub messages: u64,
    /// Compare every byte that comes back, not only length and kind.
    #[arg(long, global = true)]
    pub verify: bool,
    /// Speak TLS, and believe any certificate.
    #[arg(long, global = true)]
    pub tls: bool,
    /// Offer permessage-deflate (RFC 7692), insist on it, and send compressed messages. Their
    /// payloads are then like JSON, all different within more than two windows.
    #[arg(long, global = true, value_enum)]
    pub deflate: Option<Takeover>,
    /// Send text messages, not binary ones. draft76 has only text.
    #[arg(long, global = true)]
    pub text: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Work {
    /// Each connection sends its messages at once, waits for all echoes, and starts again.
    Echo(Echo),
    /// One more connection publishes; all others must get each message.
    Broadcast(Broadcast),
    /// Connections are opened, perhaps echo once, and then the server's memory is read.
    Idle(Idle),
    /// Connections are opened and closed, with both handshakes.
    Connect(Connect),
}

/// The shape of echo work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Echo {
    /// Bytes of payload in a message.
    #[arg(long, default_value_t = 125)]
    pub size: usize,
    /// Connections.
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Messages of one connection that are under way at the same time.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
}

/// The shape of broadcast work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Broadcast {
    /// Bytes of payload in a message.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// Connections that must get each message.
    #[arg(long, default_value_t = 1000)]
    pub receivers: usize,
    /// Messages that are published behind each other.
    #[arg(long, default_value_t = 1)]
    pub burst: usize,
}

/// The shape of idle work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Idle {
    /// Connections.
    #[arg(long, default_value_t = 10_000)]
    pub connections: usize,
    /// Bytes of the one message that each echoes first; none is sent when this is 0.
    #[arg(long, default_value_t = 0)]
    pub size: usize,
    /// Seconds to leave the server alone before its memory is read.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub settle: Duration,
}

/// The shape of connect work.
#[derive(Args, Clone, Copy, Debug)]
pub struct Connect {
    /// Connections that are in the making at the same time.
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
}

/// A way to speak to a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 6455.
    Ws,
    /// draft-hixie-76.
    Draft76,
    /// No WebSocket: as many bytes as RFC 6455 would have, to a TCP echo.
    Raw,
}

/// What a compressor knows when a message begins (RFC 7692 section 7.1.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Takeover {
    /// Nothing, in both directions.
    Off,
    /// All messages before it, in both directions.
    On,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}
