//! How connections end whose handler takes no messages.

use ws_proto::Closed;

use super::*;

/// How each connection ended.
fn ends(server: &Server<Toy>) -> Arc<Mutex<Vec<Closed>>> {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&ends);
    server.on_close(move |_, end| lock(&out).push(Closed::clone(end)));
    ends
}

#[test]
fn a_message_that_nobody_takes_does_not_hold_up_the_closing() {
    let (toy, server) = serving(|connection| async move {
        pending::<()>().await;
        drop(connection);
    });
    let ends = ends(&server);
    let client = join(&toy);
    client.send(&frame(0x81, b"nobody takes this"));
    toy.settle();
    let connection = server.manager().snapshot().pop().unwrap();
    connection.close(Close::normal());
    toy.settle();
    assert_eq!(client.take().0, b"\x88\x02\x03\xE8");
    client.send(&frame(0x88, b"\x03\xE8"));
    drop(client);
    toy.settle();
    let end = lock(&ends).pop().expect("the closing handshake is over");
    assert!(end.clean, "{end}");
    assert_eq!((end.code(), server.manager().len()), (1000, 0));
    let left = toy.block_on(async move { connection.recv().await });
    assert_eq!(left.unwrap().unwrap().as_text(), Some("nobody takes this"));
}
