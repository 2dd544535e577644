//! How one value is read: text, numbers and values with a unit, each within the range of its key.
//!
//! A range is part of the reader that a key asks with, so the message names exactly what is enforced.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use toml::de::DeValue;

use super::reader::{Value, Wrong};
use super::units::{
    WEIGHT_ACCEPTED, Weight, bytes_text, duration_text, parse_bytes, parse_duration, parse_percent,
    parse_ratio,
};

/// Bytes of a value that a request is compared with.
const TEXT_BYTES_MAX: usize = 1_024;

const NO_DNS: &str = "names are for endpoints, as \"dns://name:port\"";

pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Value<'_>) -> Result<Duration, Wrong> {
    move |value| {
        let (min, max) = (duration_text(*range.start()), duration_text(*range.end()));
        let help = format!("write a duration from \"{min}\" to \"{max}\", such as \"10s\"");
        let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
        match parse_duration(text) {
            None => Err(value.wrong(duration_label(text), help)),
            Some(found) if found < *range.start() => Err(value.wrong(format!("less than {min}"), help)),
            Some(found) if found > *range.end() => Err(value.wrong(format!("more than {max}"), help)),
            Some(found) => Ok(found),
        }
    }
}

pub(super) fn bytes(range: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Result<u64, Wrong> {
    move |value| {
        let (min, max) = (bytes_text(*range.start()), bytes_text(*range.end()));
        let help = format!("write a size from \"{min}\" to \"{max}\", such as \"16KiB\"");
        let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
        match parse_bytes(text) {
            None => Err(value.wrong("not a size", help)),
            Some(found) if found < *range.start() => Err(value.wrong(format!("less than {min}"), help)),
            Some(found) if found > *range.end() => Err(value.wrong(format!("more than {max}"), help)),
            Some(found) => Ok(found),
        }
    }
}

/// `10.0.0.0/8`, or one address.
pub(super) fn network(value: &Value<'_>) -> Result<IpNet, Wrong> {
    let help = "write a network or an address, such as \"10.0.0.0/8\" or \"192.0.2.7\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let lone = || text.parse::<IpAddr>().map(IpNet::from);
    match text.parse::<IpNet>().or_else(|_| lone()) {
        Ok(network) => Ok(network.trunc()),
        Err(_) => Err(value.wrong("not a network", help)),
    }
}

pub(super) fn weight(value: &Value<'_>) -> Result<Weight, Wrong> {
    let help = format!("write {WEIGHT_ACCEPTED}");
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    let label = match parse_percent(text) {
        Some(share) if share > 1.0 => "more than 100%",
        Some(_) => "finer than 0.0001%",
        None if text.contains('%') => "not a share",
        None => "no % sign",
    };
    Weight::parse(text).ok_or_else(|| value.wrong(label, help))
}

/// A percentage as a share of one. `accepted` says the range in the same form.
pub(super) fn percent(
    range: RangeInclusive<f64>,
    accepted: &'static str,
) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let help = format!("write {accepted}");
        let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
        match parse_percent(text) {
            None => Err(value.wrong("not a percentage", help)),
            Some(share) if !range.contains(&share) => Err(value.wrong("out of range", help)),
            Some(share) => Ok(share),
        }
    }
}

/// `"1.25x"`
pub(super) fn ratio(range: RangeInclusive<f64>) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let help =
            format!("write a ratio from \"{}x\" to \"{}x\", such as \"1.25x\"", range.start(), range.end());
        let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
        match parse_ratio(text) {
            None => Err(value.wrong("not a ratio", help)),
            Some(ratio) if !range.contains(&ratio) => Err(value.wrong("out of range", help)),
            Some(ratio) => Ok(ratio),
        }
    }
}

