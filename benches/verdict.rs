//! What the immune system finds, how soon, and how often it is wrong: the table of the method, played by our guard
//! with more seeds than the tests have time for (`tests/it/simulation`). A virtual clock: it takes minutes, and the
//! figures do not depend on the machine.
//!
//! `cargo bench --bench verdict`, or some of it: `cargo bench --bench verdict -- start fast late latency proof alarms
//! sticky`.

#![expect(clippy::print_stdout, reason = "it is a table to read")]

#[path = "../tests/it/simulation/model/mod.rs"]
mod model;

use andon::config::Judge;
use andon::immune::Guard;
use model::chance::{Chance, at_least};
use model::latencies::{Latencies, SLOWER, Slower, as_fast, seconds_to_slow};
use model::play::{Both, Calls, Outcome, Play, counts, median};
use model::proofs::{orders, requests_to_health};
use model::table::{Case, FROM_START, LATE, Medians, after_good, bets};
use model::users::{Crowd, UNITS, judged, judged_slow};
use model::worlds::{
    Traffic, USUAL, World, blips, clumps, diurnal, gamma_rates, independent, ramp, shared_incidents,
};

const RUNS: u64 = 1_001;

fn main() {
    let sections: [(&str, fn()); 7] = [
        ("start", from_start),
        ("fast", fast),
        ("late", late),
        ("latency", latency),
        ("proof", proof),
        ("alarms", alarms),
        ("sticky", sticky),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    for (name, section) in sections {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            section();
        }
    }
}

fn from_start() {
    println!("\n## Bad from the start: medians of {RUNS} runs; known figures in brackets");
    for case in &FROM_START {
        row(case, &(0..RUNS).map(|seed| case.at_once(seed, &bets(), Calls::Once)).collect::<Vec<_>>());
    }
}

/// As in production: ten calls a second, and the operator's rules on.
fn fast() {
    println!("\n## The same with the fast rule and the ceiling");
    for case in &FROM_START[..5] {
        let judge = Judge::default();
        row(case, &(0..RUNS).map(|seed| case.at_once(seed, &judge, Calls::TenTimes)).collect::<Vec<_>>());
    }
}

fn late() {
    for hours in [1, 6] {
        println!("\n## Bad after {hours} good hours: medians of {RUNS} runs");
        for case in &LATE {
            let outcome = |seed| {
                let guard = after_good(case.traffic, case.rates[1], hours * 3_600, seed / 7);
                (seed..seed + 7).map(move |seed| case.late(seed, &guard))
            };
            row(case, &(0..RUNS).step_by(7).flat_map(outcome).collect::<Vec<_>>());
        }
    }
}

fn row(case: &Case, outcomes: &[Outcome]) {
    let medians = Medians::of(outcomes);
    let Case { traffic: Traffic { per_s, weight }, rates: [bad, good], delay_s, failed } = case;
    println!(
        "{per_s:>6}/s, {:>4}%: {:>5}% vs {:>3}%: {:>7.1} s [{delay_s}], {:>6} requests, {:>5} failed [{failed}]",
        100.0 * weight,
        100.0 * bad,
        100.0 * good,
        medians.delay_s(),
        requests(outcomes),
        medians.failed()
    );
}

fn requests(outcomes: &[Outcome]) -> f64 {
    median(outcomes.iter().map(|outcome| outcome.canary.0 as f64).collect())
}

fn latency() {
    println!("\n## Slow: lognormal, p50 50 ms, p99 202 ms, weight 5%, tolerated 1.25x");
    let stable = Latencies::new(Slower::Not);
    for (good_s, which) in [(0, 1), (3_600, 2)] {
        let guards: Vec<Guard> = (0..20).map(|seed| as_fast(&stable, good_s, seed)).collect();
        for known in &SLOWER {
            let canary = Latencies::new(known.0);
            let found = (0..400).zip(guards.iter().cycle());
            let found = found.map(|(seed, guard)| seconds_to_slow(guard, [&canary, &stable], seed));
            let (delays_s, marks): (Vec<f64>, Vec<_>) = found.unzip();
            let by = marks.iter().filter(|mark| mark.as_deref() == Some(known.3)).count();
            let known_s = if which == 1 { known.1 } else { known.2 };
            println!(
                "{:?} after {good_s} good s: {} s [{known_s}], {by} of 400 by {}",
                known.0,
                median(delays_s),
                known.3
            );
        }
    }
}

fn proof() {
    println!(
        "\n## Canary requests until a good canary is proved healthy, of 301; share that is at the limit, of 2000"
    );
    for weight in [0.01, 0.05, 0.25, 0.5] {
        for rate in [0.0, 0.001, 0.005, 0.01, 0.05] {
            let traffic = Traffic { per_s: 1_000.0, weight };
            let good = || independent(traffic, [rate; 2]);
            let needed = (0..301)
                .map(|seed| requests_to_health(good(), 6_000, seed).map_or(f64::INFINITY, |n| n as f64));
            let needed = median(needed.collect());
            let limit = || independent(traffic, [1.5 * rate + 0.005, rate]);
            let wrong = (0..2_000).filter(|seed| requests_to_health(limit(), 300, *seed).is_some()).count();
            println!(
                "weight {:>4}%, both fail {:>4}%: {needed:>6} requests; at the limit {:.2}%",
                100.0 * weight,
                100.0 * rate,
                wrong as f64 / 20.0
            );
        }
    }
    for weight in [0.01, 0.05, 0.25] {
        let half = |seed| orders(independent(Traffic { weight, ..USUAL }, [0.015, 0.03]), 6_000, seed);
        let found: Vec<_> = (0..301).map(half).collect();
        let medians = Medians::of(&found);
        println!(
            "half the orders (3%), weight {}%: {} s, {} requests",
            100.0 * weight,
            medians.delay_s(),
            requests(&found)
        );
    }
}

