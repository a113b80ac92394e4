use std::future::pending;
use std::pin::pin;
use std::task::{Context, Waker};

use ws_proto::{Accept, Cause};

use super::*;
use crate::AcceptError;
use crate::Bind;
use crate::toy::Toy;
use crate::toy::party::{REQUEST, running, server};

/// Why clients are refused from now on.
fn refusals(server: &Server<Toy>) -> Arc<Mutex<Vec<Cause>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let out = Arc::clone(&told);
    server.on_rejected(move |client| {
        assert_eq!((client.status, client.request.is_some()), (503, true));
        lock(&out).push(client.cause.clone());
    });
    told
}

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn nobody_waits_for_clients_that_no_task_accepts_any_more() {
    let (toy, server) = server(|builder| builder);
    let mut waiting = pin!(server.accept());
    assert!(poll(waiting.as_mut()).is_pending());
    server.add(Bind::tcp("127.0.0.1:0")).unwrap();
    toy.settle();
    assert_eq!(server.local_addrs().len(), 2);

    toy.drop_tasks();
    assert!(server.local_addrs().is_empty());
    for accept in [waiting.as_mut(), pin!(server.accept())] {
        let Poll::Ready(Err(error)) = poll(accept) else { panic!("it still waits") };
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }

    server.add(Bind::tcp("127.0.0.1:0")).unwrap();
    let mut next = pin!(server.accept());
    assert!(poll(next.as_mut()).is_pending(), "another socket is accepted from");
    let client = toy.dial();
    client.send(REQUEST);
    toy.settle();
    assert!(matches!(poll(next.as_mut()), Poll::Ready(Ok(_))));
    server.close();
    toy.settle();
    assert!(matches!(poll(pin!(server.accept())), Poll::Ready(Err(_))));
    assert!(server.local_addrs().is_empty());
}

#[test]
fn a_closed_server_listens_nowhere() {
    let (_toy, server) = server(|builder| builder);
    server.close();
    assert!(server.local_addrs().is_empty());
    let Poll::Ready(Err(error)) = poll(pin!(server.accept())) else { panic!("it waits") };
    assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
}

#[test]
fn a_shutdown_tells_of_those_whose_request_is_being_decided() {
    let (toy, server) = running(|builder| builder.authorize(|_| pending()));
    let told = refusals(&server);
    let [deciding, asking, silent] = [REQUEST, &REQUEST[..20], b""].map(|sent| {
        let client = toy.dial();
        client.send(sent);
        client
    });
    toy.settle();
    let stopping = server.clone();
    toy.spawn(async move {
        stopping.shutdown(Close::normal(), Duration::from_secs(1)).await;
    });
    toy.settle();
    assert!(deciding.take().0.starts_with(b"HTTP/1.1 503 ") && deciding.ended());
    drop(deciding);
    for unasked in [asking, silent] {
        assert!(unasked.take().0.is_empty() && unasked.ended());
    }
    toy.settle();
    assert_eq!(*lock(&told), [Cause::Unavailable]);
    assert_eq!(server.load().refused, 1);
}

#[test]
fn what_the_application_does_with_a_request_is_its_own_also_when_the_server_stops() {
    let (toy, server) = server(|builder| builder);
    let told = refusals(&server);
    let mut clients = Vec::new();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut next = pin!(server.accept());
        assert!(poll(next.as_mut()).is_pending());
        let client = toy.dial();
        client.send(REQUEST);
        toy.settle();
        clients.push(client);
        let Poll::Ready(Ok(incoming)) = poll(next) else { panic!("it asked") };
        held.push(incoming);
    }
    // One that waits to be taken, and one that has not asked yet.
    for sent in [REQUEST, b""] {
        let client = toy.dial();
        client.send(sent);
        toy.settle();
        clients.push(client);
    }
    server.close();
    toy.settle();
    clients[3].send(REQUEST);
    toy.settle();
    for client in clients.drain(2..) {
        assert!(client.take().0.starts_with(b"HTTP/1.1 503 "));
    }
    toy.settle();
    assert_eq!(mem::take(&mut *lock(&told)), [Cause::Unavailable, Cause::Unavailable]);

    drop(held.pop());
    let unfit = held.pop().unwrap();
    let accepting = async move { unfit.accept(Accept::new().subprotocol("unheard-of")).await };
    let error = toy.block_on(accepting).unwrap_err();
    assert!(matches!(error, AcceptError::Command(_)), "{error}");
    toy.settle();
    for client in clients.drain(..) {
        assert!(client.take().0.starts_with(b"HTTP/1.1 503 "));
    }
    toy.settle();
    assert_eq!(*lock(&told), [Cause::Rejected(503), Cause::Rejected(503)]);
}
