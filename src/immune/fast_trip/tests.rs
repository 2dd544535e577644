//! The streak against its golden vectors, event by event, and what counts instead of events may and may not do.

use std::time::Duration;

use super::super::vectors;
use super::*;

const CALL_US: u64 = 100_000;

fn limits() -> config::FastTrip {
    config::FastTrip {
        failures: 10,
        span: Duration::from_secs(1),
        connect_errors: 5,
        mode: config::Mode::Act,
    }
}

fn counts(requests: u64, failed: u64) -> Counts {
    Counts { requests, failed, connect_errors: 0 }
}

fn refused(requests: u64) -> Counts {
    Counts { requests, failed: requests, connect_errors: requests }
}

/// Which call trips first, counted from 1.
fn first_trip(calls: impl IntoIterator<Item = (Counts, Counts)>) -> Option<(u64, Trip)> {
    let mut rule = FastTrip::new(limits());
    (1..).zip(calls).find_map(|(call, (canary, stable))| {
        rule.tick(call * CALL_US, canary, stable).map(|trip| (call, trip))
    })
}

#[test]
fn golden_streaks_are_reproduced() {
    for vector in vectors::of_kind("fast") {
        let mut rule = FastTrip::new(limits());
        for (event, trip) in vectors::list(&vector["events"]).iter().zip(vectors::list(&vector["trip"])) {
            let failed = |at: usize| u64::from(!event[at].as_bool().unwrap());
            let tripped = if event[0] == "s" {
                rule.stable_finished(Tally { requests: 1, unlucky: failed(1) });
                None
            } else if failed(2) == 0 {
                rule.canary_answered();
                Some(false)
            } else {
                let connect_errors = u64::from(event[3].as_bool().unwrap());
                Some(rule.canary_failed(vectors::whole(&event[1]), 1, connect_errors).is_some())
            };
            assert_eq!(tripped, trip.as_bool(), "{}", vector["name"]);
        }
    }
}

#[test]
fn failures_must_be_many_and_last_long() {
    let (call, trip) = first_trip(vec![(counts(1, 1), counts(95, 0)); 20]).unwrap();
    assert_eq!(call, 11, "10 failures were there after 0.9 s, a second had passed after 1.0 s");
    assert_eq!(trip.rule, Rule::Failures);
    assert_eq!((trip.failures, trip.span_us), (11, 1_000_000));
    assert_eq!(trip.stable, Tally { requests: 950, unlucky: 0 });
    assert_eq!(first_trip(vec![(counts(1_000, 1_000), counts(95, 0)); 10]), None);
    assert_eq!(first_trip(vec![(counts(1, 1), counts(95, 0)); 10]), None);
}

#[test]
fn connect_errors_need_no_time_but_stable_must_have_answered_since() {
    let (call, trip) = first_trip(vec![(refused(100), counts(95, 0)); 20]).unwrap();
    assert_eq!((call, trip.rule, trip.connect_errors), (2, Rule::ConnectErrors, 200));
}

#[test]
fn one_other_failure_ends_the_run_of_connect_errors() {
    let mixed = Counts { requests: 2, failed: 2, connect_errors: 1 };
    let calls = [refused(2), refused(2), mixed, refused(2), refused(2)].map(|canary| (canary, counts(95, 0)));
    assert_eq!(first_trip(calls), None);
}

#[test]
fn one_success_in_a_call_ends_the_streak() {
    let mut calls = vec![(counts(5, 5), counts(95, 0)); 30];
    calls[9].0 = counts(1_000, 999);
    assert_eq!(first_trip(calls).unwrap().0, 21, "a second after the eleventh");
}

#[test]
fn quiet_calls_neither_end_a_streak_nor_trip() {
    let mut calls = vec![(counts(0, 0), counts(95, 0)); 40];
    for call in calls.iter_mut().step_by(3).take(10) {
        call.0 = counts(1, 1);
    }
    assert_eq!(first_trip(calls).unwrap().0, 28, "the tenth failure");
}

#[test]
fn stable_down_as_well_is_never_blamed_on_the_canary() {
    assert_eq!(first_trip(vec![(refused(50), counts(950, 950)); 100]), None);
    assert_eq!(first_trip(vec![(refused(50), counts(950, 200)); 100]), None);
    assert_eq!(first_trip(vec![(refused(50), counts(0, 0)); 100]), None);
}

#[test]
fn successes_before_a_shared_outage_do_not_vouch_for_stable() {
    // The database dies in the last milliseconds of the first call: stable had answered 950 times before that.
    let mut calls = vec![(refused(50), counts(950, 950)); 100];
    calls[0].1 = counts(955, 5);
    assert_eq!(first_trip(calls), None);
}

#[test]
fn failures_of_stable_in_the_first_call_do_count() {
    let mut calls = vec![(refused(50), counts(10, 0)); 10];
    calls[0].1 = counts(955, 5);
    assert_eq!(first_trip(calls).unwrap().0, 6, "5 of 55 is the first share of at most a tenth");
}

#[test]
fn time_that_goes_backwards_is_no_time() {
    let mut rule = FastTrip::new(limits());
    for now_us in [5_000_000, 100, 4_000_000, 0] {
        assert_eq!(rule.tick(now_us, counts(50, 50), counts(950, 0)), None);
    }
}
