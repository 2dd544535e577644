//! `[access_log]`: a line a request, where and in which form. Without the section there is no log.

use std::path::{Path, PathBuf};

use super::reader::{Section, Value, Wrong};
use super::values;

/// The path that stands for stdout.
const STDOUT: &str = "-";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub target: LogTarget,
    pub format: LogFormat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    Stdout,
    /// A relative path is relative to the configuration file.
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    /// Of nginx and Apache, for the tools that read theirs.
    Combined,
}

pub(super) fn read(section: Option<Section<'_>>, base: &Path) -> Option<AccessLog> {
    let mut section = section?;
    let path = section.or("path", STDOUT.into(), values::text);
    let format = section.or("format", LogFormat::Json, format);
    section.finish();
    let target = match &*path {
        STDOUT => LogTarget::Stdout,
        path => LogTarget::File(base.join(path)),
    };
    Some(AccessLog { target, format })
}

fn format(value: &Value<'_>) -> Result<LogFormat, Wrong> {
    let help = "write \"json\" or \"combined\"";
    match value.str() {
        Some("json") => Ok(LogFormat::Json),
        Some("combined") => Ok(LogFormat::Combined),
        Some(_) => Err(value.wrong("unknown", help)),
        None => Err(value.wrong_kind(help)),
    }
}
