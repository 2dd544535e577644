//! Latency buckets: log-linear, 32 an octave, so at most 1/32 = 3.1% wide. Integers only, in microseconds.
//!
//! Histograms with these buckets merge by adding, whichever worker or replica counted. The geometry is that of
//! the golden vectors (`tests/vectors.json`) and must not change without them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to 2^28 µs = 268 s; slower ones land in the last bucket.
pub const BUCKETS: usize = 768;

pub fn bucket_of(us: u64) -> usize {
    let bucket = match us {
        0..32 => us,
        _ => {
            let shift = us.ilog2() - 5;
            (u64::from(shift) << 5) + (us >> shift)
        }
    };
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The smallest value that falls in `bucket`.
pub fn bucket_low(bucket: usize) -> u64 {
    if bucket < 32 {
        return bucket as u64;
    }
    (32 + (bucket as u64 & 31)) << ((bucket >> 5) - 1)
}

/// Counts of one stretch of time, and where they lie. Merge by adding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    /// All that is not 0 lies in `low..high`.
    low: usize,
    high: usize,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), low: BUCKETS, high: 0, total: 0 }
    }
}

impl Histogram {
    /// Beyond what a bucket can hold (4 billion) it stands still.
    pub fn add(&mut self, bucket: usize, count: u32) {
        if count == 0 || bucket >= BUCKETS {
            return;
        }
        let sum = self.counts[bucket].saturating_add(count);
        self.total += u64::from(sum - self.counts[bucket]);
        self.counts[bucket] = sum;
        self.low = self.low.min(bucket);
        self.high = self.high.max(bucket + 1);
    }

    pub fn clear(&mut self) {
        if self.low < self.high {
            self.counts[self.low..self.high].fill(0);
        }
        (self.low, self.high, self.total) = (BUCKETS, 0, 0);
    }

    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(bucket, count)| self.add(bucket, count));
    }

    /// Of this, what is not in `part`. A bucket of which `part` has more is left empty.
    pub fn without(&self, part: &Self, rest: &mut Self) {
        rest.clear();
        self.iter().for_each(|(bucket, count)| rest.add(bucket, count.saturating_sub(part.counts[bucket])));
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many lie in `bucket` or above.
    pub fn tail(&self, bucket: usize) -> u64 {
        let from = bucket.max(self.low);
        if from >= self.high { 0 } else { self.counts[from..self.high].iter().map(|n| u64::from(*n)).sum() }
    }

    /// What is not 0, upwards.
    pub fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        let span = self.low.min(self.high)..self.high;
        span.map(|bucket| (bucket, self.counts[bucket])).filter(|(_, count)| *count > 0)
    }
}

/// As the gaps between buckets and their counts: small numbers, which a compact format writes in a byte each.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut next = 0;
        let mut gaps = Vec::new();
        for (bucket, count) in self.iter() {
            gaps.push((bucket - next, count));
            next = bucket + 1;
        }
        gaps.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut histogram = Self::default();
        let mut next: usize = 0;
        for (gap, count) in Vec::<(usize, u32)>::deserialize(deserializer)? {
            let bucket = next.checked_add(gap).filter(|bucket| *bucket < BUCKETS);
            let bucket = bucket.ok_or_else(|| D::Error::custom("a bucket beyond the last one"))?;
            histogram.add(bucket, count);
            next = bucket + 1;
        }
        Ok(histogram)
    }
}

/// The value below which a share `q` of the counted requests lie, in microseconds; `None` if none was counted.
pub fn quantile(counts: &[u64], q: f64) -> Option<u64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= q <= 1, total is a count"
    )]
    let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= rank {
            return Some(bucket_low(bucket));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_in_a_bucket_that_holds_it() {
        for us in (0..5_000).chain((0..28).map(|bit| 1 << bit)).chain((6..28).map(|bit| (1 << bit) - 1)) {
            let bucket = bucket_of(us);
            assert!(bucket_low(bucket) <= us, "{us}");
            assert!(bucket == BUCKETS - 1 || us < bucket_low(bucket + 1), "{us}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_histogram_knows_its_tail_and_forgets_everything() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.total(), histogram.tail(0)), (0, 0));
        for (bucket, count) in [(300, 3), (0, 1), (BUCKETS - 1, 2), (300, 4), (BUCKETS, 9), (5, 0)] {
            histogram.add(bucket, count);
        }
        assert_eq!(histogram.iter().collect::<Vec<_>>(), [(0, 1), (300, 7), (BUCKETS - 1, 2)]);
        assert_eq!([0, 1, 300, 301, BUCKETS].map(|from| histogram.tail(from)), [10, 9, 9, 2, 0]);
        histogram.add(300, u32::MAX);
        assert_eq!(histogram.total(), u64::from(u32::MAX) + 3);
        histogram.clear();
        assert_eq!(histogram, Histogram::default());
    }

    #[test]
    fn what_is_not_in_a_part_is_the_rest() {
        let (mut whole, mut part, mut rest) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        [(3, 5), (7, 2), (9, 1)].into_iter().for_each(|(bucket, count)| whole.add(bucket, count));
        [(3, 1), (7, 3), (11, 4)].into_iter().for_each(|(bucket, count)| part.add(bucket, count));
        rest.add(600, 1);
        whole.without(&part, &mut rest);
        assert_eq!(rest.iter().collect::<Vec<_>>(), [(3, 4), (9, 1)]);
        assert_eq!(rest.total(), 5);
    }

    #[test]
    fn a_histogram_is_written_and_read_whole_or_not_at_all() {
        let mut histogram = Histogram::default();
        [0, 1, 300, BUCKETS - 1].into_iter().for_each(|bucket| histogram.add(bucket, 7));
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(text, "[[0,7],[0,7],[298,7],[466,7]]");
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
        for damaged in ["[[768,1]]", "[[767,1],[0,1]]", "[[18446744073709551615,1],[0,1]]"] {
            assert!(serde_json::from_str::<Histogram>(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn a_quantile_of_nothing_is_nothing() {
        assert_eq!(quantile(&[0; BUCKETS], 0.5), None);
    }

    #[test]
    fn quantiles_walk_the_counts() {
        let mut counts = vec![0; BUCKETS];
        counts[10] = 98;
        counts[20] = 2;
        assert_eq!(quantile(&counts, 0.5), Some(10));
        assert_eq!(quantile(&counts, 0.98), Some(10));
        assert_eq!(quantile(&counts, 0.99), Some(20));
        assert_eq!(quantile(&counts, 1.0), Some(20));
    }
}
