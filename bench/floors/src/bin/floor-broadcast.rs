//! A broadcast on bare epoll: what one socket sent in a turn goes to every other in one write. The
//! publisher sends ready frames, so nothing is parsed or framed here.

use std::io;

use floors::Loop;
use serverkit::Options;

fn main() -> io::Result<()> {
    let options = Options::from_args().only(&["broadcast"]);
    Loop::listen(options.listen)?.run(options.buffer, |peers, from, bytes| {
        for (index, peer) in peers.iter_mut().enumerate() {
            if let (true, Some(peer)) = (index != from, peer) {
                peer.send(bytes);
            }
        }
    })
}
