//! What the forecast says, beside what the method was measured to do, and where it has nothing to say.

use super::*;
use crate::config::{FastTrip, Mode};

const HOUR: Duration = Duration::from_hours(1);

fn weight(text: &str) -> Weight {
    Weight::parse(text).unwrap()
}

fn traffic(rps: f64, base: f64) -> Traffic {
    Traffic { rps, base, beside: Beside::Rest { others: Weight::ZERO } }
}

/// Without the operator's own rules: the bet alone, as it was measured.
fn bet_only() -> Judge {
    Judge { fast_trip: None, ceilings: Vec::new(), ..Judge::default() }
}

fn one_harm(judge: &Judge, traffic: Traffic, share: &str, worse: f64, seed: u64) -> Harm {
    harm(&Stage { judge, traffic, within: HOUR, seed }, weight(share), worse)
}

/// Medians of delay, canary requests and failed ones, each the mean of two forecasts.
fn medians(rps: f64, share: &str, worse: f64) -> [f64; 3] {
    let harms = [1, 2].map(|seed| one_harm(&bet_only(), traffic(rps, 0.001), share, worse, seed));
    let mean = |of: fn(&Harm) -> Spread| harms.iter().map(|harm| of(harm).median.unwrap()).sum::<f64>() / 2.0;
    [mean(|harm| harm.delay_seconds), mean(|harm| harm.requests), mean(|harm| harm.failed)]
}

/// The method's own simulation, with two hundred releases a cell, was made with another program.
#[test]
fn the_method_s_own_figures_come_out_again() {
    for (rps, share, worse, measured) in [
        (1_000.0, "5%", 0.01, [23.0, 1_121.0, 11.0]),
        (1_000.0, "0.1%", 0.05, [73.0, 69.0, 4.0]),
        (1_000.0, "1%", 0.01, [86.0, 871.0, 9.0]),
        (50.0, "5%", 0.05, [42.0, 104.0, 5.0]),
        (50.0, "5%", 0.01, [352.0, 890.0, 10.0]),
        (50.0, "1%", 0.05, [154.0, 74.0, 4.0]),
    ] {
        let told = medians(rps, share, worse);
        for ((told, measured), slack) in told.into_iter().zip(measured).zip([0.0, 0.0, 1.0]) {
            // A count of four is known to a whole one only.
            let off = (told - measured).abs();
            assert!(
                off <= f64::max(measured * 0.12, slack),
                "{rps}/s {share} {worse}: {told} beside {measured}"
            );
        }
    }
}

#[test]
fn gross_harm_is_seen_as_soon_as_clipping_lets_it() {
    for (rps, share, worse, measured) in
        [(1_000.0, "5%", 0.05, 4.0), (1_000.0, "5%", 0.5, 3.0), (1_000.0, "1%", 1.0, 2.0)]
    {
        let [told, ..] = medians(rps, share, worse);
        assert!((told - measured).abs() <= 1.0, "{share} {worse}: {told} s beside {measured}");
    }
}

#[test]
fn the_fast_rule_is_played_in_its_own_time() {
    let told = one_harm(&Judge::default(), traffic(1_000.0, 0.001), "5%", 1.0, 1);
    assert_eq!(told.delay_seconds.median, Some(1.1));
    let none = Judge { fast_trip: Some(FastTrip { mode: Mode::Watch, ..FastTrip::default() }), ..bet_only() };
    let told = one_harm(&none, traffic(1_000.0, 0.001), "5%", 1.0, 1);
    assert!(told.delay_seconds.median >= Some(2.0), "{told:?}");
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let question = Question { weight: weight("5%"), worse: Some(0.05), within: Duration::from_mins(5) };
    let told = |seed| forecast(&Judge::default(), traffic(100.0, 0.001), question, seed).unwrap();
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}

#[test]
fn more_traffic_and_more_time_show_smaller_harms() {
    let seen = |rps, share: &str, within| {
        let judge = &Judge::default();
        let stage = Stage { judge, traffic: traffic(rps, 0.001), within, seed: 1 };
        smallest_seen(&stage, weight(share)).unwrap()
    };
    let minute = Duration::from_mins(1);
    let usual = seen(100.0, "5%", minute);
    assert!(seen(1_000.0, "5%", minute) < usual);
    assert!(usual < seen(100.0, "2%", minute));
    assert!(seen(100.0, "5%", 5 * minute) < usual);
}

#[test]
fn what_is_the_smallest_seen_is_seen_and_what_is_just_below_is_not() {
    let judge = &Judge::default();
    let stage = Stage { judge, traffic: traffic(100.0, 0.001), within: Duration::from_mins(2), seed: 1 };
    let smallest = smallest_seen(&stage, weight("5%")).unwrap();
    assert!(is_seen(&stage, weight("5%"), smallest));
    assert!(!is_seen(&stage, weight("5%"), smallest * 0.9));
    let needed = weight_needed(&stage, 0.05).weight.unwrap();
    assert!(is_seen(&stage, needed, 0.05));
    assert!(!is_seen(&stage, Weight::from_ppm(needed.ppm() / 2).unwrap(), 0.05));
}

#[test]
fn too_little_for_the_canary_is_a_blind_spot() {
    let blind = |rps, share: &str| blind_spot(&Judge::default(), traffic(rps, 0.001), weight(share), HOUR, 1);
    let spot = blind(20.0, "0.1%").unwrap().unwrap();
    assert_eq!(spot.worse, GROSS);
    assert!(spot.weight > Some(weight("0.1%")) && spot.weight <= Some(weight("1%")), "{spot:?}");
    assert_eq!(blind(1_000.0, "5%"), Ok(None));
    let never = blind(0.001, "5%").unwrap().unwrap();
    assert_eq!(never.weight, None);
}

#[test]
fn where_there_is_nothing_to_go_by_that_is_said() {
    let question = |share: &str| Question { weight: weight(share), worse: None, within: HOUR };
    let told = |rps, share: &str| forecast(&Judge::default(), traffic(rps, 0.001), question(share), 1);
    assert_eq!(told(0.0, "5%"), Err(Untold::NoTraffic));
    assert_eq!(told(100.0, "0%"), Err(Untold::NoWeight));
    assert_eq!(told(100.0, "100%"), Err(Untold::NothingBeside));
    let others = Traffic { beside: Beside::Rest { others: weight("95%") }, ..traffic(100.0, 0.001) };
    assert_eq!(forecast(&Judge::default(), others, question("5%"), 1), Err(Untold::NothingBeside));
}

#[test]
fn a_baseline_is_compared_with_at_its_own_share() {
    let beside = Traffic { beside: Beside::Baseline { share: weight("5%") }, ..traffic(1_000.0, 0.001) };
    let told = |traffic| one_harm(&bet_only(), traffic, "5%", 0.01, 1).delay_seconds.median.unwrap();
    assert!(told(beside) > told(traffic(1_000.0, 0.001)), "a smaller sample shows less");
}

#[test]
fn odd_numbers_are_played_too() {
    for (rps, base, worse, share) in [
        (RPS_MAX, 0.0, 1.0, "50%"),
        (1e-6, 0.0, 1.0, "0.0001%"),
        (10.0, 1.0, 1.0, "5%"),
        (10.0, 0.5, 0.1, "99.9999%"),
    ] {
        let judge = &Judge::default();
        let stage = Stage { judge, traffic: traffic(rps, base), within: WITHIN_MIN, seed: u64::MAX };
        let told = harm(&stage, weight(share), worse);
        assert!((0.0..=1.0).contains(&told.seen) && told.runs > 0, "{told:?}");
    }
}
