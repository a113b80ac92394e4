//! Pages and `WebSocket`s on the port of a hyper server: `cargo run --example hyper` in the folder
//! of this crate, then connect to `ws://127.0.0.1:9001/echo`.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use ws_tokio::http::{Request, Response};
use ws_tokio::{Address, Connection, Server};

async fn echo(connection: Connection) {
    while let Some(Ok(message)) = connection.recv().await {
        if connection.send(message).await.is_err() {
            break;
        }
    }
}

async fn route(
    server: Server,
    peer: Address,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/echo" {
        return Ok(Response::new(Full::from("connect to /echo\n")));
    }
    let answer = match server.upgrade_http(&mut request) {
        Ok(upgrade) => upgrade.peer(peer).serve(echo).await,
        Err(refusal) => refusal,
    };
    Ok(answer.map(Full::new))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().build()?;
    let listener = TcpListener::bind("127.0.0.1:9001").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // As a rule too many files are open, and soon there are fewer.
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // So that small messages leave at once. It is no harm to a client that has gone.
        let _ = stream.set_nodelay(true);
        let server = server.clone();
        let service =
            service_fn(move |request| route(server.clone(), Address::from(peer), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
