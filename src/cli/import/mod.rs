//! `andon import`: what others say of canaries in Kubernetes manifests, said in TOML.
//!
//! Reads Ingresses with the canary annotations of ingress-nginx ([`ingress`]) and Canaries of Flagger ([`flagger`]), with the
//! Services that they name if those are among the files. Whatever is in them and is not carried over is named, in the file as
//! comments and on stderr: an import that forgets silently is worse than none. It asks nobody: neither a cluster nor the
//! network. What it prints is read back before it is shown, so that what `check` would refuse is told at once.

mod draft;
mod flagger;
mod ingress;
mod manifest;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Exit, Failure, output};
use crate::config;
use draft::Draft;
use manifest::Manifests;

/// Of all files together.
const BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// YAML files with manifests; "-" is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut manifests = Manifests::default();
    let mut left = BYTES_MAX;
    for file in &args.files {
        let text = read(file, &mut left)?;
        manifests.read(&file.display().to_string(), &text).map_err(failure)?;
    }
    let draft = draft_of(&manifests);
    if draft.is_empty() {
        output::complain(&draft.told());
        return Err(failure(
            "there is no Ingress and no Flagger Canary in it that could be carried over".to_owned(),
        ));
    }
    let text = draft.to_toml();
    output::print(&text)?;
    output::complain(&draft.told());
    match config::parse("the result", &text, Path::new(".")) {
        Ok(_) => Ok(Exit::Ok),
        Err(problems) => {
            output::complain(&problems.drawn(output::stderr_color()));
            Err(failure("the result has problems that are to be mended by hand".to_owned()))
        }
    }
}

fn draft_of(manifests: &Manifests) -> Draft {
    let mut draft = Draft::default();
    ingress::carry_over(manifests, &mut draft);
    flagger::carry_over(manifests, &mut draft);
    for other in manifests.others() {
        draft.note(format!("{other}: says nothing of how traffic is split"));
    }
    draft
}

fn read(file: &Path, left: &mut u64) -> Result<String, Failure> {
    let name = file.display();
    let unreadable = |error: io::Error| failure(format!("{name} cannot be read: {error}"));
    let mut text = String::new();
    let source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(fs::File::open(file).map_err(unreadable)?),
    };
    let read = source.take(*left + 1).read_to_string(&mut text).map_err(unreadable)?;
    match left.checked_sub(read as u64) {
        Some(rest) => *left = rest,
        None => return Err(failure(format!("the files have more than {} MiB together", BYTES_MAX >> 20))),
    }
    Ok(text)
}

fn failure(message: String) -> Failure {
    Failure { exit: Exit::Failure, message }
}
