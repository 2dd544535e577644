//! `andon man`: the manual, made of the same words as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Exit, Failure, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write a page for each verb into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build();
    match &args.dir {
        None => output::print_bytes(&page(command)?)?,
        Some(dir) => {
            let failed = |error: io::Error| Failure {
                exit: Exit::Failure,
                message: format!("{} cannot be written: {error}", dir.display()),
            };
            fs::create_dir_all(dir).map_err(failed)?;
            let written = write_all(dir, "andon", &command)?;
            output::print(&format!("{written} pages in {}\n", dir.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// The page of a command and of all below it. How many that was.
fn write_all(dir: &Path, name: &str, command: &Command) -> Result<usize, Failure> {
    let file = dir.join(format!("{name}.1"));
    let mine = page(command.clone())?;
    fs::write(&file, mine).map_err(|error| Failure {
        exit: Exit::Failure,
        message: format!("{} cannot be written: {error}", file.display()),
    })?;
    let below = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    below
        .map(|verb| write_all(dir, &format!("{name}-{}", verb.get_name()), verb))
        .sum::<Result<usize, _>>()
        .map(|count| count + 1)
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let drawn = Man::new(command).render(&mut text);
    drawn.map_err(|error| Failure {
        exit: Exit::Failure,
        message: format!("the page cannot be drawn: {error}"),
    })?;
    Ok(text)
}
