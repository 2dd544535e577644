//! Readings in, and what holds after them.

use super::*;

const EVERY_US: u64 = 15_000_000;

fn signal(limit: OutsideLimit, failures: u32) -> OutsideSignal {
    OutsideSignal::new(OutsideRule {
        name: "orders".into(),
        limit,
        failures,
        every_us: EVERY_US,
        asked: "sum(orders)".into(),
        asked_of_stable: limit.is_of_stable().then(|| "sum(stable_orders)".into()),
    })
}

fn reading(canary: f64, stable: Option<f64>) -> Result<Reading, Arc<str>> {
    Ok(Reading { at_ms: 1, canary, stable })
}

/// Hears one reading after another, each in its time; what holds after the last.
fn after(signal: &mut OutsideSignal, readings: &[Result<Reading, Arc<str>>]) -> OutsideState {
    for (at, reading) in (1..).zip(readings) {
        signal.hear(at * EVERY_US, reading.clone());
    }
    signal.state(readings.len() as u64 * EVERY_US)
}

fn label(limit: OutsideLimit, canary: f64, stable: Option<f64>) -> &'static str {
    after(&mut signal(limit, 1), &[reading(canary, stable)]).label()
}

#[test]
fn a_limit_is_kept_at_itself_and_broken_beyond() {
    use OutsideLimit::{AtLeast, AtLeastOfStable, AtMost, AtMostOfStable};
    for (limit, canary, stable, expected) in [
        (AtLeast(10.0), 10.0, None, "good"),
        (AtLeast(10.0), 9.99, None, "failing"),
        (AtLeast(0.0), -1.0, None, "failing"),
        (AtMost(10.0), 10.0, None, "good"),
        (AtMost(10.0), 10.01, None, "failing"),
        (AtLeastOfStable(0.8), 8.0, Some(10.0), "good"),
        (AtLeastOfStable(0.8), 7.9, Some(10.0), "failing"),
        (AtMostOfStable(1.5), 15.0, Some(10.0), "good"),
        (AtMostOfStable(1.5), 15.1, Some(10.0), "failing"),
    ] {
        assert_eq!(label(limit, canary, stable), expected, "{limit:?} {canary} {stable:?}");
    }
}

#[test]
fn what_is_no_number_is_neither_failure_nor_pass() {
    use OutsideLimit::{AtLeast, AtLeastOfStable, AtMostOfStable};
    for (limit, canary, stable) in [
        (AtLeast(10.0), f64::NAN, None),
        (AtLeast(10.0), f64::INFINITY, None),
        (AtLeastOfStable(0.8), 1.0, None),
        (AtLeastOfStable(0.8), 0.0, Some(0.0)),
        (AtLeastOfStable(0.8), 1.0, Some(f64::NAN)),
        (AtMostOfStable(1.5), 1.0, Some(0.0)),
        (AtMostOfStable(1.5), 1.0, Some(-5.0)),
    ] {
        assert_eq!(label(limit, canary, stable), "undecided", "{limit:?} {canary} {stable:?}");
    }
    let mut signal = signal(AtLeast(10.0), 1);
    let silent = OutsideState::Undecided("no answer in time".into());
    assert_eq!(after(&mut signal, &[Err("no answer in time".into())]), silent);
    assert_eq!(signal.finding(), None);
}

#[test]
fn only_readings_in_a_row_count_and_what_is_undecided_leaves_the_count() {
    let mut rule = signal(OutsideLimit::AtLeast(10.0), 3);
    let (bad, good, none) = (|| reading(1.0, None), || reading(11.0, None), || Err("down".into()));
    assert_eq!(after(&mut rule, &[bad(), bad()]), OutsideState::Bad(2));
    let mut rule = signal(OutsideLimit::AtLeast(10.0), 3);
    assert_eq!(after(&mut rule, &[bad(), bad(), good(), bad(), good()]), OutsideState::Good);
    assert_eq!(rule.finding(), None);
    let mut rule = signal(OutsideLimit::AtLeast(10.0), 3);
    assert_eq!(after(&mut rule, &[bad(), none(), bad(), none(), bad()]), OutsideState::Failing);
    assert_eq!(rule.finding().unwrap().readings.len(), 3);
    rule.hear(6 * EVERY_US, good());
    assert_eq!(rule.state(6 * EVERY_US), OutsideState::Failing, "it stays until the signal starts anew");
}

#[test]
fn a_silence_makes_it_undecided_and_the_count_begin_anew() {
    let mut rule = signal(OutsideLimit::AtLeast(10.0), 2);
    assert_eq!(rule.state(0).label(), "undecided");
    rule.hear(0, reading(1.0, None));
    assert_eq!(rule.state(3 * EVERY_US), OutsideState::Bad(1));
    assert_eq!(rule.state(3 * EVERY_US + 1), OutsideState::Undecided("nothing heard for 45 s".into()));
    rule.hear(3 * EVERY_US + 1, reading(1.0, None));
    assert_eq!(rule.state(3 * EVERY_US + 1), OutsideState::Bad(1));
    assert_eq!(rule.reading(4 * EVERY_US).unwrap().1, EVERY_US - 1);
}

#[test]
fn a_finding_says_all_that_it_takes_to_find_it_again() {
    let mut rule = signal(OutsideLimit::AtLeastOfStable(0.8), 2);
    after(&mut rule, &[reading(3.25, Some(10.0)), reading(0.5, Some(12_345.6))]);
    let finding = rule.finding().unwrap();
    assert_eq!(
        finding.sentence(),
        "outside signal \"orders\" is 0.5 (stable's is 12346), at least 80% of stable's is wanted: 2 readings in a row \
         of sum(orders)"
    );
    let mut evidence = finding.evidence();
    assert_eq!(OutsideFinding::again(&evidence), Some(true));
    evidence["outside"]["readings"][1]["canary"] = 99_999.into();
    assert_eq!(OutsideFinding::again(&evidence), Some(false));
    evidence["limit"] = Value::Null;
    assert_eq!(OutsideFinding::again(&evidence), None);
}
