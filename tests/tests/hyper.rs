//! The hyper examples of the runtimes that have no adapter of hyper's own: what they serve, over
//! their runtime's own sockets.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use ws_proto::{ClientRequest, Close};
use ws_tests::client::{Client, dial, read_answer, read_to_end};

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

/// Visits a server that `serve` runs until `stop` is called, and stays to see how that ends.
fn visit_served(serve: impl FnOnce(TcpListener) + Send + 'static, stop: impl FnOnce()) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || serve(listener));
    visit(address);

    let request = ClientRequest::new(&format!("ws://{address}/echo")).unwrap();
    let client = Client::ask(address, request).expect("it is let in");
    let mut idle = dial(address);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut idle, true).1, "connect to /echo\n");
    stop();
    assert_eq!(client.closed().code(), 1001);
    assert_eq!(read_to_end(&mut idle), "", "its connection is not kept alive");
    serving.join().unwrap();
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
fn the_example_of_smol_serves_pages_and_websockets() {
    let (stop, stopped) = smol::channel::bounded(1);
    let serve = |listener: TcpListener| {
        let server = ws_smol::Server::builder().build().unwrap();
        let listener = listener.try_into().unwrap();
        smol::block_on(on_smol::serve(server, listener, stopped));
    };
    visit_served(serve, || assert!(stop.close()));
}

#[test]
fn the_example_of_async_std_serves_pages_and_websockets() {
    let (stop, stopped) = async_std::channel::bounded(1);
    let serve = |listener: TcpListener| {
        let server = ws_async_std::Server::builder().build().unwrap();
        async_std::task::block_on(on_async_std::serve(server, listener.into(), stopped));
    };
    visit_served(serve, || assert!(stop.close()));
}
