//! Facts about the guard: what it refuses, what it says, and the edges of counts and clocks.

use std::time::Duration;

use proptest::prelude::*;

use super::super::pace::Pace;
use super::super::vectors;
use super::super::verdict::Missing;
use super::*;
use crate::config::{self, EventTerms, Tolerate};
use crate::metrics::histogram::bucket_of;

mod golden;
mod signals;

const SECOND_US: u64 = 1_000_000;
const CALL_US: u64 = SECOND_US / 10;

pub(super) fn counts(requests: u64, failed: u64) -> Counts {
    Counts { requests, failed, connect_errors: 0 }
}

/// Errors alone, with the operator's own rules.
fn errors_only() -> Judge {
    Judge { latency: Mode::Off, ..Judge::default() }
}

/// Without the operator's own rules: the bet alone.
fn bet_only() -> Judge {
    Judge { fast_trip: None, ceilings: Vec::new(), ..errors_only() }
}

/// A guard and its clock.
pub(super) struct Play {
    pub(super) guard: Guard,
    pace: Pace,
    now_us: u64,
}

impl Play {
    pub(super) fn new(judge: &Judge) -> Self {
        Self::with(Guard::new(judge))
    }

    fn with(guard: Guard) -> Self {
        let mut play = Self { guard, pace: Pace::default(), now_us: 0 };
        play.pace.step(0, play.guard.judge.tick);
        play
    }

    pub(super) fn call(&mut self, canary: Counts, stable: Counts) -> Verdict {
        self.after(CALL_US, canary, stable)
    }

    /// A whole tick in one call.
    pub(super) fn second(&mut self, canary: Counts, stable: Counts) -> Verdict {
        self.after(SECOND_US, canary, stable)
    }

    fn after(&mut self, span_us: u64, canary: Counts, stable: Counts) -> Verdict {
        self.now_us += span_us;
        self.at_once(canary, stable, &Detail::default(), &Detail::default())
    }

    fn at_once(&mut self, canary: Counts, stable: Counts, slow: &Detail, usual: &Detail) -> Verdict {
        let step = self.pace.step(self.now_us, self.guard.judge.tick);
        self.guard.call(step.us, canary, stable);
        if step.tick_is_over {
            self.guard.tick(slow, usual);
        }
        self.guard.verdict()
    }

    /// Successes that took so long, in one tick: pairs of microseconds and how many.
    fn latencies(&mut self, canary: &[(u64, u32)], stable: &[(u64, u32)]) -> Verdict {
        self.now_us += SECOND_US;
        let detail = |took: &[(u64, u32)]| {
            let mut detail = Detail::default();
            took.iter().for_each(|(us, count)| detail.latency.add(bucket_of(*us), *count));
            detail
        };
        let (canary, stable) = (detail(canary), detail(stable));
        let all = |detail: &Detail| counts(detail.latency.total(), 0);
        self.at_once(all(&canary), all(&stable), &canary, &stable)
    }

    fn seconds(&mut self, seconds: u64, canary: Counts, stable: Counts) -> Verdict {
        for _ in 0..seconds {
            self.second(canary, stable);
        }
        self.guard.verdict()
    }
}

fn finding(verdict: Verdict) -> Finding {
    match verdict {
        Verdict::Unhealthy(finding) => finding,
        other => panic!("not unhealthy: {}", other.sentence()),
    }
}

#[test]
fn no_data_never_acts() {
    for (canary, stable) in
        [(counts(0, 0), counts(0, 0)), (counts(0, 0), counts(1_000, 0)), (counts(0, 0), counts(1_000, 1_000))]
    {
        let mut play = Play::new(&errors_only());
        for _ in 0..1_000 {
            assert_eq!(play.call(canary, stable), Verdict::Undecided(Missing::CanaryRequests));
        }
        assert_eq!(play.guard.verdict().sentence(), "no canary requests yet");
    }
}

#[test]
fn without_stable_only_the_literal_ceiling_acts() {
    let mut play = Play::new(&bet_only());
    let verdict = play.seconds(600, counts(50, 50), counts(0, 0));
    assert_eq!(verdict.sentence(), "nothing to compare with: stable had no requests");
    let mut play = Play::new(&errors_only());
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
    let mut play = Play::new(&errors_only());
    let refused = |requests| Counts { requests, failed: requests, connect_errors: requests };
    play.seconds(60, counts(50, 0), counts(950, 0));
    for _ in 0..6_000 {
        assert!(!play.call(refused(5), refused(95)).is_unhealthy());
    }
    let mut play = Play::new(&errors_only());
    let verdict = play.seconds(60, refused(50), refused(950));
    assert_eq!(
        verdict.sentence(),
        "stable fails 100% (57000/57000), so that any canary would be allowed beside it"
    );
}

