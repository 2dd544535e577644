//! `andon run`: serve, in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Exit, check, launch, output};
use crate::logging::{self, FILTER_DEFAULT, Filter, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    log: LogArgs,
}

/// How the verbs that stay write their log.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// What to log: a level, or a list such as warn,andon::control=debug
    #[arg(long, value_name = "FILTER", env = "ANDON_LOG", default_value = FILTER_DEFAULT, value_parser = Filter::parse)]
    log: Filter,
    /// For people or for machines
    #[arg(long, value_name = "FORMAT", env = "ANDON_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

impl LogArgs {
    pub(super) fn start(&self) {
        logging::init(&self.log, self.log_format, output::stderr_color());
    }
}

/// A file with problems is told here, in the words of `check`, before anything is started.
pub(super) fn run(args: &Args) -> ExitCode {
    args.log.start();
    let launch = match launch::read() {
        Ok(launch) => launch,
        Err(error) => {
            tracing::error!(%error, "cannot take over what this process was started with");
            return Exit::Failure.into();
        }
    };
    match check::load(&args.config) {
        Ok(config) => crate::app::run(config, &args.config, launch),
        Err(_) => Exit::Config.into(),
    }
}
