//! Values with a unit, parsed at the edge so that nothing inside checks them again.
//!
//! A share of traffic is a [`Weight`]: parts per million, never a float, so a split cannot fail to sum.

use std::fmt;

/// One whole, in parts per million.
pub const WHOLE_PPM: u32 = 1_000_000;

/// A canary's share of a route: 0 to 1 000 000 parts per million, written `"5%"` or `"0.25%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

/// What every message about a weight says is accepted.
pub const WEIGHT_ACCEPTED: &str = "a share from \"0%\" to \"100%\" in steps of 0.0001%, such as \"2.5%\"";

impl Weight {
    pub const ZERO: Self = Self(0);
    pub const WHOLE: Self = Self(WHOLE_PPM);

    pub fn from_ppm(ppm: u32) -> Option<Self> {
        (ppm <= WHOLE_PPM).then_some(Self(ppm))
    }

    /// Reads `"5%"`, `"0.25%"`, `"100%"`. `None` for all else: no sign, no exponent, no bare number.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let point_without_digits = number.ends_with('.');
        if whole.is_empty() || whole.len() > 3 || !digits(whole) || !digits(fraction) || point_without_digits
        {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 4 {
            return None;
        }
        let fraction_ppm: u32 = format!("{fraction:0<4}").parse().ok()?;
        Self::from_ppm(whole.parse::<u32>().ok()? * 10_000 + fraction_ppm)
    }

    pub fn ppm(self) -> u32 {
        self.0
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE_PPM)
    }
}

impl fmt::Display for Weight {
    /// The shortest text that parses back: `5%`, `0.25%`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, self.0 % 10_000);
        if fraction == 0 {
            return write!(out, "{whole}%");
        }
        let digits = format!("{fraction:04}");
        write!(out, "{whole}.{}%", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_exactly_or_refused() {
        for (text, ppm) in [
            ("0%", 0),
            ("5%", 50_000),
            ("0.25%", 2_500),
            ("100%", 1_000_000),
            ("0.0001%", 1),
            ("2.50000%", 25_000),
        ] {
            assert_eq!(Weight::parse(text).map(Weight::ppm), Some(ppm), "{text}");
        }
        for text in [
            "",
            "%",
            "5",
            "-1%",
            "+5%",
            "150%",
            "100.0001%",
            "0.00001%",
            "1e1%",
            "5.%",
            ".5%",
            "٣%",
            "5%%",
            "1000%",
        ] {
            assert_eq!(Weight::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_weight_prints_as_what_parses_back() {
        for ppm in (0..=WHOLE_PPM).step_by(37).chain([1, WHOLE_PPM]) {
            let weight = Weight::from_ppm(ppm).unwrap();
            assert_eq!(Weight::parse(&weight.to_string()), Some(weight));
        }
        assert_eq!(Weight::from_ppm(WHOLE_PPM + 1), None);
    }
}
