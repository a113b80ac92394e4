//! decode: masked messages to a server. encode: plain messages from a server. mask: masked
//! messages from a client, with random keys.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use micro::{Codec, Fastwebsockets, Side, Tungstenite, WsProto, frames};

const SIZES: [usize; 6] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20];

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Messages of one turn: as many as lie behind each other in one read, 16 at most.
fn count(size: usize) -> usize {
    (64 * 1024 / size).clamp(1, 16)
}

fn all(criterion: &mut Criterion) {
    each(criterion, "decode binary", |group, size| decode(group, size, false));
    each(criterion, "decode text", |group, size| decode(group, size, true));
    each(criterion, "encode", |group, size| encode(group, size, Side::Server));
    each(criterion, "mask", |group, size| encode(group, size, Side::Client));
}

fn each(criterion: &mut Criterion, name: &str, bench: impl Fn(&mut Group<'_>, usize)) {
    let mut group = criterion.benchmark_group(name);
    for size in SIZES {
        group.throughput(Throughput::Elements(count(size) as u64));
        bench(&mut group, size);
    }
    group.finish();
}

fn decode(group: &mut Group<'_>, size: usize, text: bool) {
    decode_with::<Tungstenite>(group, size, text);
    decode_with::<Fastwebsockets>(group, size, text);
    decode_with::<WsProto>(group, size, text);
}

fn decode_with<C: Codec>(group: &mut Group<'_>, size: usize, text: bool) {
    let count = count(size);
    let mut codec = C::new(Side::Server, frames(size, count, text));
    group.bench_function(BenchmarkId::new(C::NAME, size), |bencher| {
        bencher.iter(|| (0..count).map(|_| black_box(codec.receive())).sum::<usize>());
    });
}

fn encode(group: &mut Group<'_>, size: usize, role: Side) {
    encode_with::<Tungstenite>(group, size, role);
    encode_with::<Fastwebsockets>(group, size, role);
    encode_with::<WsProto>(group, size, role);
}

fn encode_with<C: Codec>(group: &mut Group<'_>, size: usize, role: Side) {
    let payload = Bytes::from(vec![b'x'; size]);
    let mut codec = C::new(role, Bytes::new());
    group.bench_function(BenchmarkId::new(C::NAME, size), |bencher| {
        bencher.iter(|| codec.send(black_box(&payload), count(size)));
    });
}

fn configured() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

criterion_group! {
    name = codec;
    config = configured();
    targets = all
}
criterion_main!(codec);
