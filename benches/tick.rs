//! What a tick of the immune system costs in CPU time: a thousand canaries, each with its bets for errors, for four marks of
//! latency and for the proof of health, and with the ten calls of its second.
//!
//! `cargo bench --bench tick`. The kernel's accounting of this thread, not the clock on the wall; still, other programs on
//! the machine share its caches, so the least is the fairest figure. What canaries count changes every tick, as it does in
//! life: nothing that was worked out for the last one can be used again.

#![expect(clippy::print_stdout, reason = "it is a table to read")]

use std::hint::black_box;
use std::ops::Range;

use andon::config::Judge;
use andon::immune::{Counts, Detail, Guard};

const CANARIES: usize = 1_000;
const WARM_UP_TICKS: u64 = 60;
const BATCHES: u64 = 11;
/// The kernel may count in steps of 4 ms.
const BATCH_TICKS: u64 = 50;

fn main() {
    let mut guards: Vec<_> = (0..CANARIES).map(|_| Guard::new(&Judge::default())).collect();
    ticks(&mut guards, 0..WARM_UP_TICKS);
    let mut each_ms: Vec<f64> = (0..BATCHES)
        .map(|batch| {
            let began = WARM_UP_TICKS + batch * BATCH_TICKS;
            let before_ns = cpu_ns();
            ticks(&mut guards, began..began + BATCH_TICKS);
            (cpu_ns() - before_ns) as f64 / 1e6 / BATCH_TICKS as f64
        })
        .collect();
    each_ms.sort_unstable_by(f64::total_cmp);
    println!("CPU of a second of {CANARIES} canaries, in ms, of {BATCHES} times {BATCH_TICKS} seconds:");
    println!("least {:.2}, median {:.2}, most {:.2}", each_ms[0], each_ms[5], each_ms[10]);
    black_box(guards);
}

fn ticks(guards: &mut [Guard], ticks: Range<u64>) {
    for tick in ticks {
        let (canary, stable) = (detail(tick, 1), detail(tick, 19));
        for guard in &mut *guards {
            second(guard, tick, &canary, &stable);
        }
    }
}

/// Spread over four octaves, as latencies are.
fn detail(tick: u64, each: u32) -> Detail {
    let mut detail = Detail::default();
    for step in 0..200 + usize::try_from(tick % 7).expect("a small number") {
        detail.latency.add(200 + step * 37 % 128, each);
    }
    detail
}

fn second(guard: &mut Guard, tick: u64, canary: &Detail, stable: &Detail) {
    for call in 0..10 {
        let counts = |requests, failed| Counts { requests, failed, connect_errors: 0 };
        let failed = u64::from((tick * 10 + call).is_multiple_of(97));
        guard.call(100_000, counts(5 + tick % 3, failed), black_box(counts(95 + tick % 5, failed)));
    }
    guard.tick(black_box(canary), black_box(stable));
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux accounts for threads");
    text.split(' ').next().and_then(|ran| ran.parse().ok()).expect("the first number is the time that it ran")
}
