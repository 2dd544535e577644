//! Everything that a decision needs, immutable and whole: the table, the shares of each route's canaries, and the
//! usable endpoints of each upstream.
//!
//! The table changes on a reload, the shares on every move of a weight, the usable endpoints with their health. They
//! are kept apart so that a move builds one route's split or one upstream's list anew and otherwise copies pointers,
//! whatever the number of routes.

use std::sync::Arc;

use crate::config::Weight;

use super::split::{STABLE, Split};
use super::table::Table;
use super::usable::Usable;
use super::{Decision, Names, Place, Share};

#[derive(Clone, Debug)]
pub struct Snapshot {
    generation: u64,
    table: Arc<Table>,
    /// As many as the table has routes, in its order.
    shares: Vec<Arc<RouteShares>>,
    /// As many as the table has upstreams, in its order.
    usable: Vec<Arc<Usable>>,
}

impl Snapshot {
    /// `shares[route][canary]`, in the table's order. What is missing is closed, what is too much is ignored: a
    /// mistake can only keep traffic on stable.
    /// All endpoints that the table knows are usable.
    pub fn new(generation: u64, table: Arc<Table>, shares: &[Vec<Share>]) -> Self {
        let usable = table.all_usable();
        Self::with_endpoints(generation, table, shares, usable)
    }

    /// The same with these endpoints, in the table's order.
    pub fn with_endpoints(
        generation: u64,
        table: Arc<Table>,
        shares: &[Vec<Share>],
        mut usable: Vec<Arc<Usable>>,
    ) -> Self {
        let of_route = |index: usize| shares.get(index).map_or(&[] as &[Share], Vec::as_slice);
        let routes = 0..table.routes().len();
        let shares = routes.map(|index| Arc::new(RouteShares::new(&table, index, of_route(index)))).collect();
        usable.resize_with(table.groups().len(), Arc::default);
        Self { generation, table, shares, usable }
    }

    /// The same snapshot with the endpoints of some upstreams replaced, by their place in the table.
    pub fn with_usable(&self, generation: u64, changes: Vec<(usize, Arc<Usable>)>) -> Self {
        let mut next = Self { generation, ..self.clone() };
        for (group, usable) in changes {
            if let Some(place) = next.usable.get_mut(group) {
                *place = usable;
            }
        }
        next
    }

    /// The same snapshot with the shares of one route replaced. A route that is not there is left out in silence:
    /// indexes come from [`Table::route_index`] of this very table.
    pub fn with_shares(&self, generation: u64, route: usize, shares: &[Share]) -> Self {
        let mut next = Self { generation, ..self.clone() };
        if let Some(place) = next.shares.get_mut(route) {
            *place = Arc::new(RouteShares::new(&self.table, route, shares));
        }
        next
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// `None` only for a place of another snapshot.
    pub fn names(&self, place: Place) -> Option<&Arc<Names>> {
        let serving = self.table.routes().get(place.route)?.serving.as_ref()?;
        match place.variant.checked_sub(serving.variants.len()) {
            None => serving.variants.get(place.variant).map(|variant| &variant.names),
            Some(target) => Some(&serving.mirror.as_ref()?.targets.get(target)?.names),
        }
    }

    /// The canary that was decided for takes nobody any more. One that the file has dropped meanwhile is not closed: what
    /// it has begun it may end.
    pub fn has_closed(&self, decision: &Decision) -> bool {
        let place = |route: usize| {
            let serving = self.table.routes().get(route)?.serving.as_ref()?;
            let variant = serving.variants.iter().position(|variant| variant.slot == decision.slot)?;
            Some((route, variant))
        };
        // Where it was, unless a reload has moved it.
        let place = place(decision.place.route).or_else(|| (0..self.table.routes().len()).find_map(place));
        place.is_some_and(|(route, variant)| variant != STABLE && !self.shares[route].is_open(variant))
    }

    /// `group` is the index of a group of this very table.
    pub(super) fn usable(&self, group: usize) -> &Usable {
        &self.usable[group]
    }

    pub(super) fn shares(&self, route: usize) -> &RouteShares {
        &self.shares[route]
    }
}

/// The shares of one route, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RouteShares {
    split: Split,
    /// One for each canary.
    open: Box<[bool]>,
    /// The variant that is drilled, and how many of its requests. One at a time.
    drill: Option<(usize, Weight)>,
    /// Which target of the route's mirror gets copies, and of how many requests.
    mirror: Option<(usize, Weight)>,
}