pub(super) fn whole(range: RangeInclusive<u64>) -> impl Fn(&Value<'_>) -> Result<u64, Wrong> {
    move |value| {
        let help = format!("write a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(found) = value.item else { return Err(value.wrong_kind(help)) };
        let found = u64::from_str_radix(found.as_str(), found.radix()).ok();
        found.filter(|found| range.contains(found)).ok_or_else(|| value.wrong("out of range", help))
    }
}

/// A whole number or one with a point. `accepted` says the range.
pub(super) fn number(
    min: f64,
    max: f64,
    accepted: &'static str,
) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let help = format!("write {accepted}");
        let found: Option<f64> = match value.item {
            DeValue::Integer(found) => i64::from_str_radix(found.as_str(), found.radix())
                .ok()
                .and_then(|n| n.to_string().parse().ok()),
            DeValue::Float(found) => found.as_str().parse().ok(),
            _ => return Err(value.wrong_kind(help)),
        };
        // Not a number is in no range.
        let in_range = |found: &f64| (min..=max).contains(found);
        found.filter(in_range).ok_or_else(|| value.wrong("out of range", help))
    }
}

/// True or false, without quotes.
pub(super) fn flag(value: &Value<'_>) -> Result<bool, Wrong> {
    match value.item {
        DeValue::Boolean(flag) => Ok(*flag),
        _ => Err(value.wrong_kind("write true or false, without quotes")),
    }
}

/// Text of at least one and at most 1024 bytes, without control characters.
pub(super) fn text(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    let help = format!("write text in quotes, up to {TEXT_BYTES_MAX} bytes");
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    match text {
        "" => Err(value.wrong("empty", help)),
        _ if text.len() > TEXT_BYTES_MAX => Err(value.wrong("too long", help)),
        _ if text.chars().any(char::is_control) => Err(value.wrong("has a control character", help)),
        _ => Ok(text.into()),
    }
}

pub(super) fn header_name(value: &Value<'_>) -> Result<HeaderName, Wrong> {
    let help = "write the name of a header, such as \"x-canary\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| value.wrong("not a header name", help))
}

pub(super) fn header_value(value: &Value<'_>) -> Result<HeaderValue, Wrong> {
    let found = text(value)?;
    let help = "write the value as it is sent: no control characters, no space at either end";
    let wrong = || value.wrong("not a header value", help);
    if found.trim() != &*found {
        return Err(wrong());
    }
    HeaderValue::from_str(&found).map_err(|_| wrong())
}

/// A cookie's name has the letters of a header's, but upper and lower case differ.
pub(super) fn cookie_name(value: &Value<'_>) -> Result<Box<str>, Wrong> {
    let help = "write the name of a cookie, such as \"uid\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err(value.wrong("not a cookie name", help)),
    }
}

/// `IP:port`. `example` is one that would do.
pub(super) fn address(example: &'static str) -> impl Fn(&Value<'_>) -> Result<SocketAddr, Wrong> {
    move |value| {
        let help = format!("write IP:port, such as \"{example}\"");
        let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        Err(address_wrong(value, text, help))
    }
}

/// What is not an address often says what was meant.
fn address_wrong(value: &Value<'_>, text: &str, help: String) -> Wrong {
    if let Some((scheme, rest)) = text.split_once("://") {
        return match rest.trim_end_matches('/').parse::<SocketAddr>() {
            Ok(address) => value.wrong("a URL", format!("write \"{address}\"")),
            Err(_) if scheme == "dns" => value.wrong("a name", format!("{NO_DNS}: {help}")),
            Err(_) => value.wrong("a URL", help),
        };
    }
    if text.parse::<IpAddr>().is_ok() {
        return value.wrong("no port", help);
    }
    let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) else {
        return value.wrong("not an address", help);
    };
    match host {
        "localhost" => value.wrong("a name", format!("write \"127.0.0.1:{port}\": {NO_DNS}")),
        "" | "*" => value.wrong("no address", format!("write \"0.0.0.0:{port}\" for all of this machine's")),
        _ if host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains(':') => {
            value.wrong("a name", format!("{NO_DNS}: {help}"))
        }
        _ => value.wrong("not an address", help),
    }
}

fn duration_label(text: &str) -> String {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    match unit {
        "" => "no unit".to_owned(),
        _ if unit.len() == text.len() => "not a duration".to_owned(),
        _ if unit.chars().count() > 12 => "unknown unit".to_owned(),
        _ => format!("unknown unit \"{unit}\""),
    }
}
