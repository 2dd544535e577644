//! What happens, told to whoever listens: decisions as they take effect, the state of a route when it has changed, and
//! once a second what was seen.
//!
//! Nobody is waited for. Decisions and states are kept for a while ([`EVENTS_MAX`]), so that a listener that was away
//! for a moment misses none; one that cannot keep up loses its place, and is told so. Samples are not kept: whoever is
//! slow gets the newest.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::{broadcast, watch};

use super::command::Reply;
use super::controller::Controller;
use super::jobs::answer;
use super::view::RouteView;
use crate::store::record::Decision;

/// Events that are kept for those who come back. Whoever missed more starts anew.
pub const EVENTS_MAX: usize = 1_024;
/// Routes whose states are told one by one; if more have changed at once, that is all that is told.
const STATES_MAX: usize = 100;
/// Routes in one sample, in the order of the file.
const SAMPLED_MAX: usize = 1_000;
const SAMPLE_EVERY_US: u64 = 1_000_000;

/// Where a listener is. A process counts its events from 1, and its epoch tells it from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub epoch: u64,
    pub number: u64,
}

impl Position {
    /// As it is shown: `1764316843123-42`.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.split_once('-')?;
        Some(Self { epoch: epoch.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.epoch, self.number)
    }
}

#[derive(Debug)]
pub struct Event {
    pub at: Position,
    pub what: What,
    /// As it is sent: drawn by the first listener, for all.
    drawn: OnceLock<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It has taken effect.
    Decision(Decision),
    State(Box<RouteView>),
    /// More routes have changed at once than are told one by one.
    Many,
}

/// What was seen of every route with a canary.
#[derive(Debug, Default)]
pub struct Sample {
    pub at_ms: i64,
    pub routes: Vec<RouteView>,
    drawn: OnceLock<String>,
}

/// What a listener gets.
#[derive(Debug)]
pub struct Subscription {
    /// Of a listener that has come back: what it missed.
    pub backlog: Vec<Arc<Event>>,
    pub events: broadcast::Receiver<Arc<Event>>,
    pub samples: watch::Receiver<Arc<Sample>>,
    /// Before the backlog.
    pub at: Position,
    pub place: Place,
}

/// Whether a listener could go on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is here for the first time.
    New,
    Found,
    Lost(&'static str),
}

pub(super) struct Events {
    epoch: u64,
    /// Of the last event.
    number: u64,
    /// The last ones, oldest first.
    kept: VecDeque<Arc<Event>>,
    sender: broadcast::Sender<Arc<Event>>,
    samples: watch::Sender<Arc<Sample>>,
    sample_due_us: u64,
    /// Routes whose states are to be told.
    changed: BTreeSet<Arc<str>>,
}

impl Events {
    pub(super) fn new(epoch_ms: i64) -> Self {
        Self {
            epoch: epoch_ms.unsigned_abs(),
            number: 0,
            kept: VecDeque::new(),
            sender: broadcast::channel(EVENTS_MAX).0,
            samples: watch::Sender::default(),
            sample_due_us: 0,
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn decided(&mut self, decision: &Decision) {
        self.push(What::Decision(decision.clone()));
        self.changed.insert(Arc::clone(&decision.route));
    }

    pub(super) fn changed(&mut self, routes: impl IntoIterator<Item = Arc<str>>) {
        self.changed.extend(routes);
    }

    fn push(&mut self, what: What) {
        self.number += 1;
        let at = self.position();
        let event = Arc::new(Event { at, what, drawn: OnceLock::new() });
        if self.kept.len() >= EVENTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::clone(&event));
        // That nobody listens is no failure.
        let _ = self.sender.send(event);
    }

    fn position(&self) -> Position {
        Position { epoch: self.epoch, number: self.number }
    }

    fn subscribe(&self, from: Option<Position>) -> Subscription {
        let (place, at) = match from {
            None => (Place::New, self.position()),
            Some(from) => match self.find(from) {
                Ok(()) => (Place::Found, from),
                Err(why) => (Place::Lost(why), self.position()),
            },
        };
        let missed = self.kept.iter().filter(|event| event.at.number > at.number);
        Subscription {
            backlog: missed.cloned().collect(),
            events: self.sender.subscribe(),
            samples: self.samples.subscribe(),
            at,
            place,
        }
    }

    /// Everything after it is kept still.
    fn find(&self, from: Position) -> Result<(), &'static str> {
        let first_kept = self.kept.front().map_or(self.number + 1, |event| event.at.number);
        if from.epoch != self.epoch {
            Err("andon was started anew since")
        } else if from.number > self.number {
            Err("there was no such event")
        } else if from.number + 1 < first_kept {
            Err("more has happened since than is kept")
        } else {
            Ok(())
        }
    }
}

