//! The TOML file, parsed once into types that cannot hold a bad value.
//!
//! One file a section. Reading is all or nothing: [`parse`] returns a [`Config`] in which every name resolves
//! and every number is possible, or **all** problems at once, each with its place. Imports nothing of ours.

pub mod access;
pub mod access_log;
pub mod admin;
pub mod canary;
pub mod dns;
pub mod drain;
pub mod ejection;
pub mod endpoints;
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod headers;
pub mod health;
pub mod judge;
pub mod limits;
pub mod listener;
pub mod matching;
pub mod meaning;
pub mod mirror;
pub mod notify;
pub mod outside;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod request_limits;
pub mod rescue;
pub mod retry;
pub mod route;
pub mod source;
pub mod store;
pub mod tls;
pub mod tracing;
pub mod units;
pub mod upkeep;
pub mod upstream;
pub mod web;
pub mod workers;

mod names;
mod normal_path;
mod reader;
mod redact;
mod report;
mod suggest;
mod syntax;
mod values;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

pub use access::{Access, Role};
pub use access_log::{AccessLog, LogFormat, LogTarget};
pub use admin::{Admin, AdminSocket};
pub use dns::Dns;
pub use drain::Drain;
pub use ejection::Ejection;
pub use endpoints::{DnsName, Endpoints};
pub use guard::{BackOff, Guard, OnAlarm, OnUnhealthy, SelfTest};
pub use headers::{HeaderChanges, Piece, Template, Variable};
pub use health::{Health, Probe};
pub use judge::{Ceiling, CeilingLimit, EventTerms, FastTrip, Judge, LatencyMax, Mode, Proof, Tolerate};
pub use limits::{ConnectionLimits, Limits};
pub use listener::Listener;
pub use meaning::{Asked, CountsAs, Event, FailureRule};
pub use mirror::{Mirror, MirrorTo};
pub use normal_path::{PathFault, normal_path};
pub use notify::Receiver;
pub use outside::{Outside, OutsideLimit};
pub use plan::{Freeze, Plan};
pub use policy::{Policy, Redirect, Rewrite, Scheme};
pub use problem::{Color, PROBLEMS_MAX, Placed, Problem, Problems};
pub use request_limits::RequestLimits;
pub use rescue::Rescue;
pub use retry::Retry;
pub use route::{
    Canary, HeaderMatch, HostPattern, Matcher, Override, OverrideTo, PathPattern, Route, Service, StickyKey,
    Trigger, Upgrade,
};
pub use source::Source;
pub use store::{DECISIONS_AGE_DEFAULT, EvidenceKept, Store};
pub use tracing::Tracing;
pub use units::Weight;
pub use upkeep::{Balance, Upkeep};
pub use upstream::{ProxyProtocol, Upstream, UpstreamProtocol};
pub use web::Web;
pub use workers::Workers;

use names::Names;
use outside::Around;
use reader::Section;
use report::Report;
use tls::UpstreamTls;

/// A larger file is refused unread.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// Everything that the file says. Names are checked: each `stable` and `upstream` names one of `upstreams`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub source: Source,
    pub workers: Workers,
    pub admin: Admin,
    pub store: Store,
    pub evidence: EvidenceKept,
    /// How long decisions are kept.
    pub decisions_age: Duration,
    /// `None`: no access log.
    pub access_log: Option<AccessLog>,
    /// `None`: no spans.
    pub tracing: Option<Tracing>,
    pub dns: Dns,
    pub limits: Limits,
    pub drain: Drain,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    pub routes: Vec<Route>,
    pub plans: Vec<Plan>,
    pub freezes: Vec<Freeze>,
    /// At most [`Receiver::RECEIVERS_MAX`].
    pub notify: Vec<Receiver>,
    /// Who answers PromQL, where a signal does not say it.
    pub prometheus: Option<Web>,
}

impl Config {
    /// Every server of others that is spoken to over TLS, and whose it is, as messages begin.
    pub fn foreign_tls(&self) -> impl Iterator<Item = (Arc<str>, &Arc<UpstreamTls>)> {
        let receivers = self.notify.iter().map(|one| (format!("notify \"{}\"", one.name), &one.to));
        let signals = self.routes.iter().flat_map(|route| {
            route.guard.outside.iter().flat_map(move |outside| {
                let owner = format!("route \"{}\": outside \"{}\"", route.name, outside.name);
                outside.source.webs().map(move |web| (owner.clone(), web))
            })
        });
        let all = receivers.chain(signals);
        all.filter_map(|(owner, web)| Some((owner.into(), &web.tls.as_ref()?.upstream)))
    }
}

/// What a look beyond the file finds, such as at the certificates that it names.
#[derive(Debug, Default)]
pub struct Findings {
    pub problems: Vec<Problem>,
    /// The file can be used all the same.
    pub warnings: Vec<Problem>,
}

/// Reads a file. Relative paths in it are relative to its directory.
pub fn load(path: &Path) -> Result<Config, Problems> {
    load_with(path, |_| Findings::default()).map(|(config, _)| config)
}

