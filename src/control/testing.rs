//! What a test writes in the file, in one line.

use crate::config::{Canary, Guard, PathPattern, Route, Service, Weight};

pub(super) fn weight(text: &str) -> Weight {
    Weight::parse(text).unwrap()
}

/// Stable is `v1`; canaries are `(name, upstream, weight)`.
pub(super) fn route(name: &str, canaries: &[(&str, &str, &str)]) -> Route {
    let canaries = canaries.iter().map(|(name, upstream, share)| Canary {
        name: (*name).into(),
        upstream: (*upstream).into(),
        weight: weight(share),
        baseline: false,
        overrides: Vec::new(),
    });
    Route {
        name: name.into(),
        hosts: Vec::new(),
        path: PathPattern::Prefix(format!("/{name}").into()),
        methods: Vec::new(),
        headers: Vec::new(),
        service: Service::Split { stable: "v1".into(), canaries: canaries.collect() },
        policy: None,
        upgrade: Vec::new(),
        sticky: None,
        guard: Guard::default(),
        mirror: Default::default(),
        capacity: None,
        release: None,
    }
}
