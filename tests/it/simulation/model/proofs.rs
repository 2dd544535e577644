//! Proofs of health, and events: something good of which a bad canary leads to less.

use std::sync::Arc;

use andon::config::{EventTerms, Judge, Mode};
use andon::immune::Verdict;

use super::chance::Chance;
use super::play::{Both, Calls, Outcome, Play, Span, counts};
use super::table::bets;
use super::worlds::World;

/// Errors alone, and they only watch: what would be called unhealthy first shall not hide what is called healthy.
fn proving() -> Judge {
    Judge { errors: Mode::Watch, latency: Mode::Off, ..bets() }
}

/// Canary requests until it was called healthy, if it ever was.
pub(crate) fn requests_to_health(mut world: World, seconds: u64, seed: u64) -> Option<u64> {
    let mut play = Play::new(&proving());
    let mut chance = Chance::new(seed);
    let mut requests = 0;
    for _ in 0..seconds {
        let outcome = play.run(1, Calls::Once, &mut chance, &mut world);
        requests += outcome.canary.0;
        if matches!(play.guard.verdict(), Verdict::Healthy(_)) {
            return Some(requests);
        }
    }
    None
}

/// Orders, of which stable may have a quarter more. Failures and latency have their share of the odds.
fn with_orders() -> Judge {
    let orders = EventTerms { name: Arc::from("order"), tolerate: 1.25, mode: Mode::Act };
    Judge { events: vec![orders], ..bets() }
}

/// What a world calls failed are orders here, and nothing fails.
pub(crate) fn orders(mut world: World, seconds: u64, seed: u64) -> Outcome {
    let mut play = Play::new(&with_orders());
    let mut chance = Chance::new(seed);
    let mut outcome = Outcome::default();
    for second in 1..=seconds {
        let Both { canary, stable } = world(&mut chance, Span { at_s: second as f64, long_s: 1.0 });
        (play.details.0.events[0], play.details.1.events[0]) = (canary.failed, stable.failed);
        outcome.canary.0 += canary.requests;
        let both = Both { canary: counts(canary.requests, 0), stable: counts(stable.requests, 0) };
        let unhealthy = play.step(both, Calls::Once).is_unhealthy();
        outcome.top = outcome.top.max(play.guard.odds());
        if unhealthy {
            outcome.unhealthy_s = Some(second as f64);
            break;
        }
    }
    outcome
}
