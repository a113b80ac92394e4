//! Binding, and the three ways to take connections.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::pin::pin;
use std::thread;

use ws_net::{Accept, Bind, Builder, Close, LocalAddress, Runtime, Server, Version};

use super::support::{Mailbox, Running, aside, echo, polled, until};
use crate::client::Client;

/// Each server gets one of its own.
pub async fn port_zero_is_any_free_port<R: Runtime>(runtime: R) {
    let first = Running::bind(&runtime, |builder| builder).await;
    let second = Running::bind(&runtime, |builder| builder).await;
    assert!(first.address.port() != 0 && second.address.port() != 0);
    assert_ne!(first.address.port(), second.address.port());
}

/// Whoever starts the program twice reads why it does not start.
pub async fn a_port_in_use_is_an_error_that_names_it<R: Runtime>(runtime: R) {
    let first = Running::bind(&runtime, |builder| builder).await;
    let error = Builder::new(runtime).bind(first.address).await.expect_err("it is in use");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&first.address.to_string()), "{error}");
}

/// By those who ask for it only; on Linux the system deals clients out to all of them.
pub async fn a_port_is_shared_when_all_ask_for_it<R: Runtime>(runtime: R) {
    let servers = [(); 2].map(|()| Builder::new(runtime.clone()).build().unwrap());
    let [first, second] = &servers;
    let place = first.add(Bind::tcp("127.0.0.1:0").reuse_port()).unwrap();
    let address = place.socket_addr().unwrap();
    let error = second.add(Bind::tcp(address)).expect_err("it did not ask");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    second.add(Bind::tcp(address).reuse_port()).unwrap();
    for server in &servers {
        let server = server.clone();
        runtime.spawn(async move { server.serve(echo).await.unwrap() });
    }
    let clients = aside(move || {
        let mut clients: Vec<_> =
            (0..64).map(|_| Client::open(address, Version::Rfc6455)).collect();
        for client in &mut clients {
            assert_eq!(client.ask_text("hello"), "hello");
        }
        clients
    })
    .await;
    let counts = servers.each_ref().map(|server| server.manager().len());
    assert_eq!(counts.iter().sum::<usize>(), clients.len());
    if cfg!(target_os = "linux") {
        assert!(!counts.contains(&0), "one server has no clients: {counts:?}");
    }
    servers.iter().for_each(Server::close);
}

/// Who binds and serves in one step takes no socket from those who serve already.
pub async fn threads_may_share_a_server_and_no_socket<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let anywhere = || Bind::tcp("127.0.0.1:0");
    assert!(polled(0, server.serve_on(anywhere(), echo)).await.is_none());
    assert!(polled(0, server.run_on(anywhere())).await.is_none());
    assert_eq!(server.local_addrs().len(), 1);
    let mut running = Box::pin(server.run_on(anywhere()));
    assert!(polled(1, running.as_mut()).await.is_none());
    let own = Server::clone(&server);
    runtime.spawn(async move { own.serve_on(Bind::tcp("127.0.0.1:0"), echo).await.unwrap() });
    until(&runtime, || server.local_addrs().len() == 3).await;
    let error = server.add(anywhere()).expect_err("nobody would accept from it");
    assert!(error.to_string().contains("serve_on"), "{error}");
    let places: Vec<_> =
        server.local_addrs().iter().filter_map(LocalAddress::socket_addr).collect();
    let &[waited, run, extra] = &places[..] else { panic!("{places:?}") };
    drop(running);
    for closed in [waited, run] {
        TcpListener::bind(closed).expect("the port is free");
    }
    assert_eq!(server.local_addrs(), [LocalAddress::Tcp(extra)]);
    let text = aside(move || Client::open(extra, Version::Rfc6455).ask_text("hello"));
    assert_eq!(text.await, "hello");
}

