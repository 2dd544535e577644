//! Which counters belong to which (route, variant).
//!
//! A slot is a small number that workers index by. Slots are handed out by name and never taken back, so a
//! reload, a promotion or a route that comes back goes on counting where it stopped.

use std::collections::HashMap;
use std::sync::Arc;

/// The variant that copies of requests are counted as.
pub const MIRROR: &str = "mirror";

/// Index of a (route, variant) in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(u32);

impl SlotId {
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// `index` was one of a slot.
    #[expect(clippy::cast_possible_truncation, reason = "there are at most [`Slots::SLOTS_MAX`]")]
    pub(super) fn at(index: usize) -> Self {
        Self(index as u32)
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
    /// `None`: of a phantom, which nobody is shown.
    names: Vec<Option<SlotName>>,
    ids: HashMap<SlotName, SlotId>,
    phantoms: HashMap<Arc<str>, SlotId>,
}

impl Slots {
    /// More (route, variant) pairs than this in the life of one process are refused: [`Slots::slot`] says `None`.
    pub const SLOTS_MAX: usize = 262_144;

    pub fn slot(&mut self, route: &Arc<str>, variant: &Arc<str>) -> Option<SlotId> {
        let name = SlotName { route: Arc::clone(route), variant: Arc::clone(variant) };
        if let Some(id) = self.ids.get(&name) {
            return Some(*id);
        }
        let id = self.next(Some(name.clone()))?;
        self.ids.insert(name, id);
        Some(id)
    }

    /// Of a route's phantom: the slice of stable that is judged as if it were a canary. It is no variant and has no name,
    /// so it can neither clash with a canary's nor be found or listed as one.
    pub fn phantom(&mut self, route: &Arc<str>) -> Option<SlotId> {
        if let Some(id) = self.phantoms.get(route) {
            return Some(*id);
        }
        let id = self.next(None)?;
        self.phantoms.insert(Arc::clone(route), id);
        Some(id)
    }

    fn next(&mut self, name: Option<SlotName>) -> Option<SlotId> {
        let id = SlotId(u32::try_from(self.names.len()).ok()?);
        if id.index() >= Self::SLOTS_MAX {
            return None;
        }
        self.names.push(name);
        Some(id)
    }

    pub fn find(&self, route: &str, variant: &str) -> Option<SlotId> {
        self.ids.get(&SlotName { route: route.into(), variant: variant.into() }).copied()
    }

    /// Of every variant.
    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &SlotName)> {
        self.names.iter().zip(0u32..).filter_map(|(name, index)| Some((SlotId(index), name.as_ref()?)))
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

    #[test]
    fn a_phantom_is_counted_and_never_listed() {
        let mut slots = Slots::default();
        let shop = Arc::from("shop");
        let stable = slots.slot(&shop, &Arc::from("stable")).unwrap();
        let phantom = slots.phantom(&shop).unwrap();
        let canary = slots.slot(&shop, &Arc::from("phantom")).unwrap();
        assert_eq!(slots.phantom(&shop), Some(phantom));
        assert_eq!(slots.iter().map(|(slot, _)| slot).collect::<Vec<_>>(), [stable, canary]);
        assert!(phantom != stable && phantom != canary);
        assert_eq!(slots.len(), 3);
    }
}
