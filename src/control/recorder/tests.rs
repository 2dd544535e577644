//! What is recorded is enough to find every decision again, to the last bit, and no more than is needed.

mod week;

use std::time::Duration;

use super::*;
use crate::immune::journal::{FRAMES_MAX, Segment};
use crate::immune::{Counts, Verdict};

fn upstream() -> Arc<str> {
    "v2".into()
}

fn counts(requests: u64, failed: u64) -> Counts {
    Counts { requests, failed, connect_errors: 0 }
}

struct Play {
    live: Recorded,
    now_ms: i64,
    in_race: bool,
}

impl Play {
    fn new() -> Self {
        Self { live: Recorded::new(&Judge::default()), now_ms: 1_000_000, in_race: true }
    }

    fn call(&mut self, canary: Counts, stable: Counts) {
        self.now_ms += 100;
        let look = Look { now_ms: self.now_ms, in_race: self.in_race, asks: false, upstream: &upstream() };
        self.live.call(look, Call { step_us: 100_000, canary, stable });
    }

    fn second(&mut self, canary: Counts, stable: Counts) {
        for _ in 0..10 {
            self.call(canary, stable);
        }
        self.live.tick(&Detail::default(), &Detail::default());
    }

    fn well(&mut self, seconds: u32) {
        (0..seconds).for_each(|_| self.second(counts(5, 0), counts(95, 0)));
    }

    fn cuts(&mut self) -> Vec<Cut> {
        self.live.take_cuts().collect()
    }
}

fn replayed(cut: &Cut) -> Guard {
    Segment::decode(&cut.blob).unwrap().replay(|_, _| {})
}

#[test]
fn a_minute_is_a_segment_and_the_first_one_is_marked() {
    let mut play = Play::new();
    play.well(FRAMES_MAX * 2 + 3);
    let cuts = play.cuts();
    let shape: Vec<_> = cuts.iter().map(|cut| (cut.fresh, cut.frames)).collect();
    assert_eq!(shape, [(true, 0), (false, FRAMES_MAX), (false, FRAMES_MAX)]);
    assert_eq!((cuts[1].began_ms, cuts[1].ended_ms), (1_000_000, 1_060_000));
    assert_eq!((cuts[2].began_ms, cuts[2].ended_ms), (1_060_000, 1_120_000));
    assert_eq!(cuts[1].upstream, upstream());
    play.live.cut();
    assert_eq!(play.cuts()[0].frames, 3);
    assert_eq!(play.live.take_dropped(), 0);
}

#[test]
fn a_decision_in_the_middle_of_a_tick_is_the_last_frame() {
    let mut play = Play::new();
    play.well(5);
    let calls = (0..100).find(|_| {
        play.call(counts(5, 5), counts(95, 0));
        play.live.is_unhealthy()
    });
    assert!(calls.unwrap() % 10 != 9, "the tick is not over");
    let place = play.live.decided().unwrap();
    assert_eq!(play.live.decided(), Some(place), "both decisions of one look are there");
    let cut = play.cuts().pop().unwrap();
    assert_eq!(place, Place { began_ms: cut.began_ms, frame: cut.frames - 1 });
    assert_eq!(replayed(&cut).verdict(), play.live.verdict());
    assert!(!Segment::decode(&cut.blob).unwrap().frames.last().unwrap().tick_is_over);

    // The rest of the tick is told by the next segment.
    play.call(counts(5, 0), counts(95, 0));
    play.live.tick(&Detail::default(), &Detail::default());
    play.live.cut();
    let rest = replayed(&play.cuts()[0]);
    assert_eq!(rest.odds().to_bits(), play.live.odds().to_bits());
}

#[test]
fn whoever_touches_the_guard_begins_a_segment_and_a_new_release_is_marked() {
    let mut play = Play::new();
    play.well(2);
    play.live.skip(2);
    play.well(2);
    play.live.reconfigure(&Judge { hold_at: 30.0, ..Judge::default() });
    play.live.reconfigure(&Judge { hold_at: 30.0, ..Judge::default() });
    play.well(2);
    play.live.restart();
    play.well(2);
    play.live.replace(Guard::new(&Judge::default()));
    play.well(2);
    play.live.cut();
    let cuts = play.cuts();
    let shape: Vec<_> = cuts.iter().map(|cut| (cut.fresh, cut.frames)).collect();
    let (mark, segment) = ((true, 0), (false, 2));
    assert_eq!(shape, [mark, segment, segment, segment, mark, segment, mark, segment]);
    assert_eq!(Segment::decode(&cuts[3].blob).unwrap().guard.judge().hold_at, 30.0);
    assert_eq!(replayed(&cuts[7]).odds().to_bits(), play.live.odds().to_bits());
}

