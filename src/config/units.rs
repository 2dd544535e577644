//! Values with a unit, parsed at the edge so that nothing inside checks them again.
//!
//! A share of traffic is a [`Weight`]: parts per million, never a float, so a split cannot fail to sum.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One whole, in parts per million.
pub const WHOLE_PPM: u32 = 1_000_000;

/// Longer numbers are refused: no setting needs more digits.
const DECIMAL_CHARS_MAX: usize = 20;

/// A canary's share of a route: 0 to 1 000 000 parts per million, written `"5%"` or `"0.25%"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

/// What every message about a weight says is accepted.
pub const WEIGHT_ACCEPTED: &str = "a share from \"0%\" to \"100%\" in steps of 0.0001%, such as \"2.5%\"";

impl Weight {
    pub const ZERO: Self = Self(0);
    pub const WHOLE: Self = Self(WHOLE_PPM);
    pub(super) const HALF: Self = Self(WHOLE_PPM / 2);
    pub(super) const FIFTH: Self = Self(WHOLE_PPM / 5);

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

/// As people write it.
impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not {WEIGHT_ACCEPTED}")))
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

/// Reads `"250ms"`, `"10s"`, `"5m"`, `"1h"`. `None` for all else: a whole number and one unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let ms_each = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(ms_each).map(Duration::from_millis)
}

/// Units of a size, the largest first.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"512B"`, `"64KiB"`, `"10MiB"`. `None` for all else: a whole number and one unit.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let (_, bytes_each) = SIZES.into_iter().find(|(unit, _)| *unit == &text[digits..])?;
    number.checked_mul(bytes_each)
}

/// The text in the largest unit that says it exactly: `64KiB`, `1000B`.
pub fn bytes_text(bytes: u64) -> String {
    let exact = SIZES.into_iter().find(|(_, each)| bytes >= *each && bytes.is_multiple_of(*each));
    let (unit, each) = exact.unwrap_or(("B", 1));
    format!("{}{unit}", bytes / each)
}

/// The text in the largest unit that says it exactly, to the millisecond: `90s`, `1h`.
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, ms_each) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms >= ms_each && ms.is_multiple_of(ms_each) {
            return format!("{}{unit}", ms / ms_each);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}

/// Reads `"0.02%"` as the share 0.0002, rounded once. `None` for all else; more than 100% is read too.
pub fn parse_percent(text: &str) -> Option<f64> {
    let number = plain_decimal(text.strip_suffix('%')?)?;
    format!("{number}e-2").parse().ok()
}

/// Reads `"1.25x"` as 1.25. `None` for all else.
pub fn parse_ratio(text: &str) -> Option<f64> {
    plain_decimal(text.strip_suffix('x')?)?.parse().ok()
}

/// Digits with at most one point between them: no sign, no exponent.
fn plain_decimal(text: &str) -> Option<&str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (text.len() <= DECIMAL_CHARS_MAX && digits(whole) && digits(fraction)).then_some(text)
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

    #[test]
    fn durations_are_a_whole_number_and_a_unit() {
        for (text, ms) in [("0s", 0), ("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000)] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(text), Some(duration), "{text}");
            assert_eq!(duration_text(duration), text);
        }
        assert_eq!(duration_text(Duration::from_secs(90)), "90s");
        for text in ["", "s", "10", "10 s", "1.5s", "-1s", "10sec", "1d", "18446744073709551615h", "٣s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_a_whole_number_and_a_binary_unit() {
        for (text, bytes) in
            [("0B", 0), ("1000B", 1_000), ("64KiB", 65_536), ("3MiB", 3 << 20), ("1TiB", 1 << 40)]
        {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
            assert_eq!(bytes_text(bytes), text);
        }
        for text in ["", "B", "10", "10 B", "1.5KiB", "-1B", "+1B", "1KB", "1k", "18446744073709551615KiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn percents_and_ratios_are_rounded_once() {
        for (text, share) in [("0.02%", 0.0002), ("5%", 0.05), ("0%", 0.0), ("150%", 1.5), ("0.1%", 0.001)] {
            assert_eq!(parse_percent(text), Some(share), "{text}");
        }
        assert_eq!(parse_ratio("1.25x"), Some(1.25));
        for text in ["", "%", "5", "x", ".5%", "5.%", "1e1%", "-1%", "nan%", "000000000000000000001%"] {
            assert_eq!(parse_percent(text), None, "{text}");
            assert_eq!(parse_ratio(&text.replace('%', "x")), None, "{text}");
        }
    }
}
