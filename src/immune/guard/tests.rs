//! Facts about the guard: what it refuses, what it says, and the edges of counts and clocks.

use proptest::prelude::*;

use super::super::vectors;
use super::*;

const SECOND_US: u64 = 1_000_000;
const CALL_US: u64 = SECOND_US / 10;

pub(super) fn counts(requests: u64, failed: u64) -> Counts {
    Counts { requests, failed, connect_errors: 0 }
}

/// Without the operator's own rules: the bet alone.
fn bet_only() -> config::Guard {
    config::Guard { fast_trip: None, ceilings: Vec::new(), ..config::Guard::default() }
}

/// A guard and its clock.
pub(super) struct Play {
    pub(super) guard: Guard,
    now_us: u64,
}

impl Play {
    pub(super) fn new(config: &config::Guard) -> Self {
        let mut guard = Guard::new(config);
        guard.tick(0, Counts::default(), Counts::default());
        Self { guard, now_us: 0 }
    }

    pub(super) fn call(&mut self, canary: Counts, stable: Counts) -> &Verdict {
        self.now_us += CALL_US;
        self.guard.tick(self.now_us, canary, stable)
    }

    /// A whole tick in one call.
    pub(super) fn second(&mut self, canary: Counts, stable: Counts) -> &Verdict {
        self.now_us += SECOND_US;
        self.guard.tick(self.now_us, canary, stable)
    }

    fn seconds(&mut self, seconds: u64, canary: Counts, stable: Counts) -> &Verdict {
        for _ in 0..seconds {
            self.second(canary, stable);
        }
        self.guard.verdict()
    }
}

fn finding(verdict: &Verdict) -> Finding {
    match verdict {
        Verdict::Unhealthy(finding) => *finding,
        other => panic!("not unhealthy: {}", other.sentence()),
    }
}

#[test]
fn golden_guards_with_errors_only_are_reproduced() {
    let only_errors = |vector: &serde_json::Value| vectors::list(&vector["config"]["quantiles"]).is_empty();
    let golden: Vec<_> = vectors::of_kind("guard").into_iter().filter(only_errors).collect();
    assert!(!golden.is_empty());
    for vector in golden {
        let mut play = Play::new(&bet_only());
        let mut checks = vectors::list(&vector["checks"]).iter().peekable();
        for (tick, after) in vectors::list(&vector["ticks"]).iter().zip(1..) {
            let [nc, xc, ns, xs] = [0, 1, 2, 3].map(|at| vectors::whole(&tick[at]));
            play.second(counts(nc, xc), counts(ns, xs));
            let Some(check) = checks.next_if(|check| vectors::whole(&check["after"]) == after) else {
                continue;
            };
            vectors::assert_same_ln(play.guard.odds(), &check["ln_odds"], &vector["name"]);
            assert_eq!(play.guard.verdict().is_unhealthy(), check["state"] == "abort");
            assert_eq!(play.guard.holds(), check["state"] != "go");
        }
        assert_eq!(checks.next(), None, "{}: every check was reached", vector["name"]);
    }
}

#[test]
fn no_data_never_acts() {
    for (canary, stable) in
        [(counts(0, 0), counts(0, 0)), (counts(0, 0), counts(1_000, 0)), (counts(0, 0), counts(1_000, 1_000))]
    {
        let mut play = Play::new(&config::Guard::default());
        for _ in 0..1_000 {
            assert_eq!(*play.call(canary, stable), Verdict::Undecided(Missing::CanaryRequests));
        }
        assert_eq!(play.guard.verdict().sentence(), "no canary requests yet");
    }
}

