//! What counting a request costs, and what a tick of the immune system costs, in instructions by callgrind.
//!
//! `benches/run` installs the runner and starts this.

#![expect(clippy::disallowed_methods, reason = "gungraun's main! ends its own process")]

use std::hint::black_box;

use andon::config;
use andon::immune::{Counts, Detail, Guard};
use andon::metrics::judged::{Evidence, Seen};
use andon::metrics::shard::Finish;
use andon::metrics::{Outcome, Shard, Shards, SlotId};
use gungraun::prelude::*;

/// Divide by it.
const REQUESTS: u64 = 1_000;
const CANARIES: usize = 1_000;

/// A shard whose slot has counted before: its chunk and its histogram are there.
fn warm() -> Shard {
    let shard = Shard::default();
    count(&shard, 1);
    shard
}

fn count(shard: &Shard, requests: u64) {
    let slot = SlotId::from_index(1);
    for request in 0..requests {
        let counters = shard.slot(black_box(slot));
        counters.start(request);
        counters.finish(&black_box(Finish {
            outcome: Outcome::Success,
            code: 200,
            duration_us: 1_000 + request,
            evidence: Some(Evidence::Success { head_us: Some(900 + request) }),
            now_us: request,
        }));
    }
}

#[library_benchmark]
#[bench::a_thousand_requests(warm())]
fn record(shard: Shard) -> Shard {
    count(&shard, REQUESTS);
    shard
}

/// A thousand canaries whose traffic and latencies are known for so many ticks, and what a tick of them looks like.
fn guards() -> (Vec<Guard>, Detail, Detail) {
    let mut guard = [Guard::new(&config::Judge::default())];
    let (mut canary, mut stable) = (Detail::default(), Detail::default());
    for step in 0..200 {
        // Spread over four octaves, as latencies are.
        stable.latency.add(200 + step % 128, 5);
        canary.latency.add(200 + step * 37 % 128, u32::from(step % 4 == 0));
    }
    for _ in 0..60 {
        tick_all(&mut guard, &canary, &stable);
    }
    let [guard] = guard;
    (vec![guard; CANARIES], canary, stable)
}

fn tick_all(guards: &mut [Guard], canary: &Detail, stable: &Detail) {
    let canary_counts = Counts { requests: 5, failed: 1, connect_errors: 0 };
    let stable_counts = Counts { requests: 95, failed: 1, connect_errors: 0 };
    for guard in guards {
        for _ in 0..10 {
            guard.call(100_000, black_box(canary_counts), black_box(stable_counts));
        }
        guard.tick(black_box(canary), black_box(stable));
    }
}

#[library_benchmark]
#[bench::a_second_of_a_thousand_canaries(guards())]
fn judge((mut guards, canary, stable): (Vec<Guard>, Detail, Detail)) -> Vec<Guard> {
    tick_all(&mut guards, &canary, &stable);
    guards
}

/// A slot whose latencies are counted by two workers, read as the control thread reads it each second.
fn counted() -> (Shards, SlotId, Seen) {
    let (shards, slot) = (Shards::new(2), SlotId::from_index(1));
    (0..2).for_each(|worker| count(&shards.worker(worker), 500));
    (shards, slot, Seen::default())
}

#[library_benchmark]
#[bench::of_a_slot_of_two_workers(counted())]
fn read_latency((shards, slot, mut seen): (Shards, SlotId, Seen)) {
    let mut detail = Detail::default();
    shards.judged_since(black_box(slot), &mut seen, &mut detail.latency, &mut detail.events);
    black_box(detail);
}

#[library_benchmark]
#[bench::a_slot_of_two_workers((Shards::new(2), SlotId::from_index(1)))]
fn total((shards, slot): (Shards, SlotId)) {
    count(&shards.worker(0), 1);
    black_box(shards.totals(black_box(slot)));
}

library_benchmark_group!(name = recording, benchmarks = [record, judge, read_latency, total]);
main!(library_benchmark_groups = recording);
