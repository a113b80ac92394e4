//! Pages and `WebSocket`s in the routes of one axum server: `cargo run --example axum
//! --features axum`, then connect to `ws://127.0.0.1:9001/echo`. Ctrl-C or a termination signal
//! stops it without cutting anybody off.
//!
//! `axum::serve` has no deadline for the head of a request, so it belongs behind a proxy that has
//! one. To do without a proxy, serve the routes as the example `hyper` does, with
//! `TowerToHyperService::new(routes.clone().layer(Extension(ConnectInfo(peer))))` of hyper-util in
//! place of `service_fn`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use ws_tokio::axum::Upgrade;
use ws_tokio::{CloseCode, Connection, Server};

/// How long clients may take to end when the program stops.
const GRACE: Duration = Duration::from_secs(10);

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

/// Waits for Ctrl-C, or for what service managers send.
async fn told_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::builder().build()?;
    let routes = Router::new()
        .route("/", get(|| async { "connect to /echo" }))
        .route("/echo", get(upgrade))
        .with_state(server.clone())
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:9001").await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // So that small messages leave at once. It is no harm to a client that has gone.
        let _ = stream.set_nodelay(true);
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let serving = tokio::spawn(async { serving.await });

    told_to_stop().await?;
    // axum accepts nobody any more and ends when its answers have gone out. The WebSockets are not
    // its own: the server tells them to end.
    let _ = stop.send(());
    let closing = server.shutdown(CloseCode::GOING_AWAY, GRACE);
    let (end, _) = tokio::join!(closing, timeout(GRACE, serving));
    println!("{} closed, {} aborted", end.closed, end.aborted);
    Ok(())
}
