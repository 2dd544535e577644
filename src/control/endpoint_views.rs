//! What the controller shows of endpoints: to people who ask, and to `/metrics`.

use std::sync::Arc;

use twox_hash::XxHash3_64;

use super::announced::words;
use super::command::Reply;
use super::controller::Controller;
use super::jobs::answer;
use super::upstreams::UpstreamLive;
use super::view::{EndpointView, UpstreamView};
use crate::config::Upstream;
use crate::metrics::upstream_families::{UpstreamGauge, UpstreamGauges};

impl Controller {
    pub(super) fn show_upstreams(&self, reply: Reply<Vec<UpstreamView>>) {
        // Both are in the order of the file.
        let both = self.config.upstreams.iter().zip(&self.upstreams.list);
        answer(reply, Ok(both.map(|(file, live)| self.view_upstream(file, live)).collect()));
    }

    pub(super) fn upstream_view(&self, name: &str) -> Option<UpstreamView> {
        let mut both = self.config.upstreams.iter().zip(&self.upstreams.list);
        let (file, live) = both.find(|(file, _)| &*file.name == name)?;
        Some(self.view_upstream(file, live))
    }

    fn view_upstream(&self, file: &Upstream, live: &UpstreamLive) -> UpstreamView {
        let announced = self.announced.get(&file.name).cloned();
        let file = words(&file.endpoints, &file.upkeep.names);
        let set = announced.as_ref().map_or(&file, |announced| &announced.live);
        UpstreamView { revision: revision(set), file, announced, ..view(live) }
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
        revision: 0,
        file: Vec::new(),
        announced: None,
    }
}

/// The same for the same endpoints, also after a restart. Below 2⁵³, which every JSON reader can hold.
fn revision(set: &[Arc<str>]) -> u64 {
    XxHash3_64::oneshot(set.join("\n").as_bytes()) >> 11
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
