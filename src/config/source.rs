//! The text that a configuration was read from, to show it and to tell whether the file has changed since.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::{redact, text_of};

/// No part of what the file says: two are always equal, so a changed comment is no changed configuration.
#[derive(Clone, Default)]
pub struct Source {
    text: Arc<str>,
    sha256: Arc<str>,
}

impl Source {
    pub(super) fn of(text: &str) -> Self {
        Self { text: text.into(), sha256: hash(text.as_bytes()).into() }
    }

    /// Of the bytes of the file, in hex; empty: it was read from no file.
    pub fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// The text, without what is secret.
    pub fn redacted(&self) -> String {
        redact::text(&self.text)
    }

    /// What the file at this path would have as its hash. Blocks.
    pub fn sha256_of(path: &Path) -> Result<String, String> {
        match text_of(path) {
            Ok(text) => Ok(hash(text.as_bytes())),
            Err((found, _)) => Err(found),
        }
    }
}

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Source({} bytes, sha256 {})", self.text.len(), self.sha256)
    }
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}
