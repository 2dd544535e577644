//! Collects what a reader finds: problems, and which keys it asked for.
//!
//! A text with syntax errors is still read, so that an operator sees everything at once. But what is missing
//! there may only have been lost with the broken lines: such problems are not reported.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::DeTable;

use super::problem::{PROBLEMS_MAX, Problem};

pub(super) struct Report<'t> {
    pub(super) text: &'t str,
    /// Stands for a section that the file leaves out.
    pub(super) empty: DeTable<'t>,
    /// The lines with syntax errors.
    broken: Vec<Range<usize>>,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    list: Vec<Problem>,
    more: usize,
    /// By section: `route.guard` to `tick`, …
    asked: BTreeMap<String, BTreeSet<&'static str>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str, syntax: Vec<Problem>) -> Self {
        let more = syntax.len().saturating_sub(PROBLEMS_MAX);
        let list: Vec<_> = syntax.into_iter().take(PROBLEMS_MAX).collect();
        let broken = list.iter().map(|problem| line_around(text, problem.span.start)).collect();
        let found = Found { list, more, asked: BTreeMap::new() };
        Self { text, empty: DeTable::new(), broken, found: RefCell::new(found) }
    }

    /// False if syntax errors may have hidden a part of the file.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    /// Nothing more is kept, so nothing need be worked out beyond that there is a problem.
    pub(super) fn is_full(&self) -> bool {
        self.found.borrow().list.len() >= PROBLEMS_MAX
    }

    /// A problem that lies in one place, whatever the rest of the file says.
    pub(super) fn add(&self, problem: Problem) {
        // The parser puts what it had to make up at 0..0.
        let made_up = !self.is_whole() && problem.span == (0..0);
        let echo = |line: &Range<usize>| problem.span.start <= line.end && line.start <= problem.span.end;
        if made_up || self.broken.iter().any(echo) {
            return;
        }
        if self.is_full() {
            self.found.borrow_mut().more += 1;
        } else {
            self.found.borrow_mut().list.push(problem);
        }
    }

    /// A problem with what is not there: it counts only if the whole file could be read.
    pub(super) fn add_absence(&self, problem: Problem) {
        if self.is_whole() {
            self.add(problem);
        }
    }

    /// Grows with each problem: equal at two moments if nothing was found between them.
    pub(super) fn count(&self) -> usize {
        let found = self.found.borrow();
        found.list.len() + found.more
    }

    pub(super) fn note_asked(&self, section: &str, keys: &[&'static str]) {
        let asked = &mut self.found.borrow_mut().asked;
        match asked.get_mut(section) {
            Some(known) => known.extend(keys),
            None => drop(asked.insert(section.to_owned(), keys.iter().copied().collect())),
        }
    }

    /// Problems kept, problems only counted, and every key path asked for.
    pub(super) fn into_parts(self) -> (Vec<Problem>, usize, Vec<String>) {
        let found = self.found.into_inner();
        let path = |section: &str, key: &str| match section {
            "" => key.to_owned(),
            _ => format!("{section}.{key}"),
        };
        let paths = |(section, keys): (&String, &BTreeSet<&str>)| {
            keys.iter().map(|key| path(section, key)).collect::<Vec<_>>()
        };
        (found.list, found.more, found.asked.iter().flat_map(paths).collect())
    }
}

/// Counted from 1.
pub(super) fn line_number(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The bytes of the line that holds `offset`, without its end.
pub(super) fn line_around(text: &str, offset: usize) -> Range<usize> {
    let offset = text.floor_char_boundary(offset);
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    start..end
}
