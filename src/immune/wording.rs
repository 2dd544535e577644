//! How numbers read in a sentence for operators: short, with a unit, and never a false precision.

/// A share as a percentage without its sign: two decimals, more where two digits would not show. `4.67`, `0.035`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = match percent.abs() {
        0.1.. => 2,
        0.01.. => 3,
        0.001.. => 4,
        0.000_1.. => 5,
        _ => 6,
    };
    trimmed(format!("{percent:.decimals$}"))
}

/// Seconds to a tenth: `3`, `1.2`.
pub(super) fn seconds(seconds: f64) -> String {
    trimmed(format!("{seconds:.1}"))
}

/// `p99`, `p99.9`
pub(super) fn percentile(quantile: f64) -> String {
    trimmed(format!("p{:.3}", quantile * 100.0))
}

/// Microseconds as milliseconds, to three digits: `139`, `0.25`.
pub(super) fn milliseconds(us: u64) -> String {
    let ms = us as f64 / 1e3;
    let decimals = match ms {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    trimmed(format!("{ms:.decimals$}"))
}

/// A factor: `1.25`, `2`.
pub(super) fn times(factor: f64) -> String {
    trimmed(format!("{factor:.3}"))
}

/// Any number, to four digits: `3.25`, `12346`, `0.0001235`.
pub(super) fn number(value: f64) -> String {
    let scientific = format!("{value:e}");
    let power = scientific.split_once('e').map_or("0", |(_, power)| power);
    let power: i32 = power.parse().unwrap_or(0);
    if !(-6..15).contains(&power) {
        return odds(value);
    }
    let decimals = usize::try_from(3 - power).unwrap_or(0);
    trimmed(format!("{value:.decimals$}"))
}

/// Three digits, large numbers by their power of ten: `20.3`, `1.32e+05`.
pub(super) fn odds(odds: f64) -> String {
    let scientific = format!("{odds:.2e}");
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if (-4..3).contains(&power) {
        let decimals = usize::try_from(2 - power).unwrap_or(0);
        return trimmed(format!("{odds:.decimals$}"));
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits.to_owned()), power.abs())
}

/// An estimate of a count, rounded up to two digits: 119 is `120`, 7 is `7`.
pub(super) fn about(count: f64) -> String {
    let step = 10_f64.powf((count.max(1.0).log10().floor() - 1.0).max(0.0));
    format!("{:.0}", (count / step).ceil() * step)
}

/// Without zeros that say nothing: `5.00` is `5`.
fn trimmed(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_show_what_matters() {
        for (share, text) in [
            (0.0, "0"),
            (1.0, "100"),
            (0.05, "5"),
            (7.0 / 150.0, "4.67"),
            (1.0 / 2850.0, "0.035"),
            (0.000_002, "0.0002"),
            (1e-12, "0"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn numbers_have_four_digits_or_all_that_are_whole() {
        for (value, text) in [
            (0.0, "0"),
            (3.25, "3.25"),
            (-3.0, "-3"),
            (12_345.6, "12346"),
            (0.000_123_456, "0.0001235"),
            (1e-9, "1e-09"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn odds_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (0.000_012_34, "1.23e-05"),
            (20.0, "20"),
            (20.34, "20.3"),
            (999.4, "999"),
            (999.6, "1e+03"),
            (1_000.0, "1e+03"),
            (131_816.0, "1.32e+05"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(odds(value), text);
        }
    }

    #[test]
    fn estimates_are_round() {
        for (count, text) in
            [(0.2, "1"), (7.0, "7"), (37.2, "38"), (118.6, "120"), (120.0, "120"), (12_345.0, "13000")]
        {
            assert_eq!(about(count), text);
        }
    }

    #[test]
    fn seconds_are_told_to_a_tenth() {
        for (value, text) in [(3.0, "3"), (1.2, "1.2"), (60.0, "60"), (0.04, "0")] {
            assert_eq!(seconds(value), text);
        }
    }
}
