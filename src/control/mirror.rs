//! Who gets copies of a route's requests now, and what came of them.

use std::sync::Arc;

use super::controller::Controller;
use super::routes::SplitLive;
use super::view::MirrorView;
use crate::config::Weight;
use crate::metrics::shard::{Copies, Counter};

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
            window: self.windows.view(slot, &self.shards),
            same: sum(|copies| &copies.same),
            different: sum(|copies| &copies.different),
            dropped: sum(|copies| &copies.uncopied[0])
                + sum(|copies| &copies.uncopied[1])
                + sum(|copies| &copies.uncopied[2]),
        })
    }

    /// Since the process started.
    pub(super) fn has_copied(&self, split: &SplitLive) -> bool {
        split.mirror.is_some_and(|slot| self.shards.sum(slot, |counters| &counters.started) > 0)
    }
}

fn of_release(split: &SplitLive) -> Option<(Arc<str>, Weight)> {
    let release = split.state.release()?;
    Some((Arc::clone(&release.upstream), release.mirror()?))
}
