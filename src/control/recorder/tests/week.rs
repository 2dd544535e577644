//! A week of one canary, on a clock of its own: good days, blips, incidents that stable shares, and faults of each kind. What
//! was decided live is found again in the record, to the last bit, and nothing else is.
//!
//! Ticks are 10 s, looks a second apart, at night 10 s, when the canary has no weight: or the test would take a minute.

use super::*;
use crate::config::Mode;
use crate::metrics::histogram::bucket_of;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const LOOKS_A_TICK: u64 = 10;
/// Between a back-off and the person who resets the cord.
const REPAIR: u64 = 600;

/// A decision, as it was made live.
struct Decided {
    place: Place,
    finding: Finding,
    odds: u64,
}

/// How the canary behaves at a second of the week: the shares that fail, and how much slower it is.
struct Behaviour {
    canary_fails: f64,
    stable_fails: f64,
    slower: f64,
}

struct Week {
    live: Recorded,
    chance: fastrand::Rng,
    cuts: Vec<Cut>,
    decided: Vec<Decided>,
    out_until: u64,
}

fn behaviour(at: u64) -> Behaviour {
    let (day, second) = (at / DAY, at % DAY);
    let mut now = Behaviour { canary_fails: 0.001, stable_fails: 0.001, slower: 1.0 };
    let within = |from: u64, seconds: u64| (from..from + seconds).contains(&second);
    match day {
        1 if within(10 * HOUR, REPAIR) => now.canary_fails = 0.05,
        2 if within(14 * HOUR, REPAIR) => now.slower = 2.0,
        3 if within(12 * HOUR + 4, REPAIR) => now.canary_fails = 1.0,
        4 if within(9 * HOUR, REPAIR) => now.canary_fails = 0.1,
        5 if within(11 * HOUR, HOUR) => (now.canary_fails, now.stable_fails) = (0.3, 0.3),
        6 if within(15 * HOUR, HOUR) => now.canary_fails = 0.02,
        _ => {}
    }
    if second % (3 * HOUR) == 0 {
        now.canary_fails = 0.5; // a blip
    }
    now
}

impl Week {
    fn new() -> Self {
        Self {
            live: Recorded::new(&judge(Mode::Act)),
            chance: fastrand::Rng::with_seed(7),
            cuts: Vec::new(),
            decided: Vec::new(),
            out_until: 0,
        }
    }

    fn of(&mut self, requests: u64, share: f64) -> Counts {
        let failed = (0..requests).filter(|_| self.chance.f64() < share).count();
        counts(requests, failed as u64)
    }

    fn latencies(&mut self, requests: u64, slower: f64) -> Detail {
        let mut detail = Detail::default();
        for _ in 0..requests {
            let us = 20_000.0 * slower * (1.0 + 3.0 * self.chance.f64().powi(4));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some milliseconds")]
            detail.latency.add(bucket_of(us as u64), 1);
        }
        detail
    }

    fn look(&mut self, at: u64) {
        let is_day = (7..20).contains(&(at % DAY / HOUR));
        let tick_is_over = at % LOOKS_A_TICK == LOOKS_A_TICK - 1;
        if !is_day && !tick_is_over {
            return;
        }
        let in_race = is_day && at >= self.out_until;
        let now = behaviour(at);
        let canary = self.of(if in_race { 6 } else { 0 }, now.canary_fails);
        let stable = self.of(20, now.stable_fails);
        let now_ms = 1_700_000_000_000 + i64::try_from(at * 1_000).unwrap();
        let look = Look { now_ms, in_race, asks: false, upstream: &upstream() };
        let step_us = if is_day { 1_000_000 } else { 10_000_000 };
        self.live.call(look, Call { step_us, canary, stable });
        if tick_is_over {
            let canary = self.latencies(if in_race { 60 } else { 0 }, now.slower);
            let stable = self.latencies(200, 1.0);
            self.live.tick(&canary, &stable);
        }
        self.decide(at, in_race);
        self.cuts.extend(self.live.take_cuts());
    }

