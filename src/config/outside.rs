//! `[prometheus]` and `[[route.guard.outside]]`: numbers that others know, such as orders a minute, as signals of the guard.
//!
//! What is asked is written down here; what an answer means is judged by `immune`. An answer that is none is neither a
//! failure nor a pass.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::judge::{self, Mode};
use super::reader::{Section, Value, Wrong};
use super::units::duration_text;
use super::web::{self, Web};
use super::{Problem, Route, names, values};

const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
const AFTER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
const FAILURES: RangeInclusive<u64> = 1..=100;
const NUMBER_ACCEPTED: &str = "a number, such as 10 or 0.5";
const NUMBER_MAX: f64 = 1e15;
const SHARE_ACCEPTED: &str = "a share of stable's from \"0.01%\" to \"100000%\", such as \"80%\"";

#[derive(Clone, Debug, PartialEq)]
pub struct Outside {
    /// Unique in its route.
    pub name: Arc<str>,
    pub source: Source,
    pub limit: OutsideLimit,
    /// 1 s to 10 min.
    pub every: Duration,
    /// At most `every`.
    pub timeout: Duration,
    /// Not asked so long after a canary's first traffic.
    pub after: Duration,
    /// So many readings one after another must break the limit: 1 to 100.
    pub failures: u32,
    pub mode: Mode,
}

impl Outside {
    pub const SIGNALS_MAX: usize = 8;
    pub const EVERY_DEFAULT: Duration = Duration::from_secs(15);
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
    pub const AFTER_DEFAULT: Duration = Duration::from_mins(1);
    pub const FAILURES_DEFAULT: u32 = 3;
    /// What a question may hold, in braces. Everything else in braces is the question's own.
    pub const BLANKS: [&str; 4] = ["route", "canary", "upstream", "stable_upstream"];
}

/// Who is asked, and what. Blanks are not filled yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Prometheus {
        server: Web,
        canary: Box<str>,
        stable: Option<Box<str>>,
    },
    Http {
        canary: Web,
        stable: Option<Web>,
        /// A JSON pointer to the number; `None`: the body is the number.
        field: Option<Box<str>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum OutsideLimit {
    AtLeast(f64),
    AtMost(f64),
    /// Shares of stable's number: 0.8 is "80%".
    AtLeastOfStable(f64),
    AtMostOfStable(f64),
}

impl OutsideLimit {
    pub fn is_of_stable(self) -> bool {
        matches!(self, Self::AtLeastOfStable(_) | Self::AtMostOfStable(_))
    }
}

/// What questions are read with.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) base: &'a Path,
    /// `None`: the file names none.
    pub(super) prometheus: Option<&'a Web>,
    /// A guard by itself, to judge by: nobody is asked anything.
    pub(super) is_alone: bool,
}

pub(super) fn read_prometheus(mut section: Section<'_>, base: &Path) -> Option<Web> {
    let server = web::read(&mut section, "url", base);
    section.finish();
    server
}

pub(super) fn read_all(guard: &mut Section<'_>, around: Around<'_>) -> Vec<Outside> {
    let sections = guard.sections("outside", 0..=Outside::SIGNALS_MAX).unwrap_or_default();
    let mut all: Vec<Outside> = Vec::new();
    for section in sections {
        let (place, report) = (section.place.clone(), section.report());
        let Some(outside) = read(section, around) else { continue };
        if all.iter().any(|other| other.name == outside.name) {
            report.add(Problem {
                span: place,
                message: format!("two outside signals are named \"{}\"", outside.name),
                label: "the second".to_owned(),
                help: Some("give each outside signal of a route a `name` of its own".to_owned()),
            });
            continue;
        }
        all.push(outside);
    }
    all
}

fn read(mut section: Section<'_>, around: Around<'_>) -> Option<Outside> {
    let name = section.required("name", "name = \"orders\"", names::checked);
    let limit = limit(&mut section);
    let needs_stable = limit.is_some_and(OutsideLimit::is_of_stable);
    let source = source(&mut section, around, needs_stable);
    let every = section.or("every", Outside::EVERY_DEFAULT, values::duration(EVERY));
    let timeout = section.or("timeout", Outside::TIMEOUT_DEFAULT.min(every), |value| {
        let timeout = values::duration(TIMEOUT)(value)?;
        if timeout <= every {
            return Ok(timeout);
        }
        let help = format!("write at most `every`, which is \"{}\" here", duration_text(every));
        Err(value.wrong("longer than every", help))
    });
    let after = section.or("after", Outside::AFTER_DEFAULT, values::duration(AFTER));
    let failures = section.or("failures", Outside::FAILURES_DEFAULT.into(), values::whole(FAILURES));
    let mode = section.or("mode", Mode::Act, judge::mode);
    section.finish();
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    Some(Outside { name: name?, source: source?, limit: limit?, every, timeout, after, failures, mode })
}