type Named = (&'static str, u64, fn() -> World);

/// With five minutes of stable alone before, where failures are bursty by nature.
const GOOD: [Named; 15] = [
    ("independent, 0.1%", 0, || independent(USUAL, [0.001; 2])),
    ("at the limit, 0.12% vs 0.1%", 0, || independent(USUAL, [0.0012, 0.001])),
    ("1 request a second", 0, || independent(Traffic { per_s: 1.0, weight: 0.05 }, [0.01; 2])),
    ("50 000 requests a second", 0, || independent(Traffic { per_s: 50_000.0, weight: 0.05 }, [0.001; 2])),
    ("shared incidents", 0, || shared_incidents(USUAL, 0.001)),
    ("ramp while the rate drifts", 0, || ramp(1_000.0, 3_600.0)),
    ("day and night", 0, || diurnal(USUAL, 0.001, 3_600.0)),
    ("clumps of 3", 300, || clumps(USUAL, 0.001, 3.0)),
    ("clumps of 10", 300, || clumps(USUAL, 0.001, 10.0)),
    ("clumps of 50", 300, || clumps(USUAL, 0.001, 50.0)),
    ("clumps of 5 at 1%", 300, || clumps(USUAL, 0.01, 5.0)),
    ("clumps of 5 at 5%", 300, || clumps(USUAL, 0.05, 5.0)),
    ("clumps of 5 at 5%, nothing known of stable", 0, || clumps(USUAL, 0.05, 5.0)),
    ("gamma rates", 300, || gamma_rates(USUAL, 0.001, 0.02)),
    ("blips of 0.3 s of each of 20 endpoints", 300, || blips(1_000.0, 3.0, 0.3)),
];

const ODDS: [f64; 4] = [2.0, 5.0, 20.0, 100.0];

fn alarms() {
    println!(
        "\n## Good canaries, 1000 runs of an hour: unhealthy, and how many came to odds of 2, 5, 20, 100"
    );
    for (name, known_s, world) in GOOD {
        let run = |seed| {
            let (mut chance, mut world, mut play) = (Chance::new(seed), world(), Play::new(&bets()));
            play.run(known_s, Calls::Once, &mut chance, |chance, span| Both {
                canary: counts(0, 0),
                ..world(chance, span)
            });
            play.run(3_600, Calls::Once, &mut chance, world)
        };
        let outcomes: Vec<_> = (0..1_000).map(run).collect();
        let unhealthy = outcomes.iter().filter(|outcome| outcome.unhealthy_s.is_some()).count();
        let reached = ODDS.map(|odds| outcomes.iter().filter(|outcome| outcome.top >= odds).count());
        let luck = ODDS.iter().zip(reached).map(|(odds, reached)| {
            let promised = (0.5 + 3_600.0 / (2.0 * 86_400.0)) / odds;
            at_least(reached as u64, 1_000, promised)
        });
        let luck = luck.fold(1.0, f64::min);
        println!("{name}: {unhealthy}; {reached:?}; so many or more as promised: {luck:.3}");
    }
}

fn sticky() {
    println!(
        "\n## Sticky users, 40 runs of an hour: found unhealthy, and after how many seconds, by {UNITS:?}"
    );
    let base = Crowd::default();
    let crawled = Crowd { fails: 0.01, canary_fails: 0.01, loop_per_s: 50.0, loop_fails: false, ..base };
    let poisoned = Crowd { poisoned: 0.02, tail: 1.1, stays_s: 300.0, ..base };
    for (name, crowd) in [
        ("good; 2% of users always fail", poisoned),
        ("good; a client repeats a failing request", Crowd { loop_per_s: 50.0, ..base }),
        ("good; a third of the requests from one client that never fails", crawled),
        ("canary fails 5%", Crowd { canary_fails: 0.05, ..base }),
        ("canary fails 1%", Crowd { canary_fails: 0.01, ..base }),
    ] {
        for (users, weight) in
            [(200, 0.01), (200, 0.05), (2_000, 0.01), (2_000, 0.05), (2_000, 0.25), (20_000, 0.05)]
        {
            let runs: Vec<_> =
                (0..40).map(|seed| judged(Crowd { users, weight, ..crowd }, 3_600, 1, seed)).collect();
            let of = |unit: usize| runs.iter().map(move |run| run[unit]);
            let found = UNITS.map(|unit| of(unit as usize).flatten().count());
            let after_s = UNITS
                .map(|unit| median(of(unit as usize).map(|found| found.unwrap_or(f64::INFINITY)).collect()));
            println!("{name}, {users} users, weight {}%: {found:?}, {after_s:?} s", 100.0 * weight);
        }
    }
    println!("good, latency levels of users: blamed of 40 by all requests, by one a user a minute");
    for (levels, tail) in [(0.3, 1.5), (0.3, 1.1), (0.6, 1.5), (0.8, 1.5)] {
        for (users, weight) in [(200, 0.01), (200, 0.05), (2_000, 0.01), (2_000, 0.05), (2_000, 0.25)] {
            let crowd = Crowd { users, weight, levels, tail, fails: 0.0, canary_fails: 0.0, ..base };
            let runs: Vec<_> = (0..40).map(|seed| judged_slow(crowd, &bets(), 3_600, seed)).collect();
            let blamed = [0, 1].map(|unit| runs.iter().filter(|run| run[unit]).count());
            println!("log-sd {levels}, Pareto {tail}, {users} users, weight {}%: {blamed:?}", 100.0 * weight);
        }
    }
}
