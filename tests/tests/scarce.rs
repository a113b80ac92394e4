//! A server that runs out of file descriptors tells its listeners and goes on, on every runtime.
//! It runs in a process of its own, with few of them.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use ws_net::{Builder, Runtime, ServerError, Version};
use ws_tests::client::Client;

/// Says which runtime the process is to serve on.
const CHILD: &str = "WS_TESTS_SCARCE";

/// How many descriptors the child may have; it uses about half of them itself.
const DESCRIPTORS: usize = 32;

macro_rules! scarce {
    ($($name:ident: $adapter:ident::$runtime:ident,)+) => {
        $(#[test]
        fn $name() {
            if env::var(CHILD).is_ok_and(|name| name == stringify!($name)) {
                return $adapter::block_on(1, serve($adapter::$runtime)).unwrap();
            }
            crowd(stringify!($name));
        })+
    };
}

scarce! {
    a_server_without_descriptors_goes_on_with_tokio: ws_tokio::Tokio,
    a_server_without_descriptors_goes_on_with_smol: ws_smol::Smol,
    a_server_without_descriptors_goes_on_with_async_std: ws_async_std::AsyncStd,
}

/// Ends the child with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn serve<R: Runtime>(runtime: R) {
    let server = Builder::new(runtime).bind("127.0.0.1:0").await.unwrap();
    server.on_error(|error| match error {
        ServerError::Accept { error, .. } => println!("\nerror {:?}", error.raw_os_error()),
        _ => println!("\n{error}"),
    });
    server.on_message(|connection, message| drop(connection.try_send(message)));
    println!("\naddress {}", server.local_addr().unwrap());
    server.run().await.unwrap();
}

/// What the next line says that begins with `what`.
fn said(lines: &mut impl Iterator<Item = String>, what: &str) -> Option<String> {
    lines.find_map(|line| line.strip_prefix(what).map(str::to_owned))
}

fn crowd(name: &str) {
    let command = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &command])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let Some(address) = said(&mut lines, "address ") else {
        let mut text = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        panic!("it does not start: {text}");
    };
    let address: SocketAddr = address.parse().unwrap();
    // The system takes them all; the server can accept only some.
    let many: Vec<_> = (0..DESCRIPTORS).map(|_| TcpStream::connect(address).unwrap()).collect();
    // EMFILE.
    assert_eq!(said(&mut lines, "error ").as_deref(), Some("Some(24)"));
    drop(many);
    let mut client = Client::open(address, Version::Rfc6455);
    assert_eq!(client.ask_text("hello"), "hello");
}