/// Reads a file, and looks at what it names. Returns the warnings beside it, if there are any.
pub fn load_with(
    path: &Path,
    look: impl FnOnce(&Config) -> Findings,
) -> Result<(Config, Option<Problems>), Problems> {
    let file = path.display().to_string();
    let text = text_of(path).map_err(|(found, help)| Problems::of_file(&file, found, help))?;
    let mut config = parse(&file, &text, path.parent().unwrap_or(Path::new("")))?;
    config.source = Source::of(&text);
    let Findings { mut problems, mut warnings } = look(&config);
    problems.extend(notify::look(&config.notify));
    problems.extend(outside::look(config.prometheus.as_ref(), &config.routes));
    warnings.extend(config.admin.warnings());
    let placed = |mut list: Vec<Problem>| {
        let more = list.len().saturating_sub(PROBLEMS_MAX);
        list.truncate(PROBLEMS_MAX);
        (!list.is_empty()).then(|| Problems::new(&file, &text, list, more))
    };
    match placed(problems) {
        Some(problems) => Err(problems),
        None => Ok((config, placed(warnings).map(Problems::into_warnings))),
    }
}

/// Reads a text. `file` is its name in messages, `base` the directory for relative paths.
pub fn parse(file: &str, text: &str, base: &Path) -> Result<Config, Problems> {
    parse_noting_keys(file, text, base).0
}

/// Like [`parse`], and every key path that was asked for, such as `listener.header_timeout`. The test that
/// keeps `config/andon.toml` complete stands on it.
pub fn parse_noting_keys(file: &str, text: &str, base: &Path) -> (Result<Config, Problems>, Vec<String>) {
    if text.len() > FILE_BYTES_MAX {
        let (found, help) = too_large();
        return (Err(Problems::of_file(file, found, help)), Vec::new());
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    let report = Report::new(text, syntax::problems(text, &errors));
    let config = read(Section::root(&report, tree.get_ref()), base);
    let (list, more, keys) = report.into_parts();
    let result = if list.is_empty() { Ok(config) } else { Err(Problems::new(file, text, list, more)) };
    (result, keys)
}

/// Reads what canaries are judged by: the keys of `[route.guard]`, at the top, or in a table `[guard]` or `[route.guard]`.
pub fn parse_judge(file: &str, text: &str) -> Result<Judge, Problems> {
    if text.len() > FILE_BYTES_MAX {
        let (found, help) = too_large();
        return Err(Problems::of_file(file, found, help));
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    let report = Report::new(text, syntax::problems(text, &errors));
    let guard = read_guard(Section::root(&report, tree.get_ref()), tree.get_ref());
    let (list, more, _) = report.into_parts();
    if list.is_empty() { Ok(guard.judge) } else { Err(Problems::new(file, text, list, more)) }
}

fn read_guard(mut root: Section<'_>, table: &DeTable<'_>) -> Guard {
    let around = Around { base: Path::new(""), prometheus: None, is_alone: true };
    let guard = if table.contains_key("guard") {
        guard::read(root.section("guard"), around)
    } else if table.contains_key("route") {
        let mut route = root.section("route");
        let guard = guard::read(route.section("guard"), around);
        route.finish();
        guard
    } else {
        return guard::read(root, around);
    };
    root.finish();
    guard
}

/// Upstreams before routes, which name them. Where there are problems, what is returned is incomplete.
fn read(mut root: Section<'_>, base: &Path) -> Config {
    let workers = workers::read(root.section("workers"));
    let admin = admin::read(root.section("admin"), base);
    let store::Read { store, evidence, decisions_age } = store::read(root.section("store"), base);
    let access_log = access_log::read(root.optional_section("access_log"), base);
    let tracing = tracing::read(root.section("tracing"));
    let dns = dns::read(root.section("dns"));
    let limits = limits::read(root.section("limits"));
    let drain = drain::read(root.section("drain"));
    let listeners = listener::read_all(&mut root, &admin, base);
    let mut names = Names::new("upstream");
    let upstreams = upstream::read_all(&mut root, &mut names, base);
    let prometheus = outside::read_prometheus(root.section("prometheus"), base);
    let around = Around { base, prometheus: prometheus.as_ref(), is_alone: false };
    let routes = route::read_all(&mut root, &names, around);
    let plans = plan::read_all(&mut root);
    let freezes = plan::read_freezes(&mut root, &routes);
    let notify = notify::read_all(&mut root, base, &routes);
    root.finish();
    Config {
        source: Source::default(),
        workers,
        admin,
        store,
        evidence,
        decisions_age,
        dns,
        access_log,
        tracing,
        limits,
        drain,
        listeners,
        upstreams,
        routes,
        plans,
        freezes,
        notify,
        prometheus,
    }
}

/// The text, or what was found instead and what is accepted.
fn text_of(path: &Path) -> Result<String, (String, &'static str)> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), "name a TOML file"),
        io::ErrorKind::PermissionDenied => {
            (format!("cannot be read: {error}"), "let the user that andon runs as read it")
        }
        _ => (format!("cannot be read: {error}"), "name a TOML file"),
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(("is a directory".to_owned(), "name a TOML file, such as config/andon.toml"));
    }
    let mut bytes = Vec::new();
    // One byte more than accepted, so that a pipe without end is noticed too.
    let limit = FILE_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (format!("is not UTF-8: the first bad byte is at offset {at}"), "save it as UTF-8 text")
    })
}

fn too_large() -> (String, &'static str) {
    let found = format!("has more than {} MiB", FILE_BYTES_MAX >> 20);
    (found, "split the work over several processes, or make the file smaller")
}
