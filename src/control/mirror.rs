//! Who gets copies of a route's requests now, and what came of them.

use std::sync::Arc;

use super::controller::Controller;
use super::routes::SplitLive;
use super::view::MirrorView;
use crate::config::Weight;
use crate::metrics::copies::Copies;
use crate::metrics::shard::Counter;

impl Controller {
    /// The canary of a release whose plan says so, else whom the file names. `None`: nobody.
    pub(super) fn mirror_view(&self, route: usize, split: &SplitLive) -> Option<MirrorView> {
        let slot = split.mirror?;
        let (upstream, share) = of_release(split).or_else(|| {
            let to = self.config.routes.get(route)?.mirror.to.as_ref()?;
            Some((Arc::clone(&to.upstream), to.share))
        })?;
        let sum = |count: fn(&Copies) -> &Counter| self.shards.sum(slot, |counters| count(&counters.copies));
        Some(MirrorView {
            upstream,
            share,
            window: self.window(slot),
            same: sum(|copies| &copies.same),
            different: sum(|copies| &copies.different),
            dropped: sum(|copies| &copies.uncopied[0])
                + sum(|copies| &copies.uncopied[1])
                + sum(|copies| &copies.uncopied[2]),
        })
    }

    /// Whether there was a copy since then. What was copied before went to somebody else.
    pub(super) fn has_copied_since(&self, split: &SplitLive, since_ms: i64) -> bool {
        let ago_ms = u64::try_from(self.clock.unix_ms().saturating_sub(since_ms)).unwrap_or(0);
        let since_us = self.clock.now_us().saturating_sub(ago_ms.saturating_mul(1_000));
        split.mirror.is_some_and(|slot| self.shards.totals(slot).last_start_us > since_us)
    }
}

fn of_release(split: &SplitLive) -> Option<(Arc<str>, Weight)> {
    let release = split.state.release()?;
    Some((Arc::clone(&release.upstream), release.mirror()?))
}
