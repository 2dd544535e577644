//! Seeded chance, the same on every machine. Draws are cheap, since debug builds make tens of millions of them.
//!
//! Failures are drawn exactly where few are expected; beyond [`EXACT_MAX`] expected ones, and for how many requests
//! arrive, the normal curve stands in, rounded.

/// Expected events up to which a draw is exact.
const EXACT_MAX: f64 = 200.0;

/// Sebastiano Vigna's splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Neighbouring seeds give unrelated streams.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0xd134_2543_de82_ef95));
        chance.0 = chance.bits();
        chance
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// One of so many.
    pub(crate) fn one_of(&mut self, many: usize) -> usize {
        position(self.unit(), many)
    }

    pub(crate) fn happens(&mut self, share: f64) -> bool {
        self.unit() <= share
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How many of `trials` succeed, by jumping from one success to the next.
    pub(crate) fn binomial(&mut self, trials: u64, share: f64) -> u64 {
        if share > 0.5 {
            return trials - self.binomial(trials, 1.0 - share);
        }
        let expected = trials as f64 * share;
        if expected <= 0.0 {
            return 0;
        }
        if expected > EXACT_MAX {
            return self.around(expected, expected * (1.0 - share)).min(trials);
        }
        let ln_miss = (-share).ln_1p();
        let (mut successes, mut at) = (0, 0.0);
        loop {
            at += (self.unit().ln() / ln_miss).floor() + 1.0;
            if at > trials as f64 {
                return successes;
            }
            successes += 1;
        }
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 20.0 {
            return self.around(mean, mean);
        }
        let (mut events, mut left, none) = (0, self.unit(), (-mean).exp());
        while left > none {
            left *= self.unit();
            events += 1;
        }
        events
    }

    /// At least 1.
    pub(crate) fn geometric(&mut self, mean: f64) -> u64 {
        if mean <= 1.0 {
            return 1;
        }
        whole(1.0 + (self.unit().ln() / (-1.0 / mean).ln_1p()).floor())
    }

    /// Of mean 1. By Marsaglia and Tsang; small shapes from the next larger one.
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let larger = self.gamma(shape + 1.0) * (shape + 1.0);
            return larger * self.unit().powf(1.0 / shape) / shape;
        }
        let d = shape - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v / shape;
            }
        }
    }

    fn around(&mut self, mean: f64, variance: f64) -> u64 {
        whole((mean + variance.sqrt() * self.normal()).round().max(0.0))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a simulation: whole, not negative"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

/// Which of `many` lies at a share of the way.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
pub(crate) fn position(share: f64, many: usize) -> usize {
    ((share * many as f64) as usize).min(many - 1)
}

/// The probability that so many or more of `trials` succeed.
pub(crate) fn at_least(successes: u64, trials: u64, share: f64) -> f64 {
    let share = share.min(1.0);
    if successes == 0 || share >= 1.0 {
        return 1.0;
    }
    let (mut term, mut sum) = (trials as f64 * (-share).ln_1p(), 0.0);
    for k in 0..=trials {
        if k >= successes {
            sum += term.exp();
        }
        term += ((trials - k) as f64 / (k + 1) as f64).ln() + share.ln() - (-share).ln_1p();
    }
    sum.min(1.0)
}
