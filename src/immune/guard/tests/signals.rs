//! Each signal by itself: latency, ceilings, events, proofs of health; and a guard that is written down.

use super::super::super::verdict::Of;
use super::*;

#[test]
fn health_is_proved_and_what_is_missing_is_told() {
    let mut play = Play::new(&errors_only());
    let verdict = play.second(counts(37, 0), counts(963, 0));
    assert_eq!(
        verdict.sentence(),
        "37 of about 1100 requests for a proof that it is not failing more than 1.5 times stable's share and 0.5%"
    );
    play.seconds(10, counts(37, 0), counts(963, 1));
    assert!(!matches!(play.guard.verdict(), Verdict::Healthy(_)));
    let Verdict::Healthy(standing) = play.seconds(20, counts(37, 0), counts(963, 1)).clone() else {
        panic!("{}", play.guard.verdict().sentence());
    };
    assert_eq!((standing.canary.requests, standing.stable.unlucky), (31 * 37, 30));
    assert!(standing.odds >= 20.0);
    let sentence = play.guard.verdict().sentence();
    assert!(
        sentence.starts_with(
            "canary fails 0% [0, 0.63] of requests (0/1147) vs stable 0.1% (30/29853) in the last 31 s"
        ),
        "{sentence}"
    );
    assert!(
        sentence.ends_with(":1 that it is not failing more than 1.5 times stable's share and 0.5%"),
        "{sentence}"
    );
}

#[test]
fn health_takes_proof_of_latency_too() {
    let judge = Judge { ceilings: Vec::new(), fast_trip: None, ..Judge::default() };
    let alike = [(10_000, 45), (40_000, 4), (200_000, 1)];
    let stable = alike.map(|(us, count)| (us, count * 19));
    let mut play = Play::new(&judge);
    (0..60).for_each(|_| drop(play.latencies(&alike, &stable).sentence()));
    assert!(matches!(play.guard.verdict(), Verdict::Healthy(_)), "{}", play.guard.verdict().sentence());
    // All ten times as slow: never healthy, and said why.
    let slow = alike.map(|(us, count)| (10 * us, count));
    let mut play = Play::new(&Judge { latency: Mode::Watch, ..judge });
    (0..60).for_each(|_| drop(play.latencies(&slow, &stable).sentence()));
    let Verdict::Undecided(Missing::Proof(standing)) = play.guard.verdict() else {
        panic!("{}", play.guard.verdict().sentence());
    };
    assert!(matches!(standing.of, Of::Latency { .. }), "{standing:?}");
}

#[test]
fn a_slow_canary_is_found_and_told_after_its_warm_up() {
    let judge = Judge { warm_up: Duration::from_secs(10), ..Judge::default() };
    let mut play = Play::new(&judge);
    (0..60).for_each(|_| drop(play.latencies(&[], &[(50_000, 855), (100_000, 95)]).sentence()));
    for _ in 0..10 {
        assert!(
            !play.latencies(&[(50_000, 25), (400_000, 25)], &[(50_000, 855), (100_000, 95)]).is_unhealthy()
        );
    }
    let ticks = (1..60).find(|_| {
        play.latencies(&[(50_000, 25), (400_000, 25)], &[(50_000, 855), (100_000, 95)]).is_unhealthy()
    });
    assert!(ticks.is_some_and(|ticks| ticks <= 8), "{ticks:?}");
    let found = finding(play.guard.verdict());
    assert_eq!(found.signal.label(), "latency");
    let sentence = found.sentence();
    assert!(sentence.starts_with("canary is slower than "), "{sentence}");
    assert!(sentence.contains("(stable p"), "{sentence}");
    assert!(found.evidence()["limit"]["canary_slow_seconds"].as_f64() > Some(0.07));
}

#[test]
fn a_signal_that_watches_is_noticed_once_and_acts_never() {
    let judge = Judge { errors: Mode::Watch, fast_trip: None, ceilings: Vec::new(), ..Judge::default() };
    let mut play = Play::new(&judge);
    let verdict = play.seconds(60, counts(50, 25), counts(950, 0));
    assert!(!verdict.is_unhealthy());
    let noticed = play.guard.take_noticed();
    assert_eq!(noticed.iter().map(|finding| finding.signal.label()).collect::<Vec<_>>(), ["errors"]);
    assert!(noticed[0].odds >= 1_000.0);
    play.seconds(60, counts(50, 25), counts(950, 0));
    assert_eq!(play.guard.take_noticed(), []);
    play.guard.restart();
    play.seconds(60, counts(50, 25), counts(950, 0));
    assert_eq!(play.guard.take_noticed().len(), 1);
}

