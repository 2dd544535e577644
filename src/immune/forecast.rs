//! How long the immune system would take to see a harm, and what that would cost: told before a release, not after it.
//!
//! There is no formula here. The guard that judges live traffic is played against seeded chance, release after release,
//! with its odds, its clipping, its ceilings and its fast rule ([`play`]), and what it did is counted. So a figure stands on
//! so many played releases, which are told beside it, and a change of the guard changes the forecast.
//!
//! Two questions are asked backwards, by bisection over round figures: the smallest failure rate that is seen in time, and
//! the smallest share of the traffic at which a given one is. "Seen" means in 9 of 10 releases. Each try is played with
//! the same luck, so that what differs is the rate or the weight alone.
//!
//! What is assumed: requests come independently of each other and fail independently, from the first moment on; stable is
//! known to the guard already; failures are answers, not refused connections; nothing is slow. Failures in clumps are seen
//! later than told, a harm that begins after hours as well (about twice as late).

mod play;

use std::time::Duration;

use play::{End, Stage};

use crate::config::units::WHOLE_PPM;
use crate::config::{Judge, Weight};

/// Releases that are played for one harm.
pub const RUNS_MAX: usize = 200;
/// Releases that are played to tell whether a harm is seen in time.
pub const TRIES: usize = 40;
/// The longest time that a forecast looks ahead.
pub const WITHIN_MAX: Duration = Duration::from_hours(24);
pub const WITHIN_MIN: Duration = Duration::from_secs(10);
/// More would be no better known: the guard sees a harm in its third tick.
pub const RPS_MAX: f64 = 1e7;

/// Of `TRIES`, that may not see a harm that counts as seen.
const MISSES_MAX: usize = TRIES / 10;
/// The harms that are looked at where none is named.
const HARMS: [f64; 4] = [1.0, 0.2, 0.05, 0.01];
/// A canary that fails so often should not go unseen.
const GROSS: f64 = 0.05;
/// And no harm is one that is not so many times what stable does.
const TIMES_STABLE: f64 = 2.0;
/// Failure rates are tried in these steps: two figures, 24 to the decade.
const RATES: [f64; 24] = [
    1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6, 6.2, 6.8,
    7.5, 8.2, 9.1,
];
const RATE_DECADES: [f64; 5] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];
/// Weights are tried in these steps, from 0.01%.
const WEIGHTS: [u32; 6] = [10, 15, 20, 30, 50, 70];
const WEIGHT_DECADES: [u32; 4] = [10, 100, 1_000, 10_000];
/// With more for the canary than for stable, less is seen again.
const WEIGHT_PPM_MAX: u32 = 500_000;

/// What the route is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Of all variants together: 0 to [`RPS_MAX`].
    pub rps: f64,
    /// Stable's share of failures: 0 to 1.
    pub base: f64,
    pub beside: Beside,
}

/// Whom the canary is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beside {
    /// Stable, which gets what the canary and others leave.
    Rest { others: Weight },
    /// A baseline with a share of its own.
    Baseline { share: Weight },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    pub weight: Weight,
    /// The one harm to look at. `None`: a few.
    pub worse: Option<f64>,
    /// [`WITHIN_MIN`] to [`WITHIN_MAX`].
    pub within: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub harms: Vec<Harm>,
    pub smallest_seen: SmallestSeen,
    pub weight_needed: WeightNeeded,
}

/// What becomes of a canary that fails so often.
#[derive(Clone, Debug, PartialEq)]
pub struct Harm {
    pub worse: f64,
    pub runs: usize,
    /// The share of runs in which the guard acted in time.
    pub seen: f64,
    pub delay_seconds: Spread,
    /// Of the canary, until the guard acted.
    pub requests: Spread,
    pub failed: Spread,
}

/// 5%, half and 95% of the releases need no more. `None`: more than what was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub low: Option<f64>,
    pub median: Option<f64>,
    pub high: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmallestSeen {
    /// `None`: not even a canary that always fails is seen in time.
    pub worse: Option<f64>,
    pub runs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightNeeded {
    pub worse: f64,
    /// `None`: no share of the traffic would do.
    pub weight: Option<Weight>,
    pub runs: usize,
}

/// Why nothing can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    NoWeight,
    NoTraffic,
    NothingBeside,
}

impl Untold {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoWeight => "nothing is sent to the canary at 0%",
            Self::NoTraffic => "no traffic, so nothing would be seen: the verdict stays undecided",
            Self::NothingBeside => "stable gets no requests, so there is nothing to compare the canary with",
        }
    }
}

impl Traffic {
    /// What the canary is compared with gets this share of the requests.
    fn share_beside(&self, weight: Weight) -> Weight {
        match self.beside {
            Beside::Rest { others } => {
                let rest_ppm = WHOLE_PPM.saturating_sub(others.ppm()).saturating_sub(weight.ppm());
                Weight::from_ppm(rest_ppm).unwrap_or(Weight::ZERO)
            }
            Beside::Baseline { share } => share,
        }
    }

