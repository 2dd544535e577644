//! `[[notify]]`: who is told of decisions, and how.
//!
//! A receiver is told of what was decided, never asked: nothing that it answers changes anything but whether it is told
//! again.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;

use super::headers::{self, Piece};
use super::names::Names;
use super::reader::{Section, Value, Wrong};
use super::tls::{self, NamedFile};
use super::web::{self, Web};
use super::{Problem, Route, suggest, values};

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
const ATTEMPTS: RangeInclusive<u64> = 1..=20;
/// As the specification of Standard Webhooks has it.
const KEY_BYTES: RangeInclusive<usize> = 24..=64;
const KEY_PREFIX: &str = "whsec_";

const SECRET_HELP: &str =
    "write \"whsec_\" and 24 to 64 bytes in Base64; `openssl rand -base64 32` makes some";

#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    pub name: Arc<str>,
    pub to: Web,
    /// `None`: not signed, as a chat wants it.
    pub secret: Option<Secret>,
    pub form: Form,
    /// Of [`Receiver::ACTIONS`]; `None`: all.
    pub on: Option<Vec<&'static str>>,
    /// Empty: all.
    pub routes: Vec<Arc<str>>,
    /// `None`: the usual sentence.
    pub template: Option<Box<[Piece<Blank>]>>,
    /// Of one attempt, from the connection to the end of the answer: 100 ms to 30 s.
    pub timeout: Duration,
    /// 1 to 20.
    pub attempts: u32,
}

impl Receiver {
    pub const RECEIVERS_MAX: usize = 32;
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
    pub const ATTEMPTS_DEFAULT: u32 = 10;
    /// What may be decided, by the names that the record has for it.
    pub const ACTIONS: [&str; 18] = [
        "weight",
        "back_off",
        "raise",
        "watch",
        "cord_pull",
        "cord_reset",
        "role",
        "self_test",
        "drill",
        "release_start",
        "release_step",
        "release_hold",
        "release_resume",
        "release_approve",
        "release_promote",
        "release_abort",
        "roll_back",
        "upstream",
    ];

    pub fn wants(&self, route: &str, action: &str) -> bool {
        let of = |routes: &[Arc<str>]| routes.is_empty() || routes.iter().any(|one| **one == *route);
        of(&self.routes) && self.on.as_ref().is_none_or(|on| on.contains(&action))
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The decision with its numbers.
    Json,
    /// `{"text": …}`
    Chat,
}

/// What signatures are made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    Key(Key),
    /// Read for each attempt, so that another one holds at once.
    File(NamedFile),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub Box<[u8]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_…")
    }
}

impl Key {
    /// Or what is wrong with it; never what it is.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.strip_prefix(KEY_PREFIX).ok_or("without whsec_")?;
        let key = BASE64.decode(encoded.as_bytes()).map_err(|_| "not Base64")?;
        match key.len() {
            length if length < *KEY_BYTES.start() => Err("too short"),
            length if length > *KEY_BYTES.end() => Err("too long"),
            _ => Ok(Self(key.into())),
        }
    }
}

/// What a template may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blank {
    Route,
    Canary,
    Action,
    Before,
    After,
    By,
    Why,
    Link,
    At,
}

impl Blank {
    pub const NAMED: [(&str, Self); 9] = [
        ("route", Self::Route),
        ("canary", Self::Canary),
        ("action", Self::Action),
        ("before", Self::Before),
        ("after", Self::After),
        ("by", Self::By),
        ("why", Self::Why),
        ("link", Self::Link),
        ("at", Self::At),
    ];
}

pub(super) fn read_all(root: &mut Section<'_>, base: &Path, routes: &[Route]) -> Vec<Receiver> {
    let sections = root.sections("notify", 0..=Receiver::RECEIVERS_MAX).unwrap_or_default();
    let mut names = Names::new("notify");
    sections.into_iter().filter_map(|section| read(section, &mut names, base, routes)).collect()
}