#[test]
fn total_failure_trips_within_a_second_at_any_weight() {
    // 1000 requests a second; the second is the operator's `for`, and one call is the grain.
    for canary_requests in [1, 5, 25, 50, 99] {
        let mut play = Play::new(&errors_only());
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
    let mut play = Play::new(&errors_only());
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

    let mut play = Play::new(&errors_only());
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
        assert!(!play.guard.is_unhealthy());
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
    let mut play = Play::new(&Judge { false_alarm: 1e-9, ..errors_only() });
    let verdict = play.seconds(20, counts(50, 4), counts(950, 1));
    let found = finding(verdict);
    assert_eq!(found.signal.label(), "error_ceiling");
    assert!(found.odds >= 20.0 && found.canary.requests >= 100);
    assert_eq!(found.seconds * 50.0, found.canary.requests as f64);
    assert_eq!(found.evidence()["limit"]["odds_min"], 20.0);
}

#[test]
fn cold_start_never_backs_off() {
    let mut play = Play::new(&errors_only());
    assert!(!play.second(counts(1, 1), counts(0, 0)).is_unhealthy());
    assert!(!play.second(counts(1, 1), counts(1, 0)).is_unhealthy());
    let mut play = Play::new(&errors_only());
    assert!(!play.second(counts(50, 50), counts(950, 0)).is_unhealthy(), "one second may be a blip");
    let verdict = play.seconds(10, counts(50, 0), counts(950, 0));
    assert!(!verdict.is_unhealthy());
}

#[test]
fn verdict_latches_until_restart() {
    let mut play = Play::new(&errors_only());
    let first = finding(play.seconds(10, counts(50, 25), counts(950, 0)));
    play.seconds(300, counts(0, 0), counts(1_000, 0));
    let last = finding(play.seconds(300, counts(50, 0), counts(950, 5)));
    assert_eq!(first, last);
    play.guard.reconfigure(&bet_only());
    assert!(play.guard.is_unhealthy(), "a file does not acquit");
    play.guard.restart();
    assert_eq!(play.guard.verdict(), Verdict::Undecided(Missing::CanaryRequests));
    assert_eq!(play.guard.odds(), 0.5);
    assert!(!play.seconds(60, counts(50, 0), counts(950, 0)).is_unhealthy());
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let day_us = 24 * 3_600 * SECOND_US;
    for jump in [-1_i64, 1].map(|sign| sign * i64::try_from(day_us).unwrap()) {
        let mut play = Play::new(&errors_only());
        play.now_us = 10 * day_us;
        play.pace.step(play.now_us, Duration::from_secs(1));
        for call in 1..=600 {
            if call % 50 == 0 {
                play.now_us = play.now_us.saturating_add_signed(jump);
            }
            let verdict = play.call(counts(5, u64::from(call % 300 == 0)), counts(95, 0));
            assert!(!verdict.is_unhealthy());
        }
        assert!(!play.guard.is_unhealthy(), "{}", play.guard.verdict().sentence());
    }
    // Ten failures in two calls do not become old because the clock jumped between them.
    let mut play = Play::new(&errors_only());
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
fn odds_that_hold_are_no_health() {
    let mut play = Play::new(&errors_only());
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
    play.guard.reconfigure(&Judge { hold_at: 3.0, ..bet_only() });
    assert_eq!(play.guard.odds(), odds);
    let tolerate = Tolerate { errors: 2.0, extra: 0.0, ..Tolerate::default() };
    play.guard.reconfigure(&Judge { tolerate, ..bet_only() });
    assert_eq!(play.guard.odds(), 0.5);
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
        latencies in prop::collection::vec((0_usize..800, any::<u32>()), 0..20),
        restart_at in 0_usize..60,
    ) {
        let mut play = Play::new(&Judge::default());
        let mut detail = Detail::default();
        latencies.iter().for_each(|(bucket, count)| detail.latency.add(*bucket, *count));
        for (at, (now_us, canary, stable)) in calls.into_iter().enumerate() {
            play.now_us = now_us;
            play.at_once(canary, stable, &detail, &detail);
            let guard = &mut play.guard;
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
