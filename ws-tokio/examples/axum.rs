//! Pages and `WebSocket`s in the routes of one axum server: `cargo run --example axum
//! --features axum`, then connect to `ws://127.0.0.1:9001/echo`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use ws_tokio::axum::Upgrade;
use ws_tokio::{Connection, Server};

async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

async fn upgrade(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    upgrade: Upgrade,
) -> Response {
    upgrade.peer(peer).on(&server, echo).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let routes = Router::new()
        .route("/", get(|| async { "connect to /echo" }))
        .route("/echo", get(upgrade))
        .with_state(Server::builder().build()?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // So that small messages leave at once. It is no harm to a client that has gone.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
