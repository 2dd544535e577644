//! What an answer means to the immune system: which ones are failures, and which are events worth counting.
//!
//! Without a rule an answer is what its status says. A rule looks at method and path of a request and at the status
//! of its answer, so that a 404 of the catalogue may be a failure and a 503 of a busy search none.

use std::ops::RangeInclusive;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use toml::de::DeValue;

use super::judge::{self, EventTerms, Mode};
use super::matching::{self, HeaderMatch, PathPattern};
use super::names;
use super::reader::{Section, Value, Wrong};
use super::values;

const STATUS: RangeInclusive<u64> = 200..=599;
const CODES_MAX: usize = 64;
const STATUS_HELP: &str = "write a status from 200 to 599, or a class such as \"4xx\"";

/// The codes of gRPC, in the order of their numbers.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Which requests a rule is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Empty: any.
    pub methods: Vec<Method>,
    pub path: PathPattern,
}

/// `[route.guard] failures`: the first rule that fits says what an answer counts as.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureRule {
    pub asked: Asked,
    pub statuses: Statuses,
    pub grpc: GrpcCodes,
    pub counts_as: CountsAs,
}

impl FailureRule {
    pub const RULES_MAX: usize = 64;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountsAs {
    Failure,
    Success,
    /// No evidence at all, as if the client had left. The outcome is what the status says, since users met it.
    Nothing,
}

/// `[[route.guard.event]]`: something that users do, such as an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub asked: Asked,
    pub statuses: Statuses,
    /// Of the answer; `None`: any.
    pub header: Option<HeaderMatch>,
}

impl Event {
    /// Each costs a counter in every variant.
    pub const EVENTS_MAX: usize = 4;

    /// Of an answer to a request that it is about.
    pub fn is(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.statuses.contains(status) && self.header.as_ref().is_none_or(|wanted| wanted.is_in(headers))
    }
}

/// Statuses from 200 to 599.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses([u64; 7]);

impl Statuses {
    pub fn contains(self, status: StatusCode) -> bool {
        bit(status.as_u16()).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }

    fn with(mut self, statuses: &RangeInclusive<u16>) -> Self {
        for (word, bit) in statuses.clone().filter_map(bit) {
            self.0[word] |= bit;
        }
        self
    }
}

fn bit(status: u16) -> Option<(usize, u64)> {
    let place = status.checked_sub(200).filter(|place| *place < 400)?;
    Some((usize::from(place / 64), 1 << (place % 64)))
}

/// Codes of gRPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrpcCodes(u32);

impl GrpcCodes {
    pub fn contains(self, code: u8) -> bool {
        code < 32 && self.0 & (1 << code) != 0
    }
}

pub(super) fn failures(guard: &mut Section<'_>) -> Vec<FailureRule> {
    let sections = guard.sections("failures", 0..=FailureRule::RULES_MAX).unwrap_or_default();
    sections.into_iter().filter_map(failure).collect()
}

fn failure(mut section: Section<'_>) -> Option<FailureRule> {
    let asked = asked(&mut section);
    if !section.has("statuses") && !section.has("grpc") {
        section.missing("statuses or grpc", "statuses = [404]");
    }
    let statuses = statuses(&mut section).unwrap_or_default();
    let accepted = "a list such as [\"NOT_FOUND\"]";
    let grpc = section.list("grpc", 1..=GRPC.len(), accepted, grpc_code).unwrap_or_default();
    let grpc = GrpcCodes(grpc.into_iter().fold(0, |set, code| set | 1 << code));
    let counts_as = section.or("counts_as", CountsAs::Failure, counts_as);
    section.finish();
    Some(FailureRule { asked, statuses, grpc, counts_as })
}

fn counts_as(value: &Value<'_>) -> Result<CountsAs, Wrong> {
    match value.str() {
        Some("failure") => Ok(CountsAs::Failure),
        Some("success") => Ok(CountsAs::Success),
        Some("nothing") => Ok(CountsAs::Nothing),
        _ => Err(value.wrong("unknown", "write \"failure\", \"success\" or \"nothing\" (no evidence)")),
    }
}

fn grpc_code(value: &Value<'_>) -> Result<usize, Wrong> {
    let help = "write a code of gRPC in upper case, such as \"NOT_FOUND\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    GRPC.iter().position(|code| *code == text).ok_or_else(|| value.wrong("unknown", help))
}

fn asked(section: &mut Section<'_>) -> Asked {
    let methods = matching::methods(section);
    Asked { methods, path: matching::path(section) }
}

/// `[404, "5xx"]`
fn statuses(section: &mut Section<'_>) -> Option<Statuses> {
    let list = section.list("statuses", 1..=CODES_MAX, "a list such as [404, \"5xx\"]", status)?;
    Some(list.iter().fold(Statuses::default(), Statuses::with))
}

fn status(value: &Value<'_>) -> Result<RangeInclusive<u16>, Wrong> {
    if let DeValue::Integer(_) = value.item {
        let found = values::whole(STATUS)(value).map_err(|_| value.wrong("out of range", STATUS_HELP))?;
        let found = u16::try_from(found).unwrap_or(u16::MAX);
        return Ok(found..=found);
    }
    let class = match value.str() {
        Some("2xx") => 200,
        Some("3xx") => 300,
        Some("4xx") => 400,
        Some("5xx") => 500,
        Some(_) => return Err(value.wrong("unknown", STATUS_HELP)),
        None => return Err(value.wrong_kind(STATUS_HELP)),
    };
    Ok(class..=class + 99)
}

/// What is counted, and how it is judged.
pub(super) fn events(guard: &mut Section<'_>) -> (Vec<Event>, Vec<EventTerms>) {
    let sections = guard.sections("event", 0..=Event::EVENTS_MAX).unwrap_or_default();
    let mut all: (Vec<Event>, Vec<EventTerms>) = (Vec::new(), Vec::new());
    for section in sections {
        let (place, report) = (section.place.clone(), section.report());
        let Some((event, terms)) = self::event(section) else { continue };
        if all.1.iter().any(|other| other.name == terms.name) {
            report.add(super::problem::Problem {
                span: place,
                message: format!("two events are named \"{}\"", terms.name),
                label: "the second".to_owned(),
                help: Some("give each event of a route a `name` of its own".to_owned()),
            });
            continue;
        }
        all.0.push(event);
        all.1.push(terms);
    }
    all
}

fn event(mut section: Section<'_>) -> Option<(Event, EventTerms)> {
    let name: Option<Arc<str>> = section.required("name", "name = \"order\"", names::checked);
    let asked = asked(&mut section);
    let successes = Statuses::default().with(&(200..=299));
    let statuses = statuses(&mut section).unwrap_or(successes);
    let header = section.optional_section("header").and_then(|mut section| {
        let name = section.required("name", "name = \"x-order\"", values::header_name);
        let value = section.optional("value", values::header_value);
        section.finish();
        Some(HeaderMatch { name: name?, value })
    });
    let tolerate = section.or("tolerate", EventTerms::TOLERATE_DEFAULT, values::ratio(1.0..=100.0));
    let mode = section.or("mode", Mode::Act, judge::mode);
    section.finish();
    Some((Event { asked, statuses, header }, EventTerms { name: name?, tolerate, mode }))
}

impl Asked {
    /// `path` is in normal form.
    pub fn includes(&self, method: &Method, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.contains(method)) && self.path.matches(path)
    }
}
