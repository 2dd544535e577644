//! Canaries of Flagger (`flagger.app/v1beta1`): a route, its canary, and the analysis as a plan.
//!
//! Flagger's primary is stable here. Its steps become those of a plan, its success rate and duration become ceilings; how many
//! checks must fail before it acts has no counterpart, because the guard here acts when the evidence is there.

use std::time::Duration;

use serde_json::Value;

use super::draft::{Canary, Draft, Plan, Route, Upstream, quoted};
use super::manifest::{Manifest, Manifests, shown};

/// Of one plan; what would go on for more is cut.
const STEPS_MAX: usize = 50;
/// What is read, or means nothing outside a cluster.
const SPEC: [&str; 4] = ["targetRef", "service", "analysis", "provider"];
const SERVICE: [&str; 8] =
    ["name", "port", "portName", "portDiscovery", "targetPort", "hosts", "match", "timeout"];
const ANALYSIS: [&str; 10] = [
    "interval",
    "maxWeight",
    "stepWeight",
    "stepWeights",
    "iterations",
    "match",
    "metrics",
    "webhooks",
    "sessionAffinity",
    "threshold",
];

pub(super) fn carry_over(manifests: &Manifests, draft: &mut Draft) {
    for canary in manifests.of_kind("Canary") {
        carry(canary, draft);
    }
}

fn carry(canary: &Manifest, draft: &mut Draft) {
    let analysis = Analysis::of(canary);
    let service =
        canary.text("/spec/service/name").or(canary.text("/spec/targetRef/name")).unwrap_or(&canary.name);
    let port = canary.at("/spec/service/port").as_u64().unwrap_or(80);
    let lines: Vec<_> = canary
        .text("/spec/service/timeout")
        .and_then(duration)
        .map(|timeout| format!("request_timeout = \"{}\"", seconds(timeout)))
        .into_iter()
        .collect();
    let mut upstream = |part: &str| {
        draft.upstream(Upstream {
            name: format!("{service}-{part}"),
            endpoint: format!("dns://{service}-{part}.{}.svc.cluster.local:{port}", canary.namespace),
            lines: lines.clone(),
            tls: false,
        })
    };
    let (stable, trial) = (upstream("primary"), upstream("canary"));
    let path = path(canary, draft);
    let overrides = overrides(canary, &analysis, draft);
    let ceilings = ceilings(canary, &analysis, draft);
    let sticky = canary.at(&analysis.pointer("sessionAffinity/cookieName")).as_str().map(|cookie| {
        draft.note(format!(
            "{canary}: the cookie {cookie:?} of sessionAffinity must be set by the service itself"
        ));
        format!("cookie = {}", quoted(cookie))
    });
    let hosts = canary.list("/spec/service/hosts").filter_map(Value::as_str).filter(|host| *host != "*");
    draft.route(Route {
        name: canary.name.clone(),
        namespace: canary.namespace.clone(),
        hosts: hosts.map(str::to_owned).collect(),
        path,
        stable,
        canary: Some(Canary { upstream: trial, weight: "0%".to_owned(), overrides }),
        sticky,
        ceilings,
    });
    let steps = steps(canary, &analysis, draft);
    let name = draft.plan(Plan { name: canary.name.clone(), steps });
    draft.note(format!("{canary}: its release is `andon release start {} --plan {name}`", canary.name));
    tell_of_others(canary, &analysis, draft);
}

/// `analysis`, which older versions call `canaryAnalysis`.
struct Analysis {
    at: &'static str,
    interval: Duration,
}

impl Analysis {
    fn of(canary: &Manifest) -> Self {
        let at =
            if canary.at("/spec/analysis").is_null() { "/spec/canaryAnalysis" } else { "/spec/analysis" };
        let interval = canary.text(&format!("{at}/interval")).and_then(duration);
        Self { at, interval: interval.unwrap_or(Duration::from_mins(1)) }
    }

    fn pointer(&self, key: &str) -> String {
        format!("{}/{key}", self.at)
    }
}

