//! `/metrics`: the shards' sums and what the controller knows, as Prometheus families.
//!
//! One pass at scrape time; nothing is kept between scrapes and nothing is counted here. Which series there are, and from
//! when on, stands in [`super::variant_families`]. Labels hold names from the configuration only: no path, user, address or
//! header value.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::proto::{Counter as ProtoCounter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::admin;
use super::load::{self, LoadGauges};
use super::notify::{self, NotifyGauges};
use super::releases::{self, ReleaseGauges};
use super::self_test::{self, SelfTestGauges, SplitGauges};
use super::slots::MIRROR;
use super::slots::SlotName;
use super::tls::{self, TlsGauges};
use super::upstream_families::{self, UpstreamGauges};
use super::variant_families::{self, Shown};
use super::{Shards, SlotId, copies, process, worker_families};

/// Everything that the controller knows and the shards do not.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    pub canaries: Vec<CanaryGauges>,
    /// Every route that has variants, and whether its cord is pulled.
    pub cords: Vec<(Arc<str>, bool)>,
    /// What can be decided: action, and by whom (`immune`, `person`, `file` or `plan`).
    pub decision_kinds: Vec<(&'static str, &'static str)>,
    /// Since the process started, of routes that had any; a number for each kind.
    pub decisions: HashMap<Arc<str>, Vec<u64>>,
    /// Deciding outcome to last canary request, of the route's last back-off.
    pub back_off_seconds: Vec<(Arc<str>, f64)>,
    pub config_last_reload_successful: bool,
    pub store_up: bool,
    /// Segments of evidence, since the process started.
    pub evidence_dropped: u64,
    pub upstreams: UpstreamGauges,
    pub load: LoadGauges,
    pub tls: TlsGauges,
    pub self_tests: Vec<SelfTestGauges>,
    pub splits: Vec<SplitGauges>,
    pub releases: Vec<ReleaseGauges>,
    pub notify: NotifyGauges,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CanaryGauges {
    pub route: Arc<str>,
    pub variant: Arc<str>,
    /// Ratios from 0 to 1.
    pub aim: f64,
    pub ceiling: f64,
    pub effective: f64,
    /// The label of the verdict that holds now.
    pub verdict: &'static str,
    /// The odds of each signal, and of all that act as `all`.
    pub odds_log10: Vec<(String, f64)>,
    /// Nothing should rise.
    pub holds: bool,
    /// Permits of the harm budget; `None`: there is no budget.
    pub harm_left: Option<u32>,
}

const VERDICTS: [&str; 3] = ["healthy", "unhealthy", "undecided"];

/// The text of `/metrics`.
pub fn render(slots: &[(SlotId, SlotName)], shards: &Shards, gauges: &Gauges) -> String {
    let shown = Shown::of(slots, shards);
    let mut families = variant_families::families(slots, shards, &shown);
    let mirrors = slots.iter().filter(|(_, name)| *name.variant == *MIRROR);
    families.extend(copies::families(mirrors, shards));
    families.extend(of_control(gauges));
    families.extend(decisions(gauges, &shown).done());
    families.extend(self_test::families(&gauges.self_tests, &gauges.splits));
    families.extend(releases::families(&gauges.releases));
    families.extend(worker_families::families(shards));
    families.extend(upstream_families::families(&gauges.upstreams));
    families.extend(load::families(&gauges.load));
    families.extend(tls::families(shards, &gauges.tls));
    families.extend(admin::families(shards));
    families.extend(notify::families(&gauges.notify));
    families.extend(process::families());
    // Encoding a family fails only if it has no metric or no name, and a failing writer is not in play.
    TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}

