//! What all verbs that talk to a running andon have in common.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::client::{Admin, Reply};
use super::{Exit, Failure, output};

#[derive(Debug, Args)]
pub(super) struct Remote {
    #[command(flatten)]
    pub(super) admin: Admin,
    /// For people, or the API's answer as it is
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

/// Goes into the record with every change.
#[derive(Debug, Args)]
pub(super) struct Signature {
    /// The reason
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    why: String,
    /// Who asks
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "cli")]
    by: String,
}

impl Signature {
    pub(super) fn body(&self) -> Map<String, Value> {
        // USER may be set and empty.
        let by = if self.by.trim().is_empty() { "cli" } else { self.by.as_str() };
        Map::from_iter([("why".to_owned(), self.why.as_str().into()), ("by".to_owned(), by.into())])
    }
}

/// For the names of routes and canaries.
pub(super) fn name() -> NonEmptyStringValueParser {
    NonEmptyStringValueParser::new()
}

fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("say the reason in a few words".to_owned()) } else { Ok(text.to_owned()) }
}

impl Remote {
    /// The API's answer as it is, or what `text` makes of it.
    pub(super) fn show<T: DeserializeOwned>(
        &self,
        reply: &Reply,
        text: impl FnOnce(T) -> String,
    ) -> Result<Exit, Failure> {
        match self.output {
            Output::Json => output::print_bytes(&reply.body)?,
            Output::Text => output::print(&text(self.read(reply)?))?,
        }
        Ok(Exit::Ok)
    }

    pub(super) fn read<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, Failure> {
        serde_json::from_slice(&reply.body).map_err(|error| Failure {
            exit: Exit::Failure,
            message: format!(
                "the answer of {} is not understood: {error}; is that andon, and of this version?",
                self.admin
            ),
        })
    }
}
