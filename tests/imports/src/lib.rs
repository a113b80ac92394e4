//! A conversation of two cores behind one exported function. Built as wasm, the module imports
//! whatever the core takes from outside: nothing. `.ci/run portable` looks.

use std::sync::Arc;

use bytes::Buf;
use ws_proto::{
    Accept, ClientRequest, Close, Config, Connection, Event, Instant, RecvBuf, Role, State,
    Transmit, Version,
};

/// Lets a client of the version with this number talk to a server; answers how many bytes were
/// under way.
#[unsafe(no_mangle)]
pub extern "C" fn converse(version: u8, seed: u64) -> usize {
    let version = Version::ALL[usize::from(version) % Version::ALL.len()];
    let Ok(request) = ClientRequest::new("ws://example.com/") else { return 0 };
    let config = Arc::new(Config::default());
    let start = Instant::from_nanos(seed);
    let mut state = seed;
    let entropy = Box::new(move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    });
    let request = request.version(version);
    let mut client = Connection::client(Arc::clone(&config), request, entropy, start);
    let mut server = Connection::server(config, start);
    let mut inputs = [RecvBuf::default(), RecvBuf::default()];
    let mut total = 0;
    for _ in 0..10 {
        let [for_client, for_server] = &mut inputs;
        total += step(&mut client, for_client, for_server, start);
        total += step(&mut server, for_server, for_client, start);
    }
    client.handle_timeout(Instant::from_nanos(u64::MAX));
    total
}

fn step(from: &mut Connection, input: &mut RecvBuf, to: &mut RecvBuf, now: Instant) -> usize {
    while let Some(event) = from.poll_event(input, now) {
        match event {
            Event::Request(_) => drop(from.accept(&Accept::new(), now)),
            Event::State { to: State::Connected, .. } if from.role() == Role::Client => {
                drop(from.send("hello".into()));
            }
            Event::Message(message) if message.len() < 100 => drop(from.send(message)),
            Event::Message(_) => from.close(Close::normal(), now),
            _ => {}
        }
    }
    let mut moved = 0;
    while let Some(Transmit::Data(mut data)) = from.poll_transmit() {
        while data.has_remaining() {
            let n = to.feed(data.chunk());
            if n == 0 {
                return moved;
            }
            data.advance(n);
            from.handle_transmitted(n);
            moved += n;
        }
    }
    moved
}
