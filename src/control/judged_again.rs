//! Questions that judge the record again. They read it page by page beside the loop, and judge on a blocking thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::command::{Refusal, Reply};
use super::controller::Controller;
use super::explained::{BEFORE_MS, Explaining, Explanation, place};
use super::jobs::answer;
use super::what_if::{Trying, WhatIf, WhatIfReport};
use crate::store::record::{Decision, EvidenceFilter, EvidencePage};
use crate::store::{Store, StoreError};

/// How long one question may judge; what was judged until then is the answer.
const WHAT_IF_MAX: Duration = Duration::from_secs(20);
/// How much one question may read.
const WHAT_IF_BYTES_MAX: usize = 1 << 30;
/// Pages of the ten minutes before a decision: one, unless somebody filled the store.
const EXPLAIN_PAGES_MAX: usize = 8;

impl Controller {
    pub(super) fn explain(&self, decision: Decision, reply: Reply<Explanation>) {
        let Some(permit) = self.queries.may_read() else {
            let why = "too many readings wait for it already";
            return answer(reply, Err(Refusal::StoreDown(why.to_owned())));
        };
        let store = self.saving.store().clone();
        let explain = async move {
            answer(reply, explained(store, decision).await);
            drop(permit);
        };
        #[expect(clippy::disallowed_methods, reason = "reading must not hold up the loop; permits bound it")]
        tokio::spawn(explain);
    }

    pub(super) fn what_if(&self, wanted: WhatIf, reply: Reply<WhatIfReport>) {
        if let Some(route) = &wanted.route
            && let Err(refusal) = self.find_split(route)
        {
            return answer(reply, Err(refusal));
        }
        let Some(permit) = self.queries.may_try() else {
            return answer(reply, Err(Refusal::StoreDown("it is read for another what-if".to_owned())));
        };
        let routes = match &wanted.route {
            Some(route) => vec![Arc::clone(route)],
            None => self.routes.names(),
        };
        let store = self.saving.store().clone();
        let try_it = async move {
            answer(reply, tried(store, wanted, routes).await);
            drop(permit);
        };
        #[expect(clippy::disallowed_methods, reason = "judging must not hold up the loop; one at a time")]
        tokio::spawn(try_it);
    }
}

async fn explained(store: Store, decision: Decision) -> Result<Explanation, Refusal> {
    let Some((canary, place)) = place(&decision) else { return Ok(Explanation::default()) };
    let mut filter = EvidenceFilter {
        route: Arc::clone(&decision.route),
        canary: Some(canary),
        from_ms: decision.at_ms.saturating_sub(BEFORE_MS),
        to_ms: decision.at_ms.max(place.began_ms),
        after: 0,
    };
    let mut list = Vec::new();
    for _ in 0..EXPLAIN_PAGES_MAX {
        let page = read(&store, &filter).await?;
        list.extend(page.list);
        let Some(next) = page.next else { break };
        filter.after = next;
    }
    let judged = spawn_blocking(move || {
        let evidence = decision.evidence.unwrap_or_default();
        let mut explaining = Explaining::new(&evidence, place);
        list.iter().for_each(|one| explaining.take(one));
        explaining.done()
    });
    judged.await.map_err(|_| Refusal::Gone)
}

async fn tried(store: Store, wanted: WhatIf, routes: Vec<Arc<str>>) -> Result<WhatIfReport, Refusal> {
    let until = Instant::now() + WHAT_IF_MAX;
    let mut trying = Trying::new(wanted.judge);
    let mut bytes = 0;
    for route in routes {
        let (from_ms, to_ms) = (wanted.since_ms, i64::MAX);
        let mut filter = EvidenceFilter { route, canary: None, from_ms, to_ms, after: 0 };
        loop {
            let page = read(&store, &filter).await?;
            bytes += page.list.iter().map(|one| one.blob.len()).sum::<usize>();
            let next = page.next;
            let judged = spawn_blocking(move || {
                page.list.iter().for_each(|one| trying.take(one));
                trying
            });
            trying = judged.await.map_err(|_| Refusal::Gone)?;
            if Instant::now() >= until || bytes >= WHAT_IF_BYTES_MAX {
                return Ok(trying.done(true));
            }
            let Some(next) = next else { break };
            filter.after = next;
        }
    }
    Ok(trying.done(false))
}

async fn read(store: &Store, filter: &EvidenceFilter) -> Result<EvidencePage, Refusal> {
    let down = |error: StoreError| Refusal::StoreDown(error.to_string());
    store.evidence(filter.clone()).await.map_err(down)
}
