//! Chance from a seed, for what is played in advance: the same seed gives the same numbers on every machine.
//!
//! Useless for secrets, and nothing live is decided by it.

/// Sebastiano Vigna's splitmix64: small, and good enough to simulate with.
pub(super) struct SplitMix(u64);

impl SplitMix {
    /// One of many sequences that have nothing to do with each other.
    pub(super) fn numbered(seed: u64, number: u64) -> Self {
        Self(Self(Self(seed).next() ^ number).next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    pub(super) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }
}

/// How many of many independent requests come in a step, of which so many are expected.
///
/// Drawn from a table, which is as wide as some standard deviations. Each draw takes one number of the sequence, whatever
/// the mean, so that two means that are played with one seed have their luck in the same places.
pub(super) struct Poisson {
    /// The count of the first entry.
    first: u64,
    /// How likely so many or fewer are.
    up_to: Vec<f64>,
}

/// Counts so much less likely than the likeliest are left out.
const NEGLIGIBLE: f64 = 1e-18;

impl Poisson {
    /// `mean`: at most about a billion, for which the table takes some megabytes.
    pub(super) fn new(mean: f64) -> Self {
        if mean <= 0.0 {
            return Self { first: 0, up_to: Vec::new() };
        }
        let mode = mean.floor();
        let mut up_to = Vec::new();
        let (mut count, mut likely) = (mode, 1.0);
        while count > 0.0 && likely > NEGLIGIBLE {
            likely *= count / mean;
            count -= 1.0;
            up_to.push(likely);
        }
        let first = count;
        up_to.reverse();
        (count, likely) = (mode, 1.0);
        while likely > NEGLIGIBLE {
            up_to.push(likely);
            count += 1.0;
            likely *= mean / count;
        }
        let mut sum = 0.0;
        for entry in &mut up_to {
            sum += *entry;
            *entry = sum;
        }
        up_to.iter_mut().for_each(|entry| *entry /= sum);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and not below 0")]
        let first = first as u64;
        Self { first, up_to }
    }

    pub(super) fn draw(&self, chance: &mut SplitMix) -> u64 {
        let at = chance.unit();
        self.first + self.up_to.partition_point(|up_to| *up_to < at) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_and_the_spread_of_a_poisson_distribution() {
        for mean in [0.01, 0.7, 5.0, 123.4, 60_000.0] {
            const DRAWS: u32 = 20_000;
            let poisson = Poisson::new(mean);
            let mut chance = SplitMix::numbered(1, 0);
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..DRAWS {
                let off = poisson.draw(&mut chance) as f64 - mean;
                sum += off;
                squares += off * off;
            }
            let draws = f64::from(DRAWS);
            assert!((sum / draws).abs() < 4.0 * (mean / draws).sqrt(), "{mean}: off by {}", sum / draws);
            let variance = squares / draws / mean;
            let four_sigma = 4.0 * ((2.0 + 1.0 / mean) / draws).sqrt();
            assert!((variance - 1.0).abs() < four_sigma, "{mean}: {variance} times its variance");
        }
    }

    #[test]
    fn nothing_expected_is_nothing_drawn_and_takes_a_number_all_the_same() {
        let (mut one, mut other) = (SplitMix::numbered(7, 0), SplitMix::numbered(7, 0));
        assert_eq!(Poisson::new(0.0).draw(&mut one), 0);
        let _ = Poisson::new(3.0).draw(&mut other);
        assert_eq!(one.next(), other.next());
    }

    #[test]
    fn more_expected_is_never_less_drawn_with_the_same_luck() {
        let (mut one, mut other) = (SplitMix::numbered(3, 0), SplitMix::numbered(3, 0));
        let (fewer, more) = (Poisson::new(2.0), Poisson::new(2.2));
        for _ in 0..1_000 {
            assert!(fewer.draw(&mut one) <= more.draw(&mut other));
        }
    }
}
