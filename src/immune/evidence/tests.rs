//! The bet against its golden vectors, and what must hold at the edges.

use serde_json::Value;

use super::super::remembered::MEMORY_TICKS;
use super::super::vectors;
use super::*;

fn tally(requests: u64, unlucky: u64) -> Tally {
    Tally { requests, unlucky }
}

/// As a vector says it.
fn bet(config: &Value) -> Bet {
    let number = |key: &str| config[key].as_f64().unwrap();
    let terms = Terms {
        ratio: number("ratio"),
        extra: number("extra"),
        restart: number("restart"),
        slow_start: config["slow_start"].as_f64().unwrap_or(f64::INFINITY),
        ..for_errors()
    };
    Bet::new(terms, number("memory_ticks"))
}

fn for_errors() -> Terms {
    Terms::for_errors(&Judge::default())
}

fn new(terms: Terms) -> Bet {
    Bet::new(terms, MEMORY_TICKS)
}

impl Bet {
    fn second(&mut self, canary: Tally, stable: Tally) {
        self.tick(canary, stable, &mut Stakes::new(self.terms.side));
    }
}

fn check(bet: &Bet, check: &Value, name: &Value) {
    vectors::assert_same_ln(bet.odds(), &check["ln_odds"], name);
    vectors::assert_same(bet.allowance, &check["allowance"], name);
    vectors::assert_same(bet.burst_factor(100.0, 0.0), &check["burst_for_100"], name);
    let Window { ticks, canary, stable } = bet.run();
    let run = [ticks, canary.requests, canary.unlucky, stable.requests, stable.unlucky];
    assert_eq!(run.as_slice(), vectors::list(&check["run"]).iter().map(vectors::whole).collect::<Vec<_>>());
}

