//! The client that Autobahn's fuzzing server tests: `autobahn-client ws://HOST:PORT AGENT`.
//!
//! Build it in the folder of this crate: `cargo build --release --examples`.

use std::process::ExitCode;

use ws_async_std as ws;

#[path = "../../ws-net/examples-support/mod.rs"]
mod support;

use ws::{Client, Deflate, Limits};

fn main() -> ExitCode {
    support::exit(start())
}

fn start() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, agent] = arguments.as_slice() else {
        return Err("usage: autobahn-client ws://HOST:PORT AGENT".into());
    };
    ws::block_on(1, run(url, agent)).map_err(|error| error.to_string())?
}

async fn run(url: &str, agent: &str) -> Result<(), String> {
    let limits = Limits::new().max_message(16 << 20);
    let builder = Client::builder().limits(limits).deflate(Deflate::new());
    let client = builder.build().map_err(|error| error.to_string())?;

    let count = first_text(&client, &format!("{url}/getCaseCount")).await?;
    let count: u32 = count.parse().map_err(|error| format!("the count is {count:?}: {error}"))?;
    for case in 1..=count {
        echo(&client, &format!("{url}/runCase?case={case}&agent={agent}")).await?;
    }
    echo(&client, &format!("{url}/updateReports?agent={agent}")).await
}

async fn first_text(client: &Client, url: &str) -> Result<String, String> {
    let connection = client.connect(url).await.map_err(|error| error.to_string())?;
    match connection.recv().await {
        Some(Ok(message)) => message.as_text().map(String::from).ok_or("no text came".into()),
        end => Err(format!("nothing came: {end:?}")),
    }
}

/// Sends back what comes until the connection is over, however that happens.
async fn echo(client: &Client, url: &str) -> Result<(), String> {
    let connection = client.connect(url).await.map_err(|error| error.to_string())?;
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
    connection.closed().await;
    Ok(())
}