fn limit(section: &mut Section<'_>) -> Option<OutsideLimit> {
    const KEYS: [&str; 4] = ["at_least", "at_most", "at_least_of_stable", "at_most_of_stable"];
    let chosen = section.chosen(&KEYS);
    let Some((key, value)) = chosen.first() else {
        section.missing("at_least, at_most, at_least_of_stable or at_most_of_stable", "at_least = 10");
        return None;
    };
    for (other, value) in &chosen[1..] {
        section.clash(key, (other, value), "write one limit; another one is another signal");
    }
    let number = values::number(-NUMBER_MAX, NUMBER_MAX, NUMBER_ACCEPTED);
    let share = values::percent(0.0001..=1_000.0, SHARE_ACCEPTED);
    match *key {
        "at_least" => section.read(key, value, number).map(OutsideLimit::AtLeast),
        "at_most" => section.read(key, value, number).map(OutsideLimit::AtMost),
        "at_least_of_stable" => section.read(key, value, share).map(OutsideLimit::AtLeastOfStable),
        _ => section.read(key, value, share).map(OutsideLimit::AtMostOfStable),
    }
}

fn source(section: &mut Section<'_>, around: Around<'_>, needs_stable: bool) -> Option<Source> {
    let chosen = section.chosen(&["promql", "http"]);
    let Some((kind, _)) = chosen.first() else {
        section.missing("promql or http", "promql = 'sum(rate(orders_total{version=\"v2\"}[1m]))'");
        return None;
    };
    if let Some((other, value)) = chosen.get(1) {
        section.clash(kind, (other, value), "write one of them");
    }
    let (mine, of_stable) = match *kind {
        "promql" => (["server", "stable_promql"], "stable_promql"),
        _ => (["field", "stable_http"], "stable_http"),
    };
    let foreign = ["server", "stable_promql", "field", "stable_http"];
    for (key, value) in section.chosen(&foreign) {
        if !mine.contains(&key) {
            section.clash(kind, (key, &value), "take it out: it belongs to the other kind of question");
        } else if key == of_stable && !needs_stable {
            section.clash("a fixed limit", (key, &value), "take it out, or write a limit `…_of_stable`");
        }
    }
    if needs_stable && !section.has(of_stable) {
        section.missing(of_stable, &format!("{of_stable} = \"…\""));
    }
    match *kind {
        "promql" => promql(section, around),
        _ => http(section, around),
    }
}

fn promql(section: &mut Section<'_>, around: Around<'_>) -> Option<Source> {
    let canary = section.optional("promql", values::text);
    let stable = section.optional("stable_promql", values::text);
    let named = section.has("server");
    let own = web::read(section, "server", around.base);
    if !named && around.prometheus.is_none() && !around.is_alone {
        section.missing("server", "server = \"http://127.0.0.1:9090\"` here, or `url` in `[prometheus]");
    }
    let server = if named { own } else { around.prometheus.cloned() };
    Some(Source::Prometheus { server: server?, canary: canary?, stable })
}

fn http(section: &mut Section<'_>, around: Around<'_>) -> Option<Source> {
    let canary = web::read(section, "http", around.base);
    let stable = section.optional("stable_http", web::url);
    let field = section.optional("field", pointer);
    let canary = canary?;
    // Beside the canary's, so it is trusted and let in alike.
    let stable = stable.map(|stable| {
        let tls = stable.tls.clone().map(|mut tls| {
            if let Some(of_canary) = &canary.tls {
                tls.upstream = Arc::clone(&of_canary.upstream);
            }
            tls
        });
        Web { tls, token: canary.token.clone(), ..stable }
    });
    Some(Source::Http { canary, stable, field })
}

/// `/data/orders`
fn pointer(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    let text = values::text(value)?;
    if text.starts_with('/') {
        return Ok(text);
    }
    Err(value.wrong("not a pointer", "write a JSON pointer, such as \"/data/orders\""))
}

impl Source {
    pub fn webs(&self) -> impl Iterator<Item = &Web> {
        let (first, second) = match self {
            Self::Prometheus { server, .. } => (server, None),
            Self::Http { canary, stable, .. } => (canary, stable.as_ref()),
        };
        std::iter::once(first).chain(second)
    }
}

/// Looks at the files with tokens.
pub(super) fn look(prometheus: Option<&Web>, routes: &[Route]) -> Vec<Problem> {
    let top = prometheus.and_then(|server| web::look(server, "prometheus: "));
    let signals = routes.iter().flat_map(|route| {
        route.guard.outside.iter().filter_map(move |outside| {
            let owner = format!("route \"{}\": outside \"{}\": ", route.name, outside.name);
            let web = outside.source.webs().next().filter(|web| Some(*web) != prometheus)?;
            web::look(web, &owner)
        })
    });
    top.into_iter().chain(signals).collect()
}
