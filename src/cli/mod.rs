//! The command line: one file a verb.
//!
//! `run`, `check`, `token` and `demo` work in this process, `forecast` does if it is given numbers; all others are clients of the admin API ([`client`]), so they
//! can do nothing that a program could not do as well. Data goes to stdout, everything else to stderr; the exit
//! code ([`Exit`]) is a contract with scripts. Only here the environment is read.

mod check;
mod client;
mod completions;
mod cord;
mod decisions;
mod demo;
mod drift;
mod drill;
mod explain;
mod forecast;
mod format;
mod import;
mod launch;
mod man;
mod notify;
mod openapi;
mod output;
mod release;
mod reload;
mod remote;
mod run;
mod schema;
mod status;
mod token;
mod top;
mod upstream;
mod weight;
mod what_if;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a verb ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Ok,
    /// Refused, not found, or `check` found problems.
    Failure,
    Usage,
    /// The canary was backed off, the cord pulled, or the release aborted.
    BackedOff,
    /// What was waited for did not come in time.
    TimedOut,
    /// No answer from the admin listener, or it does not let us.
    Unreachable,
    /// `run` with a file that cannot start.
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::BackedOff => 3,
            Exit::TimedOut => 4,
            Exit::Unreachable => 5,
            Exit::Config => 78,
        })
    }
}

/// Why a verb could not do what was asked, in words for a person.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

/// A reverse proxy with an immune system: splits live traffic between stable and canary, and takes a bad canary
/// back on its own.
#[derive(Debug, Parser)]
#[command(name = "andon", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 canary backed off, 4 not in time, 5 admin listener unreachable or not \
                        allowed, 78 the configuration cannot start."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve, in the foreground
    Run(run::Args),
    /// Read a configuration file and print all of its problems
    Check(check::Args),
    /// See a bad canary taken back, all on this machine: needs no file and no network
    Demo(demo::Args),
    /// Show weights, traffic and verdicts
    Status(status::Args),
    /// The same, live, with trouble first
    Top(top::Args),
    /// Set the share of a route that a canary should get
    Weight(weight::Args),
    /// How soon a bad canary would be seen, and at what cost
    Forecast(forecast::Args),
    /// Bring a canary to users step by step, as a plan says
    Release(release::Args),
    /// Stop the line, or let it go on
    Cord(cord::Args),
    /// Have a canary fail on purpose, harming nobody, and see how soon it is backed off
    Drill(drill::Args),
    /// Show what was decided, by whom and why; newest first
    Decisions(decisions::Args),
    /// Show one decision, with the numbers that it was made on
    Explain(explain::Args),
    /// Judge what was recorded by other numbers
    WhatIf(what_if::Args),
    /// Show where file and live state differ; exit code 1 if they do
    Drift(drift::Args),
    /// Show the endpoints of upstreams, or set them
    Upstream(upstream::Args),
    /// See whether a receiver of notices can be reached
    Notify(notify::Args),
    /// Read the configuration file again
    Reload(reload::Args),
    /// Turn canaries of ingress-nginx and Flagger into a configuration file
    Import(import::Args),
    /// Print the configuration file as JSON Schema
    Schema,
    /// Print the admin API as an OpenAPI document
    Openapi,
    /// Print what a shell completes commands by
    Completions(completions::Args),
    /// Print the manual page, or write the pages of all verbs
    Man(man::Args),
    /// Make a token for the admin listener, or the hash of one
    Token(token::Args),
}

/// Does what the arguments say. The first one is the name of the program.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let done = match cli.verb {
        Verb::Run(args) => return run::run(&args),
        Verb::Demo(args) => return demo::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Top(args) => top::run(&args),
        Verb::Weight(args) => weight::run(&args),
        Verb::Forecast(args) => forecast::run(&args),
        Verb::Release(args) => release::run(&args),
        Verb::Cord(args) => cord::run(&args),
        Verb::Drill(args) => drill::run(&args),
        Verb::Decisions(args) => decisions::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::WhatIf(args) => what_if::run(&args),
        Verb::Drift(args) => drift::run(&args),
        Verb::Upstream(args) => upstream::run(&args),
        Verb::Notify(args) => notify::run(&args),
        Verb::Reload(args) => reload::run(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Schema => schema::run(),
        Verb::Openapi => openapi::run(),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::Token(args) => token::run(&args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(&format!("error: {}\n", failure.message));
            failure.exit.into()
        }
    }
}

/// Also the way of `--help` and `--version`, which are no errors.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to hear that the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}
