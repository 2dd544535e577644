//! `andon notify test`: whether a receiver of notices can be reached, and what it answers.

use super::client::segment;
use super::format::{clean, seconds};
use super::remote::{Output, Remote, name};
use super::{Exit, Failure, output};
use crate::admin::json::ToldJson;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Send a message about nothing, once
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// Of a [[notify]] of the file
    #[arg(value_name = "NAME", value_parser = name())]
    receiver: String,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Verb::Test(TestArgs { receiver, remote }) = &args.verb;
    let reply = remote.admin.post(&format!("/api/v1/notify/{}/test", segment(receiver)))?;
    let told: ToldJson = remote.read(&reply)?;
    match remote.output {
        Output::Json => output::print_bytes(&reply.body)?,
        Output::Text => {
            let (done, says) =
                (if told.delivered { "delivered" } else { "NOT delivered" }, clean(&told.says));
            output::print(&format!("{receiver}: {done} in {}: {says}\n", seconds(Some(told.seconds))))?;
        }
    }
    Ok(if told.delivered { Exit::Ok } else { Exit::Failure })
}
