//! What happened so far as rows of a timeline: the canary's weight, and failures as users saw them.

use std::time::Duration;

/// Of the story, a few times a second: bounded by the longest show (`plan::LENGTHS`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History(Vec<Sample>);

/// Failures are sums from the beginning; between two samples they are taken to grow evenly, or columns that are
/// narrower than the time between samples would show gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) weight: f64,
    pub(super) canary_failed: u64,
    pub(super) stable_failed: u64,
}

/// One character a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) weight: String,
    pub(super) canary_failed: String,
    pub(super) stable_failed: String,
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NONE: char = '·';
/// A full bar is this weight or the highest one that was seen.
const FULL_WEIGHT_MIN: f64 = 0.25;

impl History {
    /// Samples come in the order of their time.
    pub(super) fn add(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The time from 0 to `end` in so many columns. What is still to come is blank.
    pub(super) fn rows(&self, columns: usize, end: Duration) -> Rows {
        let border = |column: usize| end.mul_f64(column as f64 / columns.max(1) as f64);
        let has_begun = |column: &usize| self.0.last().is_some_and(|last| last.at > border(*column));
        let begun = (0..columns).take_while(has_begun).count();
        let weights: Vec<f64> = (1..=begun).map(|column| self.before(border(column)).weight).collect();
        let added = |sum: fn(&Sample) -> u64| -> Vec<f64> {
            let sums: Vec<f64> = (0..=begun).map(|column| self.sum_at(border(column), sum)).collect();
            sums.windows(2).map(|pair| pair[1] - pair[0]).collect()
        };
        let canary = added(|sample| sample.canary_failed);
        let stable = added(|sample| sample.stable_failed);
        let full = weights.iter().copied().fold(FULL_WEIGHT_MIN, f64::max);
        let most = canary.iter().chain(&stable).copied().fold(1.0, f64::max);
        let row = |values: &[f64], full: f64| values.iter().map(|value| bar(value / full)).collect();
        Rows {
            weight: row(&weights, full),
            canary_failed: row(&canary, most),
            stable_failed: row(&stable, most),
        }
    }

    /// The latest sample not after `moment`.
    fn before(&self, moment: Duration) -> Sample {
        let after = self.0.partition_point(|sample| sample.at <= moment);
        after.checked_sub(1).map_or(Sample::default(), |index| self.0[index])
    }

    fn sum_at(&self, moment: Duration, sum: fn(&Sample) -> u64) -> f64 {
        let before = self.before(moment);
        let after = self.0.partition_point(|sample| sample.at <= moment);
        let Some(after) = self.0.get(after) else { return sum(&before) as f64 };
        let way = moment.saturating_sub(before.at).div_duration_f64(after.at.saturating_sub(before.at));
        let grown = sum(after).saturating_sub(sum(&before));
        sum(&before) as f64 + way * grown as f64
    }
}

/// Whatever is above zero can be seen.
fn bar(share: f64) -> char {
    if share <= 0.0 {
        return NONE;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 < share, and clamped")]
    let height = (share.min(1.0) * BARS.len() as f64).ceil() as usize;
    BARS[height.clamp(1, BARS.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, weight: f64, canary_failed: u64) -> Sample {
        Sample { at: Duration::from_millis(at_ms), weight, canary_failed, stable_failed: 0 }
    }

    #[test]
    fn what_is_to_come_is_blank() {
        let rows = History::default().rows(10, Duration::from_secs(10));
        assert_eq!((rows.weight.as_str(), rows.canary_failed.as_str()), ("", ""));
    }

    #[test]
    fn weight_and_failures_rise_and_fall_where_they_did() {
        let mut history = History::default();
        for one in
            [sample(500, 0.0, 0), sample(1_500, 0.05, 0), sample(2_500, 0.25, 4), sample(3_500, 0.0, 36)]
        {
            history.add(one);
        }
        let rows = history.rows(5, Duration::from_secs(5));
        assert_eq!(rows.weight, "·▂█·");
        assert_eq!(rows.canary_failed, "·▁██");
        assert_eq!(rows.stable_failed, "····");
    }

    #[test]
    fn rows_never_get_longer_than_their_columns() {
        let mut history = History::default();
        (0..200).for_each(|index| history.add(sample(index * 100, 0.5, index)));
        for columns in [0, 1, 7, 60] {
            let rows = history.rows(columns, Duration::from_secs(10));
            assert_eq!(rows.weight.chars().count(), columns);
            assert_eq!(rows.canary_failed.chars().count(), columns);
        }
    }
}
