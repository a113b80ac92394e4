//! A client for the terminal and for pipes: lines in, messages out.
//!
//! Run it in the folder of this crate:
//! `cargo run --release --example client -- ws://127.0.0.1:9001/`.

use std::process::ExitCode;

use ws_tokio as ws;

#[path = "../../ws-net/examples-support/client.rs"]
mod options;
#[path = "../../ws-net/examples-support/mod.rs"]
mod support;

use options::Options;
use ws::{Client, Message};

fn main() -> ExitCode {
    support::log_to_terminal();
    support::exit(start())
}

fn start() -> Result<(), String> {
    let options = Options::from_env()?;
    ws::block_on(1, run(options)).map_err(|error| error.to_string())?
}

async fn run(options: Options) -> Result<(), String> {
    let mut client =
        Client::builder().version(options.version).max_redirects(options.max_redirects);
    for (name, value) in options.headers {
        client = client.header(name, value);
    }
    for name in options.subprotocols {
        client = client.subprotocol(name);
    }
    if let Some(origin) = options.origin {
        client = client.origin(origin);
    }
    if let Some(proxy) = options.proxy {
        client = client.proxy(proxy);
    }
    let connection = client.connect(&options.url).await.map_err(|error| error.to_string())?;

    options::send_lines(connection.clone());
    while let Some(message) = connection.recv().await {
        match message.map_err(|closed| closed.to_string())? {
            Message::Text(text) => println!("{text}"),
            Message::Binary(bytes) => println!("{} bytes: {}", bytes.len(), bytes.escape_ascii()),
        }
    }
    eprintln!("{}", connection.closed().await);
    Ok(())
}
