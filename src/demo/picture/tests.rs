//! Pictures of fixed states.

use std::sync::Arc;

use super::*;
use crate::config::Weight;
use crate::control::view::VerdictView;
use crate::demo::history::Sample;
use crate::demo::plan::Plan;
use crate::demo::steps::Step;
use crate::store::record::Cord;

const REASON: &str = "canary fails 29.33% [17.61, 43.55] of requests (88/300) vs stable 0% (0/900) in the last 3 s; \
                      odds 1.32e+05:1 against chance";

const UNDECIDED: &str =
    "odds 14.2:1 against chance that the canary is worse; held from 20:1, unhealthy from 1e+03:1";

fn window(requests: u64, failures: u64, p50_us: u64) -> WindowView {
    WindowView {
        seconds: 10.0,
        requests,
        failures,
        in_flight: 2,
        p50_us: Some(p50_us),
        p95_us: Some(p50_us + 3_000),
        p99_us: Some(p50_us + 4_000),
    }
}

/// Shortly before the back-off.
fn bad_canary() -> Scene {
    let plan = Plan::of(Duration::from_secs(30));
    let mut steps = Steps::new(plan);
    let begun = [Duration::ZERO, plan.first_weight, plan.second_weight, plan.bad];
    Step::ALL.into_iter().zip(begun).for_each(|(step, at)| steps.begin(step, at));
    let mut history = History::default();
    for second in 0..19 {
        history.add(Sample {
            at: Duration::from_secs(second),
            weight: [0.0, 0.05, 0.25][usize::try_from(second / 7).unwrap()],
            canary_failed: second.saturating_sub(16) * 30,
            stable_failed: 0,
        });
    }
    let weight = |text| Weight::parse(text).unwrap();
    let verdict = verdict(VerdictKind::Undecided, UNDECIDED, 14.2);
    let canary = CanaryView {
        back_off: None,
        name: "canary".into(),
        upstream: "shop-v2".into(),
        aim: weight("25%"),
        ceiling: weight("100%"),
        effective: weight("25%"),
        file_aim: weight("0%"),
        verdict,
        window: window(998, 298, 85_000),
        lots: None,
    };
    let stable =
        StableView { upstream: "shop-v1".into(), effective: weight("75%"), window: window(3_001, 0, 5_100) };
    let tally = |requests, failed| Tally { requests, failed, p50_us: Some(5_000), p99_us: Some(9_000) };
    Scene {
        elapsed: Duration::from_millis(18_240),
        end: plan.end,
        route: RouteView {
            name: "shop".into(),
            revision: 3,
            deny: false,
            unsaved: false,
            drifts: false,
            cord: None,
            stable: Some(stable),
            canaries: vec![canary],
            self_test: None,
            drill: None,
            release: None,
            previous_stable: None,
            mirror: None,
        },
        users: Totals { stable: tally(6_200, 0), canary: tally(1_090, 298), nobody: Tally::default() },
        steps,
        history,
        admin: SocketAddr::from(([127, 0, 0, 1], 2_636)),
    }
}

/// Shortly after it.
fn backed_off() -> Scene {
    let mut scene = bad_canary();
    let by: Arc<str> = "immune system".into();
    scene.route.cord = Some(Cord { by, why: REASON.into(), at_ms: 0, decision: "0198".into() });
    let canary = &mut scene.route.canaries[0];
    (canary.ceiling, canary.effective) = (Weight::ZERO, Weight::ZERO);
    canary.verdict = verdict(VerdictKind::Unhealthy, REASON, 131_816.0);
    scene.route.stable.as_mut().unwrap().effective = Weight::WHOLE;
    scene.steps.begin(Step::BackedOff, Duration::from_secs(19));
    scene
}

/// Columns that a terminal uses for it: without what only sets colours.
fn columns(line: &str) -> usize {
    let parts: Vec<&str> = line.split('\x1b').collect();
    let visible = |(index, part): (usize, &&str)| match index {
        0 => part.chars().count(),
        _ => part.chars().count() - part.find('m').unwrap() - 1,
    };
    parts.iter().enumerate().map(visible).sum()
}

