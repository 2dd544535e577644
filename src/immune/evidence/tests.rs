//! The bet against its golden vectors, and what must hold at the edges.

use serde_json::Value;

use super::super::vectors;
use super::*;

fn tally(requests: u64, unlucky: u64) -> Tally {
    Tally { requests, unlucky }
}

fn terms(config: &Value) -> Terms {
    let number = |key: &str| config[key].as_f64().unwrap();
    Terms {
        ratio: number("ratio"),
        extra: number("extra"),
        restart: number("restart"),
        slow_start: config["slow_start"].as_f64().unwrap_or(f64::INFINITY),
        memory_ticks: number("memory_ticks"),
    }
}

fn check(bet: &Bet, check: &Value, name: &Value) {
    vectors::assert_same_ln(bet.odds(), &check["ln_odds"], name);
    vectors::assert_same(bet.allowance, &check["allowance"], name);
    vectors::assert_same(bet.burst_factor(100.0), &check["burst_for_100"], name);
    let Window { ticks, canary, stable } = bet.run();
    let run = [ticks, canary.requests, canary.unlucky, stable.requests, stable.unlucky];
    assert_eq!(run.as_slice(), vectors::list(&check["run"]).iter().map(vectors::whole).collect::<Vec<_>>());
}

#[test]
fn golden_bets_are_reproduced() {
    for vector in vectors::of_kind("bet") {
        let mut bet = Bet::new(terms(&vector["config"]));
        let mut checks = vectors::list(&vector["checks"]).iter().peekable();
        for (tick, after) in vectors::list(&vector["ticks"]).iter().zip(1..) {
            let [nc, xc, ns, xs] = [0, 1, 2, 3].map(|at| vectors::whole(&tick[at]));
            bet.tick(tally(nc, xc), tally(ns, xs));
            if let Some(now) = checks.next_if(|check| vectors::whole(&check["after"]) == after) {
                check(&bet, now, &vector["name"]);
            }
        }
        assert_eq!(checks.next(), None, "{}: every check was reached", vector["name"]);
        for (capital, ln) in bet.capital.iter().zip(vectors::list(&vector["ln_capital"])) {
            vectors::assert_same_ln(*capital, ln, &vector["name"]);
        }
    }
}

#[test]
fn the_terms_for_errors_are_those_of_the_promise() {
    let config = Guard::default();
    let terms = Terms::for_errors(&config);
    assert_eq!(terms.restart, 0.5 / 86_400.0);
    assert_eq!((terms.ratio, terms.extra), (1.0, 0.0002));
    let slower = Terms::for_errors(&Guard { tick: Duration::from_secs(10), ..config });
    assert!((slower.restart - 5.0 / 86_400.0).abs() < 1e-15);
}

#[test]
fn a_restart_forgets_the_canary_and_remembers_stable() {
    let terms = Terms::for_errors(&Guard::default());
    let (mut bet, mut only_stable) = (Bet::new(terms), Bet::new(terms));
    for tick in 0..50 {
        let stable = tally(900 + tick, tick % 7);
        bet.tick(tally(50, 25), stable);
        only_stable.tick(Tally::default(), stable);
    }
    assert!(bet.odds() > 1e6);
    bet.restart();
    assert_eq!(bet.odds(), 0.5);
    assert_eq!(bet.total(), Window::default());
    assert_eq!(bet.run(), Window::default());
    assert_eq!(bet.burst_factor(100.0), only_stable.burst_factor(100.0));
    assert_eq!(bet.allowance, terms.slow_start);
}

#[test]
fn the_same_terms_change_nothing_and_other_terms_start_capital_anew() {
    let terms = Terms::for_errors(&Guard::default());
    let mut bet = Bet::new(terms);
    bet.tick(tally(50, 5), tally(950, 0));
    let odds = bet.odds();
    bet.set_terms(terms);
    assert_eq!(bet.odds(), odds);
    bet.set_terms(Terms { ratio: 2.0, ..terms });
    assert_eq!(bet.odds(), 0.5);
}

#[test]
fn stable_a_million_million_times_busier_than_a_tick_ago_is_still_a_number() {
    let mut bet = Bet::new(Terms::for_errors(&Guard::default()));
    for stable in [tally(1, 1), tally(u64::MAX, 1), tally(1, 1), tally(u64::MAX, u64::MAX), tally(1, 0)] {
        bet.tick(tally(u64::MAX, u64::MAX), stable);
        bet.tick(tally(1, 1), stable);
        assert!(bet.odds().is_finite() && bet.odds() >= 0.0);
        assert!(bet.burst_factor(1e19).is_finite());
    }
}
