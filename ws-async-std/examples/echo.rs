//! A plain echo server for suites and benches: text comes back as text, binary as binary.
//!
//! Run it in the folder of this crate: `cargo run --release --example echo -- --help`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ws_async_std as ws;

#[path = "../../ws-net/examples-support/echo.rs"]
mod options;
#[path = "../../ws-net/examples-support/mod.rs"]
mod support;

use options::Options;
use ws::{Close, CloseCode, Connection, Server};

fn main() -> ExitCode {
    support::log_to_terminal();
    support::exit(start())
}

fn start() -> Result<(), String> {
    let options = Options::from_env()?;
    ws::block_on(options.threads, run(options)).map_err(|error| error.to_string())?
}

async fn run(options: Options) -> Result<(), String> {
    let mut builder = Server::builder()
        .versions(options.versions)
        .origin(options.origin)
        .subprotocols(options.subprotocols)
        .deflate(options.deflate)
        .limits(options.limits)
        .timeouts(options.timeouts);
    if let Some(tls) = options.tls {
        builder = builder.tls(tls);
    }
    let server = builder
        .bind(&*options.listen)
        .await
        .map_err(|error| support::cannot_start(&options.listen, &error))?;

    let stopped = server.clone();
    support::on_ctrl_c(move || stopped.close())?;
    if let Some(address) = server.local_addr() {
        println!("listening on {address}");
    }

    let close_on = options.close_on.map(Arc::<str>::from);
    let echo = move |connection: Connection| {
        let close_on = close_on.clone();
        async move {
            while let Some(Ok(message)) = connection.recv().await {
                if close_on.is_some() && close_on.as_deref() == message.as_text() {
                    connection.close(Close::normal());
                } else if connection.send(message).await.is_err() {
                    break;
                }
            }
        }
    };
    server.serve(echo).await.map_err(|error| error.to_string())?;
    server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(5)).await;
    Ok(())
}
