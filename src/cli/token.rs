//! `andon token`: secrets for the admin listener. Only the hash goes into the file.

use std::io::{self, Read};

use serde_json::json;

use super::remote::Output;
use super::{Exit, Failure, output};
use crate::admin::secret::{hex, new_token, sha256};
use crate::config::Role;

/// What can be guessed is no token.
const SECRET_CHARS_MIN: usize = 32;
const SECRET_BYTES_MAX: u64 = 4_096;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// 256 random bits, and what to write into the file
    New(NewArgs),
    /// The SHA-256 of a token that is read from stdin
    Hash,
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Who will have it; stands in the record with every change
    #[arg(long, value_name = "NAME", default_value = "ops", value_parser = name)]
    name: String,
    /// observer reads, puller also pulls cords, release also moves weights, admin may everything
    #[arg(long, value_name = "ROLE", default_value = "observer", value_parser = role)]
    role: Role,
    /// The token alone, or all of it as JSON
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::New(args) => new(args),
        Verb::Hash => hash(),
    }
}

/// The secret to stdout, so that it can go into a file without being seen; the rest to stderr.
fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let failed = || Failure { exit: Exit::Failure, message: "this machine has no randomness".to_owned() };
    let token = new_token().ok_or_else(failed)?;
    let (name, role, sha256) = (&args.name, args.role.label(), hex(&sha256(token.as_bytes())));
    let toml = format!("[[admin.token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n");
    match args.output {
        Output::Json => {
            let all = json!({ "token": token, "name": name, "role": role, "sha256": sha256, "toml": toml });
            output::print(&format!("{all}\n"))?;
        }
        Output::Text => {
            output::complain(&format!(
                "The token is shown this once; give it to who needs it, in ANDON_TOKEN or a file (ANDON_TOKEN_FILE).\n\
                 The configuration gets its hash, and takes it up by a reload:\n\n{toml}\n"
            ));
            output::print(&format!("{token}\n"))?;
        }
    }
    Ok(Exit::Ok)
}

fn hash() -> Result<Exit, Failure> {
    let failed = |message: String| Failure { exit: Exit::Failure, message };
    let mut text = String::new();
    let read = io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| failed(format!("stdin cannot be read: {error}")))?;
    let secret = text.trim();
    if secret.chars().count() < SECRET_CHARS_MIN {
        let why = format!(
            "shorter than {SECRET_CHARS_MIN} characters, so it could be guessed: andon token new makes one"
        );
        return Err(failed(why));
    }
    output::print(&format!("{}\n", hex(&sha256(secret.as_bytes()))))?;
    Ok(Exit::Ok)
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "write observer, puller, release or admin".to_owned())
}

/// As the file takes it.
fn name(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(known) {
        return Ok(text.to_owned());
    }
    Err("write 1 to 64 letters, digits, `.`, `_` or `-`".to_owned())
}
