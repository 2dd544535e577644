//! `andon demo`: the whole story on this machine.

use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;

use super::output;
use super::run::LogArgs;
use crate::demo::{Options, Picture};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long the story takes: 5s to 1h
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = length)]
    length: Duration,
    /// One line after another instead of a live picture
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    log: LogArgs,
}

const LENGTH_MIN: Duration = Duration::from_secs(5);
const LENGTH_MAX: Duration = Duration::from_secs(3_600);

pub(super) fn run(args: &Args) -> ExitCode {
    let picture = if args.plain || !output::stdout_is_terminal() { Picture::Plain } else { Picture::Live };
    args.log.start();
    crate::demo::run(Options { length: args.length, picture })
}

fn length(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|length| Duration::try_from(length).ok())
        .filter(|length| (LENGTH_MIN..=LENGTH_MAX).contains(length))
        .ok_or_else(|| "write a time from 5s to 1h, such as 30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_with_their_unit() {
        assert_eq!(length("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(length("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "30", "-30s", "0s", "4s", "61m", "soon"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
