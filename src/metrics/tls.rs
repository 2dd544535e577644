//! What is shown of certificates and handshakes.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::Shards;
use super::exposition::{Family, truth};
use super::shard::Handshake;

/// What the controller knows of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsGauges {
    pub certificates: Vec<CertificateGauge>,
    /// Whether the files of a listener, as they are now, are in force.
    pub listeners: Vec<(Arc<str>, bool)>,
    pub upstreams: Vec<(Arc<str>, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateGauge {
    pub listener: Arc<str>,
    /// The first that the certificate holds.
    pub name: Arc<str>,
    /// Seconds since 1970.
    pub not_after_s: i64,
}

pub(super) fn families(shards: &Shards, gauges: &TlsGauges) -> Vec<MetricFamily> {
    let mut ends = Family::gauge(
        "andon_tls_certificate_not_after_timestamp_seconds",
        "When the certificate ends; of two with one name the sooner",
    );
    for (place, one) in gauges.certificates.iter().enumerate() {
        let same = |other: &&CertificateGauge| other.listener == one.listener && other.name == one.name;
        // Two kinds of key for one name are two certificates, but must not be two samples of one series.
        if gauges.certificates[..place].iter().any(|other| same(&other)) {
            continue;
        }
        let soonest = gauges.certificates.iter().filter(same).map(|other| other.not_after_s).min();
        ends.set(&[("listener", &one.listener), ("name", &one.name)], soonest.unwrap_or_default() as f64);
    }
    let mut listeners = Family::gauge(
        "andon_tls_reload_successful",
        "1 if the files of the listener, as they are now, are in force",
    );
    for (name, fresh) in &gauges.listeners {
        listeners.set(&[("listener", name)], truth(*fresh));
    }
    let mut upstreams = Family::gauge(
        "andon_tls_upstream_reload_successful",
        "1 if the files of the upstream, as they are now, are in force",
    );
    for (name, fresh) in &gauges.upstreams {
        upstreams.set(&[("upstream", name)], truth(*fresh));
    }
    let mut handshakes =
        Family::counter("andon_tls_handshakes_total", "Handshakes with clients, by how they ended");
    for result in Handshake::ALL {
        let count = shards.sum_workers(|shard| &shard.handshakes[result as usize]);
        handshakes.count(&[("result", result.label())], count);
    }
    [ends, listeners, upstreams, handshakes].into_iter().filter_map(Family::done).collect()
}
