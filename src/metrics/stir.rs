//! Which slots have been written since somebody looked, so that a look costs what has happened and not what there is.
//!
//! A worker marks a slot each time that it has written it, and the chunk in which it lies. A reader that finds a chunk's mark where it
//! left it passes over all of its slots: ten thousand routes on which nothing happens are a few hundred numbers to read. Marks
//! are counters as all others are, with one writer, and are written after what they speak of: who sees the mark sees the
//! count.

use std::ops::Deref;

use super::SlotId;
use super::shard::{CHUNK, Counter, SlotCounters};
use super::totals::Shards;

/// Of one chunk of one worker.
#[derive(Debug)]
pub(super) struct Marks {
    chunk: Counter,
    slots: [Counter; CHUNK],
}

impl Default for Marks {
    fn default() -> Self {
        Self { chunk: Counter::default(), slots: std::array::from_fn(|_| Counter::default()) }
    }
}

/// The counters of a slot in the hands of their worker. Marks the slot when it is let go, so it must not be kept across an await.
#[derive(Debug)]
pub struct Writing<'a> {
    counters: &'a SlotCounters,
    marks: &'a Marks,
    place: usize,
}

impl<'a> Writing<'a> {
    pub(super) fn new(counters: &'a SlotCounters, marks: &'a Marks, place: usize) -> Self {
        Self { counters, marks, place }
    }
}

impl Deref for Writing<'_> {
    type Target = SlotCounters;

    fn deref(&self) -> &SlotCounters {
        self.counters
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.marks.slots[self.place].add(1);
        self.marks.chunk.add(1);
    }
}

/// The marks that a reader has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// By worker and chunk; `None`: the worker has no such chunk yet.
    workers: Vec<Vec<Option<Box<SeenChunk>>>>,
}

#[derive(Debug)]
struct SeenChunk {
    chunk: u64,
    slots: [u64; CHUNK],
}

impl Default for SeenChunk {
    fn default() -> Self {
        Self { chunk: 0, slots: [0; CHUNK] }
    }
}

impl Shards {
    /// Tells `found` every slot that was written since the last look: once for each worker that wrote it. `slots`: how many there
    /// are.
    pub fn stirred(&self, slots: usize, seen: &mut Seen, mut found: impl FnMut(SlotId)) {
        seen.workers.resize_with(self.workers().len(), Vec::new);
        let chunks = slots.div_ceil(CHUNK);
        for (shard, seen) in self.workers().iter().zip(&mut seen.workers) {
            if seen.len() < chunks {
                seen.resize_with(chunks, || None);
            }
            for (at, seen) in seen.iter_mut().enumerate().take(chunks) {
                let Some(marks) = shard.marks(at) else { continue };
                seen.get_or_insert_default().look(marks, |place| found(SlotId::at(at * CHUNK + place)));
            }
        }
    }
}

impl SeenChunk {
    /// The chunk's mark is read first: a slot that is marked meanwhile is told now, or at the next look.
    fn look(&mut self, marks: &Marks, mut found: impl FnMut(usize)) {
        let chunk = marks.chunk.get();
        if std::mem::replace(&mut self.chunk, chunk) == chunk {
            return;
        }
        for (place, (mark, seen)) in marks.slots.iter().zip(&mut self.slots).enumerate() {
            let mark = mark.get();
            if std::mem::replace(seen, mark) != mark {
                found(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(shards: &Shards, seen: &mut Seen) -> Vec<usize> {
        let mut found = Vec::new();
        shards.stirred(200, seen, |slot| found.push(slot.index()));
        found
    }

    #[test]
    fn each_look_finds_what_was_written_since_the_last_one() {
        let shards = Shards::new(2);
        let mut seen = Seen::default();
        assert!(look(&shards, &mut seen).is_empty());
        for (worker, slot) in [(0, 3), (0, 130), (1, 3), (1, 199)] {
            shards.worker(worker).slot(SlotId::from_index(slot)).start(7);
        }
        assert_eq!(look(&shards, &mut seen), [3, 130, 3, 199]);
        assert!(look(&shards, &mut seen).is_empty());
        shards.worker(1).draw(Some(SlotId::from_index(131)));
        assert_eq!(look(&shards, &mut seen), [131]);
    }

    #[test]
    fn the_mark_is_set_after_the_count() {
        let shards = Shards::new(1);
        let mut seen = Seen::default();
        let shard = shards.worker(0);
        let slot = shard.slot(SlotId::from_index(3));
        slot.start(7);
        assert!(look(&shards, &mut seen).is_empty());
        drop(slot);
        assert_eq!(look(&shards, &mut seen), [3]);
    }

    #[test]
    fn a_reader_marks_nothing() {
        let shards = Shards::new(1);
        let (slot, mut seen) = (SlotId::from_index(3), Seen::default());
        shards.share_users(&[slot]);
        let _ = shards.totals(slot);
        assert!(look(&shards, &mut seen).is_empty());
    }
}
