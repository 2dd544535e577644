//! `[tracing]`: spans for OpenTelemetry. Where they go, under which name, and of which requests.
//!
//! Exporting needs a binary with the feature `otlp`. One without it knows the keys and says so, rather than to
//! trace nothing in silence.

use http::Uri;
use http::uri::Authority;

use super::Weight;
use super::reader::Section;
use super::values;

/// The word for no export.
const OFF: &str = "off";
/// What a collector listens for, behind the path of its address (OTLP/HTTP).
const TRACES_PATH: &str = "/v1/traces";

const ACCEPTED: &str = "write \"off\" or where a collector listens, such as \"http://127.0.0.1:4318\"";
const OTHER_BINARY: &str =
    "this binary was built without the feature otlp: write \"off\", or build it with --features otlp";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    pub collector: Collector,
    pub service_name: Box<str>,
    /// Of the requests that come without a trace; the others follow their parent.
    pub sample: Weight,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// With its port.
    pub authority: Authority,
    pub path: Box<str>,
}

impl Tracing {
    pub const SERVICE_NAME_DEFAULT: &str = "andon";
    pub const SAMPLE_DEFAULT_PPM: u32 = 100_000;
}

pub(super) fn read(mut section: Section<'_>) -> Option<Tracing> {
    let collector = section.or("otlp", None, |value| {
        let text = value.str().ok_or_else(|| value.wrong_kind(ACCEPTED))?;
        collector(text, cfg!(feature = "otlp")).map_err(|(label, help)| value.wrong(label, help))
    });
    let service_name = section.or("service_name", Tracing::SERVICE_NAME_DEFAULT.into(), values::text);
    let sample = section.optional("sample", values::weight);
    section.finish();
    let sample = sample.or(Weight::from_ppm(Tracing::SAMPLE_DEFAULT_PPM))?;
    Some(Tracing { collector: collector?, service_name, sample })
}

/// What is wrong with it, and what is accepted.
fn collector(text: &str, exports: bool) -> Result<Option<Collector>, (&'static str, &'static str)> {
    if text == OFF {
        return Ok(None);
    }
    if !exports {
        return Err(("not in this binary", OTHER_BINARY));
    }
    let uri: Uri = text.parse().map_err(|_| ("not an address", ACCEPTED))?;
    let authority = match uri.authority() {
        Some(authority) if uri.scheme_str() == Some("http") => authority,
        _ => return Err(("not of http", ACCEPTED)),
    };
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(("neither a user nor a query is sent", ACCEPTED));
    }
    if authority.port_u16().is_none_or(|port| port == 0) || authority.host().is_empty() {
        return Err(("host and port are needed", ACCEPTED));
    }
    let path = format!("{}{TRACES_PATH}", uri.path().trim_end_matches('/')).into();
    Ok(Some(Collector { authority: authority.clone(), path }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_cannot_export_refuses_to_be_told_where() {
        assert_eq!(collector("off", false), Ok(None));
        let (_, accepted) = collector("http://127.0.0.1:4318", false).unwrap_err();
        assert!(accepted.starts_with("this binary was built without the feature otlp: "), "{accepted}");
    }

    #[test]
    fn a_collector_is_an_http_address_with_its_port() {
        for (written, authority, path) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "/v1/traces"),
            ("http://otel.internal:80/", "otel.internal:80", "/v1/traces"),
            ("http://[::1]:4318/otlp", "[::1]:4318", "/otlp/v1/traces"),
        ] {
            let found = collector(written, true).unwrap().unwrap();
            assert_eq!((found.authority.as_str(), &*found.path), (authority, path));
        }
        assert_eq!(collector("off", true), Ok(None));
        for bad in [
            "",
            "on",
            "127.0.0.1:4318",
            "https://127.0.0.1:4318",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://:4318",
            "http://ann:secret@127.0.0.1:4318",
            "http://127.0.0.1:4318/?key=1",
            "http://127.0.0.1:4318 ",
        ] {
            assert!(collector(bad, true).is_err(), "{bad}");
        }
    }
}
