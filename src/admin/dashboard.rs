//! The dashboard: a page of the listener's own, out of the binary.
//!
//! Its files are in the folder beside this one, as they are: no build step, nothing of others. It has no way in but the API,
//! so it may be seen by anybody, and shows nothing to who has not logged in. The page works behind any path, since all its
//! addresses are relative. A strict policy keeps foreign scripts out even if somebody smuggled one into a name.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Problem, excerpt};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("dashboard/", $name)))),*] };
}

/// Name and text.
const FILES: &[(&str, &str)] = &files![
    "actions.js",
    "api.js",
    "app.js",
    "board.css",
    "board.js",
    "chart-draw.js",
    "chart.js",
    "charts.css",
    "controls.css",
    "cursor.js",
    "decision-charts.js",
    "decision-parts.js",
    "decision.js",
    "dialog.css",
    "dialog.js",
    "distribution.js",
    "dom.js",
    "forecast.js",
    "format.js",
    "history.js",
    "icon.svg",
    "index.html",
    "live.js",
    "login.js",
    "pages.css",
    "parts.css",
    "parts.js",
    "record.css",
    "route-charts.js",
    "route-compare.js",
    "route-plan.js",
    "route-rest.js",
    "route-verdict.js",
    "route.css",
    "route.js",
    "row.js",
    "scale.js",
    "start.js",
    "state.js",
    "stats.js",
    "steer.js",
    "style.css",
    "timeline.js",
    "types.js",
    "weight.js",
    "words.js",
];

/// Where its files are, among the routes.
pub(super) const FILE: &str = "/{file}";

pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|(name, _)| path.strip_prefix('/') == Some(name))
}

/// What a browser gets at `/`; `None`: it did not ask for a page.
pub(super) fn page(headers: &HeaderMap) -> Option<Response> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    accept.contains("text/html").then(|| file("index.html"))?
}

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let nothing = || {
        Problem::not_found(format!(
            "there is nothing at {:?}; GET / lists what there is",
            excerpt(&format!("/{name}"))
        ))
    };
    file(&name).ok_or_else(nothing)
}

/// Links in notices lead here: the page finds the decision behind the `#`.
pub(super) async fn decision(Path(id): Path<String>) -> Result<Response, Problem> {
    let known = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let to = HeaderValue::try_from(format!("../#/decision/{id}")).ok().filter(|_| known);
    let to = to.ok_or_else(|| Problem::unknown_decision(&id))?;
    Ok((StatusCode::FOUND, [(header::LOCATION, to)]).into_response())
}

fn file(name: &str) -> Option<Response> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
    let kind = match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    Some((headers, *text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_served_and_no_other() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn only_who_asks_for_a_page_gets_one() {
        let asking = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            page(&headers).is_some()
        };
        assert!(asking("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
        assert!(!asking("*/*") && !asking("application/json"));
        assert!(page(&HeaderMap::new()).is_none());
    }
}
