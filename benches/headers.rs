//! What it costs to make the heads of messages ours, in instructions counted by callgrind.
//!
//! `benches/run` installs the runner and starts this. Each bench prepares [`MESSAGES`] heads, so divide by that.

#![expect(clippy::disallowed_methods, reason = "gungraun's main! ends its own process")]

use std::path::Path;
use std::sync::Arc;

use andon::config;
use andon::metrics::slots::Slots;
use andon::proxy::benching::{Hop, prepare_response};
use andon::routing::{EndpointIds, Live, Snapshot, Table};
use gungraun::prelude::*;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

const MESSAGES: usize = 1_000;

const SITE: &str = r#"
[[listener]]
name = "public"
address = "127.0.0.1:0"
[[upstream]]
name = "v1"
endpoints = ["127.0.0.1:9001"]
[[route]]
name = "shop"
stable = "v1"
"#;

/// What a browser sends for a page.
const BROWSER: [(&str, &str); 12] = [
    ("host", "shop.example"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("connection", "keep-alive"),
    ("cookie", "theme=dark; session=8f14e45fceea167a; uid=user-4711"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("priority", "u=0, i"),
];

/// What a load generator sends.
const SMALL: [(&str, &str); 1] = [("host", "shop.example")];

const ANSWER: [(&str, &str); 7] = [
    ("server", "nginx"),
    ("date", "Sat, 28 Nov 2026 12:00:00 GMT"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-length", "5120"),
    ("cache-control", "private, max-age=0"),
    ("etag", "\"65f1c2-1400\""),
    ("connection", "keep-alive"),
];

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields.iter();
    fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn requests(fields: &[(&'static str, &'static str)]) -> (Hop, Vec<Parts>) {
    let site = config::parse("bench", SITE, Path::new("")).expect("a good file");
    let table = Table::build(&site, &mut Slots::default(), &mut EndpointIds::default());
    let snapshot = Snapshot::new(1, Arc::new(table.expect("a small one")), &[Vec::new()]);
    let hop = Hop::new(Live::new(snapshot), site.listeners[0].clone());
    let request = || {
        let mut request = Request::get("/api/v1/items/42?page=2").body(()).expect("a good target");
        *request.headers_mut() = map(fields);
        request.into_parts().0
    };
    (hop, (0..MESSAGES).map(|_| request()).collect())
}

fn answers() -> Vec<HeaderMap> {
    (0..MESSAGES).map(|_| map(&ANSWER)).collect()
}

#[library_benchmark]
#[bench::small(requests(&SMALL))]
#[bench::of_a_browser(requests(&BROWSER))]
fn rewrite_request((hop, mut requests): (Hop, Vec<Parts>)) -> (Hop, Vec<Parts>) {
    for parts in &mut requests {
        hop.prepare_request(parts);
    }
    (hop, requests)
}

#[library_benchmark]
#[bench::ordinary(answers())]
fn rewrite_response(mut answers: Vec<HeaderMap>) -> Vec<HeaderMap> {
    for headers in &mut answers {
        prepare_response(headers);
    }
    answers
}

library_benchmark_group!(name = heads, benchmarks = [rewrite_request, rewrite_response]);
main!(library_benchmark_groups = heads);