#[test]
fn without_stable_only_the_literal_ceiling_acts() {
    let mut play = Play::new(&bet_only());
    let verdict = play.seconds(600, counts(50, 50), counts(0, 0));
    assert_eq!(verdict.sentence(), "nothing to compare with: stable had no requests");
    let mut play = Play::new(&config::Guard::default());
    let found = finding(play.seconds(2, counts(50, 50), counts(0, 0)));
    assert_eq!(
        found.sentence(),
        "canary fails 100% [94.18, 100] of requests (100/100) vs stable without requests: \
         more than 5% failed in the last 60 s (limit 5%, at least 100 requests)"
    );
    assert_eq!(found.evidence()["stable"]["failed_ratio"], serde_json::Value::Null);
}

#[test]
fn a_shared_total_outage_is_never_blamed_and_proves_nothing() {
    let mut play = Play::new(&config::Guard::default());
    let refused = |requests| Counts { requests, failed: requests, connect_errors: requests };
    play.seconds(60, counts(50, 0), counts(950, 0));
    for _ in 0..6_000 {
        assert!(!play.call(refused(5), refused(95)).is_unhealthy());
    }
    let mut play = Play::new(&config::Guard::default());
    let verdict = play.seconds(60, refused(50), refused(950));
    assert_eq!(
        verdict.sentence(),
        "stable fails 100% (57000/57000), so that any canary would be tolerated beside it"
    );
}

#[test]
fn total_failure_trips_within_a_second_at_any_weight() {
    // 1000 requests a second; the second is the operator's `for`, and one call is the grain.
    for canary_requests in [1, 5, 25, 50, 99] {
        let mut play = Play::new(&config::Guard::default());
        for _ in 0..50 {
            play.call(counts(canary_requests, 0), counts(100 - canary_requests, 0));
        }
        let failing = (counts(canary_requests, canary_requests), counts(100 - canary_requests, 0));
        let calls = (1..=100).find(|_| play.call(failing.0, failing.1).is_unhealthy()).unwrap();
        assert!(calls <= 11, "{canary_requests} in 100: {calls} calls");
        assert_eq!(finding(play.guard.verdict()).signal.label(), "fast_trip");
    }
}

#[test]
fn a_fast_trip_says_what_it_saw() {
    let mut play = Play::new(&config::Guard::default());
    for _ in 0..11 {
        play.call(counts(1, 1), counts(95, 0));
    }
    let found = finding(play.guard.verdict());
    assert_eq!(
        found.sentence(),
        "11 requests in a row failed over 1 s, stable answered 950 of 950 in the same time"
    );
    let evidence = found.evidence();
    assert_eq!((&evidence["signal"], &evidence["window_seconds"]), (&"fast_trip".into(), &1.0.into()));
    assert_eq!((&evidence["limit"]["failures"], &evidence["canary"]["failed"]), (&10.into(), &11.into()));

    let mut play = Play::new(&config::Guard::default());
    let refused = Counts { requests: 5, failed: 5, connect_errors: 5 };
    for _ in 0..2 {
        play.call(refused, counts(95, 0));
    }
    assert_eq!(
        play.guard.verdict().sentence(),
        "10 requests in a row failed over 0.1 s (the last 10 got no connection), \
         stable answered 95 of 95 in the same time"
    );
}

#[test]
fn the_odds_say_what_they_saw() {
    let mut play = Play::new(&bet_only());
    for (canary, stable) in [(2, 0), (3, 1), (2, 0)] {
        assert!(!play.guard.verdict().is_unhealthy());
        play.second(counts(50, canary), counts(950, stable));
    }
    let found = finding(play.guard.verdict());
    assert_eq!(
        found.sentence(),
        "canary fails 4.67% [0.87, 13.26] of requests (7/150) vs stable 0.035% (1/2850) in the last 3 s; \
         odds 1.32e+05:1 against chance"
    );
    assert!(matches!(found.signal, Signal::Errors { abort_at: 1_000.0 }));
    let evidence = found.evidence();
    assert_eq!(evidence["sentence"], found.sentence().as_str());
    assert_eq!((&evidence["signal"], &evidence["window_seconds"]), (&"errors".into(), &3.0.into()));
    assert_eq!((&evidence["limit"]["odds"], &evidence["odds"]), (&1_000.0.into(), &found.odds.into()));
    for (variant, requests, failed) in [("canary", 150, 7), ("stable", 2_850, 1)] {
        assert_eq!(evidence[variant]["requests"], requests);
        assert_eq!(evidence[variant]["failed"], failed);
        assert_eq!(evidence[variant]["failed_ratio"], f64::from(failed) / f64::from(requests));
    }
}

