//! Slowness as bad luck: a request is *slow* if it took longer than a mark, and then it is bet on like a failure.
//!
//! For each percentile stable is slow from the bucket on whose remembered tail holds the rest (1% for p99), the canary
//! from the bucket on that lies `tolerate.latency` times as far and `slack` beyond. If the canary is tolerably slow, its
//! share of slow requests is no larger than stable's share of its own, whatever the distributions look like. So no
//! quantile is estimated for the decision: a mark need not be accurate, only made of the past. A bad mark costs power, never
//! validity.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::evidence::{Bet, Side, Stakes, Terms};
use super::remembered;
use super::window::Tally;
use crate::config::Judge;
use crate::metrics::histogram::{BUCKETS, Histogram, bucket_low, bucket_of};

/// Remembered requests that must lie beyond a mark before it is used.
pub const BEYOND_MIN: f64 = 10.0;
/// Percentiles beyond this need too many requests to be asked for in a proof of health.
pub const PROOF_QUANTILE_MAX: f64 = 0.99;

/// Slow in these buckets and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub stable: usize,
    pub canary: usize,
}

impl Mark {
    pub fn stable_us(self) -> u64 {
        bucket_low(self.stable)
    }

    pub fn canary_us(self) -> u64 {
        bucket_low(self.canary)
    }

    fn slow(self, canary: &Histogram, stable: &Histogram) -> (Tally, Tally) {
        (tally(canary, self.canary), tally(stable, self.stable))
    }
}

/// Requests, and those in `bucket` or above.
pub(super) fn tally(histogram: &Histogram, bucket: usize) -> Tally {
    Tally { requests: histogram.total(), unlucky: histogram.tail(bucket) }
}

/// What may be tolerated beyond a percentile of stable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Allowed {
    pub(super) factor: f64,
    pub(super) slack_us: f64,
}

impl Allowed {
    pub(super) fn of(judge: &Judge) -> Self {
        Self { factor: judge.tolerate.latency, slack_us: judge.tolerate.slack.as_micros() as f64 }
    }

    /// `None`: so slow is nothing that can be told apart.
    pub(super) fn mark(self, stable: usize) -> Option<Mark> {
        let need = self.factor * bucket_low(stable) as f64 + self.slack_us;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is compared below"
        )]
        let mut canary = bucket_of(need as u64).max(stable);
        while canary < BUCKETS && (bucket_low(canary) as f64) < need {
            canary += 1;
        }
        (canary < BUCKETS).then_some(Mark { stable, canary })
    }
}

static NOTHING: [f64; BUCKETS] = [0.0; BUCKETS];

/// Stable's latencies, decayed.
#[derive(Clone, Debug)]
pub(super) struct LatencyMemory {
    decay: f64,
    beyond_min: f64,
    /// `None` until there are any: 6 KiB.
    counts: Option<Box<[f64; BUCKETS]>>,
    /// All that is not 0 lies in `low..high`.
    low: usize,
    high: usize,
}

impl LatencyMemory {
    pub(super) fn new(memory_ticks: f64, beyond_min: f64) -> Self {
        let decay = remembered::decay(memory_ticks);
        Self { decay, beyond_min, counts: None, low: BUCKETS, high: 0 }
    }

    pub(super) fn learn(&mut self, stable: &Histogram) {
        if self.counts.is_none() && stable.total() == 0 {
            return;
        }
        let counts = self.counts.get_or_insert_with(|| Box::new([0.0; BUCKETS]));
        counts[self.low.min(self.high)..self.high].iter_mut().for_each(|count| *count *= self.decay);
        for (bucket, count) in stable.iter() {
            counts[bucket] += f64::from(count);
            self.low = self.low.min(bucket);
            self.high = self.high.max(bucket + 1);
        }
    }

    /// The lowest buckets whose tails hold no more than the rest beyond each of `quantiles`, which rise. `None` where
    /// stable is not known well enough.
    pub(super) fn marks(&self, quantiles: &[f64], found: &mut Vec<Option<usize>>) {
        found.clear();
        found.resize(quantiles.len(), None);
        let counts = self.counts.as_deref().unwrap_or(&NOTHING);
        let known = &counts[self.low.min(self.high)..self.high];
        let total = sum(known);
        let (mut bucket, mut tail) = (self.high, 0.0);
        for (mark, quantile) in found.iter_mut().zip(quantiles).rev() {
            let beyond = (1.0 - quantile) * total;
            while bucket > self.low && tail + counts[bucket - 1] <= beyond {
                bucket -= 1;
                tail += counts[bucket];
            }
            if beyond >= self.beyond_min && bucket < BUCKETS {
                *mark = Some(bucket);
            }
        }
    }
}

