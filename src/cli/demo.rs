//! `andon demo`: the whole story on this machine.

use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;

use super::output;
use crate::demo::{LENGTHS, Options};
use crate::logging::{self, Filter, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long the story takes: 10s to 10m
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = length)]
    length: Duration,
    /// One line after another instead of a live picture
    #[arg(long)]
    plain: bool,
    /// Log to stderr as `andon run` does; without it only the story is told
    #[arg(long, value_name = "FILTER", env = "ANDON_LOG", value_parser = Filter::parse)]
    log: Option<Filter>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    if let Some(log) = &args.log {
        logging::init(log, Format::Text, output::stderr_color());
    }
    crate::demo::run(Options { length: args.length, plain: args.plain })
}

fn length(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|length| Duration::try_from(length).ok())
        .filter(|length| LENGTHS.contains(length))
        .ok_or_else(|| "write a time from 10s to 10m, such as 30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_with_their_unit() {
        assert_eq!(length("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(length("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "30", "-30s", "0s", "9s", "11m", "soon"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
