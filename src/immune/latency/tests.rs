//! Marks at the edges. The golden guards fix the rest.

use super::*;

fn memory(latencies: &[(usize, u32)]) -> LatencyMemory {
    let mut histogram = Histogram::default();
    latencies.iter().for_each(|(bucket, count)| histogram.add(*bucket, *count));
    let mut memory = LatencyMemory::new(300.0, BEYOND_MIN);
    memory.learn(&histogram);
    memory
}

fn marks(latencies: &[(usize, u32)], quantiles: &[f64]) -> Vec<Option<usize>> {
    let mut found = vec![Some(7); 9];
    memory(latencies).marks(quantiles, &mut found);
    found
}

#[test]
fn a_mark_needs_enough_beyond_it() {
    assert_eq!(marks(&[], &[0.5, 0.99]), [None, None]);
    assert_eq!(marks(&[(100, 19)], &[0.5]), [None]);
    assert_eq!(marks(&[(100, 20)], &[0.5]), [Some(101)]);
    assert_eq!(marks(&[(100, 990), (300, 10)], &[0.5, 0.9, 0.999]), [Some(101), Some(101), None]);
    assert_eq!(
        marks(&[(BUCKETS - 1, 1_000)], &[0.5, 0.9]),
        [None, None],
        "nothing is slower than the last bucket"
    );
}

#[test]
fn marks_rise_with_their_quantiles() {
    let spread: Vec<_> = (0..600).map(|bucket| (bucket, 1_000)).collect();
    let found = marks(&spread, &[0.1, 0.5, 0.9, 0.99, 0.999]);
    assert!(found.is_sorted() && found.iter().all(Option::is_some), "{found:?}");
}

#[test]
fn what_is_tolerated_is_never_called_slow() {
    for (factor, slack_us) in [(1.0, 0.0), (1.25, 1_000.0), (1.5, 2_000.0), (100.0, 1e7)] {
        let allowed = Allowed { factor, slack_us };
        for stable in 0..BUCKETS {
            let need = factor * bucket_low(stable) as f64 + slack_us;
            match allowed.mark(stable) {
                Some(Mark { canary, .. }) => {
                    assert!(canary >= stable && bucket_low(canary) as f64 >= need);
                    let below = canary.checked_sub(1).filter(|below| *below >= stable);
                    assert!(below.is_none_or(|below| (bucket_low(below) as f64) < need));
                }
                None => assert!((bucket_low(BUCKETS - 1) as f64) < need),
            }
        }
    }
}

#[test]
fn memory_is_written_and_read_whole_or_not_at_all() {
    let before = memory(&[(0, 5), (300, 990), (BUCKETS - 1, 10)]);
    let text = serde_json::to_string(&before).unwrap();
    let after: LatencyMemory = serde_json::from_str(&text).unwrap();
    assert_eq!((after.counts, after.low, after.high), (before.counts, before.low, before.high));
    assert!(serde_json::from_str::<LatencyMemory>(&text.replace("[767,", "[768,")).is_err());
}
