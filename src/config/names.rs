//! Names of things that the file declares, each unique in its kind, and references to them.
//!
//! A name that breaks the rule still counts as declared: what refers to it is not wrong a second time.

use std::collections::HashMap;
use std::sync::Arc;

use super::reader::{Section, Value, Wrong};
use super::report::line_number;
use super::suggest;

const NAME_CHARS_MAX: usize = 64;

const ACCEPTED: &str = "write 1 to 64 letters, digits, `.`, `_` or `-`, such as \"shop-v1\"";

/// The names of one kind, and where each was declared.
pub(super) struct Names {
    /// `upstream`
    kind: &'static str,
    declared: HashMap<Arc<str>, usize>,
}

impl Names {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, declared: HashMap::new() }
    }

    /// Reads `name` of a section, which must have one that no other has.
    pub(super) fn claim(&mut self, section: &mut Section<'_>) -> Option<Arc<str>> {
        section.required("name", "name = \"…\"", |value| self.declare(value))
    }

    /// Reads a reference to a declared name.
    pub(super) fn resolve(&self, value: &Value<'_>) -> Result<Arc<str>, Wrong> {
        let kind = self.kind;
        let Some(text) = value.str() else {
            return Err(value.wrong_kind(format!("write the name of one {kind}")));
        };
        if let Some((name, _)) = self.declared.get_key_value(text) {
            return Ok(name.clone());
        }
        if !value.report.is_whole() {
            // It may stand in a part of the file that a syntax error hides.
            return Ok(text.into());
        }
        let names = self.declared.keys().map(|name| &**name);
        let none = || format!("there is no {kind} yet: add `[[{kind}]]`");
        Err(Wrong {
            says: format!("names {kind} {}, which does not exist", value.shown()),
            label: format!("no such {kind}"),
            help: suggest::for_name(text, names).unwrap_or_else(none),
        })
    }

    fn declare(&mut self, value: &Value<'_>) -> Result<Arc<str>, Wrong> {
        let text = value.str().ok_or_else(|| value.wrong_kind(ACCEPTED))?;
        let name: Arc<str> = text.into();
        if let Some(first) = self.declared.insert(name.clone(), value.span.start) {
            self.declared.insert(name, first);
            return Err(Wrong {
                says: format!("is {} a second time", value.shown()),
                label: format!("the first is at line {}", line_number(value.report.text, first)),
                help: format!("give each {} a name of its own", self.kind),
            });
        }
        checked(value)
    }
}

/// Reads a name that need not be unique beyond its owner.
pub(super) fn checked(value: &Value<'_>) -> Result<Arc<str>, Wrong> {
    let text = value.str().ok_or_else(|| value.wrong_kind(ACCEPTED))?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text {
        "" => Err(value.wrong("empty", ACCEPTED)),
        _ if !text.bytes().all(known) => Err(value.wrong("not only letters, digits and . _ -", ACCEPTED)),
        _ if text.len() > NAME_CHARS_MAX => Err(value.wrong("too long", ACCEPTED)),
        _ => Ok(text.into()),
    }
}
