//! What a tick of the immune system costs in CPU time: a thousand canaries, each with its bets for errors, for four marks of
//! latency and for the proof of health, and with the ten calls of its second.
//!
//! `cargo bench --bench tick`. The kernel's accounting of this thread, not the clock on the wall; still, other programs on
//! the machine share its caches, so the least is the fairest figure. What canaries count changes every tick, as it does in
//! life: nothing that was worked out for the last one can be used again.

#![expect(clippy::print_stdout, reason = "it is a table to read")]

use std::hint::black_box;

use andon::config::Judge;
use andon::immune::{Counts, Detail, Guard};

const CANARIES: usize = 1_000;
const WARM_UP_TICKS: u64 = 60;
const TICKS: u64 = 200;

fn main() {
    let mut guards: Vec<_> = (0..CANARIES).map(|_| Guard::new(&Judge::default())).collect();
    let mut took_us: Vec<u64> = Vec::new();
    for tick in 0..WARM_UP_TICKS + TICKS {
        let (canary, stable) = (detail(tick, 1), detail(tick, 19));
        let before_ns = cpu_ns();
        for guard in &mut guards {
            second(guard, tick, &canary, &stable);
        }
        took_us.push((cpu_ns() - before_ns) / 1_000);
    }
    let mut took_us = took_us.split_off(WARM_UP_TICKS.try_into().expect("a small number"));
    took_us.sort_unstable();
    let at = |quantile: f64| took_us[(quantile * (took_us.len() - 1) as f64) as usize] as f64 / 1e3;
    println!("CPU of a second of {CANARIES} canaries, {TICKS} times, in ms:");
    println!("least {:.2}, median {:.2}, p90 {:.2}", at(0.0), at(0.5), at(0.9));
    black_box(guards);
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
        let failed = u64::from((tick * 10 + call) % 97 == 0);
        guard.call(100_000, counts(5 + tick % 3, failed), black_box(counts(95 + tick % 5, failed)));
    }
    guard.tick(black_box(canary), black_box(stable));
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux accounts for threads");
    text.split(' ').next().and_then(|ran| ran.parse().ok()).expect("the first number is the time that it ran")
}
