//! An echo server over fastwebsockets, as its examples show one: hyper reads the request.

use std::io;

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serverkit::Options;
use tokio::task;

fn main() -> io::Result<()> {
    serverkit::serve(Options::from_args(), |stream| async move {
        let service = service_fn(upgrade);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A generator that closes is no news.
        let _ = connection.with_upgrades().await;
    })
}

async fn upgrade(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, socket) = upgrade::upgrade(&mut request)?;
    task::spawn(task::unconstrained(async move {
        let _ = echo(socket).await;
    }));
    Ok(response)
}

async fn echo(socket: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