#[test]
fn a_ceiling_needs_odds_and_comes_before_the_bet() {
    let mut play = Play::new(&config::Guard { false_alarm: 1e-9, ..config::Guard::default() });
    let verdict = play.seconds(20, counts(50, 4), counts(950, 1));
    let found = finding(verdict);
    assert_eq!(found.signal.label(), "error_ceiling");
    assert!(found.odds >= 20.0 && found.canary.requests >= 100);
    assert_eq!(found.seconds * 50.0, found.canary.requests as f64);
    assert_eq!(found.evidence()["limit"]["odds_min"], 20.0);
}

#[test]
fn cold_start_never_backs_off() {
    let mut play = Play::new(&config::Guard::default());
    assert!(!play.second(counts(1, 1), counts(0, 0)).is_unhealthy());
    assert!(!play.second(counts(1, 1), counts(1, 0)).is_unhealthy());
    let mut play = Play::new(&config::Guard::default());
    assert!(!play.second(counts(50, 50), counts(950, 0)).is_unhealthy(), "one second may be a blip");
    let verdict = play.seconds(10, counts(50, 0), counts(950, 0));
    assert!(!verdict.is_unhealthy());
}

#[test]
fn verdict_latches_until_restart() {
    let mut play = Play::new(&config::Guard::default());
    let first = finding(play.seconds(10, counts(50, 25), counts(950, 0)));
    play.seconds(300, counts(0, 0), counts(1_000, 0));
    let last = finding(play.seconds(300, counts(50, 0), counts(950, 5)));
    assert_eq!(first, last);
    play.guard.reconfigure(&bet_only());
    assert!(play.guard.verdict().is_unhealthy(), "a file does not acquit");
    play.guard.restart();
    assert_eq!(*play.guard.verdict(), Verdict::Undecided(Missing::CanaryRequests));
    assert_eq!(play.guard.odds(), 0.5);
    assert!(!play.seconds(60, counts(50, 0), counts(950, 0)).is_unhealthy());
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let day_us = 24 * 3_600 * SECOND_US;
    for jump in [-1_i64, 1].map(|sign| sign * i64::try_from(day_us).unwrap()) {
        let mut play = Play { guard: Guard::new(&config::Guard::default()), now_us: 10 * day_us };
        for call in 1..=600 {
            if call % 50 == 0 {
                play.now_us = play.now_us.saturating_add_signed(jump);
            }
            let verdict = play.call(counts(5, u64::from(call % 300 == 0)), counts(95, 0));
            assert!(!verdict.is_unhealthy());
        }
        assert!(matches!(play.guard.verdict(), Verdict::Healthy(_)), "{}", play.guard.verdict().sentence());
    }
    // Ten failures in two calls do not become old because the clock jumped between them.
    let mut play = Play::new(&config::Guard::default());
    play.call(counts(5, 5), counts(95, 0));
    play.now_us += day_us;
    assert!(!play.call(counts(5, 5), counts(95, 0)).is_unhealthy());
}

#[test]
fn a_late_call_is_one_longer_tick() {
    let mut on_time = Play::new(&bet_only());
    for _ in 0..10 {
        on_time.call(counts(5, 1), counts(95, 0));
    }
    let mut late = Play::new(&bet_only());
    late.now_us += 3 * SECOND_US;
    late.call(counts(50, 10), counts(950, 0));
    assert_eq!(on_time.guard.odds(), late.guard.odds());
}

