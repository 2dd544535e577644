//! What the controller shows of endpoints: to people who ask, and to `/metrics`.

use super::command::Reply;
use super::controller::Controller;
use super::jobs::answer;
use super::upstreams::UpstreamLive;
use super::view::{EndpointView, UpstreamView};
use crate::metrics::upstream_families::{UpstreamGauge, UpstreamGauges};

impl Controller {
    pub(super) fn show_upstreams(&self, reply: Reply<Vec<UpstreamView>>) {
        answer(reply, Ok(self.upstreams.list.iter().map(view).collect()));
    }

    pub(super) fn upstream_gauges(&self) -> UpstreamGauges {
        let watched = self.upstreams.list.iter().filter(|live| live.group.is_watched());
        UpstreamGauges {
            upstreams: watched.map(gauge).collect(),
            lookups_good: self.upstreams.lookups.good.get(),
            lookups_failed: self.upstreams.lookups.failed.get(),
        }
    }
}

fn view(live: &UpstreamLive) -> UpstreamView {
    let endpoint = |member: &crate::upstream::Member| EndpointView {
        address: member.endpoint.address,
        used: member.used,
        healthy: member.healthy,
        ejected: member.passive.is_out(),
    };
    UpstreamView {
        name: live.group.name.clone(),
        endpoints: live.group.members().iter().map(endpoint).collect(),
        ejections: live.group.ejections,
    }
}

fn gauge(live: &UpstreamLive) -> UpstreamGauge {
    let members = live.group.members().iter();
    let has_checks = live.group.upkeep().health.is_some();
    UpstreamGauge {
        name: live.group.name.clone(),
        endpoints: members.map(|member| (member.endpoint.address, member.used)).collect(),
        ejections: live.group.ejections,
        checks: has_checks.then(|| (live.checks.passed.get(), live.checks.failed.get())),
    }
}
