//! A small reader over the TOML tree. Each key is asked for by name, and what was not asked for is unknown.
//!
//! Deriving a deserialiser would be shorter, but it stops at the first error, and an operator wants all of
//! them. So the tree is walked by hand: a value that cannot be read becomes a [`Problem`] at its place, a
//! default stands in for it, and reading goes on. It knows how TOML is shaped, not what any key means.

use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::report::Report;
use super::suggest;

/// Characters of a found value that a message quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// One table, and which of its keys were asked for. Ends with [`Section::finish`].
pub(super) struct Section<'t> {
    report: &'t Report<'t>,
    table: &'t DeTable<'t>,
    /// The header, or the braces of an inline table: where a missing key is reported.
    pub(super) place: Range<usize>,
    /// What a message begins with: `route "shop": `, or nothing.
    owner: Rc<str>,
    /// `route.guard`; empty for the whole file.
    path: String,
    known: Vec<&'static str>,
}

/// One value and its place.
#[derive(Clone)]
pub(super) struct Value<'t> {
    pub(super) span: Range<usize>,
    pub(super) item: &'t DeValue<'t>,
    pub(super) report: &'t Report<'t>,
}

/// Why a value cannot be read. The section that asked knows the key and the place.
pub(super) struct Wrong {
    /// Follows the key in the message: `is "150%"`.
    pub(super) says: String,
    pub(super) label: String,
    pub(super) help: String,
}

impl<'t> Section<'t> {
    pub(super) fn root(report: &'t Report<'t>, table: &'t DeTable<'t>) -> Self {
        Self { report, table, place: 0..0, owner: "".into(), path: String::new(), known: Vec::new() }
    }

