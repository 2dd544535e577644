//! What workers count beside requests of variants, as Prometheus families: connections, refusals, lost lines and spans.

use prometheus::proto::MetricFamily;

use super::Shards;
use super::exposition::Family;
use super::shard::{self, Counter, Refused};

pub(super) fn families(shards: &Shards) -> Vec<MetricFamily> {
    let open = |opened: fn(&shard::Shard) -> &Counter, closed: fn(&shard::Shard) -> &Counter| {
        // Closed is read first, so that the difference is never negative.
        let closed = shards.sum_workers(closed);
        shards.sum_workers(opened).saturating_sub(closed) as f64
    };
    let mut downstream = Family::gauge("andon_connections", "Open connections, by side");
    downstream.set(
        &[("side", "downstream")],
        open(|shard| &shard.connections_opened, |shard| &shard.connections_closed),
    );
    downstream
        .set(&[("side", "upstream")], open(|shard| &shard.upstream_opened, |shard| &shard.upstream_closed));
    let mut opened =
        Family::counter("andon_connections_opened_total", "Connections opened since the start, by side");
    opened.count(&[("side", "downstream")], shards.sum_workers(|shard| &shard.connections_opened));
    opened.count(&[("side", "upstream")], shards.sum_workers(|shard| &shard.upstream_opened));
    let mut refused =
        Family::counter("andon_requests_refused_total", "Requests that reached no variant, by reason");
    for reason in Refused::ALL {
        let count = shards.sum_workers(|shard| &shard.refused[reason as usize]);
        refused.count(&[("reason", reason.label())], count);
    }
    let log = shards.access_log();
    let mut logged = Family::counter("andon_access_log_lines_total", "Lines written to the access log");
    logged.count(&[], log.written.get());
    let mut dropped =
        Family::counter("andon_access_log_dropped_total", "Lines that the access log did not take");
    dropped.count(&[], log.dropped.get() + shards.sum_workers(|shard| &shard.access_log_dropped));
    let mut cut = Family::counter("andon_drain_cut_total", "What was cut when the drain deadline passed");
    cut.count(&[("what", "connections")], shards.sum_workers(|shard| &shard.cut_connections));
    cut.count(&[("what", "requests")], shards.sum_workers(|shard| &shard.cut_requests));
    let of_traffic = [downstream, opened, refused, logged, dropped, cut].into_iter().filter_map(Family::done);
    of_traffic.chain(of_spans(shards)).collect()
}

fn of_spans(shards: &Shards) -> impl Iterator<Item = MetricFamily> {
    let spans = shards.spans();
    let mut exported = Family::counter("andon_spans_exported_total", "Spans that the collector took");
    exported.count(&[], spans.exported.get());
    let mut dropped = Family::counter("andon_spans_dropped_total", "Spans that the collector did not take");
    dropped.count(&[], spans.dropped.get() + shards.sum_workers(|shard| &shard.spans_dropped));
    [exported, dropped].into_iter().filter_map(Family::done)
}
