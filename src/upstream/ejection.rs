//! When an endpoint that fails its requests is left out, and for how long. Pure: `now` comes in.
//!
//! An endpoint that fails so many requests one after another is out for the hold, the second time for twice as long,
//! and so on; each hold that it then serves without being ejected takes one from the count. What "one after another" is
//! over several workers: if nobody saw a good answer since the last look, the failures of all are added; otherwise
//! the longest row that one worker has counts. Adding rows of workers that saw good answers meanwhile would find
//! rows that were none.
//!
//! It refuses to leave out more than the share, and to leave out the last endpoint that is well: whatever it fails,
//! nobody is there to do better. (If health checks find it ill, that is their word, not ours.)

use std::time::Duration;

use crate::config::Ejection;
use crate::config::units::WHOLE_PPM;
use crate::metrics::endpoints::EndpointTotals;

/// What is remembered of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passive {
    good: u64,
    failed: u64,
    row: u64,
    /// Ejections that still count.
    times: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    In { since_us: u64 },
    Out { until_us: u64 },
}

impl Default for Place {
    fn default() -> Self {
        Self::In { since_us: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Ejected { failures: u64, hold: Duration },
    Back,
}

impl Passive {
    /// What it did before is not held against it.
    pub fn starting(now_us: u64, totals: EndpointTotals) -> Self {
        let EndpointTotals { good, failed, .. } = totals;
        Self { good, failed, place: Place::In { since_us: now_us }, ..Self::default() }
    }

    pub fn is_out(&self) -> bool {
        matches!(self.place, Place::Out { .. })
    }

    /// Takes in what the workers counted. True: [`judge`] has something to do.
    pub fn look(&mut self, settings: &Ejection, now_us: u64, totals: EndpointTotals) -> bool {
        let good = totals.good.saturating_sub(self.good);
        let failed = totals.failed.saturating_sub(self.failed);
        (self.good, self.failed) = (totals.good, totals.failed);
        match &mut self.place {
            Place::Out { until_us } => now_us >= *until_us,
            Place::In { since_us } => {
                self.row = if good > 0 { totals.row_max } else { self.row.saturating_add(failed) };
                let hold_us = micros(settings.hold);
                if self.times > 0 && now_us >= since_us.saturating_add(hold_us) {
                    self.times -= 1;
                    *since_us = since_us.saturating_add(hold_us);
                }
                self.row >= u64::from(settings.failures)
            }
        }
    }

    fn back(&mut self, now_us: u64) {
        self.place = Place::In { since_us: now_us };
        self.row = 0;
    }

    fn eject(&mut self, settings: &Ejection, now_us: u64) -> Turn {
        self.times = self.times.saturating_add(1);
        let hold = settings.hold.saturating_mul(self.times).min(settings.hold_max);
        self.place = Place::Out { until_us: now_us.saturating_add(micros(hold)) };
        Turn::Ejected { failures: std::mem::take(&mut self.row), hold }
    }
}

/// All endpoints of one upstream, each with whether it is well otherwise. Says what changed, by their index.
pub fn judge(all: &mut [(&mut Passive, bool)], settings: &Ejection, now_us: u64) -> Vec<(usize, Turn)> {
    let mut turns = Vec::new();
    for (index, (passive, _)) in all.iter_mut().enumerate() {
        if matches!(passive.place, Place::Out { until_us } if now_us >= until_us) {
            passive.back(now_us);
            turns.push((index, Turn::Back));
        }
    }
    let allowed = allowed(all.len(), settings);
    let mut out = all.iter().filter(|(passive, _)| passive.is_out()).count();
    let mut left = all.iter().filter(|(passive, well)| *well && !passive.is_out()).count();
    let due = |passive: &Passive| !passive.is_out() && passive.row >= u64::from(settings.failures);
    let mut failing: Vec<usize> =
        (0..all.len()).filter(|index| all[*index].1 && due(all[*index].0)).collect();
    failing.sort_by_key(|index| std::cmp::Reverse(all[*index].0.row));
    for index in failing {
        if out >= allowed || left <= 1 {
            break;
        }
        (out, left) = (out + 1, left - 1);
        turns.push((index, all[index].0.eject(settings, now_us)));
    }
    turns
}

/// At least one, unless the share is zero.
fn allowed(endpoints: usize, settings: &Ejection) -> usize {
    let share = settings.share_max.ppm() as usize;
    let share = endpoints.saturating_mul(share) / WHOLE_PPM as usize;
    if settings.share_max.is_zero() { 0 } else { share.max(1) }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