#[test]
fn health_is_proved_and_what_is_missing_is_told() {
    let mut play = Play::new(&config::Guard::default());
    let verdict = play.second(counts(37, 0), counts(963, 0));
    assert_eq!(verdict.sentence(), "37 of about 120 requests");
    play.seconds(2, counts(37, 0), counts(963, 0));
    assert!(!matches!(play.guard.verdict(), Verdict::Healthy(_)));
    let verdict = play.second(counts(37, 0), counts(963, 1));
    assert_eq!(
        verdict.sentence(),
        "canary fails 0% [0, 4.09] of requests (0/148) vs stable 0.026% (1/3852) in the last 4 s, \
         so not more than 5%"
    );
}

#[test]
fn a_rate_above_the_limit_is_told_as_such() {
    let mut play = Play::new(&bet_only());
    let verdict = play.second(counts(20, 1), counts(980, 0));
    assert_eq!(
        verdict.sentence(),
        "canary fails 5% [0.011, 34.7] of requests (1/20) vs stable 0% (0/980) in the last 1 s: \
         above 0.02%, which may still be chance"
    );
}

#[test]
fn odds_that_hold_are_no_health() {
    let mut play = Play::new(&config::Guard::default());
    play.seconds(20, counts(500, 0), counts(500, 0));
    while !play.guard.holds() {
        play.second(counts(500, 3), counts(500, 0));
    }
    assert!(matches!(play.guard.verdict(), Verdict::Undecided(Missing::Odds { .. })));
    assert!(play.guard.verdict().sentence().ends_with("held from 20:1, unhealthy from 1e+03:1"));
}

#[test]
fn other_terms_start_capital_anew_and_other_rules_do_not() {
    let mut play = Play::new(&bet_only());
    play.second(counts(50, 2), counts(950, 0));
    let odds = play.guard.odds();
    play.guard.reconfigure(&config::Guard { hold_at: 3.0, ..bet_only() });
    assert_eq!(play.guard.odds(), odds);
    let tolerate = config::Tolerate { errors: 2.0, extra: 0.0 };
    play.guard.reconfigure(&config::Guard { tolerate, ..bet_only() });
    assert_eq!(play.guard.odds(), 0.5);
}

#[test]
fn a_guard_is_small() {
    let size = size_of::<Guard>();
    assert!(size <= 2_048, "{size} bytes");
}

fn arbitrary_count() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0_u64..4,
        3 => 0_u64..2_000,
        1 => Just(u64::from(u32::MAX)),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn arbitrary_counts() -> impl Strategy<Value = Counts> {
    (arbitrary_count(), arbitrary_count(), arbitrary_count())
        .prop_map(|(requests, failed, connect_errors)| Counts { requests, failed, connect_errors })
}

proptest! {
    #[test]
    fn odds_are_never_nan(
        calls in prop::collection::vec((arbitrary_count(), arbitrary_counts(), arbitrary_counts()), 1..60),
        restart_at in 0_usize..60,
    ) {
        let mut guard = Guard::new(&config::Guard::default());
        for (at, (now_us, canary, stable)) in calls.into_iter().enumerate() {
            guard.tick(now_us, canary, stable);
            prop_assert!(guard.odds().is_finite() && guard.odds() >= 0.0);
            let sentence = guard.verdict().sentence();
            prop_assert!(!sentence.contains("NaN") && !sentence.contains("inf"), "{}", sentence);
            if let Verdict::Unhealthy(finding) = guard.verdict() {
                prop_assert!(finding.seconds.is_finite() && finding.odds.is_finite());
                // Sums that reached the end of u64 stand still, and a window between two of them is empty.
                let empty = finding.canary.requests == 0;
                prop_assert!(empty || finding.evidence()["canary"]["failed_ratio"].is_number());
            }
            if at == restart_at {
                guard.restart();
            }
        }
    }
}