/// An address is needed, and is served once.
pub async fn serving_nothing_is_an_error<R: Runtime>(runtime: R) {
    let server = Builder::new(runtime.clone()).build().unwrap();
    assert_eq!(server.serve(echo).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(server.run().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(server.accept().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let running = Running::serve(&runtime, echo).await;
    let address = running.address;
    aside(move || Client::open(address, Version::Rfc6455)).await;
    assert_eq!(running.serve(echo).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Otherwise it would wait for ever.
pub async fn accept_takes_no_sockets_of_other_doors<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let mut serving = Box::pin(server.serve(echo));
    assert!(polled(1, serving.as_mut()).await.is_none());
    assert_eq!(server.accept().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    drop(serving);
    assert_eq!(server.accept().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    server.add(Bind::tcp("127.0.0.1:0")).unwrap();
    assert!(polled(1, server.accept()).await.is_none(), "there is a socket again");
}

/// Clients would wait in it for ever.
pub async fn a_server_that_serves_takes_no_further_socket<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let mut serving = Box::pin(server.serve(echo));
    assert!(polled(1, serving.as_mut()).await.is_none());
    let extra = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = extra.local_addr().unwrap();
    assert_eq!(server.adopt(extra).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(server.local_addrs().len(), 1);
    TcpListener::bind(address).expect("the port is free");
    drop(serving);
    server.add(Bind::tcp("127.0.0.1:0")).unwrap();
}

/// Also while somebody waits for the next client.
pub async fn a_socket_may_be_added_to_a_server_that_accepts<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let mut accepting = pin!(server.accept());
    assert!(polled(1, accepting.as_mut()).await.is_none());
    let place = server.add(Bind::tcp("127.0.0.1:0")).unwrap();
    let address = place.socket_addr().unwrap();
    let client = aside(move || Client::open(address, Version::Rfc6455));
    accepting.await.unwrap().accept(Accept::new()).await.unwrap();
    client.await;
}

/// Whoever is told to stop while it starts has nothing to complain about.
pub async fn a_server_that_is_closed_already_serves_nobody<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    server.close();
    server.serve(|_| async { panic!("nobody can come") }).await.unwrap();
    server.run().await.unwrap();
    assert!(server.accept().await.is_err());
    let anywhere = || Bind::tcp("127.0.0.1:0");
    server.add(anywhere()).expect_err("nobody would accept from it");
    server.run_on(anywhere()).await.unwrap();
    assert!(server.local_addrs().is_empty(), "nobody listens");
    Builder::new(runtime).bind(address).await.expect("the port is free");
}

/// All at the same time.
pub async fn serve_runs_the_handler_for_every_client<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, echo).await;
    let address = server.address;
    aside(move || {
        let text = |turn: usize, n: usize| format!("{turn} of {n}").repeat(1 + n * turn);
        let mut clients: Vec<_> =
            (0..50).map(|_| Client::open(address, Version::Rfc6455)).collect();
        for turn in 0..10 {
            for (n, client) in clients.iter_mut().enumerate() {
                client.send(text(turn, n));
            }
            for (n, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.recv_text(), text(turn, n));
            }
        }
        for client in clients {
            assert!(client.close(Close::normal()).clean);
        }
    })
    .await;
    until(&runtime, || server.manager().is_empty()).await;
}

/// With code 1000, after what was sent before.
pub async fn serve_closes_when_the_handler_returns<R: Runtime>(runtime: R) {
    let server = Running::serve(&runtime, |connection| async move {
        connection.send("goodbye").await.unwrap();
    })
    .await;
    let address = server.address;
    aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        assert_eq!(client.recv_text(), "goodbye");
        assert_eq!(client.closed().code(), 1000);
    })
    .await;
}

/// Greetings and answers come from listeners.
pub async fn run_tells_the_listeners<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    server.on_connection(|connection| {
        connection.try_send("welcome").unwrap();
    });
    server.on_message(|connection, message| {
        connection.try_send(message).unwrap();
    });
    server.start_running(&runtime);
    let address = server.address;
    aside(move || {
        for version in Version::ALL {
            let mut client = Client::open(address, version);
            assert_eq!(client.recv_text(), "welcome");
            assert_eq!(client.ask_text("hello"), "hello");
        }
    })
    .await;
}

/// Whoever holds the connection holds it open.
pub async fn accept_hands_out_connections_until_they_are_dropped<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let address = server.address;
    let client = aside(move || {
        let mut client = Client::open(address, Version::Rfc6455);
        assert_eq!(client.ask_text("hello"), "hello");
        client.closed().code()
    });
    let incoming = server.accept().await.unwrap();
    let connection = incoming.accept(Accept::new()).await.unwrap();
    let message = connection.recv().await.unwrap().unwrap();
    connection.send(message).await.unwrap();
    drop(connection);
    assert_eq!(client.await, 1000);
}

