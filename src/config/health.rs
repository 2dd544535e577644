//! `upstream.health`: how endpoints are asked, beside the traffic, whether they can serve.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::Weight;
use super::reader::{Section, Value, Wrong};
use super::values;

const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);
const COUNT: RangeInclusive<u64> = 1..=100;
const STATUSES_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub probe: Probe,
    /// From the end of one check to the start of the next.
    pub interval: Duration,
    /// From the connection to the answer.
    pub timeout: Duration,
    /// So many checks one after another, before the opinion changes. The first check decides alone.
    pub healthy_after: u32,
    pub unhealthy_after: u32,
    /// If a smaller share of the endpoints is healthy, all are used. Zero: never.
    pub panic: Weight,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `GET path`: is the status in one of the ranges?
    Http { path: PathAndQuery, host: Option<HeaderValue>, statuses: Vec<RangeInclusive<u16>> },
    /// `grpc.health.v1.Health/Check`: is the service serving? Empty: the server as a whole.
    Grpc { service: Box<str>, host: Option<HeaderValue> },
    /// Is a connection accepted?
    Tcp,
}

/// `None`: no checks.
pub(super) fn read(upstream: &mut Section<'_>) -> Option<Health> {
    let mut section = upstream.optional_section("health")?;
    let probe = probe(&mut section);
    let interval = section.or("interval", Duration::from_secs(2), values::duration(INTERVAL));
    let timeout = section.or("timeout", Duration::from_secs(1), values::duration(TIMEOUT));
    let mut count = |key, default| {
        let found = section.or(key, default, values::whole(COUNT));
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    let healthy_after = count("healthy_after", 2);
    let unhealthy_after = count("unhealthy_after", 3);
    let panic = section.or("panic", Weight::ZERO, values::weight);
    section.finish();
    Some(Health { probe, interval, timeout, healthy_after, unhealthy_after, panic })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Grpc,
    Tcp,
}

fn probe(section: &mut Section<'_>) -> Probe {
    let protocol = section.or("protocol", Protocol::Http, protocol);
    let path = section.or("path", PathAndQuery::from_static("/"), path);
    let host = section.optional("host", values::header_value);
    let statuses = section.list("statuses", 1..=STATUSES_MAX, "a list such as [\"200-399\"]", statuses);
    let service = section.or("service", "".into(), values::text);
    let (foreign, owner): (&[&str], _) = match protocol {
        Protocol::Http => (&["service"], "grpc"),
        Protocol::Grpc => (&["path", "statuses"], "http"),
        Protocol::Tcp => (&["path", "statuses", "host", "service"], "http or grpc"),
    };
    for key in foreign.iter().filter(|key| section.has(key)) {
        let says = "means nothing for this protocol".to_owned();
        let help = format!("take it out, or write another protocol: it is for {owner}");
        section.wrong(key, section.place.clone(), Wrong { says, label: "in here".to_owned(), help });
    }
    match protocol {
        Protocol::Http => Probe::Http { path, host, statuses: statuses.unwrap_or_else(|| vec![200..=399]) },
        Protocol::Grpc => Probe::Grpc { service, host },
        Protocol::Tcp => Probe::Tcp,
    }
}

fn protocol(value: &Value<'_>) -> Result<Protocol, Wrong> {
    match value.str() {
        Some("http") => Ok(Protocol::Http),
        Some("grpc") => Ok(Protocol::Grpc),
        Some("tcp") => Ok(Protocol::Tcp),
        _ => Err(value.wrong("unknown", "write \"http\", \"grpc\" or \"tcp\"")),
    }
}

fn path(value: &Value<'_>) -> Result<PathAndQuery, Wrong> {
    let help = "write a path, such as \"/healthz\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let path = text.starts_with('/').then(|| text.parse().ok()).flatten();
    path.ok_or_else(|| value.wrong("not a path", help))
}

/// `"200"` or `"200-399"`.
fn statuses(value: &Value<'_>) -> Result<RangeInclusive<u16>, Wrong> {
    let help = "write a status or a range of them, such as \"200\" or \"200-399\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(value.wrong("not a status", help)),
    }
}
