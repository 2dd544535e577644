//! Ingresses, and the canary annotations of ingress-nginx.
//!
//! A canary there is an Ingress of its own with `canary: "true"`, which belongs to the rules of another Ingress of the
//! same host and path. It is asked for by header, then by cookie, then by weight; `always` and `never` are its words
//! (documentation of ingress-nginx, "Canary").

use std::collections::HashSet;

use serde_json::Value;

use super::draft::{Canary, Draft, Route, Upstream, quoted};
use super::manifest::{Manifest, Manifests, shown};
use crate::config::Weight;

const PREFIX: &str = "nginx.ingress.kubernetes.io/";

pub(super) fn carry_over(manifests: &Manifests, draft: &mut Draft) {
    let (canaries, plain): (Vec<_>, Vec<_>) =
        manifests.of_kind("Ingress").partition(|ingress| annotation(ingress, "canary") == Some("true"));
    for ingress in plain {
        carry_plain(ingress, manifests, draft);
    }
    for ingress in canaries {
        carry_canary(ingress, manifests, draft);
    }
}

/// One host and path of an Ingress, and who serves it.
struct Rule {
    host: Option<String>,
    path: Option<(&'static str, String)>,
    service: String,
    port: Value,
}

fn carry_plain(ingress: &Manifest, manifests: &Manifests, draft: &mut Draft) {
    let mut known = Known::default();
    let sticky = sticky(ingress, &mut known, draft);
    let rules = rules(ingress, &mut known, draft);
    let lines = upstream_lines(ingress, &mut known, sticky.is_some());
    for rule in rules {
        let stable = upstream(ingress, manifests, &rule, &lines, draft);
        draft.route(Route {
            name: ingress.name.clone(),
            namespace: ingress.namespace.clone(),
            hosts: rule.host.into_iter().collect(),
            path: rule.path,
            stable,
            sticky: sticky.clone(),
            ..Route::default()
        });
    }
    for tls in ingress.list("/spec/tls") {
        let (hosts, secret) = (shown(&tls["hosts"]), shown(&tls["secretName"]));
        draft.note(format!(
            "{ingress}: TLS of {hosts} from secret {secret}: write [listener.tls] with its files"
        ));
    }
    known.tell_of_others(ingress, draft);
}

fn carry_canary(ingress: &Manifest, manifests: &Manifests, draft: &mut Draft) {
    let mut known = Known::default();
    known.take("canary");
    let weight = weight(ingress, &mut known, draft);
    let overrides = overrides(ingress, &mut known, draft);
    let rules = rules(ingress, &mut known, draft);
    let lines = upstream_lines(ingress, &mut known, false);
    for rule in rules {
        let upstream = upstream(ingress, manifests, &rule, &lines, draft);
        let hosts: Vec<_> = rule.host.iter().cloned().collect();
        let served = |route: &&mut Route| {
            route.namespace == ingress.namespace && route.hosts == hosts && route.path == rule.path
        };
        let place = format!("{}{}", rule.host.as_deref().unwrap_or("any host"), path_shown(&rule));
        match draft.routes.iter_mut().find(served) {
            None => draft.note(format!(
                "{ingress}: no other Ingress of these files serves {place}, so there is nothing to split"
            )),
            Some(route) if route.canary.is_some() => {
                let note = format!(
                    "{ingress}: route \"{}\" has a canary already, and nginx takes one: add a [[route.canary]] for {upstream}",
                    route.name
                );
                draft.note(note);
            }
            Some(route) => {
                let (weight, overrides) = (weight.clone(), overrides.clone());
                route.canary = Some(Canary { upstream, weight, overrides });
            }
        }
    }
    known.tell_of_others(ingress, draft);
}

fn path_shown(rule: &Rule) -> &str {
    rule.path.as_ref().map_or("/", |(_, path)| path)
}

fn weight(ingress: &Manifest, known: &mut Known, draft: &mut Draft) -> String {
    let mut number = |name: &'static str, default: u64| {
        known.take(name);
        let Some(text) = annotation(ingress, name) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            draft.note(format!("{ingress}: {name} is {text:?}, which is no number; {default} is taken"));
            default
        })
    };
    let (part, total) = (number("canary-weight", 0), number("canary-weight-total", 100).max(1));
    let ppm = u128::from(part) * 1_000_000 / u128::from(total);
    u32::try_from(ppm).ok().and_then(Weight::from_ppm).unwrap_or(Weight::WHOLE).to_string()
}

