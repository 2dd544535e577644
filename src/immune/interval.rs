//! How well a rate is known: an interval that holds at every moment at once.
//!
//! The ends are where `n KL(x/n, p) = ln 20 + ln(n)/2 + ln 2` (a Krichevsky-Trofimov mixture against a fixed rate).
//! Unlike a textbook interval it stays honest under continuous looking, which is all that this proxy does; it is
//! wider for that. After a stretch was picked because it looks bad it is descriptive. It never decides that a
//! canary is bad: that is the bet's.

use std::f64::consts::LN_2;

/// How sure an interval is.
pub const LEVEL: f64 = 0.95;

/// Halvings until the ends no longer move in 64-bit floats.
const HALVINGS: u32 = 60;
/// Rounds in which [`requests_needed`] settles; each shrinks the error at least tenfold.
const ROUNDS: u32 = 20;

/// The interval for the rate behind `unlucky` of `requests`, at [`LEVEL`]. Of nothing, everything: 0 to 1.
pub fn interval(unlucky: u64, requests: u64) -> (f64, f64) {
    if requests == 0 {
        return (0.0, 1.0);
    }
    let rate = unlucky as f64 / requests as f64;
    let bound = surprise_max(requests as f64) / requests as f64;
    let end = |edge: f64| {
        let (mut inside, mut outside) = (rate, edge);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (inside + outside);
            if divergence(rate, middle) <= bound { inside = middle } else { outside = middle }
        }
        inside
    };
    let low = if unlucky == 0 { 0.0 } else { end(0.0) };
    let high = if unlucky == requests { 1.0 } else { end(1.0) };
    (low, high)
}

/// Whether the interval's upper end is at most `limit`, without searching for it.
pub fn proves_at_most(limit: f64, unlucky: u64, requests: u64) -> bool {
    if limit >= 1.0 {
        return true;
    }
    if requests == 0 || limit <= 0.0 {
        return false;
    }
    let (n, rate) = (requests as f64, unlucky as f64 / requests as f64);
    rate < limit && n * divergence(rate, limit) >= surprise_max(n)
}

/// At how many requests [`proves_at_most`] would say yes if the rate stays as it is. `None`: never.
pub fn requests_needed(limit: f64, rate: f64) -> Option<f64> {
    if rate >= limit || limit <= 0.0 {
        return None;
    }
    if limit >= 1.0 {
        return Some(1.0);
    }
    let each = divergence(rate, limit);
    if each <= 0.0 {
        return None; // so close to the limit that 64-bit floats cannot tell
    }
    let mut needed = 1.0;
    for _ in 0..ROUNDS {
        needed = (surprise_max(needed) / each).max(1.0);
    }
    needed.is_finite().then_some(needed)
}

/// How much `requests` may disagree with a rate before the rate is left out.
fn surprise_max(requests: f64) -> f64 {
    (1.0 / (1.0 - LEVEL)).ln() + 0.5 * requests.ln() + LN_2
}

/// Kullback-Leibler divergence of two coins, in nats. `other` lies strictly between 0 and 1.
fn divergence(rate: f64, other: f64) -> f64 {
    let heads = if rate > 0.0 { rate * (rate / other).ln() } else { 0.0 };
    let tails = if rate < 1.0 { (1.0 - rate) * ((1.0 - rate) / (1.0 - other)).ln() } else { 0.0 };
    heads + tails
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    #[test]
    fn golden_intervals_are_reproduced() {
        for vector in vectors::of_kind("interval") {
            let (low, high) = interval(vectors::whole(&vector["x"]), vectors::whole(&vector["n"]));
            vectors::assert_same(low, &vector["interval"][0], &vector["name"]);
            vectors::assert_same(high, &vector["interval"][1], &vector["name"]);
            vectors::assert_same(LEVEL, &vector["level"], &vector["name"]);
        }
    }

    #[test]
    fn of_nothing_everything_is_possible() {
        assert_eq!(interval(0, 0), (0.0, 1.0));
        assert!(!proves_at_most(0.5, 0, 0));
    }

    #[test]
    fn the_short_way_agrees_with_the_upper_end() {
        for requests in [1, 2, 10, 100, 119, 118, 1_000, 100_000] {
            for unlucky in [0, 1, 2, 5, 50, requests].into_iter().filter(|unlucky| *unlucky <= requests) {
                let (_, high) = interval(unlucky, requests);
                for limit in [0.0, 0.0002, 0.01, 0.05, 0.5, high - 1e-9, high + 1e-9, 1.0] {
                    assert_eq!(
                        proves_at_most(limit, unlucky, requests),
                        high <= limit,
                        "{unlucky}/{requests}, {limit}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_forecast_is_the_first_number_that_proves_it() {
        let needed = requests_needed(0.05, 0.0).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "about a hundred")]
        let first = needed.ceil() as u64;
        assert_eq!(first, 119);
        assert!(proves_at_most(0.05, 0, first));
        assert!(!proves_at_most(0.05, 0, first - 1));
        assert_eq!(requests_needed(0.05, 0.05), None);
        assert_eq!(requests_needed(0.0, 0.0), None);
        assert_eq!(requests_needed(1.0, 0.2), Some(1.0));
    }
}
