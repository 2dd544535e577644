//! Where the release of each route stands, as Prometheus families.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::exposition::{Family, truth};

const STATES: [&str; 10] = [
    "raising",
    "holding",
    "proving",
    "approving",
    "ready",
    "promoting",
    "held",
    "promoted",
    "aborted",
    "backed_off",
];

/// Of one route that has a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseGauges {
    pub route: Arc<str>,
    /// `None`: it never had a release.
    pub state: Option<&'static str>,
    /// From 1 on; 0: no release is under way.
    pub step: usize,
}

pub(super) fn families(all: &[ReleaseGauges]) -> Vec<MetricFamily> {
    let mut states =
        Family::gauge("andon_release_state", "1 for the state of the route's release, or of its last one");
    let mut steps =
        Family::gauge("andon_release_step", "Step of the release under way, from 1; 0 without one");
    for gauges in all {
        let route = ("route", &*gauges.route);
        for state in STATES.into_iter().filter(|_| gauges.state.is_some()) {
            states.set(&[route, ("state", state)], truth(gauges.state == Some(state)));
        }
        steps.set(&[route], gauges.step as f64);
    }
    [states, steps].into_iter().filter_map(Family::done).collect()
}