/// One task of each connection receives, another one sends.
pub async fn tasks_of_their_own_may_receive_and_send<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let (accepting, spawner) = (Server::clone(&server), runtime.clone());
    runtime.spawn(async move {
        while let Ok(incoming) = accepting.accept().await {
            let own = spawner.clone();
            spawner.spawn(async move {
                let connection = incoming.accept(Accept::new()).await.unwrap();
                let (passed, sending) = (Mailbox::default(), connection.clone());
                let taking = passed.clone();
                own.spawn(async move {
                    while let Some(message) = taking.take().await {
                        sending.send(message).await.unwrap();
                    }
                });
                while let Some(Ok(message)) = connection.recv().await {
                    passed.put(Some(message));
                }
                passed.put(None);
            });
        }
    });
    let address = server.address;
    let talk = move |number: usize| {
        let mut client = Client::open(address, Version::Rfc6455);
        for round in 0..40 {
            let text = |n: usize| format!("{number} {round} {n}");
            client.send_all((0..40).map(text));
            for n in 0..40 {
                assert_eq!(client.recv_text(), text(n));
            }
        }
        assert!(client.close(Close::normal()).clean);
    };
    aside(move || {
        thread::scope(|scope| {
            for number in 0..16 {
                scope.spawn(move || talk(number));
            }
        });
    })
    .await;
    until(&runtime, || server.manager().is_empty()).await;
}

/// `listen` is `bind` and `run` in one.
pub async fn listen_binds_and_runs<R: Runtime>(runtime: R) {
    let server = Builder::new(runtime.clone()).build().unwrap();
    server.on_message(|connection, message| {
        connection.try_send(message).unwrap();
    });
    let (own, ended) = (server.clone(), Mailbox::default());
    let end = ended.clone();
    runtime.spawn(async move { end.put(own.listen("127.0.0.1:0").await) });
    until(&runtime, || server.local_addr().is_some()).await;
    let address = server.local_addr().unwrap();
    let text = aside(move || Client::open(address, Version::Rfc6455).ask_text("hello")).await;
    assert_eq!(text, "hello");
    server.close();
    assert!(ended.take().await.is_ok());
}

/// The first one is `local_addr`.
pub async fn a_server_serves_several_sockets<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let extra = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [server.address, extra.local_addr().unwrap()];
    server.adopt(extra).unwrap();
    assert_eq!(server.local_addr(), Some(addresses[0]));
    let told = Mailbox::default();
    let post = told.clone();
    server.on_connection(move |connection| post.put(connection.local_addr()));
    server.start_serving(&runtime, echo);
    for address in addresses {
        let text = aside(move || Client::open(address, Version::Draft76).ask_text("hello")).await;
        assert_eq!(text, "hello");
        assert_eq!(told.take().await, Some(LocalAddress::Tcp(address)), "where it came in");
    }
}

/// Those who are in stay in, the port is free.
pub async fn close_stops_serving_and_leaves_connections_alone<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let (own, ended) = (Server::clone(&server), Mailbox::default());
    let end = ended.clone();
    runtime.spawn(async move { end.put(own.serve(echo).await) });
    let address = server.address;
    let mut client = aside(move || Client::open(address, Version::Rfc6455)).await;
    server.close();
    let ended: io::Result<()> = ended.take().await;
    ended.unwrap();
    let again = Builder::new(runtime.clone()).bind(address).await;
    again.expect("the port is free");
    let closed = aside(move || {
        assert_eq!(client.ask_text("still there?"), "still there?");
        client.close(Close::normal())
    });
    assert!(closed.await.clean);
}

/// Whoever waits in `accept` is told.
pub async fn close_ends_accept<R: Runtime>(runtime: R) {
    let server = Running::bind(&runtime, |builder| builder).await;
    let mut waiting = pin!(server.accept());
    assert!(polled(1, waiting.as_mut()).await.is_none(), "nobody is there");
    server.close();
    assert!(waiting.await.is_err());
    assert!(server.accept().await.is_err());
}