    fn decide(&mut self, at: u64, in_race: bool) {
        for finding in self.live.take_noticed() {
            self.record(finding);
        }
        if let Some(finding) = self.live.finding().cloned()
            && in_race
        {
            self.record(finding);
            self.out_until = at + REPAIR;
        }
    }

    fn record(&mut self, finding: Finding) {
        let place = self.live.decided().expect("the canary is in the race");
        self.decided.push(Decided { place, finding, odds: self.live.odds().to_bits() });
    }

    fn play(&mut self) {
        for at in 0..7 * DAY {
            match at {
                // A reload, and back.
                at if at == 4 * DAY => self.live.reconfigure(&judge(Mode::Watch)),
                at if at == 5 * DAY => self.live.reconfigure(&judge(Mode::Act)),
                // Another process goes on from the record.
                at if at == 6 * DAY + 12 * HOUR => self.resume(),
                at if at == self.out_until || at % DAY == 7 * HOUR => self.live.restart(),
                _ => {}
            }
            self.look(at);
        }
        self.live.cut();
        self.cuts.extend(self.live.take_cuts());
        assert_eq!(self.live.take_dropped(), 0);
    }

    fn resume(&mut self) {
        self.live.cut();
        self.cuts.extend(self.live.take_cuts());
        let mut next = Recorded::new(&judge(Mode::Act));
        next.resume(replayed(self.cuts.last().unwrap()));
        self.live = next;
    }
}

fn judge(errors: Mode) -> Judge {
    let hour = Duration::from_hours(1);
    let mut judge = Judge { tick: Duration::from_secs(10), errors, ..Judge::default() };
    judge.warm_up = Duration::from_secs(60);
    judge.ceilings.iter_mut().for_each(|ceiling| ceiling.window = hour / 6);
    judge
}

/// What a record finds, in order: each finding, with the odds after its frame.
fn found_again(cuts: &[Cut]) -> Vec<Decided> {
    let mut found = Vec::new();
    for cut in cuts {
        let segment = Segment::decode(&cut.blob).unwrap();
        assert_eq!(u32::try_from(segment.frames.len()), Ok(cut.frames));
        let (mut frame, mut was_unhealthy) = (0, segment.guard.is_unhealthy());
        segment.replay(|_, guard| {
            let place = Place { began_ms: cut.began_ms, frame };
            let odds = guard.odds().to_bits();
            let mut add = |finding| found.push(Decided { place, finding, odds });
            guard.take_noticed().into_iter().for_each(&mut add);
            guard.finding().filter(|_| !was_unhealthy).cloned().into_iter().for_each(&mut add);
            was_unhealthy = guard.is_unhealthy();
            frame += 1;
        });
    }
    found
}

#[test]
fn every_decision_of_a_week_is_found_again_to_the_last_bit() {
    let mut week = Week::new();
    week.play();
    let again = found_again(&week.cuts);
    let signals: Vec<_> = week.decided.iter().map(|one| one.finding.signal.label()).collect();
    for signal in ["errors", "latency", "fast_trip", "error_ceiling"] {
        assert!(signals.contains(&signal), "{signals:?}");
    }
    assert!(signals.len() < 20, "a good day is left alone: {signals:?}");
    assert_eq!(again.len(), week.decided.len(), "nothing is found that was not decided");
    for (live, again) in week.decided.iter().zip(&again) {
        assert_eq!(again.place, live.place);
        assert_eq!(again.finding, live.finding);
        assert_eq!(again.odds, live.odds);
        assert_eq!(again.finding.odds.to_bits(), live.finding.odds.to_bits());
    }
    let bytes: usize = week.cuts.iter().map(|cut| cut.blob.len()).sum();
    assert!(bytes < 32 << 20, "{bytes} bytes");
}