fn path(canary: &Manifest, draft: &mut Draft) -> Option<(&'static str, String)> {
    let mut matches = canary.list("/spec/service/match");
    let uri = &matches.next()?["uri"];
    for other in matches {
        draft.note(format!("{canary}: a route has one path; write another route for {}", shown(other)));
    }
    let kinds = [("prefix", "path"), ("exact", "path_exact"), ("regex", "path_regex")];
    let (kind, text) = kinds.into_iter().find_map(|(kind, key)| Some((key, uri[kind].as_str()?)))?;
    (kind != "path" || text != "/").then(|| (kind, text.to_owned()))
}

/// Who is tested on in an A/B test.
fn overrides(canary: &Manifest, analysis: &Analysis, draft: &mut Draft) -> Vec<String> {
    let mut overrides = Vec::new();
    for condition in canary.list(&analysis.pointer("match")) {
        let headers = condition["headers"].as_object();
        let lone = headers.filter(|headers| headers.len() == 1).and_then(|headers| headers.iter().next());
        let carried = lone.and_then(|(name, wanted)| condition_of(name, wanted));
        match carried {
            Some(table) => overrides.push(table),
            None => draft.note(format!(
                "{canary}: an override looks at one header, cookie or query parameter and a whole value; that is less than {}",
                shown(condition)
            )),
        }
    }
    overrides
}

fn condition_of(header: &str, wanted: &Value) -> Option<String> {
    if let Some(value) = wanted["exact"].as_str() {
        return Some(format!("{{ header = {}, value = {} }}", quoted(header), quoted(value)));
    }
    let pattern = wanted["regex"].as_str().filter(|_| header.eq_ignore_ascii_case("cookie"))?;
    // As its documentation writes a cookie: ^(.*?;)?(canary=always)(;.*)?$
    let pair = pattern.strip_prefix("^(.*?;)?(")?.strip_suffix(")(;.*)?$")?;
    let (cookie, value) = pair.split_once('=')?;
    let plain = |text: &str| text.chars().all(|char| char.is_ascii_alphanumeric() || "-_".contains(char));
    (plain(cookie) && plain(value))
        .then(|| format!("{{ cookie = {}, value = {} }}", quoted(cookie), quoted(value)))
}

fn ceilings(canary: &Manifest, analysis: &Analysis, draft: &mut Draft) -> Vec<String> {
    let mut ceilings = Vec::new();
    for metric in canary.list(&analysis.pointer("metrics")) {
        let (min, max) = (metric["thresholdRange"]["min"].as_f64(), metric["thresholdRange"]["max"].as_f64());
        let threshold = metric["threshold"].as_f64();
        let window = metric["interval"].as_str().and_then(duration).unwrap_or(analysis.interval);
        let window = seconds(window.max(Duration::from_secs(1)));
        match (metric["name"].as_str().unwrap_or_default(), min.or(threshold), max.or(threshold)) {
            ("request-success-rate", Some(min), _) if (0.01..100.0).contains(&min) => {
                let failed = (100.0 - min).to_string();
                let failed: String = failed.chars().take(7).collect();
                ceilings.push(format!("{{ error_rate = \"{failed}%\", window = \"{window}\" }}"));
            }
            ("request-duration", _, Some(ms)) if (1.0..240_000.0).contains(&ms) => {
                let limit = format!("{}ms", ms.round());
                ceilings.push(format!("{{ percentile = 99, latency = \"{limit}\", window = \"{window}\" }}"));
            }
            (name, ..) => {
                draft.note(format!("{canary}: metric {name:?} is to be written as an outside signal"))
            }
        }
    }
    ceilings
}

