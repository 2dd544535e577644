//! Latency buckets: log-linear, 32 an octave, so at most 1/32 = 3.1% wide. Integers only, in microseconds.
//!
//! Histograms with these buckets merge by adding, whichever worker or replica counted. The geometry is that of
//! the golden vectors (`tests/vectors.json`) and must not change without them.

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
