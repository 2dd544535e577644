//! `andon completions`: what a shell needs to complete verbs, flags and their values.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Exit, Failure, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose: source what is printed, or put it where the shell looks
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "andon", &mut text);
    output::print_bytes(&text)?;
    Ok(Exit::Ok)
}
