//! Sticky users: the lot is drawn once a user, so users are the unit and not requests. What may be counted as a toss
//! of the coin?
//!
//! Five ways to count are played over the same requests of the same users ([`Unit`]). How many of 40 *good* canaries
//! were aborted within an hour (100 requests a second, activity by a Pareto law, `benches/verdict.rs` prints it all):
//!
//! | world | each request | until a user fails | the same, paced | beside the weight | as built |
//! |---|---|---|---|---|---|
//! | 2% of users always fail (200 to 20 000 users, 1% to 25%) | 13 to 36 | 0 | 0 | 0 | 0 |
//! | a client repeats a failing request (2000 users, 25%) | 7 | 0 | 0 | 0 | 0 |
//! | a client that never fails makes a third of all (2000 users, 5%) | 22 | **31** | 0 | 0 | 0 |
//!
//! A user who fails leaves once, and on which variant is the coin. But its bias is the canary's share of *users who
//! may still fail*, and requests measure that only while nobody makes many of them: a crawler or a probe on stable
//! makes the canary look bad, whatever is done about users who fail. So of a user who has not failed only one request
//! in 10 s counts; a failure counts whenever it comes. The column before the last is exact whatever users do:
//! failures by users, beside all requests split as the hash splits users. It is slower where few users are on the canary. The
//! last one is what the data plane does: the paced way with a bitmap of users, all turned at once (`metrics::users`).
//!
//! It holds while no single user makes more than about a fifth of what is counted: the smallest bet is 1.5 times, and
//! gains only beyond 1.23. One request a second does nearly as well; one a minute is too rare for a canary with ten
//! users, since most ticks then hold none of its requests.
//!
//! The price: each user can fail once, and four to ten failures are needed. A canary that fails 5% (1%) beside 0.1%
//! was found within the hour by 6 (1) of 40 with 2 users on it, by 40 (28) with 10 users, as a median after 77 s (1708
//! s), where requests take 22 s (228 s); with 100 users and more the delay is that of requests and up to 40%. **With
//! fewer than ten users on the canary no promise of finding anything can be made**; the operator's rules and
//! `harm_max` must do there.
//!
//! Latency: one sample a user a minute. With the defaults, users whose own levels differ by a log-sd of 0.3 or 0.6
//! never blamed a canary so, in 40 hours each of 2 to 100 users; by each request up to 6 of 40 did where few users
//! make most.

use super::model::play::median;
use super::model::table::bets;
use super::model::users::{Crowd, Each, UNITS, Unit, judged, judged_slow};

const RUNS: usize = 20;
const SECONDS: u64 = 1_800;

/// How many of the runs blamed the canary, by each unit, and after how many seconds half of them did.
struct Found {
    runs: Each<usize>,
    after_s: Each<f64>,
}

fn found(crowd: Crowd) -> Found {
    let all: Vec<_> = (0..).take(RUNS).map(|seed| judged(crowd, SECONDS, 1, seed)).collect();
    let of = |unit: Unit| all.iter().map(move |run| run[unit as usize]);
    Found {
        runs: UNITS.map(|unit| of(unit).flatten().count()),
        after_s: UNITS.map(|unit| median(of(unit).map(|at| at.unwrap_or(f64::INFINITY)).collect())),
    }
}

impl Found {
    fn by(&self, unit: Unit) -> usize {
        self.runs[unit as usize]
    }

    fn after_s(&self, unit: Unit) -> f64 {
        self.after_s[unit as usize]
    }
}

#[test]
fn users_who_always_fail_blame_a_canary_by_requests_and_not_by_users() {
    let crowd =
        Crowd { users: 200, weight: 0.25, poisoned: 0.02, tail: 1.1, stays_s: 300.0, ..Crowd::default() };
    let found = found(crowd);
    assert!(found.by(Unit::Request) >= 10, "{:?}", found.runs);
    assert_eq!(found.runs[1..], [0; 4]);
}

#[test]
fn a_client_that_repeats_a_failing_request_counts_once() {
    let found = found(Crowd { users: 200, weight: 0.25, loop_per_s: 50.0, ..Crowd::default() });
    assert!(found.by(Unit::Request) >= 2, "{:?}", found.runs);
    assert_eq!(found.runs[1..], [0; 4]);
}

/// It never fails, and makes a third of the requests: on stable it makes stable look better than it is.
#[test]
fn a_busy_client_must_not_count_with_every_request() {
    let busy =
        Crowd { loop_per_s: 100.0, loop_fails: false, fails: 0.01, canary_fails: 0.01, ..Crowd::default() };
    let found = found(busy);
    assert!(found.by(Unit::UntilFailure) >= 5, "{:?}", found.runs);
    assert_eq!(found.runs[Unit::Paced as usize..], [0; 3], "{:?}", found.runs);
}

#[test]
fn a_bad_canary_is_found_by_users_nearly_as_soon_as_by_requests() {
    let found = found(Crowd { users: 2_000, canary_fails: 0.05, ..Crowd::default() });
    for unit in UNITS {
        assert_eq!(found.by(unit), RUNS, "{unit:?}");
        assert!(
            found.after_s(unit) <= 2.0 * found.after_s(Unit::Request) + 1.0,
            "{unit:?}: {:?}",
            found.after_s
        );
    }
}

/// 200 users at 1%: who fails leaves, and soon nobody is left.
#[test]
fn two_users_on_the_canary_are_too_few_to_find_anything() {
    let found = found(Crowd { users: 200, weight: 0.01, canary_fails: 0.05, ..Crowd::default() });
    assert!(found.by(Unit::Paced) <= 4 && found.by(Unit::Built) <= 4, "{:?}", found.runs);
    let more = self::found(Crowd { users: 200, weight: 0.25, canary_fails: 0.05, ..Crowd::default() });
    assert_eq!((more.by(Unit::Paced), more.by(Unit::Built)), (RUNS, RUNS));
}

#[test]
fn users_with_latencies_of_their_own_are_no_evidence() {
    for (users, weight) in [(200, 0.05), (2_000, 0.05)] {
        let crowd = Crowd { users, weight, levels: 0.3, fails: 0.0, canary_fails: 0.0, ..Crowd::default() };
        let blamed = (0..10).filter(|seed| judged_slow(crowd, &bets(), 600, *seed)[1]).count();
        assert_eq!(blamed, 0, "{users} users at {weight}");
    }
}