    /// A key that must be there. `example` is a whole line that would do.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&Value<'t>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key, example);
        }
        self.read(key, &value?, read)
    }

    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value<'t>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.value(key)?;
        self.read(key, &value, read)
    }

    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value<'t>) -> Result<T, Wrong>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// The readable items of a list; `None` if the key is not there or its value is no list.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
        accepted: &str,
        mut read: impl FnMut(&Value<'t>) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let items = self.items(key, length, accepted)?;
        let read_one = |(index, value): (usize, Value<'t>)| {
            let wrong = match read(&value) {
                Ok(item) => return Some(item),
                Err(wrong) => wrong,
            };
            self.wrong(&format!("{key} item {}", index + 1), value.span, wrong);
            None
        };
        Some(items.into_iter().enumerate().filter_map(read_one).collect())
    }

    /// A table of this section. If the file leaves it out, an empty one: every key has its default.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'t> {
        let section = self.optional_section(key);
        section.unwrap_or_else(|| self.inner(key, &self.report.empty, self.place.clone(), self.owner.clone()))
    }

    pub(super) fn optional_section(&mut self, key: &'static str) -> Option<Section<'t>> {
        let value = self.value(key)?;
        let example = self.table_example(key);
        let table = self.read(key, &value, |value| match value.item {
            DeValue::Table(table) => Ok(table),
            DeValue::Array(_) => Err(value.wrong("a list", format!("there is only one: write {example}"))),
            _ => Err(value.wrong_kind(format!("write a table: {example}"))),
        })?;
        Some(self.inner(key, table, value.span, self.owner.clone()))
    }

    /// A table that was read as a value, since other types are accepted in its place.
    pub(super) fn table(&self, key: &str, table: &'t DeTable<'t>, place: Range<usize>) -> Section<'t> {
        self.inner(key, table, place, self.owner.clone())
    }

    /// The tables of a list of tables.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
    ) -> Option<Vec<Section<'t>>> {
        let top = self.path.is_empty();
        let accepted = if top {
            format!("`[[{key}]]`, in two pairs of brackets, for each")
        } else {
            self.list_example(key)
        };
        let items = self.items(key, length, &accepted)?;
        let mut sections = Vec::with_capacity(items.len());
        for (index, value) in items.into_iter().enumerate() {
            let DeValue::Table(table) = value.item else {
                let wrong = value.wrong_kind(format!("write {accepted}"));
                self.wrong(&format!("{key} item {}", index + 1), value.span, wrong);
                continue;
            };
            let owner = if top { owner(key, index, table) } else { self.owner.clone() };
            sections.push(self.inner(key, table, value.span, owner));
        }
        Some(sections)
    }

    /// Which of these keys are there, in file order: for keys that exclude each other.
    pub(super) fn chosen(&mut self, keys: &[&'static str]) -> Vec<(&'static str, Value<'t>)> {
        let mut chosen: Vec<_> =
            keys.iter().filter_map(|key| self.value(key).map(|value| (*key, value))).collect();
        chosen.sort_by_key(|(_, value)| value.span.start);
        chosen
    }

    /// Says that `second` cannot stand beside `first`.
    pub(super) fn clash(&self, first: &str, second: (&str, &Value<'t>), help: &str) {
        let (key, value) = second;
        let says = format!("stands beside {first}");
        let label = format!("{first} is there already");
        self.wrong(key, value.span.clone(), Wrong { says, label, help: help.to_owned() });
    }

    pub(super) fn missing(&self, key: &str, example: &str) {
        self.report.add_absence(Problem {
            span: self.place.clone(),
            message: format!("{} is missing", self.named(key)),
            label: format!("no {key} here"),
            help: Some(format!("add `{example}`")),
        });
    }

    /// Reads one value that was already taken, and reports what is wrong with it.
    pub(super) fn read<T>(
        &self,
        key: &str,
        value: &Value<'t>,
        read: impl FnOnce(&Value<'t>) -> Result<T, Wrong>,
    ) -> Option<T> {
        read(value).map_err(|wrong| self.wrong(key, value.span.clone(), wrong)).ok()
    }

    pub(super) fn wrong(&self, key: &str, span: Range<usize>, wrong: Wrong) {
        self.report.add(Problem {
            span,
            message: format!("{} {}", self.named(key), wrong.says),
            label: wrong.label,
            help: Some(wrong.help),
        });
    }

    /// A problem with the section as a whole.
    pub(super) fn problem(&self, span: Range<usize>, found: &str, label: String, help: String) {
        let message = format!("{}{found}", self.owner);
        self.report.add(Problem { span, message, label, help: Some(help) });
    }

    pub(super) fn report(&self) -> &'t Report<'t> {
        self.report
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// What was not asked for is unknown.
    pub(super) fn finish(self) {
        self.report.note_asked(&self.path, &self.known);
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let what = if self.path.is_empty() { "section" } else { "key" };
            let help =
                if self.report.is_full() { None } else { suggest::for_key(&self.path, name, &self.known) };
            self.report.add(Problem {
                span: key.span(),
                message: format!("{} is an unknown {what}", self.named(&clipped(name))),
                label: format!("unknown {what}"),
                help,
            });
        }
    }

    fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key).map(|value| self.value_of(value))
    }

    fn value_of(&self, value: &'t Spanned<DeValue<'t>>) -> Value<'t> {
        Value { span: value.span(), item: value.get_ref(), report: self.report }
    }

    fn items(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
        accepted: &str,
    ) -> Option<Vec<Value<'t>>> {
        let value = self.value(key)?;
        let items = self.read(key, &value, |value| match value.item {
            DeValue::Array(items) => Ok(items),
            _ => Err(value.wrong_kind(format!("write {accepted}"))),
        })?;
        let (min, max) = (*length.start(), *length.end());
        if items.len() < min {
            let help = format!("write {accepted}");
            self.wrong(
                key,
                value.span,
                Wrong { says: "is an empty list".into(), label: "empty".into(), help },
            );
        } else if items.len() > max {
            let says = format!("has {} items", items.len());
            let help = format!("at most {max} are accepted");
            self.wrong(key, value.span, Wrong { says, label: format!("more than {max}"), help });
        }
        Some(items.iter().take(max).map(|item| self.value_of(item)).collect())
    }

    fn inner(&self, key: &str, table: &'t DeTable<'t>, place: Range<usize>, owner: Rc<str>) -> Section<'t> {
        Section { report: self.report, table, place, owner, path: self.path_of(key), known: Vec::new() }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The key as a message names it: `route "shop": guard.tick`, `admin.listen`.
    fn named(&self, key: &str) -> String {
        let path = match self.path.split_once('.') {
            _ if self.owner.is_empty() => self.path.as_str(),
            Some((_, inner)) => inner,
            None => "",
        };
        let dot = if path.is_empty() { "" } else { "." };
        format!("{}{path}{dot}{key}", self.owner)
    }

    fn table_example(&self, key: &str) -> String {
        format!("`[{}]`", self.path_of(key))
    }

    fn list_example(&self, key: &str) -> String {
        format!("a list of tables, `{key} = [{{ … }}]` or `[[{}]]`", self.path_of(key))
    }
}

impl<'t> Value<'t> {
    pub(super) fn str(&self) -> Option<&'t str> {
        match self.item {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as the file writes it, cut to a length that fits a message.
    pub(super) fn shown(&self) -> String {
        let source = self.report.text.get(self.span.clone()).unwrap_or("…");
        clipped(source)
    }

    /// It is what it is, and `help` says what it should be.
    pub(super) fn wrong(&self, label: impl Into<String>, help: impl Into<String>) -> Wrong {
        Wrong { says: format!("is {}", self.shown()), label: label.into(), help: help.into() }
    }

    /// Not of the wanted type.
    pub(super) fn wrong_kind(&self, help: impl Into<String>) -> Wrong {
        self.wrong(format!("this is {}", self.kind()), help)
    }

    fn kind(&self) -> &'static str {
        match self.item {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

/// One line of at most [`QUOTED_CHARS_MAX`] characters.
pub(super) fn clipped(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// `route "shop": `, or `route #2: ` while the name cannot be read.
fn owner(key: &str, index: usize, table: &DeTable<'_>) -> Rc<str> {
    match table.get("name").and_then(|name| name.get_ref().as_str()) {
        Some(name) => format!("{key} \"{}\": ", clipped(name)).into(),
        None => format!("{key} #{}: ", index + 1).into(),
    }
}