/// In four lanes: one addition need not wait for the one before. A tick of a thousand canaries takes 0.4 ms less of 5.8
/// (benches/tick.rs, 2026-11-28).
fn sum(counts: &[f64]) -> f64 {
    let (fours, rest) = counts.as_chunks::<4>();
    let lanes = fours.iter().fold([0.0; 4], |sums, four| std::array::from_fn(|lane| sums[lane] + four[lane]));
    lanes.iter().chain(rest).sum()
}

/// Sparse: most buckets are empty.
#[derive(Serialize, Deserialize)]
struct Written {
    decay: f64,
    beyond_min: f64,
    counts: Vec<(u16, f64)>,
}

impl Serialize for LatencyMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = (0_u16..)
            .zip(self.counts.iter().flat_map(|counts| counts.iter()))
            .filter(|(_, count)| **count > 0.0);
        let counts = known.map(|(bucket, count)| (bucket, *count)).collect();
        Written { decay: self.decay, beyond_min: self.beyond_min, counts }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LatencyMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { decay, beyond_min, counts } = Written::deserialize(deserializer)?;
        let mut memory = Self { decay, ..Self::new(1.0, beyond_min) };
        for (bucket, count) in counts {
            let bucket = usize::from(bucket);
            let counts = memory.counts.get_or_insert_with(|| Box::new([0.0; BUCKETS]));
            let place = counts.get_mut(bucket);
            *place.ok_or_else(|| serde::de::Error::custom("a bucket beyond the last one"))? = count;
            memory.low = memory.low.min(bucket);
            memory.high = memory.high.max(bucket + 1);
        }
        Ok(memory)
    }
}

/// One percentile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Percentile {
    pub(super) quantile: f64,
    pub(super) mark: Option<Mark>,
    /// That the canary is slower.
    pub(super) bet: Bet,
    /// That it is not.
    pub(super) proof: Option<Bet>,
}

impl Percentile {
    pub(super) fn new(quantile: f64, judge: &Judge, memory_ticks: f64) -> Self {
        let proof = (quantile <= PROOF_QUANTILE_MAX).then(|| Bet::new(Terms::proof(judge), memory_ticks));
        Self { quantile, mark: None, bet: Bet::new(Terms::for_latency(judge), memory_ticks), proof }
    }

    pub(super) fn restart(&mut self) {
        self.bet.restart();
        self.proof.iter_mut().for_each(Bet::restart);
    }

    /// `stable` is the bucket from which on stable is slow. `judged`: the canary has been up long enough.
    pub(super) fn tick(
        &mut self,
        stable: Option<usize>,
        allowed: Allowed,
        (canary_latency, stable_latency): (&Histogram, &Histogram),
        stakes: &mut [Stakes; 2],
        judged: bool,
    ) {
        if self.mark.map(|mark| mark.stable) != stable {
            self.mark = stable.and_then(|bucket| allowed.mark(bucket));
            self.bet.forget_last_tick();
            self.proof.iter_mut().for_each(Bet::forget_last_tick);
        }
        let Some(mark) = self.mark else { return };
        let (canary, stable) = mark.slow(canary_latency, stable_latency);
        let [more, fewer] = stakes;
        self.bet.tick(if judged { canary } else { Tally::default() }, stable, more);
        if let Some(proof) = &mut self.proof {
            proof.tick(canary, stable, fewer);
        }
    }

    pub(super) fn set_terms(&mut self, judge: &Judge) {
        self.bet.set_terms(Terms::for_latency(judge));
        self.proof.iter_mut().for_each(|proof| proof.set_terms(Terms::proof(judge)));
    }
}

/// In the order in which [`Percentile::tick`] wants them.
pub(super) fn stakes() -> [Stakes; 2] {
    [Stakes::new(Side::More), Stakes::new(Side::Fewer)]
}

#[cfg(test)]
mod tests;