#[test]
fn a_latency_ceiling_needs_a_canary_that_is_worse() {
    let limit =
        CeilingLimit::Latency { percentile: 0.9, max: LatencyMax::Absolute(Duration::from_millis(100)) };
    let ceiling =
        config::Ceiling { limit, window: Duration::from_secs(10), min_requests: 100, mode: Mode::Act };
    let judge =
        Judge { warm_up: Duration::ZERO, false_alarm: 1e-9, ceilings: vec![ceiling], ..Judge::default() };
    let (slow, fast) = ([(50_000, 40), (300_000, 10)], [(50_000, 940), (300_000, 10)]);
    let mut play = Play::new(&judge);
    let found = (0..60).find(|_| play.latencies(&slow, &fast).is_unhealthy());
    assert!(found.is_some());
    let finding = finding(play.guard.verdict());
    assert_eq!(finding.signal.label(), "latency_ceiling");
    assert!(finding.sentence().starts_with("canary's p90 is above 100 ms: 20% "), "{}", finding.sentence());
    // Both are as slow: nobody's fault.
    let mut play = Play::new(&judge);
    let both = [(50_000, 760), (300_000, 190)];
    assert!((0..60).all(|_| !play.latencies(&slow, &both).is_unhealthy()));
}

#[test]
fn fewer_events_make_a_canary_unhealthy() {
    let terms = EventTerms { name: "order".into(), tolerate: 1.25, mode: Mode::Act };
    let mut play = Play::new(&Judge { events: vec![terms], ..bet_only() });
    let mut play_ticks = |canary_events: u64, ticks: u32| {
        for _ in 0..ticks {
            play.now_us += SECOND_US;
            let detail = |events| Detail { events: [events, 0, 0, 0], ..Detail::default() };
            play.at_once(counts(50, 0), counts(950, 0), &detail(canary_events), &detail(190));
        }
        play.guard.verdict()
    };
    assert!(!play_ticks(10, 600).is_unhealthy());
    let found = finding(play_ticks(2, 120));
    assert_eq!(found.signal.label(), "event");
    assert!(found.sentence().starts_with("canary has \"order\" on 4"), "{}", found.sentence());
}

#[test]
fn after_a_step_down_the_canary_is_not_believed_for_a_while() {
    let mut play = Play::new(&bet_only());
    play.seconds(60, counts(50, 0), counts(950, 0));
    let odds = play.guard.odds();
    play.guard.skip(2);
    play.seconds(2, counts(50, 50), counts(950, 0));
    assert_eq!(play.guard.odds(), odds);
    play.second(counts(50, 50), counts(950, 0));
    assert!(play.guard.odds() > odds);
}

#[test]
fn a_guard_that_is_written_down_goes_on_to_the_last_bit() {
    let judge = Judge { warm_up: Duration::from_secs(3), ..Judge::default() };
    let mut play = Play::new(&judge);
    let step = |play: &mut Play, tick: u64| {
        play.latencies(
            &[(50_000 + tick * 977, 40), (90_000, 10)],
            &[(50_000, 800), (80_000 + tick * 131, 150)],
        );
        play.second(counts(50, tick % 3), counts(950, tick % 5));
    };
    (0..20).for_each(|tick| step(&mut play, tick));
    let bytes = postcard::to_allocvec(&play.guard).unwrap();
    let mut read = Play::with(postcard::from_bytes(&bytes).unwrap());
    read.now_us = play.now_us;
    read.pace = play.pace;
    for tick in 20..60 {
        step(&mut play, tick);
        step(&mut read, tick);
        assert_eq!(play.guard.odds().to_bits(), read.guard.odds().to_bits());
        assert_eq!(play.guard.verdict(), read.guard.verdict());
    }
    assert_eq!(postcard::to_allocvec(&play.guard).unwrap(), postcard::to_allocvec(&read.guard).unwrap());
    assert!(bytes.len() < 8_192, "{} bytes", bytes.len());
}
