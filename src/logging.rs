//! Logs go to stderr: state changes at info, what someone should look at at warn, one line each.
//!
//! `ANDON_LOG` says how much (`info`, or `andon::control=debug,warn`), `ANDON_LOG_FORMAT` whether for people or
//! for machines. The command line reads both; nothing here looks at the environment.

use std::str::FromStr;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::Color;

pub const FILTER_DEFAULT: &str = "info";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Which lines are written. Checked when it is read, so that starting cannot fail for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const ACCEPTED: &str =
    "a level (off, error, warn, info, debug, trace) or a list such as \"warn,andon::control=debug\"";

impl Filter {
    /// An empty text is the default, as if the variable were not set.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = if text.trim().is_empty() { FILTER_DEFAULT } else { text.trim() };
        for part in text.split(',').map(str::trim) {
            // A misspelt level would be taken for the name of a module, and nothing would be logged at all.
            let is_bare = !part.contains(['=', ':', '[']) && LevelFilter::from_str(part).is_err();
            if is_bare
                && let Some(level) =
                    LEVELS.into_iter().find(|level| strsim::damerau_levenshtein(part, level) <= 2)
            {
                return Err(format!("{part:?} is no level; did you mean {level:?}? Write {ACCEPTED}"));
            }
        }
        match EnvFilter::builder().parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{error}; write {ACCEPTED}")),
        }
    }
}

/// From here on events are written. The first call counts: later ones change nothing.
pub fn init(filter: &Filter, format: Format, color: Color) {
    let filter = EnvFilter::builder().parse_lossy(&filter.0);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(color == Color::Ansi);
    let started = match format {
        Format::Text => subscriber.try_init(),
        Format::Json => subscriber.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_accepted_as_people_write_them() {
        for text in ["info", "WARN", "off", "warn,andon::control=debug", "andon=trace", "", " debug "] {
            assert!(Filter::parse(text).is_ok(), "{text}");
        }
        assert_eq!(Filter::parse(""), Filter::parse(FILTER_DEFAULT));
    }

    #[test]
    fn a_misspelt_level_is_an_error_and_not_silence() {
        let message = Filter::parse("inof").unwrap_err();
        assert!(message.contains("did you mean \"info\""), "{message}");
        let message = Filter::parse("andon=loud").unwrap_err();
        assert!(message.contains("write a level"), "{message}");
    }
}
