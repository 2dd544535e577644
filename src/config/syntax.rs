//! What the TOML parser says about a text that is not TOML, in our words where the slip is a common one.
//!
//! The parser goes on after an error; one slip often causes several complaints on its line, of which the
//! first is kept.

use std::ops::Range;

use super::problem::Problem;
use super::reader::clipped;
use super::report::line_around;

pub(super) fn problems(text: &str, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(0..0), error)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut line = None;
    for (span, error) in errors {
        let around = line_around(text, span.start);
        if line.as_ref() != Some(&around) {
            problems.push(problem(text, span, &around, error.message()));
        }
        line = Some(around);
    }
    problems
}

fn problem(text: &str, span: Range<usize>, line: &Range<usize>, message: &str) -> Problem {
    let (message, label, help) = match bare_value(&text[line.clone()]) {
        _ if message == "duplicate key" => {
            let help = "each key may stand once in its table: take one out";
            (message.to_owned(), "here again", Some(help.to_owned()))
        }
        Some(bare) => {
            let bare = clipped(bare);
            let help = format!("text and values with a unit stand in quotes: \"{bare}\"");
            (format!("{bare} without quotes"), "needs quotes", Some(help))
        }
        None => (message.to_owned(), "not TOML from here", None),
    };
    Problem { span, message: format!("syntax: {message}"), label: label.to_owned(), help }
}

/// The value of a `key = 5%` or `key = shop` whose quotes were forgotten.
fn bare_value(line: &str) -> Option<&str> {
    let (_, value) = line.split_once('=')?;
    let value = value.split('#').next().unwrap_or_default().trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%.:/_-*".contains(&byte);
    let number = value.parse::<f64>().is_ok();
    let word = value == "true" || value == "false";
    (!value.is_empty() && value.bytes().all(plain) && !number && !word).then_some(value)
}