fn read(mut section: Section<'_>, names: &mut Names, base: &Path, routes: &[Route]) -> Option<Receiver> {
    let name = names.claim(&mut section);
    if !section.has("url") {
        section.missing("url", "url = \"https://hooks.example/andon\"");
    }
    let to = web::read(&mut section, "url", base);
    let form = section.or("form", Form::Json, form);
    let secret = secret(&mut section, base);
    if form == Form::Json && !section.has("secret") && !section.has("secret_file") {
        section.missing("secret_file", "secret_file = \"ops.secret\"`, or `form = \"chat\"");
    }
    let accepted = "a list such as [\"back_off\", \"cord_pull\"]";
    let on = section.list("on", 1..=Receiver::ACTIONS.len(), accepted, action);
    let accepted = "a list of names of routes, such as [\"shop\"]";
    let of = section.list("routes", 1..=Route::ROUTES_MAX, accepted, |value| route(value, routes));
    let template = section.optional("template", template);
    let timeout = section.or("timeout", Receiver::TIMEOUT_DEFAULT, values::duration(TIMEOUT));
    let attempts = section.or("attempts", Receiver::ATTEMPTS_DEFAULT.into(), values::whole(ATTEMPTS));
    section.finish();
    Some(Receiver {
        name: name?,
        to: to?,
        secret,
        form,
        on,
        routes: of.unwrap_or_default(),
        template,
        timeout,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

fn form(value: &Value<'_>) -> Result<Form, Wrong> {
    let help = "write \"json\" (the decision, signed) or \"chat\" (its text, as Slack and others take it)";
    match value.str() {
        Some("json") => Ok(Form::Json),
        Some("chat") => Ok(Form::Chat),
        Some(_) => Err(value.wrong("unknown", help)),
        None => Err(value.wrong_kind(help)),
    }
}

fn secret(section: &mut Section<'_>, base: &Path) -> Option<Secret> {
    let here = section.optional("secret", |value| {
        let wrong = |label: &str| Wrong {
            says: "is no secret".to_owned(), // and is not quoted
            label: label.to_owned(),
            help: SECRET_HELP.to_owned(),
        };
        let text = value.str().ok_or_else(|| wrong("not text"))?;
        Key::parse(text).map_err(wrong)
    });
    let file = section.optional("secret_file", tls::file(base));
    if let [(first, _), (second, value)] = &*section.chosen(&["secret", "secret_file"]) {
        section.clash(first, (second, value), "write one of them");
    }
    here.map(Secret::Key).or(file.map(Secret::File))
}

fn action(value: &Value<'_>) -> Result<&'static str, Wrong> {
    let help = || format!("write one of {}", Receiver::ACTIONS.join(", "));
    let Some(text) = value.str() else { return Err(value.wrong_kind(help())) };
    let known = Receiver::ACTIONS.into_iter().find(|action| *action == text);
    known.ok_or_else(|| {
        let near = suggest::nearest(text, Receiver::ACTIONS.into_iter());
        value.wrong("unknown", near.map_or_else(help, |near| format!("did you mean `{near}`?")))
    })
}

fn route(value: &Value<'_>, routes: &[Route]) -> Result<Arc<str>, Wrong> {
    let Some(text) = value.str() else { return Err(value.wrong_kind("write the name of one route")) };
    if let Some(route) = routes.iter().find(|route| &*route.name == text) {
        return Ok(Arc::clone(&route.name));
    }
    if !value.report.is_whole() {
        return Ok(text.into());
    }
    Err(Wrong {
        says: format!("names route {}, which does not exist", value.shown()),
        label: "no such route".to_owned(),
        help: suggest::for_name(text, routes.iter().map(|route| &*route.name))
            .unwrap_or_else(|| "there is no route yet: add `[[route]]`".to_owned()),
    })
}

fn template(value: &Value<'_>) -> Result<Box<[Piece<Blank>]>, Wrong> {
    let text = values::text(value)?;
    headers::pieces(&text, &Blank::NAMED).map_err(|label| {
        let names = Blank::NAMED.map(|(name, _)| format!("{{{name}}}"));
        value.wrong(label, format!("it may hold {}; write {{{{ for a brace", names.join(", ")))
    })
}

/// Looks at the files that receivers name, as far as they can be wrong before they are used.
pub(super) fn look(receivers: &[Receiver]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for receiver in receivers {
        let owner = format!("notify \"{}\": ", receiver.name);
        problems.extend(web::look(&receiver.to, &owner));
        let Some(Secret::File(file)) = &receiver.secret else { continue };
        let read = web::secret_of(file).and_then(|text| Key::parse(&text).map_err(str::to_owned));
        problems.extend(read.err().map(|found| Problem {
            span: file.place.clone(),
            message: format!("{owner}secret_file {}: {found}", file.path.display()),
            label: "no secret there".to_owned(),
            help: Some(SECRET_HELP.to_owned()),
        }));
    }
    problems
}
