//! What counting a request costs, and what a tick of the immune system costs, in instructions by callgrind.
//!
//! `benches/run` installs the runner and starts this.

#![expect(clippy::disallowed_methods, reason = "gungraun's main! ends its own process")]

use std::hint::black_box;

use andon::config;
use andon::immune::{Counts, Guard};
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
            head_us: Some(900 + request),
            by_lot: true,
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

/// A thousand canaries that saw traffic, one control tick short of the second in which the bets are made.
fn guards() -> Vec<Guard> {
    let mut guards: Vec<_> = (0..CANARIES).map(|_| Guard::new(&config::Guard::default())).collect();
    for tick in 0..10 {
        tick_all(&mut guards, tick * 100_000);
    }
    guards
}

fn tick_all(guards: &mut [Guard], now_us: u64) {
    let canary = Counts { requests: 5, failed: 1, connect_errors: 0 };
    let stable = Counts { requests: 95, failed: 1, connect_errors: 0 };
    for guard in guards {
        black_box(guard.tick(now_us, black_box(canary), black_box(stable)));
    }
}

#[library_benchmark]
#[bench::a_second_of_a_thousand_canaries(guards())]
fn judge(mut guards: Vec<Guard>) -> Vec<Guard> {
    for tick in 10..20 {
        tick_all(&mut guards, tick * 100_000);
    }
    guards
}

#[library_benchmark]
#[bench::a_slot_of_two_workers((Shards::new(2), SlotId::from_index(1)))]
fn total((shards, slot): (Shards, SlotId)) {
    count(&shards.worker(0), 1);
    black_box(shards.totals(black_box(slot)));
}

library_benchmark_group!(name = recording, benchmarks = [record, judge, total]);
main!(library_benchmark_groups = recording);