    fn check(&self, weight: Weight) -> Result<(), Untold> {
        if weight.is_zero() {
            return Err(Untold::NoWeight);
        }
        if self.rps <= 0.0 {
            return Err(Untold::NoTraffic);
        }
        if self.share_beside(weight).is_zero() { Err(Untold::NothingBeside) } else { Ok(()) }
    }
}

/// The same `seed` gives the same answer.
pub fn forecast(judge: &Judge, traffic: Traffic, question: Question, seed: u64) -> Result<Forecast, Untold> {
    let Question { weight, worse, within } = question;
    traffic.check(weight)?;
    let stage = Stage { judge, traffic, within, seed };
    let harms = match worse {
        Some(worse) => vec![worse],
        None => HARMS.into_iter().filter(|harm| is_harm(*harm, traffic.base)).collect(),
    };
    let least = harms.iter().copied().fold(1.0, f64::min);
    Ok(Forecast {
        harms: harms.into_iter().map(|worse| harm(&stage, weight, worse)).collect(),
        smallest_seen: SmallestSeen { worse: smallest_seen(&stage, weight), runs: TRIES },
        weight_needed: weight_needed(&stage, least),
    })
}

/// Whether a grossly bad canary would not be seen in time at this weight; `None`: it would. For what raises weights, or
/// plans to: much cheaper than a whole forecast.
pub fn blind_spot(
    judge: &Judge,
    traffic: Traffic,
    weight: Weight,
    within: Duration,
    seed: u64,
) -> Result<Option<WeightNeeded>, Untold> {
    traffic.check(weight)?;
    let stage = Stage { judge, traffic, within, seed };
    let worse = (TIMES_STABLE * traffic.base).clamp(GROSS, 1.0);
    Ok((!is_seen(&stage, weight, worse)).then(|| weight_needed(&stage, worse)))
}

/// Of the usual harms, those that would be one here; total failure always.
fn is_harm(worse: f64, base: f64) -> bool {
    worse > TIMES_STABLE * base || worse == 1.0
}

fn harm(stage: &Stage<'_>, weight: Weight, worse: f64) -> Harm {
    let ends = stage.until_seen(weight, worse);
    let seen = ends.iter().flatten().count() as f64 / ends.len().max(1) as f64;
    let spread =
        |of: fn(&End) -> f64| Spread::of(ends.iter().map(|end| end.as_ref().map_or(f64::INFINITY, of)));
    Harm {
        worse,
        runs: ends.len(),
        seen,
        delay_seconds: spread(|end| end.seconds),
        requests: spread(|end| end.requests as f64),
        failed: spread(|end| end.failed as f64),
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |per_20: usize| {
            let last = sorted.len().checked_sub(1)?;
            sorted.get(last * per_20 / 20).copied().filter(|value| value.is_finite())
        };
        Self { low: at(1), median: at(10), high: at(19) }
    }
}

fn is_seen(stage: &Stage<'_>, weight: Weight, worse: f64) -> bool {
    stage.misses(weight, worse, TRIES, MISSES_MAX) <= MISSES_MAX
}

fn smallest_seen(stage: &Stage<'_>, weight: Weight) -> Option<f64> {
    let all = RATE_DECADES.iter().flat_map(|decade| RATES.iter().map(move |rate| two_figures(rate * decade)));
    let rates: Vec<f64> = all.chain([1.0]).filter(|rate| *rate > stage.traffic.base).collect();
    first(&rates, |worse| is_seen(stage, weight, worse))
}

fn weight_needed(stage: &Stage<'_>, worse: f64) -> WeightNeeded {
    let all = WEIGHT_DECADES.iter().flat_map(|decade| WEIGHTS.iter().map(move |weight| weight * decade));
    let weights = all.filter(|ppm| *ppm <= WEIGHT_PPM_MAX).filter_map(Weight::from_ppm);
    let possible = weights.filter(|weight| stage.traffic.check(*weight).is_ok());
    let weight = first(&possible.collect::<Vec<_>>(), |weight| is_seen(stage, weight, worse));
    WeightNeeded { worse, weight, runs: TRIES }
}

/// The first that does, where all behind one that does do as well. `None`: not even the last.
fn first<T: Copy>(all: &[T], does: impl Fn(T) -> bool) -> Option<T> {
    let last = *all.last()?;
    if !does(last) {
        return None;
    }
    let found = all[..all.len() - 1].partition_point(|one| !does(*one));
    Some(all[found])
}

/// Products of decimals are off in their last bit.
fn two_figures(rate: f64) -> f64 {
    (rate * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests;
