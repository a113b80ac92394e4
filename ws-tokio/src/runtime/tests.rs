use tokio::runtime::Builder;

use ws_net::Bind;

use super::*;
use crate::Server;

#[test]
fn a_socket_outside_of_a_runtime_is_an_error() {
    let server = Server::builder().build().unwrap();
    let add = || server.add(Bind::tcp("127.0.0.1:0"));
    let error = add().unwrap_err();
    assert!(error.to_string().contains("Handle::enter"), "{error}");
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let _entered = runtime.enter();
    add().unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the runtime has a thread of its own")]
fn what_blocks_holds_up_no_end() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let (start, started) = tokio::sync::oneshot::channel();
    let (tell, told) = std::sync::mpsc::channel();
    let blocking = async move {
        let block = move || start.send(()).map(|()| ended.recv());
        drop(tokio::task::spawn_blocking(block));
        started.await.unwrap();
    };
    std::thread::spawn(move || tell.send(block_on(1, blocking).is_ok()));
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
    drop(end);
}

#[test]
fn the_clocks_of_runtimes_are_their_own() {
    let paused = || Builder::new_current_thread().enable_time().start_paused(true).build();
    let [early, late] = [(); 2].map(|()| paused().unwrap());
    late.block_on(async {
        time::advance(Duration::from_secs(3600)).await;
        let _first_use = Tokio.now();
    });
    early.block_on(async {
        let (start, begun) = (Tokio.now(), time::Instant::now());
        Tokio.sleep_until(start + Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed().as_secs(), 5);
    });
}

#[test]
fn runtimes_differ_and_their_tasks_do_not() {
    let runtimes = [(); 2].map(|()| Builder::new_current_thread().build().unwrap());
    let keys = runtimes.each_ref().map(|runtime| {
        let own = runtime.block_on(async { Tokio.key() });
        let spawned = runtime.block_on(async { tokio::spawn(async { Tokio.key() }).await });
        assert_eq!(spawned.unwrap(), own);
        own
    });
    assert_ne!(keys[0], keys[1]);
}