impl RouteShares {
    fn new(table: &Table, route: usize, shares: &[Share]) -> Self {
        let canaries = table.routes()[route].canaries();
        let closed = Share { effective: Weight::ZERO, open: false, drill: None, mirror: None };
        let shares: Vec<Share> =
            (0..canaries).map(|canary| shares.get(canary).copied().unwrap_or(closed)).collect();
        let weights: Vec<Weight> =
            shares.iter().map(|share| if share.open { share.effective } else { Weight::ZERO }).collect();
        let drills = shares.iter().zip(1..).filter_map(|(share, variant)| Some((variant, share.drill?)));
        let mirrors = shares.iter().enumerate().filter_map(|(at, share)| Some((at, share.mirror?)));
        let of_file = || table.routes()[route].serving.as_ref()?.mirror.as_ref()?.of_file;
        Self {
            mirror: mirrors.into_iter().next().or_else(of_file),
            split: Split::new(&weights),
            open: shares.iter().map(|share| share.open).collect(),
            drill: drills.into_iter().next(),
        }
    }

    pub(super) fn split(&self) -> &Split {
        &self.split
    }

    pub(super) fn drill(&self, variant: usize) -> Option<Weight> {
        self.drill.filter(|(drilled, _)| *drilled == variant).map(|(_, share)| share)
    }

    pub(super) fn mirror(&self) -> Option<(usize, Weight)> {
        self.mirror
    }

    /// `variant` is the index of a canary's variant, 1 for the first.
    pub(super) fn is_open(&self, variant: usize) -> bool {
        variant.checked_sub(1).and_then(|canary| self.open.get(canary)).is_some_and(|open| *open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::slots::Slots;
    use crate::routing::testing::{self, Request, split_route};
    use crate::routing::{Dice, EndpointIds};

    const CLOSED: Share = Share { effective: Weight::ZERO, open: false, drill: None, mirror: None };

    #[test]
    fn a_canary_is_found_where_a_reload_has_moved_it_and_its_like_is_not_taken_for_it() {
        let mut slots = Slots::default();
        let mut table = |routes| {
            let built =
                Table::build(&testing::config(routes), &mut slots, &mut EndpointIds::default()).unwrap();
            Arc::new(built)
        };
        let routes = |names: &[&str]| names.iter().map(|name| split_route(name, &["v2", "v3"])).collect();
        let all = testing::open(400_000);
        let before = Snapshot::new(1, table(routes(&["shop"])), &[vec![testing::open(1_000_000), CLOSED]]);
        let decision = Request::get("", "/").decide(&before, &mut Dice::new(1));
        assert!(!before.has_closed(&decision));
        assert!(before.with_shares(2, 0, &[CLOSED, all]).has_closed(&decision));
        assert!(
            !before.with_shares(2, 0, &[testing::open(0), CLOSED]).has_closed(&decision),
            "only of no weight"
        );

        let moved = Snapshot::new(3, table(routes(&["cart", "shop"])), &[vec![CLOSED, all], vec![all, all]]);
        assert!(!moved.has_closed(&decision), "that is another route's");
        assert!(moved.with_shares(4, 1, &[CLOSED, all]).has_closed(&decision));
        let gone = Snapshot::new(5, table(routes(&["cart"])), &[vec![CLOSED, CLOSED]]);
        assert!(!gone.has_closed(&decision));
        let stable = Decision {
            slot: before.table.routes()[0].serving.as_ref().unwrap().variants[0].slot,
            ..decision
        };
        assert!(!before.with_shares(2, 0, &[CLOSED, CLOSED]).has_closed(&stable));
    }
}