fn verdict(kind: VerdictKind, reason: &str, odds: f64) -> VerdictView {
    let reason = reason.to_owned();
    let (signals, outside) = Default::default();
    VerdictView { kind, reason, odds, holds: false, signals, outside, compared_with: "stable".into() }
}

#[test]
fn no_line_is_longer_than_the_terminal_is_wide() {
    for scene in [bad_canary(), backed_off()] {
        for width in [40, WIDTH_MIN, 80, 100] {
            for ink in [Ink::Plain, Ink::Color] {
                let lines = draw(&scene, width, ink);
                assert_eq!(lines.len(), HEIGHT);
                for line in lines {
                    assert!(columns(&line) <= width, "{width}: {line}");
                }
            }
        }
    }
}

#[test]
fn the_usual_terminal_and_the_smallest_cut_nothing_off() {
    for scene in [bad_canary(), backed_off()] {
        for width in [WIDTH_MIN, 80] {
            let lines = draw(&scene, width, Ink::Plain);
            // The cord's hint and a long reason may be cut at 60 columns, nothing else.
            let cut: Vec<&String> = lines.iter().filter(|line| line.ends_with('…')).collect();
            assert!(cut.len() <= 2 * usize::from(width < 80), "{width}: {cut:#?}");
        }
    }
}

#[test]
fn colours_add_nothing_to_the_words() {
    let without_codes = |line: &String| {
        let mut parts = line.split('\x1b');
        let first = parts.next().unwrap().to_owned();
        first + &parts.map(|part| &part[part.find('m').unwrap() + 1..]).collect::<String>()
    };
    let colored = draw(&backed_off(), 80, Ink::Color);
    let plain = draw(&backed_off(), 80, Ink::Plain);
    assert!(colored.iter().any(|line| line.contains('\x1b')));
    assert_eq!(colored.iter().map(without_codes).collect::<Vec<_>>(), plain);
}

#[test]
fn a_bad_canary_looks_like_this() {
    let expected = "
 ANDON demo: a canary turns bad                                18.2 s of 30.0 s
               req/s     errors         p50         p95         p99     failed
● stable       300.1       0.0%      5.1 ms      8.1 ms      9.1 ms       none
▲ canary        99.8      29.9%     85.0 ms     88.0 ms     89.0 ms      ✗ 298

weights   stable 75% ████████████████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒ 25% canary
verdict   ? undecided  [■■■■········] odds 14.2:1 that it is worse
          odds 14.2:1 against chance that the canary is worse; held from 20:1,
          unhealthy from 1e+03:1
cord      ○ not pulled

canary %  ················▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂██████████
✗ canary  ·····································▆████
✗ stable  ··········································

✓   0.0 s  stable serves everyone, 400 requests a second
✓   2.5 s  the release manager gives the canary 5%
✓   9.1 s  all is well: the canary gets 25%
▸  16.5 s  the canary turns bad: 30% fail, all +80 ms
·          Andon backs it off and pulls the cord

try it    andon status
          http://127.0.0.1:2636/ in a browser: the dashboard
";
    check(&bad_canary(), expected);
}

#[test]
fn a_pulled_cord_is_in_the_picture() {
    let picture = draw(&backed_off(), 80, Ink::Plain).join("\n");
    for words in ["✗ UNHEALTHY", "131 816:1", "● PULLED by immune system", "stable 100% ██", " 0% canary"]
    {
        assert!(picture.contains(words), "{words} is not in\n{picture}");
    }
}

#[test]
fn a_weight_that_is_not_zero_can_be_seen() {
    let mut scene = bad_canary();
    scene.route.canaries[0].effective = Weight::from_ppm(1).unwrap();
    assert!(draw(&scene, WIDTH_MIN, Ink::Plain).join("\n").contains("█▒ 0.0001% canary"));
}

fn check(scene: &Scene, expected: &str) {
    let lines = draw(scene, 80, Ink::Plain);
    let drawn: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    let drawn = drawn.join("\n");
    assert_eq!(drawn.trim_end(), expected.trim_matches('\n'), "\n{drawn}");
}
