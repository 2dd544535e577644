//! What the immune system says of itself: whether it finds stable to be worse than stable.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::exposition::{Family, truth};

/// Of one route that has a canary and the self-test on.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTestGauges {
    pub route: Arc<str>,
    pub alarm: bool,
    pub odds_log10: f64,
}

pub(super) fn families(tests: &[SelfTestGauges]) -> Vec<MetricFamily> {
    let mut alarms = Family::gauge(
        "andon_self_test_alarm",
        "1 since a random slice of stable was found to be worse than the rest of stable",
    );
    let mut odds = Family::gauge(
        "andon_self_test_log10",
        "Odds against chance that a random slice of stable is worse than the rest, as a power of ten",
    );
    for test in tests {
        alarms.set(&[("route", &test.route)], truth(test.alarm));
        odds.set(&[("route", &test.route)], test.odds_log10);
    }
    [alarms, odds].into_iter().filter_map(Family::done).collect()
}
