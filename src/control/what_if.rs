//! The record, judged by other numbers: what would have been decided, and when. Pure: segments in, releases out.
//!
//! A release begins where capital began anew, and ends where it did again. The numbers that are tried begin it with what was
//! remembered of stable then. They see what was recorded and no more: once a canary was taken back there is nothing to
//! tell whether they would have taken it back later.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Judge;
use crate::immune::journal::{Frame, Segment};
use crate::immune::{Detail, Finding, Guard, Tally};
use crate::store::record::Evidence;

/// Releases in one answer; with more it is truncated.
const RELEASES_MAX: usize = 1_000;
/// Of a stretch that was not recorded, ticks that are played. After a day of one-second ticks nothing is remembered that more
/// would make forgotten.
const SILENT_TICKS_MAX: u64 = 86_400;

#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    pub judge: Judge,
    /// `None`: all.
    pub route: Option<Arc<str>>,
    pub since_ms: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct WhatIfReport {
    pub releases: Vec<ReleaseView>,
    pub segments: u64,
    /// That cannot be read: damaged, or of another version.
    pub unreadable: u64,
    /// There was more than may be judged at once.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseView {
    pub route: Arc<str>,
    pub canary: Arc<str>,
    pub upstream: Arc<str>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Its beginning is in what was read.
    pub whole: bool,
    pub canary_seen: Tally,
    pub stable_seen: Tally,
    /// What the numbers in force then found.
    pub was: Option<Judged>,
    /// What the numbers that are tried find.
    pub would: Option<Judged>,
}

/// When a canary was found unhealthy, and what it had cost until then.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub at_ms: i64,
    pub finding: Finding,
    /// Of the canary, since the release began.
    pub until_then: Tally,
}

/// Takes segments one after another, in the order of recording.
pub(super) struct Trying {
    judge: Judge,
    /// Bounded by the canaries that the record knows.
    open: HashMap<(Arc<str>, Arc<str>), Release>,
    report: WhatIfReport,
}

struct Release {
    view: ReleaseView,
    guard: Guard,
    /// Of recorded ticks that are shorter than the one that is tried.
    canary: Detail,
    stable: Detail,
    elapsed_us: u64,
}

impl Trying {
    pub(super) fn new(judge: Judge) -> Self {
        Self { judge, open: HashMap::new(), report: WhatIfReport::default() }
    }

    pub(super) fn take(&mut self, evidence: &Evidence) {
        self.report.segments += 1;
        let Ok(segment) = Segment::decode(&evidence.blob) else {
            self.report.unreadable += 1;
            return;
        };
        let key = (Arc::clone(&evidence.route), Arc::clone(&evidence.canary));
        let goes_on = |release: &Release| !evidence.fresh && release.view.upstream == evidence.upstream;
        if !self.open.get(&key).is_some_and(goes_on) {
            let release = Release::new(evidence, &segment, &self.judge);
            if let Some(over) = self.open.insert(key.clone(), release) {
                self.end(over.view);
            }
        }
        if let Some(release) = self.open.get_mut(&key) {
            release.play(evidence, &segment);
        }
    }

    pub(super) fn done(mut self, truncated: bool) -> WhatIfReport {
        let open = std::mem::take(&mut self.open);
        open.into_values().for_each(|release| self.end(release.view));
        self.report.truncated |= truncated;
        let order = |release: &ReleaseView| {
            (release.from_ms, Arc::clone(&release.route), Arc::clone(&release.canary))
        };
        self.report.releases.sort_by_key(order);
        self.report
    }

    /// A release without a request is none.
    fn end(&mut self, view: ReleaseView) {
        if view.canary_seen.requests == 0 {
            return;
        }
        if self.report.releases.len() >= RELEASES_MAX {
            self.report.truncated = true;
            return;
        }
        self.report.releases.push(view);
    }
}

impl Release {
    fn new(evidence: &Evidence, segment: &Segment, judge: &Judge) -> Self {
        let Evidence { route, canary, upstream, began_ms, ended_ms, fresh, .. } = evidence;
        let mut judge = judge.clone();
        if judge.events.is_empty() {
            judge.events.clone_from(&segment.guard.judge().events);
        }
        Self {
            view: ReleaseView {
                route: Arc::clone(route),
                canary: Arc::clone(canary),
                upstream: Arc::clone(upstream),
                from_ms: *began_ms,
                to_ms: *ended_ms,
                whole: *fresh,
                canary_seen: Tally::default(),
                stable_seen: Tally::default(),
                was: None,
                would: None,
            },
            guard: segment.with(&judge),
            canary: Detail::default(),
            stable: Detail::default(),
            elapsed_us: 0,
        }
    }

    fn play(&mut self, evidence: &Evidence, segment: &Segment) {
        self.pass(evidence.began_ms.saturating_sub(self.view.to_ms));
        self.view.to_ms = evidence.ended_ms;
        if segment.guard.skips() > 0 {
            self.guard.skip(segment.guard.skips());
        }
        let mut passed_us = 0;
        segment.replay(|frame, live| {
            for call in &frame.calls {
                self.view.canary_seen.add(call.canary.tally());
                self.view.stable_seen.add(call.stable.tally());
            }
            passed_us += frame.span_us();
            let at_ms = evidence.began_ms.saturating_add_unsigned(passed_us / 1_000);
            let until_then = self.view.canary_seen;
            if self.view.was.is_none() {
                self.view.was = judged(live, at_ms, until_then);
            }
            if self.view.would.is_none() {
                self.try_frame(frame);
                self.view.would = judged(&self.guard, at_ms, until_then);
            }
        });
    }

    /// Nothing was recorded, because nothing happened.
    fn pass(&mut self, silent_ms: i64) {
        let tick_us = u64::try_from(self.guard.judge().tick.as_micros()).unwrap_or(u64::MAX).max(1);
        let silent_us = u64::try_from(silent_ms).unwrap_or(0).saturating_mul(1_000);
        let ticks = (silent_us / tick_us).min(SILENT_TICKS_MAX);
        if ticks == 0 || self.view.would.is_some() {
            return;
        }
        if self.elapsed_us > 0 {
            self.try_tick();
        }
        self.guard.pass(silent_us, ticks);
    }

    /// Recorded ticks are put together until they are as long as the tick that is tried, but never cut.
    fn try_frame(&mut self, frame: &Frame) {
        for call in &frame.calls {
            self.guard.call(call.step_us, call.canary, call.stable);
        }
        self.canary.add(&frame.canary);
        self.stable.add(&frame.stable);
        let span_us = frame.span_us();
        self.elapsed_us += span_us;
        let tick_us = self.guard.judge().tick.as_micros();
        // Ticks are as long as they should be on average only, so half a recorded one is not waited for.
        if frame.tick_is_over && u128::from(self.elapsed_us + span_us / 2) >= tick_us {
            self.try_tick();
        }
    }

    fn try_tick(&mut self) {
        self.guard.tick(&self.canary, &self.stable);
        self.canary.clear();
        self.stable.clear();
        self.elapsed_us = 0;
    }
}

fn judged(guard: &Guard, at_ms: i64, until_then: Tally) -> Option<Judged> {
    let finding = guard.finding()?.clone();
    Some(Judged { at_ms, finding, until_then })
}
