//! Copies: whether a request that stable serves is also shown to somebody else, whose answer nobody gets.
//!
//! Decided after the request's own way, so that no copy can change it, by a lot of its own. A copy goes where a plan says
//! (the release's canary), else where the file says (`[route.mirror] to`). It is counted as the variant `mirror` of the
//! route: measured like a variant, and never evidence, for nobody drew a lot between it and stable.

use std::sync::Arc;

use super::dice::Dice;
use super::harm::Limit;
use super::snapshot::Snapshot;
use super::split::{self, STABLE};
use super::table::{Group, Groups, Mirror, Serving, Target};
use super::{Answer, Decision, EndpointId, Names, Place, TableError, View, Why, balance, sticky};
use crate::config;
use crate::metrics::SlotId;
use crate::metrics::slots::{MIRROR, Slots};

/// A request that is to be copied.
#[derive(Debug)]
pub struct Mirrored {
    pub slot: SlotId,
    pub body_bytes_max: u32,
    pub in_flight_max: u32,
    /// `None`: none of its endpoints can be used.
    pub decision: Option<Box<Decision>>,
    pub limit: Option<Limit>,
}

/// `None`: it is not copied. `in_flight` as in [`super::decide`].
pub fn mirror(
    snapshot: &Snapshot,
    view: &View<'_>,
    answer: &Answer,
    dice: &mut Dice,
    in_flight: impl Fn(EndpointId) -> u32,
) -> Option<Box<Mirrored>> {
    let Answer::Forward(live) = answer else { return None };
    let (at, share) = snapshot.shares(live.place.route).mirror()?;
    let serving = snapshot.table().routes().get(live.place.route)?.serving.as_ref()?;
    let mirror = serving.mirror.as_ref()?;
    let mut is_drawn = || split::position_ppm(dice.draw()) < share.ppm();
    if live.place.variant != STABLE || !mirror.methods.contains(view.method) || !is_drawn() {
        return None;
    }
    let group = &mirror.targets.get(at)?.group;
    let key = || sticky::endpoint_key(serving.sticky.as_ref(), view);
    let chosen = balance::choose(group, snapshot.usable(group.index), key, dice, in_flight);
    let decision = chosen.map(|chosen| {
        Box::new(Decision {
            slot: mirror.slot,
            place: Place { route: live.place.route, variant: serving.variants.len() + at },
            endpoint: chosen.endpoint,
            protocol: group.protocol,
            proxy_protocol: group.proxy_protocol,
            timeouts: group.timeouts,
            why: Why::Mirror,
            user: None,
            websocket: false,
            instead_of: None,
            lot: None,
            phantom: None,
            canary: false,
            other: None,
            retry: None,
            fallback: None,
            drill: false,
            ..**live
        })
    });
    Some(Box::new(Mirrored {
        slot: mirror.slot,
        body_bytes_max: mirror.body_bytes_max,
        in_flight_max: mirror.in_flight_max,
        decision,
        limit: group.limit.clone(),
    }))
}

/// What a route has of it. A plan may copy to any canary, so where there is such a plan each is prepared.
pub(super) fn table(
    route: &config::Route,
    plans_mirror: bool,
    serving: &Serving,
    groups: &Groups<'_>,
    slots: &mut Slots,
) -> Result<Option<Mirror>, TableError> {
    let canaries = serving.variants.iter().skip(1).filter(|_| plans_mirror).map(|canary| &canary.group);
    let mut wanted: Vec<_> = canaries.map(Arc::clone).collect();
    let of_file = match &route.mirror.to {
        None => None,
        Some(to) => {
            let (name, upstream) = (&route.name, &to.upstream);
            let unknown =
                || TableError::UnknownUpstream { route: Arc::clone(name), upstream: Arc::clone(upstream) };
            wanted.push(Arc::clone(groups.get(&**upstream).ok_or_else(unknown)?));
            Some((wanted.len() - 1, to.share))
        }
    };
    if wanted.is_empty() {
        return Ok(None);
    }
    let variant = Arc::from(MIRROR);
    let slot = slots
        .slot(&route.name, &variant)
        .ok_or_else(|| TableError::TooManySlots { route: Arc::clone(&route.name) })?;
    let target = |group: Arc<Group>| {
        let upstream = Arc::clone(&group.name);
        let names = Names { route: Arc::clone(&route.name), variant: Arc::clone(&variant), upstream };
        Target { group, names: Arc::new(names) }
    };
    Ok(Some(Mirror {
        slot,
        methods: route.mirror.methods,
        body_bytes_max: route.mirror.body_bytes_max,
        in_flight_max: route.mirror.in_flight_max,
        targets: wanted.into_iter().map(target).collect(),
        of_file,
    }))
}
