//! A raw TCP echo on bare epoll: what remains when the runtime goes as well.

use std::io;

use floors::Loop;
use serverkit::Options;

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&[]);
    Loop::listen(options.listen)?.run(options.buffer, |peers, index, bytes| {
        if let Some(peer) = &mut peers[index] {
            peer.send(bytes);
        }
    })
}
