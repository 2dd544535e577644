//! Numbers that others know of a canary, as they were last told.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::exposition::{Family, truth};

#[derive(Clone, Debug, PartialEq)]
pub struct OutsideGauges {
    pub route: Arc<str>,
    pub variant: Arc<str>,
    pub signal: Arc<str>,
    /// `None`: undecided.
    pub value: Option<f64>,
    /// One of [`STATES`].
    pub state: &'static str,
}

const STATES: [&str; 4] = ["undecided", "good", "bad", "failing"];

pub(super) fn families(gauges: &[OutsideGauges]) -> Vec<MetricFamily> {
    let mut values =
        Family::gauge("andon_outside_value", "The canary's number of an outside signal, as it was last told");
    let mut states = Family::gauge("andon_outside_state", "1 for what an outside signal says now");
    for OutsideGauges { route, variant, signal, value, state } in gauges {
        let labels = [("route", &**route), ("variant", &**variant), ("signal", &**signal)];
        if let Some(value) = value {
            values.set(&labels, *value);
        }
        for known in STATES {
            let [route, variant, signal] = labels;
            states.set(&[route, variant, signal, ("state", known)], truth(known == *state));
        }
    }
    [values, states].into_iter().filter_map(Family::done).collect()
}