#[test]
fn only_a_canary_in_the_race_is_recorded() {
    let mut play = Play::new();
    play.in_race = false;
    (0..100).for_each(|_| play.second(counts(0, 0), counts(95, 0)));
    assert_eq!(play.cuts(), []);
    assert_eq!(play.live.decided(), None);
    play.in_race = true;
    play.well(3);
    play.in_race = false;
    play.second(counts(1, 0), counts(95, 0)); // the last requests come in
    (0..100).for_each(|_| play.second(counts(0, 0), counts(95, 0)));
    play.second(counts(1, 0), counts(95, 0)); // a very late one
    (0..100).for_each(|_| play.second(counts(0, 0), counts(95, 0)));
    let shape: Vec<_> = play.cuts().iter().map(|cut| (cut.fresh, cut.frames)).collect();
    assert_eq!(shape, [(true, 0), (false, 5), (false, 2)], "and one idle tick ends it");
}

#[test]
fn cuts_that_nobody_takes_are_dropped_and_counted() {
    let mut play = Play::new();
    for _ in 0..=CUTS_MAX {
        play.well(1);
        play.live.cut();
    }
    assert_eq!(play.live.take_dropped(), 2);
    assert_eq!(play.live.take_dropped(), 0);
    assert_eq!(play.cuts().len(), CUTS_MAX);
}

#[test]
fn a_guard_goes_on_from_the_record_and_does_not_begin_anew() {
    let mut play = Play::new();
    (0..30).for_each(|second| play.second(counts(5, u64::from(second % 8 == 0)), counts(95, 1)));
    play.live.cut();
    let cut = play.cuts().pop().unwrap();
    let mut second = Play::new();
    second.live.resume(replayed(&cut));
    for play in [&mut play, &mut second] {
        play.well(2);
        play.live.cut();
    }
    assert_eq!(second.live.odds().to_bits(), play.live.odds().to_bits());
    assert!(play.live.odds() > 0.0);
    assert_eq!(second.cuts()[0].frames, 2, "no mark");
    assert!(matches!(play.live.verdict(), Verdict::Undecided(_)));
    assert_eq!(play.live.judge().tick, Duration::from_secs(1));
}

/// With weight 5%: what a minute of ticks takes in the store, guard and all. Latencies spread as those of a web service do:
/// half below 50 ms, one in a hundred above 200 ms.
fn bytes_a_minute(requests_a_second: u64) -> usize {
    let mut chance = fastrand::Rng::with_seed(11);
    let mut play = Play::new();
    let mut latencies = |requests: u64| {
        let mut detail = Detail::default();
        for _ in 0..requests {
            // Twelve draws make a bell.
            let bell = (0..12).map(|_| chance.f64()).sum::<f64>() - 6.0;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some milliseconds")]
            detail
                .latency
                .add(crate::metrics::histogram::bucket_of((50_000.0 * (0.6 * bell).exp()) as u64), 1);
        }
        detail
    };
    let canary = requests_a_second / 20;
    for second in 0..180 {
        for _ in 0..10 {
            play.call(
                counts(canary / 10, 0),
                counts((requests_a_second - canary) / 10, u64::from(second % 3 == 0)),
            );
        }
        let (canary, stable) = (latencies(canary), latencies(requests_a_second - canary));
        play.live.tick(&canary, &stable);
    }
    play.cuts().last().map(|cut| cut.blob.len()).unwrap()
}

#[test]
fn an_hour_of_a_busy_canary_takes_two_megabytes() {
    let [busy, quiet] = [1_000, 50].map(bytes_a_minute);
    eprintln!("{} and {} bytes a canary-hour", busy * 60, quiet * 60);
    assert!(busy * 60 < 2 << 20, "{busy} bytes a minute");
    assert!(quiet * 60 < 1 << 20, "{quiet} bytes a minute");
}
