//! What the summary says, and when it calls the demo a success.

use super::*;
use crate::config::Weight;
use crate::store::record::{Action, Cord};

const WHY: &str = "canary fails 29.33% [17.61, 43.55] of requests (88/300) vs stable 0% (0/900) in the last 3 s; \
                   odds 1.32e+05:1 against chance";

fn good() -> Summary {
    let cord = Cord { by: "immune system".into(), why: WHY.into(), at_ms: 0, decision: "0198-7a".into() };
    let decision = Decision {
        id: "0198-7a".into(),
        at_ms: 0,
        route: "shop".into(),
        canary: Some("canary".into()),
        action: Action::BackOff,
        by: "immune system".into(),
        why: WHY.into(),
        before: Weight::parse("25%").unwrap(),
        after: Weight::ZERO,
        evidence: None,
    };
    let canary = Account {
        requests: 1_320,
        failed: 98,
        first_failure: Some(Duration::from_millis(16_620)),
        last_request: Some(Duration::from_millis(20_047)),
    };
    let tally = |requests, failed| Tally { requests, failed, p50_us: Some(5_800), p99_us: Some(9_400) };
    let route = RouteView {
        name: "shop".into(),
        revision: 4,
        deny: false,
        unsaved: false,
        drifts: false,
        cord: Some(cord),
        stable: None,
        canaries: Vec::new(),
        self_test: None,
        drill: None,
        release: None,
        previous_stable: None,
        mirror: None,
    };
    Summary {
        ending: Ending::Told,
        back_off: Some(BackOff { decision, canary, late: 0 }),
        users: Totals { stable: tally(10_680, 0), canary: tally(1_320, 98), nobody: Tally::default() },
        route,
        bad_for: Duration::from_millis(13_500),
    }
}

fn check_failure(summary: &Summary, words: &str) {
    let failure = summary.failure().unwrap_or_default();
    assert!(failure.contains(words), "{failure:?} lacks {words:?}");
    assert!(summary.text(80).contains("NOT"), "{}", summary.text(80));
}

#[test]
fn a_back_off_is_told_with_its_numbers() {
    let expected = "
The bad canary was backed off by the immune system.

  last canary request       3.43 s after the first failing answer
  failed, as users saw it   98 of 12 000
    served by the canary    98 of 1 320
    served by stable        none of 10 680
  stable's users waited     5.8 ms (median), 9.4 ms (99% of them at most)
  weight of the canary      25% -> 0%
  why                       canary fails 29.33% [17.61, 43.55] of requests
                            (88/300) vs stable 0% (0/900) in the last 3 s; odds
                            1.32e+05:1 against chance
  decision                  0198-7a
  cord                      pulled by immune system; nothing rises until a
                            person resets it

";
    assert_eq!(good().failure(), None);
    assert_eq!(good().text(80), expected);
}

#[test]
fn a_narrow_terminal_gets_narrow_lines() {
    for width in [60, 80] {
        let text = good().text(width);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
    }
}

#[test]
fn failures_that_nobody_answered_for_are_not_hidden() {
    let mut summary = good();
    summary.users.nobody = Tally { requests: 2, failed: 2, ..Tally::default() };
    assert!(summary.text(80).contains("served by neither       2 of 2"), "{}", summary.text(80));
    assert!(summary.text(80).contains("100 of 12 002"), "{}", summary.text(80));
}

#[test]
fn an_interruption_after_the_back_off_is_no_failure() {
    assert_eq!(Summary { ending: Ending::Interrupted, ..good() }.failure(), None);
}

#[test]
fn every_other_ending_says_why() {
    let without = Summary { back_off: None, ..good() };
    check_failure(&without, "did not back the bad canary off in 13.5 s; immune system had pulled the cord");
    check_failure(&Summary { ending: Ending::Interrupted, ..without }, "interrupted before");
    let failed = Summary { ending: Ending::Failed("the controller is gone".into()), ..good() };
    check_failure(&failed, "the controller is gone");
    check_failure(&altered(|back_off| back_off.late = 3), "3 requests reached the canary after");
    check_failure(&altered(|back_off| back_off.canary.first_failure = None), "before it failed");
    check_failure(
        &altered(|back_off| back_off.decision.after = Weight::from_ppm(10_000).unwrap()),
        "to 1% only",
    );
}

fn altered(change: impl FnOnce(&mut BackOff)) -> Summary {
    let mut summary = good();
    change(summary.back_off.as_mut().unwrap());
    summary
}
