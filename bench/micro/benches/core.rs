//! The cases that are counted under callgrind, timed.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use micro::cases;

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    for case in cases::all() {
        group.throughput(Throughput::Elements(case.count as u64));
        let mut work = (case.start)();
        group.bench_function(&case.name, |bencher| bencher.iter(&mut work));
    }
    group.finish();
}

fn configured() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args()
}

criterion_group! {
    name = core;
    config = configured();
    targets = all
}
criterion_main!(core);
