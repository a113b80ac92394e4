use tokio::runtime::Builder;

use super::*;

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
