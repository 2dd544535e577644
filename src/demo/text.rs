//! How numbers and sentences read in the demo, and lines that never get longer than the terminal is wide.

use std::time::Duration;

use super::terminal::Ink;

/// How a piece of a line looks. The words say it too: a look alone never means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Strong,
    Faint,
    Title,
    Stable,
    Canary,
    Good,
    Bad,
}

impl Look {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Title => Some("1;7"),
            Self::Stable => Some("36"),
            Self::Canary => Some("33"),
            Self::Good => Some("1;32"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// One line of a picture, not yet cut to a width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(String, Look)>);

impl Line {
    pub(super) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn with(mut self, text: impl Into<String>, look: Look) -> Self {
        self.0.push((text.into(), look));
        self
    }

    pub(super) fn plain(self, text: impl Into<String>) -> Self {
        self.with(text, Look::Plain)
    }

    /// At most `width` columns; what is cut off leaves a `…`. Every character used here is one column wide.
    pub(super) fn render(&self, width: usize, ink: Ink) -> String {
        let length: usize = self.0.iter().map(|(text, _)| text.chars().count()).sum();
        let mut left = if length > width { width.saturating_sub(1) } else { width };
        let mut out = String::new();
        for (text, look) in &self.0 {
            let shown: String = text.chars().take(left).collect();
            left -= shown.chars().count();
            match look.code().filter(|_| ink == Ink::Color && !shown.is_empty()) {
                Some(code) => out.push_str(&format!("\x1b[{code}m{shown}\x1b[0m")),
                None => out.push_str(&shown),
            }
        }
        if length > width {
            out.push('…');
        }
        out
    }
}

/// Words on lines of at most `width` columns. A longer word has a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("begins with one line and never shrinks");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// `12 034`
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `16.5 s`
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// `8.2 ms`
pub(super) fn latency(us: Option<u64>) -> String {
    match us {
        Some(us) if us >= 10_000_000 => format!("{:.0} s", us as f64 / 1e6),
        Some(us) if us >= 100_000 => format!("{:.0} ms", us as f64 / 1e3),
        Some(us) => format!("{:.1} ms", us as f64 / 1e3),
        None => "-".to_owned(),
    }
}

/// `29.8%`
pub(super) fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1}%", ratio * 100.0))
}

/// `14.2:1`; small odds are not worth their digits, huge ones are hard to read.
pub(super) fn odds(odds: f64) -> String {
    match odds {
        _ if odds < 0.1 => "below 0.1:1".to_owned(),
        _ if odds < 100.0 => format!("{odds:.1}:1"),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a million"
        )]
        _ if odds < 1e6 => format!("{}:1", count(odds.round() as u64)),
        _ => "over a million:1".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1 000", "1 234 567"]
        );
        assert_eq!(
            [latency(None), latency(Some(8_240)), latency(Some(123_456)), latency(Some(12_000_000))],
            ["-", "8.2 ms", "123 ms", "12 s"]
        );
        assert_eq!([share(None), share(Some(0.298))], ["-", "29.8%"]);
        assert_eq!(
            [0.0, 14.23, 131_816.0, 1e300, f64::INFINITY].map(odds),
            ["below 0.1:1", "14.2:1", "131 816:1", "over a million:1", "over a million:1"]
        );
        assert_eq!(seconds(Duration::from_millis(16_540)), "16.5 s");
    }

    #[test]
    fn a_line_is_cut_to_its_width_and_says_so() {
        let line = Line::empty().plain("stable ").with("██████", Look::Stable);
        assert_eq!(line.render(13, Ink::Plain), "stable ██████");
        assert_eq!(line.render(10, Ink::Plain), "stable ██…");
        assert_eq!(line.render(9, Ink::Color), "stable \x1b[36m█\x1b[0m…");
        assert_eq!(line.render(1, Ink::Plain), "…");
    }

    #[test]
    fn words_are_wrapped_and_long_ones_stand_alone() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible x", 4), ["incomprehensible", "x"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