fn steps(canary: &Manifest, analysis: &Analysis, draft: &mut Draft) -> Vec<String> {
    let hold = seconds(analysis.interval);
    let number = |key: &str| canary.at(&analysis.pointer(key)).as_u64();
    let gates = Gates::of(canary, analysis, draft);
    let gate = |asked: bool| if asked { ", approve = true" } else { "" };
    if let Some(iterations) = number("iterations").filter(|iterations| *iterations > 0) {
        let all = seconds(analysis.interval.saturating_mul(u32::try_from(iterations).unwrap_or(u32::MAX)));
        let tested = canary.list(&analysis.pointer("match")).next().is_some();
        if tested {
            draft.note(format!(
                "{canary}: an A/B test of {all}: people who match have the canary at any time; start the release when you have seen enough"
            ));
        }
        return vec![format!("{{ to = \"100%\", hold = \"{all}\"{} }}", gate(gates.each || gates.last))];
    }
    let mut weights = weights(canary, analysis);
    if weights.len() > STEPS_MAX {
        draft.note(format!(
            "{canary}: {} steps are more than are sensible; the last ones are left out",
            weights.len()
        ));
        weights.truncate(STEPS_MAX);
    }
    let to = |percent: u64| format!("{{ to = \"{percent}%\", hold = \"{hold}\"{} }}", gate(gates.each));
    let mut steps: Vec<_> = weights.into_iter().map(to).collect();
    let asked = gates.each || gates.last;
    steps.push(format!("{{ to = \"100%\", hold = \"{hold}\"{} }}", gate(asked)));
    steps
}

/// Rising, and below 100.
fn weights(canary: &Manifest, analysis: &Analysis) -> Vec<u64> {
    let number = |key: &str| canary.at(&analysis.pointer(key)).as_u64();
    let listed: Vec<_> = canary.list(&analysis.pointer("stepWeights")).filter_map(Value::as_u64).collect();
    let mut weights = listed;
    if weights.is_empty() {
        let (step, max) =
            (number("stepWeight").unwrap_or(10).max(1), number("maxWeight").unwrap_or(50).min(100));
        weights = (1..).map(|count| count * step).take_while(|weight| *weight <= max).collect();
    }
    let mut highest = 0;
    weights.retain(|weight| {
        *weight > highest && *weight < 100 && {
            highest = *weight;
            true
        }
    });
    weights
}

/// Where webhooks let a person decide.
#[derive(Default)]
struct Gates {
    each: bool,
    last: bool,
}

impl Gates {
    fn of(canary: &Manifest, analysis: &Analysis, draft: &mut Draft) -> Self {
        let mut gates = Self::default();
        for webhook in canary.list(&analysis.pointer("webhooks")) {
            let (name, kind) = (shown(&webhook["name"]), webhook["type"].as_str().unwrap_or("rollout"));
            match kind {
                "confirm-rollout" => draft.note(format!(
                    "{canary}: webhook {name} of type \"confirm-rollout\": whoever starts a release has confirmed it"
                )),
                "confirm-traffic-increase" => gates.each = true,
                "confirm-promotion" => gates.last = true,
                "event" => draft.note(format!("{canary}: webhook {name} of events: see [[notify]]")),
                _ => draft
                    .note(format!("{canary}: webhook {name} of type {kind:?} is to be run by the pipeline")),
            }
        }
        gates
    }
}

fn tell_of_others(canary: &Manifest, analysis: &Analysis, draft: &mut Draft) {
    let mut tell = |pointer: &str, known: &[&str]| {
        for (key, value) in canary.map(pointer).filter(|(key, _)| !known.contains(&key.as_str())) {
            let place = pointer.trim_start_matches("/spec").replace('/', ".");
            draft.note(format!("{canary}: spec{place}.{key} = {}", shown(value)));
        }
    };
    tell("/spec", &[&SPEC[..], &["canaryAnalysis"]].concat());
    tell("/spec/service", &SERVICE);
    tell(analysis.at, &ANALYSIS);
    if let Some(threshold) = canary.at(&analysis.pointer("threshold")).as_u64() {
        draft.note(format!(
            "{canary}: {threshold} failed checks: the guard acts when the evidence is there, after one tick or many"
        ));
    }
}

/// As Go writes it: `1m30s`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ms", 0.001), ("h", 3_600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, each) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        sum = sum.checked_add(Duration::try_from_secs_f64(number * each).ok()?)?;
        rest = &rest[unit.len()..];
    }
    (!sum.is_zero()).then_some(sum)
}

/// As a duration is written here, in the largest unit that says it exactly.
fn seconds(span: Duration) -> String {
    let ms = span.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let (unit, each) = units.into_iter().find(|(_, each)| ms.is_multiple_of(*each)).unwrap_or(("ms", 1));
    format!("{}{unit}", ms / each)
}
