//! What the controller refuses, as problems.

use std::sync::Arc;

use axum::http::StatusCode;

use super::api::json::{RouteJson, percent, timestamp};
use super::api::upstreams::UpstreamJson;
use super::problem::{Problem, excerpt, names, there_are};
use crate::control::command::Refusal;
use crate::store::record::Cord;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownRoute { route, known } => Self::unknown_route(&route, &known),
            Refusal::UnknownUpstream { upstream, known } => Self::unknown_upstream(&upstream, &known),
            Refusal::OutdatedUpstream(current) => Self::outdated_upstream(&UpstreamJson::from(&*current)),
            Refusal::WhichCanary { route, asked, known } => {
                Self::which_canary(&route, asked.as_deref(), &known)
            }
            Refusal::TooMuch { sum_ppm } => Self::too_much(sum_ppm),
            Refusal::Outdated(current) => Self::outdated(&RouteJson::from(&*current)),
            Refusal::CordPulled { route, cord } => Self::cord_pulled(&route, &cord),
            Refusal::CordNotPulled { route } => Self::cord_not_pulled(&route),
            Refusal::NoDrill { route, because } => Self::no_drill(&route, because),
            Refusal::ReleaseConflict { route, because } => Self::release_conflict(&route, &because),
            Refusal::UnknownRelease { route, id } => Self::unknown_release(&route, id.as_deref()),
            Refusal::UnknownPlan { asked, known } => Self::unknown_name("plan", &asked, &known),
            Refusal::NoUpstream { asked, known } => Self::unknown_name("upstream", &asked, &known),
            Refusal::NoCapacity { route, because } => Self::no_capacity(&route, &because),
            Refusal::StoreDown(cause) => Self::store_down(&cause),
            Refusal::BadConfig { drawn, count } => Self::bad_config(drawn, count),
            Refusal::UnknownReceiver { name, known } => Self::unknown_receiver(&name, &known),
            Refusal::Busy(cause) => Self::busy(&cause),
            Refusal::Gone => Self::gone(),
        }
    }
}

impl Problem {
    fn unknown_receiver(name: &str, known: &[Arc<str>]) -> Self {
        let detail = format!("there is no [[notify]] {:?}; {}", excerpt(name), there_are(known));
        Self::new(StatusCode::NOT_FOUND, "unknown-receiver", "No such receiver", detail)
            .with("known", names(known))
    }

    fn unknown_route(route: &str, known: &[Arc<str>]) -> Self {
        let detail = format!("route {:?} does not exist; {}", excerpt(route), there_are(known));
        Self::new(StatusCode::NOT_FOUND, "unknown-route", "No such route", detail).with("known", names(known))
    }

    fn which_canary(route: &str, asked: Option<&str>, known: &[Arc<str>]) -> Self {
        let detail = match asked {
            Some(asked) => {
                format!("route {route:?}: canary {:?} does not exist; {}", excerpt(asked), there_are(known))
            }
            None if known.is_empty() => format!("route {route:?} has no canary"),
            None => format!("route {route:?} has several canaries, say which; {}", there_are(known)),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "which-canary", "No such canary", detail)
            .with("known", names(known))
    }

    fn too_much(sum_ppm: u64) -> Self {
        let sum = percent(sum_ppm);
        let detail = format!("the canaries of the route would get {sum} together; at most 100% can be given");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too-much", "More than the whole", detail)
            .with("sum", sum)
            .with("sum_ppm", sum_ppm)
    }

    fn cord_pulled(route: &str, cord: &Cord) -> Self {
        let (by, why, at) = (&cord.by, &cord.why, timestamp(cord.at_ms));
        let when = at.as_deref().unwrap_or("an unknown time");
        let detail = format!(
            "route {route:?}: {by} pulled the cord at {when}: {why}; nothing rises until the cord \
             is reset: andon cord reset {route} --why TEXT"
        );
        Self::new(StatusCode::CONFLICT, "cord-pulled", "The cord is pulled", detail)
            .with("by", &**by)
            .with("why", &**why)
            .with("at", at)
            .with("at_ms", cord.at_ms)
            .with("decision", &*cord.decision)
    }

    fn cord_not_pulled(route: &str) -> Self {
        let detail = format!("route {route:?}: the cord is not pulled, so there is nothing to reset");
        Self::new(StatusCode::CONFLICT, "cord-not-pulled", "The cord is not pulled", detail)
    }

    fn release_conflict(route: &str, because: &str) -> Self {
        let detail = format!("route {route:?}: {because}");
        Self::new(StatusCode::CONFLICT, "release-conflict", "Not in this state of the release", detail)
    }

    fn unknown_release(route: &str, id: Option<&str>) -> Self {
        let detail = match id {
            Some(id) => format!("route {route:?} has no release {:?}", excerpt(id)),
            None => format!("route {route:?} never had a release; andon release start {route} --plan NAME"),
        };
        Self::new(StatusCode::NOT_FOUND, "unknown-release", "No such release", detail)
    }

    fn unknown_name(kind: &str, asked: &str, known: &[Arc<str>]) -> Self {
        let detail = format!("{kind} {:?} does not exist; {}", excerpt(asked), there_are(known));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-name", "No such name in the file", detail)
            .with("known", names(known))
    }

    fn no_capacity(route: &str, because: &str) -> Self {
        let detail = format!("route {route:?}: {because}");
        Self::new(StatusCode::CONFLICT, "no-capacity", "The canary has too few endpoints", detail)
    }

    fn no_drill(route: &str, because: &str) -> Self {
        let detail = format!("route {route:?}: {because}");
        Self::new(StatusCode::CONFLICT, "no-drill", "No drill is possible", detail)
    }

    fn store_down(cause: &str) -> Self {
        let detail = format!("nothing was changed: {cause}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-down", "The store does not answer", detail)
    }

    fn bad_config(drawn: String, count: usize) -> Self {
        let problems = if count == 1 { "problem" } else { "problems" };
        let detail = format!("the configuration file has {count} {problems}; nothing was changed");
        Self::new(StatusCode::BAD_REQUEST, "bad-config", "The configuration was refused", detail)
            .with("count", count)
            .with("diagnostics", drawn)
    }
}
