//! Worlds: what canary and stable do, second by second. All are stretches of a failure rate that is the same for
//! both, or is not; requests arrive at random.

use super::chance::Chance;
use super::play::{Both, Span, counts};

/// One world of one run. It may remember.
pub(crate) type World = Box<dyn FnMut(&mut Chance, Span) -> Both>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) per_s: f64,
    pub(crate) weight: f64,
}

impl Traffic {
    pub(crate) fn arrivals(self, chance: &mut Chance, long_s: f64) -> [u64; 2] {
        let all = self.per_s * long_s;
        [self.weight, 1.0 - self.weight].map(|share| chance.poisson(all * share))
    }
}

pub(crate) const USUAL: Traffic = Traffic { per_s: 1_000.0, weight: 0.05 };

fn both(chance: &mut Chance, [canary, stable]: [u64; 2], [bad, good]: [f64; 2]) -> Both {
    let failed = [chance.binomial(canary, bad), chance.binomial(stable, good)];
    Both { canary: counts(canary, failed[0]), stable: counts(stable, failed[1]) }
}

/// Each request fails by itself: so many of the canary's, so many of stable's.
pub(crate) fn independent(traffic: Traffic, rates: [f64; 2]) -> World {
    Box::new(move |chance, span| {
        let arrivals = traffic.arrivals(chance, span.long_s);
        both(chance, arrivals, rates)
    })
}

/// A fault that begins at some moment within a second.
pub(crate) fn turning_bad(traffic: Traffic, [bad, good]: [f64; 2], at_s: f64) -> World {
    Box::new(move |chance, span| {
        let arrivals = traffic.arrivals(chance, span.long_s);
        let part = ((span.at_s + span.long_s - at_s) / span.long_s).clamp(0.0, 1.0);
        both(chance, arrivals, [part * bad + (1.0 - part) * good, good])
    })
}

/// Failures come in clumps of about `size`, each on one variant.
pub(crate) fn clumps(traffic: Traffic, rate: f64, size: f64) -> World {
    Box::new(move |chance, span| {
        let [canary, stable] = traffic.arrivals(chance, span.long_s).map(|arrived| {
            let clumps = chance.poisson(arrived as f64 * rate / size);
            let failed: u64 = (0..clumps).map(|_| chance.geometric(size)).sum();
            counts(arrived, failed.min(arrived))
        });
        Both { canary, stable }
    })
}

/// The failure rate of each variant is drawn anew each second: mostly next to nothing, rarely very much.
pub(crate) fn gamma_rates(traffic: Traffic, rate: f64, shape: f64) -> World {
    Box::new(move |chance, span| {
        let arrivals = traffic.arrivals(chance, span.long_s);
        let rates = [(); 2].map(|()| (rate * chance.gamma(shape)).min(1.0));
        both(chance, arrivals, rates)
    })
}

/// Six times an hour, for about ten seconds, 5% to 100% of all requests fail, whoever serves them.
pub(crate) fn shared_incidents(traffic: Traffic, rate: f64) -> World {
    let mut next: Option<[f64; 3]> = None; // from, to, share
    Box::new(move |chance, span| {
        let arrivals = traffic.arrivals(chance, span.long_s);
        let [from, to, share] = *next.get_or_insert_with(|| incident(chance, 0.0));
        let overlap = (to.min(span.at_s + span.long_s) - from.max(span.at_s)).max(0.0) / span.long_s;
        if to <= span.at_s + span.long_s {
            next = Some(incident(chance, to));
        }
        let rate = overlap * share + (1.0 - overlap) * rate;
        both(chance, arrivals, [rate; 2])
    })
}

fn incident(chance: &mut Chance, after_s: f64) -> [f64; 3] {
    let from = after_s + chance.exponential(600.0);
    [from, from + chance.exponential(10.0), chance.between(0.05, 1.0)]
}

/// Traffic and failure rate go up and down with the time of day; a day is as long as the run, or there is no run that
/// meets both. The canary sees as much of it as stable.
pub(crate) fn diurnal(traffic: Traffic, rate: f64, day_s: f64) -> World {
    Box::new(move |chance, span| {
        let wave = (std::f64::consts::TAU * span.at_s / day_s).sin();
        let now = Traffic { per_s: traffic.per_s * (1.0 + 0.8 * wave), ..traffic };
        let arrivals = now.arrivals(chance, span.long_s);
        both(chance, arrivals, [rate * 4.0_f64.powf(wave); 2])
    })
}

/// The weight climbs from 1% over 5% and 25% to 50% while the rate that both share drifts from 0.1% to 2%.
pub(crate) fn ramp(per_s: f64, long_s: f64) -> World {
    Box::new(move |chance, span| {
        let done = span.at_s / long_s;
        let weight = match done {
            ..0.25 => 0.01,
            ..0.5 => 0.05,
            ..0.75 => 0.25,
            _ => 0.5,
        };
        let arrivals = Traffic { per_s, weight }.arrivals(chance, span.long_s);
        both(chance, arrivals, [0.001 + 0.019 * done; 2])
    })
}

/// Each of twenty endpoints has blips of its own, and the canary is one of them.
pub(crate) fn blips(per_s: f64, per_h: f64, long_s: f64) -> World {
    let mut until = [0.0_f64; 20];
    let mut next: Vec<f64> = Vec::new();
    Box::new(move |chance, span| {
        if next.is_empty() {
            next = (0..until.len()).map(|_| chance.exponential(3600.0 / per_h)).collect();
        }
        let end_s = span.at_s + span.long_s;
        let mut counted = [(0, 0); 2];
        for pod in 0..until.len() {
            let mut out = (until[pod].min(end_s) - span.at_s).max(0.0);
            while next[pod] < end_s {
                let long_s = chance.exponential(long_s);
                until[pod] = next[pod] + long_s;
                out += until[pod].min(end_s) - next[pod];
                next[pod] = until[pod] + chance.exponential(3600.0 / per_h);
            }
            let arrived = chance.poisson(per_s * span.long_s / until.len() as f64);
            let rate = 0.001 + 0.5 * (out / span.long_s).min(1.0);
            let variant = &mut counted[usize::from(pod > 0)];
            *variant = (variant.0 + arrived, variant.1 + chance.binomial(arrived, rate));
        }
        let [canary, stable] = counted.map(|(arrived, failed)| counts(arrived, failed));
        Both { canary, stable }
    })
}
