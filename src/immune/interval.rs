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
    }
}
