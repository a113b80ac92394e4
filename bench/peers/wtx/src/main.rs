//! An echo server over wtx, as its documentation shows one. It knows tokio's streams only, so it
//! accepts by itself.

use std::io;

use serverkit::Options;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task,
};
use wtx::{
    collection::Vector,
    web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin},
};

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&[]);
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(options.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            task::spawn(async move {
                // A generator that closes is no news.
                let _ = echo(stream).await;
            });
        }
    })
}

async fn echo(stream: TcpStream) -> wtx::Result<()> {
    let mut socket = WebSocketAcceptor::default().accept(stream).await?;
    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = Vector::new();
    loop {
        let origin = WebSocketPayloadOrigin::Adaptive;
        let mut frame = reader.read_frame(&mut buffer, &mut common, origin).await?;
        match frame.op_code() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            _ => {}
        }
    }
}
