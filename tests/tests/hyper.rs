//! The hyper examples of the runtimes that have no adapter of hyper's own: what they serve, over
//! their runtime's own sockets.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use ws_proto::{ClientRequest, Close};
use ws_tests::client::{Client, dial, read_answer};

#[allow(dead_code)]
#[path = "../../ws-async-std/examples/hyper.rs"]
mod on_async_std;
#[allow(dead_code)]
#[path = "../../ws-smol/examples/hyper.rs"]
mod on_smol;

/// A page and a WebSocket, one after the other on the same port.
fn visit(address: SocketAddr) {
    let mut socket = dial(address);
    for _ in 0..2 {
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut socket, true).1, "connect to /echo\n");
    }
    let request = ClientRequest::new(&format!("ws://{address}/echo")).unwrap();
    let mut client = Client::ask(address, request).expect("it is let in");
    for text in ["hello", &"long ".repeat(20_000)] {
        assert_eq!(client.ask_text(text), text);
    }
    assert!(client.close(Close::normal()).clean);
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    assert!(Client::ask(address, request).is_err(), "a page is no WebSocket");
}

/// Visits a server that `serve` runs until the process ends.
fn visit_served(serve: impl FnOnce(TcpListener) -> io::Result<()> + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || serve(listener));
    visit(address);
    assert!(!serving.is_finished(), "it does not serve any more");
}

#[test]
fn the_example_of_smol_serves_pages_and_websockets() {
    visit_served(|listener| {
        let server = ws_smol::Server::builder().build().unwrap();
        smol::block_on(async { on_smol::serve(server, listener.try_into()?).await })
    });
}

#[test]
fn the_example_of_async_std_serves_pages_and_websockets() {
    visit_served(|listener| {
        let server = ws_async_std::Server::builder().build().unwrap();
        async_std::task::block_on(on_async_std::serve(server, listener.into()))
    });
}