fn overrides(ingress: &Manifest, known: &mut Known, draft: &mut Draft) -> Vec<String> {
    let mut overrides = Vec::new();
    let mut always_and_never = |kind: &str, name: &str| {
        overrides.push(format!("{{ {kind} = {}, value = \"always\" }}", quoted(name)));
        overrides.push(format!("{{ {kind} = {}, value = \"never\", to = \"stable\" }}", quoted(name)));
    };
    for name in ["canary-by-header", "canary-by-header-value", "canary-by-header-pattern", "canary-by-cookie"]
    {
        known.take(name);
    }
    let header = annotation(ingress, "canary-by-header");
    let (value, pattern) =
        (annotation(ingress, "canary-by-header-value"), annotation(ingress, "canary-by-header-pattern"));
    match (header, value, pattern) {
        (Some(header), Some(value), _) => {
            overrides.push(format!("{{ header = {}, value = {} }}", quoted(header), quoted(value)));
        }
        (Some(header), None, Some(pattern)) => draft.note(format!(
            "{ingress}: canary-by-header-pattern {pattern:?} of {header}: overrides compare whole values; write one for each"
        )),
        (Some(header), None, None) => always_and_never("header", header),
        (None, None, None) => {}
        (None, ..) => draft.note(format!("{ingress}: a header's value without canary-by-header means nothing")),
    }
    if let Some(cookie) = annotation(ingress, "canary-by-cookie") {
        let mut always_and_never = |value: &str, to: &str| {
            overrides.push(format!("{{ cookie = {}, value = \"{value}\"{to} }}", quoted(cookie)));
        };
        always_and_never("always", "");
        always_and_never("never", ", to = \"stable\"");
    }
    overrides
}

fn rules(ingress: &Manifest, known: &mut Known, draft: &mut Draft) -> Vec<Rule> {
    known.take("use-regex");
    let regex = annotation(ingress, "use-regex") == Some("true");
    let mut rules = Vec::new();
    let default = ["/spec/defaultBackend", "/spec/backend"].map(|pointer| ingress.at(pointer));
    for backend in default.into_iter().filter(|backend| !backend.is_null()) {
        rules.extend(rule(None, &Value::Null, backend, regex));
    }
    for of_host in ingress.list("/spec/rules") {
        let host = of_host["host"].as_str().filter(|host| !host.is_empty() && *host != "*");
        for path in of_host["http"]["paths"].as_array().into_iter().flatten() {
            match rule(host, path, &path["backend"], regex) {
                Some(rule) => rules.push(rule),
                None => {
                    draft.note(format!("{ingress}: the backend {} is no Service", shown(&path["backend"])))
                }
            }
        }
    }
    rules
}

/// Of version 1, or as it was before.
fn rule(host: Option<&str>, path: &Value, backend: &Value, regex: bool) -> Option<Rule> {
    let service = &backend["service"];
    let (name, port) = match service["name"].as_str() {
        Some(name) => {
            let port = [&service["port"]["number"], &service["port"]["name"]];
            (name, port.into_iter().find(|port| !port.is_null())?.clone())
        }
        None => (backend["serviceName"].as_str()?, backend["servicePort"].clone()),
    };
    let text = path["path"].as_str().unwrap_or("/");
    let path = match path["pathType"].as_str() {
        Some("Exact") => Some(("path_exact", text.to_owned())),
        // As nginx is told: from the start of the path, and in any case.
        _ if regex => Some(("path_regex", format!("(?i){text}.*"))),
        _ if text == "/" => None,
        _ => Some(("path", text.to_owned())),
    };
    Some(Rule { host: host.map(str::to_owned), path, service: name.to_owned(), port })
}

fn upstream(
    ingress: &Manifest,
    manifests: &Manifests,
    rule: &Rule,
    lines: &(Vec<String>, bool),
    draft: &mut Draft,
) -> String {
    let Rule { service, port, .. } = rule;
    let number = manifests.port(&ingress.namespace, service, port).unwrap_or_else(|| {
        draft.note(format!(
            "{ingress}: port {} of Service {service} is not known here; 80 is taken",
            shown(port)
        ));
        80
    });
    draft.upstream(Upstream {
        name: service.clone(),
        endpoint: format!("dns://{service}.{}.svc.cluster.local:{number}", ingress.namespace),
        lines: lines.0.clone(),
        tls: lines.1,
    })
}