fn of_control(gauges: &Gauges) -> Vec<MetricFamily> {
    let mut weights = Family::gauge(
        "andon_canary_weight_ratio",
        "A canary's share of its route: aim, ceiling and what is in effect",
    );
    let mut verdicts = Family::gauge("andon_verdict", "1 for the verdict that holds now");
    let mut evidence = Family::gauge(
        "andon_evidence_log10",
        "Odds against chance that the canary is worse, as a power of ten",
    );
    let mut holds = Family::gauge("andon_canary_held", "1 while the odds are such that nothing should rise");
    let mut budgets = Family::gauge("andon_harm_budget_left", "How many more users may see the canary fail");
    let mut cords = Family::gauge("andon_cord_pulled", "1 while the cord of the route is pulled");
    let mut back_off = Family::gauge(
        "andon_back_off_seconds",
        "Deciding outcome to last canary request, of the last back-off",
    );
    let mut reload =
        Family::gauge("andon_config_last_reload_successful", "1 if the last reload was accepted");
    let mut store = Family::gauge("andon_store_up", "1 while the last write to the store succeeded");
    let mut unsaved = Family::counter(
        "andon_evidence_dropped_total",
        "Stretches of evidence that were dropped because the store did not take them",
    );
    let mut build = Family::gauge("andon_build_info", "Always 1; the version is in the label");
    for canary in &gauges.canaries {
        let labels = [("route", &*canary.route), ("variant", &*canary.variant)];
        for (kind, ratio) in
            [("aim", canary.aim), ("ceiling", canary.ceiling), ("effective", canary.effective)]
        {
            weights.set(&with(labels, ("kind", kind)), ratio);
        }
        for verdict in VERDICTS {
            verdicts.set(&with(labels, ("verdict", verdict)), truth(verdict == canary.verdict));
        }
        for (signal, odds_log10) in &canary.odds_log10 {
            evidence.set(&with(labels, ("signal", signal)), *odds_log10);
        }
        holds.set(&labels, truth(canary.holds));
        if let Some(left) = canary.harm_left {
            budgets.set(&labels, f64::from(left));
        }
    }
    for (route, pulled) in &gauges.cords {
        cords.set(&[("route", route)], truth(*pulled));
    }
    for (route, seconds) in &gauges.back_off_seconds {
        back_off.set(&[("route", route)], *seconds);
    }
    reload.set(&[], truth(gauges.config_last_reload_successful));
    store.set(&[], truth(gauges.store_up));
    unsaved.count(&[], gauges.evidence_dropped);
    build.set(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let all = [weights, verdicts, evidence, holds, budgets, cords, back_off, reload, store, unsaved, build];
    all.into_iter().filter_map(Family::done).collect()
}

/// Of every route that has a canary.
fn decisions(gauges: &Gauges, shown: &Shown<'_>) -> Family {
    let mut decisions =
        Family::counter("andon_decisions_total", "Recorded changes of weight, ceiling, cord or role");
    for route in gauges.releases.iter().map(|release| &release.route) {
        let counts = gauges.decisions.get(route);
        if counts.is_none() && !shown.has(route) {
            continue;
        }
        for (at, (action, by)) in gauges.decision_kinds.iter().enumerate() {
            let count = counts.and_then(|counts| counts.get(at)).copied().unwrap_or(0);
            decisions.count(&[("route", route), ("action", action), ("by", by)], count);
        }
    }
    decisions
}

pub(super) fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

pub(super) type Label<'a> = (&'static str, &'a str);

pub(super) fn with<'a>([first, second]: [Label<'a>; 2], third: Label<'a>) -> [Label<'a>; 3] {
    [first, second, third]
}

/// A family being filled. All samples have the type that the family was made with.
pub(super) struct Family(MetricFamily);

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    pub(super) fn count(&mut self, labels: &[Label<'_>], value: u64) {
        let mut counter = ProtoCounter::default();
        counter.set_value(value as f64);
        self.sample(labels).set_counter(counter);
    }

    /// A counter of something that is not whole.
    pub(super) fn seconds(&mut self, value: f64) {
        let mut counter = ProtoCounter::default();
        counter.set_value(value);
        self.sample(&[]).set_counter(counter);
    }

    pub(super) fn set(&mut self, labels: &[Label<'_>], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        self.sample(labels).set_gauge(gauge);
    }

    pub(super) fn sample(&mut self, labels: &[Label<'_>]) -> &mut Metric {
        let pairs = labels.iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut metric = Metric::default();
        metric.set_label(pairs.collect());
        self.0.mut_metric().push(metric);
        self.0.mut_metric().last_mut().expect("one was pushed just now")
    }

    /// `None` without samples: the encoder refuses an empty family.
    pub(super) fn done(self) -> Option<MetricFamily> {
        (!self.0.get_metric().is_empty()).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Outcome;
    use crate::metrics::judged::Evidence;
    use crate::metrics::shard::Finish;
    use crate::metrics::slots::Slots;

    fn text() -> String {
        let mut slots = Slots::default();
        let shards = Shards::new(2);
        for variant in ["stable", "canary"] {
            let slot = slots.slot(&"sh\"op".into(), &variant.into()).unwrap();
            let counters = shards.worker(1);
            counters.slot(slot).start(1);
            counters.slot(slot).harm.add(1);
            counters.slot(slot).finish(&Finish {
                outcome: Outcome::ServerError,
                code: 503,
                duration_us: 2_000_000,
                evidence: Some(Evidence::Failure),
                now_us: 2,
            });
        }
        let slots: Vec<_> = slots.iter().map(|(id, name)| (id, name.clone())).collect();
        render(&slots, &shards, &Gauges::default())
    }

    #[test]
    fn a_known_variant_has_its_series_from_the_start() {
        let text = text();
        for line in [
            "andon_requests_total{route=\"sh\\\"op\",variant=\"stable\",code=\"200\"} 0",
            "andon_requests_total{route=\"sh\\\"op\",variant=\"stable\",code=\"503\"} 1",
            "andon_outcomes_total{route=\"sh\\\"op\",variant=\"canary\",outcome=\"truncated\"} 0",
            "andon_request_duration_seconds_bucket{route=\"sh\\\"op\",variant=\"canary\",le=\"1\"} 0",
            "andon_request_duration_seconds_bucket{route=\"sh\\\"op\",variant=\"canary\",le=\"2.5\"} 1",
            "andon_request_duration_seconds_bucket{route=\"sh\\\"op\",variant=\"canary\",le=\"+Inf\"} 1",
            "andon_request_duration_seconds_sum{route=\"sh\\\"op\",variant=\"canary\"} 2",
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn only_a_canary_does_harm() {
        let text = text();
        assert!(text.contains("andon_harm_total{route=\"sh\\\"op\",variant=\"canary\"} 1"));
        assert!(!text.contains("andon_harm_total{route=\"sh\\\"op\",variant=\"stable\"}"));
    }
}
