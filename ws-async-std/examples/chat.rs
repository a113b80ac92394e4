//! A chat room for browsers of today and WebSocket clients of 2009, with its page on the same
//! port. Run it in the folder of this crate: `cargo run --release --example chat`.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ws_async_std as ws;

#[path = "../../ws-net/examples-support/page.rs"]
mod page;
#[path = "../../ws-net/examples-support/room.rs"]
mod room;
#[path = "../../ws-net/examples-support/mod.rs"]
mod support;

use room::{Room, To, Told};
use support::ChatOptions;
use ws::{CloseCode, Connection, Server, Tls};

fn main() -> ExitCode {
    support::log_to_terminal();
    support::exit(start())
}

fn start() -> Result<(), String> {
    let options = ChatOptions::from_env()?;
    ws::block_on(1, run(options)).map_err(|error| error.to_string())?
}

async fn run(options: ChatOptions) -> Result<(), String> {
    let mut builder = Server::builder().on_request(|request| async move { page::answer(&request) });
    let mut scheme = "http";
    if let Some((certificate, key)) = options.tls {
        let tls = Tls::from_pem_files(certificate, key).map_err(|error| error.to_string())?;
        builder = builder.tls(tls);
        scheme = "https";
    }
    let bound = builder.bind(&*options.listen).await;
    let server = bound.map_err(|error| support::cannot_start(&options.listen, &error))?;

    let stopped = server.clone();
    support::on_ctrl_c(move || stopped.close())?;
    if let Some(address) = server.local_addr() {
        println!("Open {scheme}://{address} in two browser windows. Ctrl-C stops the server.");
    }

    let room = Arc::new(Mutex::new(Room::default()));
    let serving = server.serve(move |connection| visit(connection, Arc::clone(&room)));
    serving.await.map_err(|error| error.to_string())?;
    println!("Saying goodbye.");
    server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(5)).await;
    Ok(())
}

/// One person's visit, from coming in to leaving.
async fn visit(connection: Connection, room: Arc<Mutex<Room>>) {
    let id = connection.id().to_string();
    let version = connection.version().map_or("unknown", ws::Version::name);
    in_room(&connection, &room, |room| room.join(&id, version));
    while let Some(Ok(message)) = connection.recv().await {
        if let Some(text) = message.as_text() {
            in_room(&connection, &room, |room| room.hear(&id, text, milliseconds_since_1970()));
        }
    }
    in_room(&connection, &room, |room| room.leave(&id));
}

/// Changes the room and tells everybody before the next change, so that all hear the same order.
/// Nothing in here waits; whoever reads too slowly misses what does not fit.
fn in_room(
    connection: &Connection,
    room: &Mutex<Room>,
    change: impl FnOnce(&mut Room) -> Vec<Told>,
) {
    let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
    for (to, text) in change(&mut room) {
        match to {
            To::Sender => drop(connection.try_send(text)),
            To::Others => drop(connection.broadcast(text)),
            To::All => drop(connection.send_all(text)),
        }
    }
}

fn milliseconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