impl Event {
    pub fn drawn(&self, draw: impl FnOnce(&What) -> String) -> &str {
        self.drawn.get_or_init(|| draw(&self.what))
    }
}

impl Sample {
    pub fn drawn(&self, draw: impl FnOnce(&Self) -> String) -> &str {
        self.drawn.get_or_init(|| draw(self))
    }
}

impl Controller {
    pub(super) fn subscribe(&self, from: Option<Position>, reply: Reply<Subscription>) {
        answer(reply, Ok(self.events.subscribe(from)));
    }

    /// After each turn of the loop.
    pub(super) fn tell_states(&mut self) {
        if self.events.changed.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.events.changed);
        if changed.len() > STATES_MAX {
            return self.events.push(What::Many);
        }
        for name in changed {
            let view = self.routes.find(&name).and_then(|route| self.view(route));
            if let Some(view) = view {
                self.events.push(What::State(Box::new(view)));
            }
        }
    }

    /// With each tick. Costs nothing while nobody listens.
    pub(super) fn tell_sample(&mut self, now_us: u64) {
        if now_us < self.events.sample_due_us || self.events.samples.receiver_count() == 0 {
            return;
        }
        self.events.sample_due_us = now_us.saturating_add(SAMPLE_EVERY_US);
        let sampled: Vec<_> = self.routes.judged.iter().take(SAMPLED_MAX).copied().collect();
        sampled.iter().for_each(|route| self.routes.catch_up(*route));
        let routes = sampled.iter().filter_map(|route| self.view(*route)).collect();
        let sample = Sample { at_ms: self.clock.unix_ms(), routes, drawn: OnceLock::new() };
        self.events.samples.send_replace(Arc::new(sample));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(count: usize) -> Events {
        let mut events = Events::new(7);
        (0..count).for_each(|_| events.push(What::Many));
        events
    }

    fn missed(events: &Events, from: &str) -> Result<Vec<u64>, &'static str> {
        let subscription = events.subscribe(Position::parse(from));
        match subscription.place {
            Place::Lost(why) => Err(why),
            _ => Ok(subscription.backlog.iter().map(|event| event.at.number).collect()),
        }
    }

    #[test]
    fn who_comes_back_gets_what_was_missed_or_is_told_that_it_is_lost() {
        let events = with(3);
        assert_eq!(missed(&events, "7-0"), Ok(vec![1, 2, 3]));
        assert_eq!(missed(&events, "7-2"), Ok(vec![3]));
        assert_eq!(missed(&events, "7-3"), Ok(vec![]));
        assert_eq!(missed(&events, "7-4"), Err("there was no such event"));
        assert_eq!(missed(&events, "6-3"), Err("andon was started anew since"));
        let events = with(EVENTS_MAX + 3);
        assert_eq!(missed(&events, "7-2"), Err("more has happened since than is kept"));
        assert_eq!(missed(&events, "7-3").map(|missed| missed.len()), Ok(EVENTS_MAX));
    }

    #[test]
    fn who_is_here_for_the_first_time_gets_only_what_comes() {
        let mut events = with(3);
        let mut subscription = events.subscribe(None);
        assert_eq!((subscription.place, subscription.backlog.len()), (Place::New, 0));
        events.push(What::Many);
        assert_eq!(subscription.events.try_recv().map(|event| event.at.to_string()).ok(), Some("7-4".into()));
    }

    #[test]
    fn what_is_no_position_is_none() {
        for text in ["", "7", "7-", "-3", "7-3-1", "a-1", "99999999999999999999-1"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
