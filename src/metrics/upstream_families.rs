//! What the controller knows of endpoints, as Prometheus families. Labels hold what operators wrote, or what DNS
//! answered to a name that they wrote, at most 4096 an upstream: no path, user or client address.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::exposition::Family;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamGauges {
    /// Those that have more than one fixed endpoint, or checks, or names.
    pub upstreams: Vec<UpstreamGauge>,
    pub lookups_good: u64,
    pub lookups_failed: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamGauge {
    pub name: Arc<str>,
    /// Each endpoint, and whether it is used.
    pub endpoints: Vec<(SocketAddr, bool)>,
    pub ejections: u64,
    /// Passed and failed; `None` without checks.
    pub checks: Option<(u64, u64)>,
}

pub(super) fn families(gauges: &UpstreamGauges) -> Vec<MetricFamily> {
    let mut up = Family::gauge("andon_endpoint_up", "1 while the endpoint may be used");
    let mut ejections =
        Family::counter("andon_endpoint_ejections_total", "Endpoints left out because they failed requests");
    let mut checks = Family::counter("andon_health_checks_total", "Health checks, by result");
    let mut lookups = Family::counter("andon_dns_lookups_total", "Lookups of endpoint names, by result");
    for upstream in &gauges.upstreams {
        let name = ("upstream", &*upstream.name);
        for (endpoint, used) in &upstream.endpoints {
            up.set(&[name, ("endpoint", &endpoint.to_string())], f64::from(u8::from(*used)));
        }
        ejections.count(&[name], upstream.ejections);
        if let Some((passed, failed)) = upstream.checks {
            checks.count(&[name, ("result", "passed")], passed);
            checks.count(&[name, ("result", "failed")], failed);
        }
    }
    lookups.count(&[("result", "good")], gauges.lookups_good);
    lookups.count(&[("result", "failed")], gauges.lookups_failed);
    [up, ejections, checks, lookups].into_iter().filter_map(Family::done).collect()
}
