//! Numbers, times and tables as people read them.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Row, Table, presets};

use crate::config::Color;

/// Text from afar, without what steers a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// `0.1%`, `4.1%`, `100%`; `-` where there is no ratio.
pub(super) fn ratio(ratio: Option<f64>) -> String {
    match ratio.map(|ratio| ratio * 100.0) {
        None => "-".to_owned(),
        Some(0.0) => "0%".to_owned(),
        Some(percent) if percent < 1.0 => format!("{percent:.2}%"),
        Some(percent) if percent < 99.95 => format!("{percent:.1}%"),
        Some(percent) => format!("{percent:.0}%"),
    }
}

pub(super) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(rate) if rate < 99.95 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

/// `950 µs`, `12.3 ms`, `1.20 s`
pub(super) fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 0.000_999_5 => format!("{:.0} µs", seconds * 1e6),
        Some(seconds) if seconds < 0.999_5 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

/// `3 min ago`. Without a clock to compare with: the time itself.
pub(super) fn ago(at_ms: i64, at: Option<&str>, now_ms: Option<i64>) -> String {
    let Some(now_ms) = now_ms else {
        return format!("at {}", clean(at.unwrap_or("an unknown time")));
    };
    // A date on the wire has no milliseconds, so what has just happened may look as if it were to come.
    let seconds = now_ms.saturating_sub(at_ms).max(0) / 1_000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A table without lines: its first columns are text, from `numbers` on it is numbers, the last is text again.
pub(super) fn table(header: &[&str], numbers: std::ops::Range<usize>, color: Color) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    match color {
        Color::Plain => table.force_no_tty(),
        Color::Ansi => table.enforce_styling(),
    };
    table.set_header(Row::from(header.iter().map(Cell::new).collect::<Vec<_>>()));
    let last = header.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One line for the header, then one for each row.
pub(super) fn lines(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_are_useful() {
        for (found, shown) in [
            (None, "-"),
            (Some(0.0), "0%"),
            (Some(0.000_3), "0.03%"),
            (Some(0.041), "4.1%"),
            (Some(1.0), "100%"),
        ] {
            assert_eq!(ratio(found), shown);
        }
        for (found, shown) in
            [(None, "-"), (Some(0.000_95), "950 µs"), (Some(0.001), "1.0 ms"), (Some(0.9999), "1.00 s")]
        {
            assert_eq!(seconds(found), shown);
        }
        assert_eq!(rate(Some(0.04)), "0.0");
        assert_eq!(rate(Some(1234.5)), "1234");
    }

    #[test]
    fn times_are_told_from_the_servers_clock() {
        for (passed_ms, shown) in [
            (-900, "0 s ago"),
            (59_999, "59 s ago"),
            (60_000, "1 min ago"),
            (3_600_000, "1 h ago"),
            (172_800_000, "2 days ago"),
        ] {
            assert_eq!(ago(1_000, None, Some(1_000 + passed_ms)), shown);
        }
        assert_eq!(ago(0, Some("1970-01-01T00:00:00.000Z"), None), "at 1970-01-01T00:00:00.000Z");
        assert_eq!(ago(i64::MIN, None, Some(i64::MAX)), format!("{} days ago", i64::MAX / 86_400_000));
    }

    #[test]
    fn what_comes_from_afar_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