#[test]
fn golden_bets_are_reproduced() {
    for vector in vectors::of_kind("bet") {
        let mut bet = bet(&vector["config"]);
        let mut checks = vectors::list(&vector["checks"]).iter().peekable();
        for (tick, after) in vectors::list(&vector["ticks"]).iter().zip(1..) {
            let [nc, xc, ns, xs] = [0, 1, 2, 3].map(|at| vectors::whole(&tick[at]));
            bet.second(tally(nc, xc), tally(ns, xs));
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
    let judge = Judge::default();
    let terms = Terms::for_errors(&judge);
    assert_eq!(terms.restart, 0.5 / 86_400.0);
    assert_eq!((terms.ratio, terms.extra), (1.0, 0.0002));
    let slower = Terms::for_errors(&Judge { tick: Duration::from_secs(10), ..judge });
    assert!((slower.restart - 5.0 / 86_400.0).abs() < 1e-15);
}

#[test]
fn a_restart_forgets_the_canary_and_remembers_stable() {
    let terms = for_errors();
    let (mut bet, mut only_stable) = (new(terms), new(terms));
    for tick in 0..50 {
        let stable = tally(900 + tick, tick % 7);
        bet.second(tally(50, 25), stable);
        only_stable.second(Tally::default(), stable);
    }
    assert!(bet.odds() > 1e6);
    bet.restart();
    assert_eq!(bet.odds(), 0.5);
    assert_eq!(bet.total(), Window::default());
    assert_eq!(bet.run(), Window::default());
    assert_eq!(bet.burst_factor(100.0, 0.0), only_stable.burst_factor(100.0, 0.0));
    assert_eq!(bet.allowance, terms.slow_start);
}

#[test]
fn the_same_terms_change_nothing_and_other_terms_start_capital_anew() {
    let terms = for_errors();
    let mut bet = new(terms);
    bet.second(tally(50, 5), tally(950, 0));
    let odds = bet.odds();
    bet.set_terms(terms);
    assert_eq!(bet.odds(), odds);
    bet.set_terms(Terms { ratio: 2.0, ..terms });
    assert_eq!(bet.odds(), 0.5);
}

#[test]
fn stable_a_million_million_times_busier_than_a_tick_ago_is_still_a_number() {
    let mut bet = new(for_errors());
    for stable in [tally(1, 1), tally(u64::MAX, 1), tally(1, 1), tally(u64::MAX, u64::MAX), tally(1, 0)] {
        bet.second(tally(u64::MAX, u64::MAX), stable);
        bet.second(tally(1, 1), stable);
        assert!(bet.odds().is_finite() && bet.odds() >= 0.0);
        assert!(bet.burst_factor(1e19, 1e19).is_finite());
    }
}

/// The stakes of bets on less are valid at every share: no logarithm of a number that is not above 0.
#[test]
fn a_proof_is_a_number_at_any_share_and_any_rate() {
    let judge = Judge::default();
    for terms in [Terms::proof(&judge), Terms::for_events(&judge, 1.25)] {
        for (canary, stable) in [
            (tally(1, 0), tally(1_000_000, 5)),
            (tally(1_000_000, 999_999), tally(1, 1)),
            (tally(u64::MAX, u64::MAX), tally(u64::MAX, 0)),
            (tally(50, 50), tally(950, 950)),
        ] {
            let mut bet = new(terms);
            (0..100).for_each(|_| bet.second(canary, stable));
            assert!(bet.odds().is_finite() && bet.odds() >= 0.0, "{terms:?} {canary:?} {stable:?}");
        }
    }
}

#[test]
fn a_canary_that_does_not_fail_is_proved_healthy_and_one_that_fails_too_much_never() {
    let judge = Judge::default();
    let mut healthy = new(Terms::proof(&judge));
    let needed = (1..).find(|_| {
        healthy.second(tally(50, 0), tally(950, 1));
        healthy.odds() >= judge.proof.odds
    });
    // 0.5% of extra failures are ruled out after about ln(20 * 7) / 0.005 requests.
    assert!((10..30).contains(&needed.unwrap()), "{needed:?}");
    let needed = requests_to_prove(judge.proof, tally(50, 0), tally(950, 1)).unwrap();
    assert!((500.0..2_500.0).contains(&needed), "{needed}");

    let mut at_the_limit = new(Terms::proof(&judge));
    let mut highest: f64 = 0.0;
    for tick in 0..5_000 {
        // Stable fails 1%, the canary 2% = 1.5 times stable and 0.5%.
        at_the_limit.second(tally(50, 1), tally(950, 9 + u64::from(tick % 2 == 0)));
        highest = highest.max(at_the_limit.odds());
    }
    assert!(highest < 2.0, "{highest}");
}

#[test]
fn a_proof_that_was_made_falls_within_seconds_when_the_canary_turns_bad() {
    let mut bet = new(Terms::proof(&Judge::default()));
    (0..3_600).for_each(|_| bet.second(tally(50, 0), tally(950, 1)));
    assert!(bet.odds() > 1e5);
    let ticks = (1..).find(|_| {
        bet.second(tally(50, 25), tally(950, 1));
        bet.odds() < 20.0
    });
    assert!(ticks.unwrap() <= 3, "{ticks:?}");
}

#[test]
fn fewer_orders_are_seen_and_equal_ones_are_not() {
    let terms = Terms::for_events(&Judge::default(), 1.25);
    let mut halved = new(terms);
    (0..120).for_each(|_| halved.second(tally(50, 0), tally(950, 95)));
    (0..300).for_each(|tick| halved.second(tally(50, 2 + tick % 2), tally(950, 95)));
    assert!(halved.odds() > 1_000.0, "{}", halved.odds());
    let mut alike = new(terms);
    (0..3_600).for_each(|tick| alike.second(tally(50, 4 + 2 * (tick % 2)), tally(950, 95)));
    assert!(alike.odds() < 20.0, "{}", alike.odds());
}

#[test]
fn a_clump_on_stable_alone_proves_nothing() {
    let mut bet = new(Terms::proof(&Judge::default()));
    (0..5).for_each(|_| bet.second(tally(50, 0), tally(950, 0)));
    let before = bet.odds();
    bet.second(tally(50, 0), tally(950, 500));
    assert!(bet.odds() < 2.0 * before, "{before} {}", bet.odds());
}
