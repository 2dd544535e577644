//! `andon check`: read a configuration file and say everything that is wrong with it.

use std::path::{Path, PathBuf};

use super::remote::Output;
use super::{Exit, Failure, output};
use crate::config::{self, Config, Problems};
use crate::control::clock::{Clock, process_start};
use crate::metrics::slots::Slots;
use crate::routing::{EndpointIds, Table};
use crate::tls;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// For people, or a JSON list of the problems
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let loaded = match args.output {
        Output::Text => load(&args.config),
        Output::Json => read(&args.config),
    };
    let exit = if loaded.is_ok() { Exit::Ok } else { Exit::Failure };
    match (args.output, loaded) {
        (Output::Text, Ok(config)) => output::print(&summary(&args.config, &config))?,
        (Output::Text, Err(_)) => {}
        (Output::Json, Ok(_)) => output::print("[]\n")?,
        (Output::Json, Err(problems)) => print_list(&problems)?,
    }
    Ok(exit)
}

/// Reads the file and tells its problems on stderr.
pub(super) fn load(path: &Path) -> Result<Config, Problems> {
    read(path).inspect_err(|problems| output::complain(&problems.drawn(output::stderr_color())))
}

/// A file that reads well can still ask for more than the routing index takes; that is told here too, and not
/// first when it is to be served.
fn read(path: &Path) -> Result<Config, Problems> {
    let now_s = Clock::new(process_start()).unix_ms() / 1_000;
    let (config, warnings) = config::load_with(path, |config| tls::load(config, None, now_s).1)?;
    if let Some(warnings) = warnings {
        output::complain(&warnings.drawn(output::stderr_color()));
    }
    match Table::build(&config, &mut Slots::default(), &mut EndpointIds::default()) {
        Ok(_) => Ok(config),
        Err(error) => {
            let help = "split the route, or leave some of it out";
            Err(Problems::of_file(&path.display().to_string(), error.to_string(), help))
        }
    }
}

fn print_list(problems: &Problems) -> Result<(), Failure> {
    let list = serde_json::to_string_pretty(&problems.lines()).unwrap_or_default();
    output::print(&format!("{list}\n"))?;
    if problems.more > 0 {
        output::complain(&format!("and {} more\n", problems.more));
    }
    Ok(())
}

fn summary(path: &Path, config: &Config) -> String {
    format!(
        "{}: {}, {}, {}; no problems\n",
        path.display(),
        counted(config.listeners.len(), "listener"),
        counted(config.upstreams.len(), "upstream"),
        counted(config.routes.len(), "route")
    )
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Admin, Drain, Store, Workers};

    #[test]
    fn a_good_file_is_summed_up_in_one_line() {
        let config = Config {
            workers: Workers { count: 1 },
            admin: Admin::default(),
            store: Store::Memory,
            evidence: Default::default(),
            decisions_age: crate::config::DECISIONS_AGE_DEFAULT,
            source: Default::default(),
            access_log: None,
            tracing: None,
            dns: Default::default(),
            limits: Default::default(),
            drain: Drain::default(),
            listeners: Vec::new(),
            upstreams: Vec::new(),
            routes: Vec::new(),
            plans: Vec::new(),
            freezes: Vec::new(),
            notify: Vec::new(),
            prometheus: None,
        };
        let path = Path::new("config/andon.toml");
        let expected = "config/andon.toml: 0 listeners, 0 upstreams, 0 routes; no problems\n";
        assert_eq!(summary(path, &config), expected);
        assert_eq!(counted(1, "listener"), "1 listener");
    }
}
