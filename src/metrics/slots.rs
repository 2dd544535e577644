//! Which counters belong to which (route, variant).
//!
//! A slot is a small number that workers index by. Slots are handed out by name and never taken back, so a
//! reload, a promotion or a route that comes back goes on counting where it stopped.

use std::collections::HashMap;
use std::sync::Arc;

/// Index of a (route, variant) in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(u32);

impl SlotId {
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// For tests and benches that have no registry.
    pub fn from_index(index: u32) -> Self {
        Self(index)
    }
}

/// The names behind a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SlotName {
    pub route: Arc<str>,
    pub variant: Arc<str>,
}

/// The registry. One owner: the controller.
#[derive(Debug, Default)]
pub struct Slots {
    names: Vec<SlotName>,
    ids: HashMap<SlotName, SlotId>,
}

impl Slots {
    /// More (route, variant) pairs than this in the life of one process are refused: [`Slots::slot`] says `None`.
    pub const SLOTS_MAX: usize = 262_144;

    pub fn slot(&mut self, route: &Arc<str>, variant: &Arc<str>) -> Option<SlotId> {
        let name = SlotName { route: Arc::clone(route), variant: Arc::clone(variant) };
        if let Some(id) = self.ids.get(&name) {
            return Some(*id);
        }
        let id = SlotId(u32::try_from(self.names.len()).ok()?);
        if id.index() >= Self::SLOTS_MAX {
            return None;
        }
        self.names.push(name.clone());
        self.ids.insert(name, id);
        Some(id)
    }

    pub fn find(&self, route: &str, variant: &str) -> Option<SlotId> {
        self.ids.get(&SlotName { route: route.into(), variant: variant.into() }).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &SlotName)> {
        self.names.iter().zip(0u32..).map(|(name, index)| (SlotId(index), name))
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_slot() {
        let mut slots = Slots::default();
        let (shop, stable, canary) = (Arc::from("shop"), Arc::from("stable"), Arc::from("canary"));
        let first = slots.slot(&shop, &stable).unwrap();
        let second = slots.slot(&shop, &canary).unwrap();
        assert_ne!(first, second);
        assert_eq!(slots.slot(&shop, &stable), Some(first));
        assert_eq!(slots.find("shop", "canary"), Some(second));
        assert_eq!(slots.find("shop", "nobody"), None);
    }
}
