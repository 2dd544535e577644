//! How the bets of a guard add up to one number, and what leads it.
//!
//! Averages of bets are bets, whatever hangs together with what, so one number can be shown and acted on: half of it
//! failures, half latency in equal parts. What only watches has no part in it. Events, where there are any that act,
//! have a quarter of the whole.

use super::evidence::Bet;
use super::guard::Guard;
use super::latency::Percentile;
use super::verdict::{Finding, Missing, Of, Signal, Standing, Verdict};
use super::window::Window;
use crate::config::{self, Mode};

/// Of the whole, where there are events that act.
const EVENTS_SHARE: f64 = 0.25;

impl Guard {
    /// The odds against chance that the canary is worse than tolerated: of all signals that act.
    pub fn odds(&self) -> f64 {
        self.parts(Mode::Act).map(|(weight, bet, _)| weight * bet.odds()).sum()
    }

    /// Each family of signals that is looked at, with its own odds: what it would say alone.
    pub fn odds_by_signal(&self) -> Vec<(String, f64)> {
        let mut all = Vec::new();
        if self.judge().errors != Mode::Off {
            all.push(("errors".to_owned(), self.errors().odds()));
        }
        if self.judge().latency != Mode::Off && !self.percentiles().is_empty() {
            all.push(("latency".to_owned(), self.latency_odds()));
        }
        for (terms, bet) in self.judge().events.iter().zip(self.events()) {
            if terms.mode != Mode::Off {
                all.push((format!("event_{}", terms.name), bet.odds()));
            }
        }
        all
    }

    /// Of latency alone.
    pub(super) fn latency_odds(&self) -> f64 {
        let each = self.percentiles().iter().map(|percentile| percentile.bet.odds());
        if self.percentiles().is_empty() { 0.0 } else { each.sum::<f64>() / self.percentiles().len() as f64 }
    }

    /// The bet that carries most of the odds.
    pub(super) fn leading(&self, mode: Mode) -> Finding {
        let carried = |part: &(f64, &Bet, Signal)| part.0 * part.1.odds();
        let leading = self.parts(mode).reduce(|a, b| if carried(&b) > carried(&a) { b } else { a });
        let (_, bet, signal) = leading.expect("odds came from some bet");
        self.found_by(signal, bet.run())
    }

    /// What only watches, and would have acted alone.
    pub(super) fn watching(&self) -> Vec<Finding> {
        let would_act = |odds: f64| odds >= self.abort_at();
        let mut found = Vec::new();
        if self.judge().errors == Mode::Watch && would_act(self.errors().odds()) {
            let signal = Signal::Errors { abort_at: self.abort_at() };
            found.push(Finding { odds: self.errors().odds(), ..self.found_by(signal, self.errors().run()) });
        }
        if self.judge().latency == Mode::Watch && would_act(self.latency_odds()) {
            let slowest = self.percentiles().iter().filter(|percentile| percentile.mark.is_some());
            let slowest = slowest.max_by(|a, b| a.bet.odds().total_cmp(&b.bet.odds()));
            found.extend(slowest.map(|percentile| Finding {
                odds: self.latency_odds(),
                ..self.found_by(self.slow(percentile), percentile.bet.run())
            }));
        }
        for (terms, bet) in self.judge().events.iter().zip(self.events()) {
            if terms.mode == Mode::Watch && would_act(bet.odds()) {
                let signal = Signal::Event { terms: terms.clone(), abort_at: self.abort_at() };
                found.push(Finding { odds: bet.odds(), ..self.found_by(signal, bet.run()) });
            }
        }
        found
    }

    /// The bets of the signals of this mode, with their weights, which sum to 1.
    fn parts(&self, mode: Mode) -> impl Iterator<Item = (f64, &Bet, Signal)> {
        let judge = self.judge();
        let abort_at = self.abort_at();
        let errors = judge.errors == mode;
        let latency = judge.latency == mode && !self.percentiles().is_empty();
        let events = judge.events.iter().filter(|event| event.mode == mode).count();
        let (base, of_events) = match (errors || latency, events) {
            (true, 0) => (1.0, 0.0),
            (true, _) => (1.0 - EVENTS_SHARE, EVENTS_SHARE),
            (false, _) => (0.0, 1.0),
        };
        let each = if errors && latency { 0.5 * base } else { base };
        let errors = errors.then(|| (each, self.errors(), Signal::Errors { abort_at }));
        let slow = self.percentiles().iter().filter(move |_| latency).map(move |percentile| {
            let weight = each / self.percentiles().len() as f64;
            (weight, &percentile.bet, self.slow(percentile))
        });
        let events = judge.events.iter().zip(self.events()).filter(move |(terms, _)| terms.mode == mode).map(
            move |(terms, bet)| {
                (of_events / events as f64, bet, Signal::Event { terms: terms.clone(), abort_at })
            },
        );
        errors.into_iter().chain(slow).chain(events)
    }

    fn slow(&self, percentile: &Percentile) -> Signal {
        Signal::Latency {
            quantile: percentile.quantile,
            mark: percentile.mark,
            factor: self.judge().tolerate.latency,
            slack: self.judge().tolerate.slack,
            abort_at: self.abort_at(),
        }
    }

    /// Healthy takes proof of every question: that it fails no more than allowed, and that it is not slower.
    pub(super) fn not_unhealthy(&self) -> Verdict {
        let total = self.proof().total();
        let Window { canary, stable, .. } = total;
        if canary.requests == 0 {
            return Verdict::Undecided(Missing::CanaryRequests);
        }
        if self.holds() {
            let (hold_at, abort_at) = (self.judge().hold_at, self.abort_at());
            return Verdict::Undecided(Missing::Odds { odds: self.odds(), hold_at, abort_at });
        }
        if stable.requests == 0 {
            return Verdict::Undecided(Missing::StableRequests);
        }
        let standing = |what, bet: &Bet| self.standing(what, bet);
        let errors = Of::Errors;
        let config::Proof { errors: ratio, extra, .. } = self.judge().proof;
        if stable.rate().is_some_and(|rate| ratio * rate + extra >= 1.0) {
            return Verdict::Undecided(Missing::Limit(standing(errors, self.proof())));
        }
        if self.proof().odds() < self.judge().proof.odds {
            return Verdict::Undecided(Missing::Proof(standing(errors, self.proof())));
        }
        for percentile in self.percentiles() {
            let (Some(mark), Some(proof)) = (percentile.mark, &percentile.proof) else { continue };
            if proof.odds() < self.judge().proof.odds {
                let slow = Of::Latency { quantile: percentile.quantile, mark };
                return Verdict::Undecided(Missing::Proof(standing(slow, proof)));
            }
        }
        if !self.percentiles().is_empty() && self.percentiles().iter().all(|each| each.mark.is_none()) {
            return Verdict::Undecided(Missing::StableLatency);
        }
        Verdict::Healthy(standing(errors, self.proof()))
    }

    fn standing(&self, of: Of, bet: &Bet) -> Standing {
        let total = bet.total();
        let Window { canary, stable, .. } = total;
        let allowed = self.judge().proof;
        Standing { of, canary, stable, seconds: self.seconds(total), odds: bet.odds(), allowed }
    }
}
