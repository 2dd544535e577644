//! What the immune system says of itself: whether it finds stable to be worse than stable, and whether lots fall where
//! the weights say.

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

/// Of one canary, where lots are drawn for requests.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitGauges {
    pub route: Arc<str>,
    pub variant: Arc<str>,
    /// It was not given its share.
    pub lots: bool,
    /// More of its requests than of stable's say nothing.
    pub evidence: bool,
}

pub(super) fn families(tests: &[SelfTestGauges], splits: &[SplitGauges]) -> Vec<MetricFamily> {
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
    let mut mismatches = Family::gauge(
        "andon_split_mismatch",
        "1 since requests were found not to be split as the weights say (lots), or to leave more often (evidence)",
    );
    for split in splits {
        for (what, found) in [("lots", split.lots), ("evidence", split.evidence)] {
            let labels = [("route", &*split.route), ("variant", &*split.variant), ("what", what)];
            mismatches.set(&labels, truth(found));
        }
    }
    [alarms, odds, mismatches].into_iter().filter_map(Family::done).collect()
}