/// And whether TLS is spoken.
fn upstream_lines(ingress: &Manifest, known: &mut Known, hashed: bool) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let seconds = |name: &str| annotation(ingress, name)?.trim_end_matches('s').parse::<u32>().ok();
    for (name, keys) in [
        ("proxy-connect-timeout", &["connect_timeout"][..]),
        ("proxy-read-timeout", &["response_timeout", "body_timeout"]),
    ] {
        if let Some(seconds) = seconds(name).filter(|seconds| (1..=3_600).contains(seconds)) {
            known.take(name);
            lines.extend(keys.iter().map(|key| format!("{key} = \"{seconds}s\"")));
        }
    }
    let protocol = annotation(ingress, "backend-protocol").unwrap_or("HTTP").to_ascii_uppercase();
    if ["HTTP", "HTTPS", "GRPC", "GRPCS"].contains(&protocol.as_str()) {
        known.take("backend-protocol");
    }
    if protocol.starts_with("GRPC") {
        lines.push("protocol = \"h2\"".to_owned());
    }
    if hashed {
        lines.push("balance = \"hash\"".to_owned());
    }
    (lines, ["HTTPS", "GRPCS"].contains(&protocol.as_str()))
}

/// `upstream-hash-by` ties a user to an endpoint; here the same key ties them to a variant as well.
fn sticky(ingress: &Manifest, known: &mut Known, draft: &mut Draft) -> Option<String> {
    let by = annotation(ingress, "upstream-hash-by")?;
    let variable = by.trim().trim_start_matches('$').trim_matches(['{', '}']);
    let sticky = if let Some(cookie) = variable.strip_prefix("cookie_") {
        format!("cookie = {}", quoted(cookie))
    } else if let Some(header) = variable.strip_prefix("http_") {
        format!("header = {}", quoted(&header.replace('_', "-")))
    } else if ["remote_addr", "binary_remote_addr"].contains(&variable) {
        "address = true".to_owned()
    } else {
        return None;
    };
    known.take("upstream-hash-by");
    draft.note(format!("{ingress}: upstream-hash-by {by:?} now ties users to a version, too"));
    Some(sticky)
}

fn annotation<'a>(ingress: &'a Manifest, name: &str) -> Option<&'a str> {
    let annotations = ingress.at("/metadata/annotations");
    annotations[format!("{PREFIX}{name}")].as_str()
}

/// Annotations that have been carried over.
#[derive(Default)]
struct Known(HashSet<&'static str>);

impl Known {
    fn take(&mut self, name: &'static str) {
        self.0.insert(name);
    }

    fn tell_of_others(&self, ingress: &Manifest, draft: &mut Draft) {
        for (key, value) in ingress.map("/metadata/annotations") {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            if !self.0.contains(name) {
                let remedy = remedy(name).map_or_else(String::new, |remedy| format!(": {remedy}"));
                draft.note(format!("{ingress}: annotation {name} = {}{remedy}", shown(value)));
            }
        }
    }
}

/// What says nearly the same here.
fn remedy(annotation: &str) -> Option<&'static str> {
    Some(match annotation {
        "rewrite-target" => "see strip_prefix and replace_prefix of a route",
        "ssl-redirect" | "force-ssl-redirect" => "write a route with redirect = { scheme = \"https\" }",
        "affinity" | "session-cookie-name" | "affinity-mode" | "affinity-canary-behavior" => {
            "nginx sets that cookie itself; name one that the service sets in [route.sticky]"
        }
        "proxy-body-size" => "see body_bytes_max of a listener",
        "whitelist-source-range" | "denylist-source-range" => "no access lists yet",
        "limit-rps" | "limit-rpm" | "limit-connections" => "see connections_per_address_max of a listener",
        "configuration-snippet" | "server-snippet" => "see request_headers and response_headers of a route",
        "mirror-target" | "mirror-uri" => "see [route.mirror]",
        "proxy-next-upstream" | "proxy-next-upstream-tries" => "see retries of an upstream",
        "canary-by-header-pattern" => "overrides compare whole values",
        _ => return None,
    })
}
