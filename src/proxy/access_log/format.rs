//! A line as text. Whatever bytes a client sent, they stay inside their field and inside their line.
//!
//! JSON is pure ASCII: all else is escaped, so that no control byte, line separator or bidirectional mark reaches a
//! terminal. `combined` escapes as nginx does, `\xHH`.

use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Field, Line, Route};
use crate::config::LogFormat;
use crate::metrics::Blame;

pub(super) fn line(format: LogFormat, line: &Line, dates: &mut Dates, out: &mut Vec<u8>) {
    match format {
        LogFormat::Json => json(line, dates, out),
        LogFormat::Combined => combined(line, dates, out),
    }
    out.push(b'\n');
}

fn json(line: &Line, dates: &mut Dates, out: &mut Vec<u8>) {
    dates.turn_to(line.unix_ms);
    put(out, format_args!("{{\"time\":\"{}.{:03}Z\"", dates.rfc3339, line.unix_ms.rem_euclid(1_000)));
    put(out, format_args!(",\"client\":\"{}\"", line.client));
    text(out, "method", line.text.get(Field::Method));
    text(out, "target", line.text.get(Field::Target));
    put(out, format_args!(",\"protocol\":\"{:?}\"", line.version));
    text(out, "host", line.text.get(Field::Host));
    put(out, format_args!(",\"status\":{}", line.status));
    put(out, format_args!(",\"bytes_up\":{},\"bytes_down\":{}", line.bytes_up, line.bytes_down));
    match line.head_us {
        Some(us) => put(out, format_args!(",\"head_ms\":{}", Millis(us))),
        None => out.extend_from_slice(b",\"head_ms\":null"),
    }
    put(out, format_args!(",\"total_ms\":{}", Millis(line.total_us)));
    let (route, served) = match &line.route {
        Route::None => (None, None),
        Route::Named(route) => (Some(route), None),
        Route::Served(names) => (Some(&names.route), Some(names)),
    };
    text(out, "route", route.map_or(b"", |route| route.as_bytes()));
    text(out, "variant", served.map_or(b"", |names| names.variant.as_bytes()));
    text(out, "why", line.why.map_or("", |why| why.label()).as_bytes());
    text(out, "upstream", served.map_or(b"", |names| names.upstream.as_bytes()));
    match line.endpoint {
        Some(endpoint) => put(out, format_args!(",\"endpoint\":\"{endpoint}\"")),
        None => out.extend_from_slice(b",\"endpoint\":null"),
    }
    text(out, "rescue", line.rescue.map_or("", |failed| failed.label()).as_bytes());
    text(out, "outcome", line.end.label().as_bytes());
    text(out, "blame", blame(line.end.blame()).as_bytes());
    text(out, "request_id", line.text.get(Field::RequestId));
    text(out, "trace_id", line.trace.as_ref().map_or(b"", |trace| trace.as_slice()));
    text(out, "user_agent", line.text.get(Field::UserAgent));
    text(out, "referer", line.text.get(Field::Referer));
    out.push(b'}');
}

/// What there is none of is null.
fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    put(out, format_args!(",\"{key}\":"));
    if value.is_empty() {
        return out.extend_from_slice(b"null");
    }
    out.push(b'"');
    if value.iter().all(|byte| is_plain(*byte)) {
        out.extend_from_slice(value);
    } else {
        String::from_utf8_lossy(value).chars().for_each(|letter| escape_json(out, letter));
    }
    out.push(b'"');
}

/// Needs no escape in either format.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn escape_json(out: &mut Vec<u8>, letter: char) {
    match u8::try_from(letter) {
        Ok(byte) if is_plain(byte) => out.push(byte),
        Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
        _ => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| put(out, format_args!("\\u{unit:04x}"))),
    }
}

/// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"`
fn combined(line: &Line, dates: &mut Dates, out: &mut Vec<u8>) {
    dates.turn_to(line.unix_ms);
    put(out, format_args!("{} - - [{}] \"", line.client, dates.common));
    if line.text.get(Field::Method).is_empty() {
        out.push(b'-');
    } else {
        escaped(out, line.text.get(Field::Method));
        out.push(b' ');
        escaped(out, line.text.get(Field::Target));
        put(out, format_args!(" {:?}", line.version));
    }
    put(out, format_args!("\" {} {} \"", line.status, line.bytes_down));
    or_dash(out, line.text.get(Field::Referer));
    out.extend_from_slice(b"\" \"");
    or_dash(out, line.text.get(Field::UserAgent));
    out.push(b'"');
}

fn or_dash(out: &mut Vec<u8>, value: &[u8]) {
    escaped(out, if value.is_empty() { b"-" } else { value });
}

fn escaped(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        if is_plain(*byte) {
            out.push(*byte);
        } else {
            put(out, format_args!("\\x{byte:02X}"));
        }
    }
}

fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Nobody => "nobody",
        Blame::Downstream => "downstream",
        Blame::Upstream => "upstream",
        Blame::Andon => "andon",
    }
}

fn put(out: &mut Vec<u8>, what: fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a Vec takes all that is written to it");
}

/// Microseconds, shown as milliseconds.
struct Millis(u64);

impl fmt::Display for Millis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// The second that was written last, as text: most lines share one with the line before.
pub(super) struct Dates {
    second: i64,
    /// Without the fraction.
    rfc3339: String,
    common: String,
}

impl Default for Dates {
    fn default() -> Self {
        let mut dates = Self { second: -1, rfc3339: String::new(), common: String::new() };
        dates.turn_to(0);
        dates
    }
}

impl Dates {
    fn turn_to(&mut self, unix_ms: i64) {
        let second = unix_ms.div_euclid(1_000);
        if second == self.second {
            return;
        }
        // A clock that is ten thousand years off is shown as it was before.
        let Ok(moment) = Timestamp::from_second(second) else { return };
        let moment = moment.to_zoned(TimeZone::UTC);
        self.second = second;
        self.rfc3339 = moment.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        self.common = moment.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use http::Version;
    use serde_json::{Value, json};

    use super::super::End;
    use super::*;
    use crate::metrics::Outcome;
    use crate::routing::{Names, Why};

    fn shown(format: LogFormat, line: &Line) -> String {
        let mut out = Vec::new();
        super::line(format, line, &mut Dates::default(), &mut out);
        String::from_utf8(out).expect("a line is ASCII")
    }

    fn served() -> Box<Line> {
        let request = http::Request::get("/a?b=1").header("user-agent", "curl/8").body(()).unwrap();
        let mut line = Line::of(&request.into(), IpAddr::from([192, 0, 2, 1]), None);
        line.unix_ms = 1_700_000_000_007;
        line.status = 200;
        line.bytes_down = 5;
        line.head_us = Some(1_005);
        line.total_us = 12_000_000;
        let names = Names { route: "shop".into(), variant: "canary".into(), upstream: "v2".into() };
        line.route = Route::Served(Arc::new(names));
        line.why = Some(Why::Sticky);
        line.endpoint = Some("[::1]:9001".parse().unwrap());
        line.end = End::Outcome(Outcome::Truncated);
        line
    }

    #[test]
    fn a_json_line_has_every_key_and_null_for_what_there_is_none_of() {
        let shown = shown(LogFormat::Json, &served());
        let found: Value = serde_json::from_str(shown.strip_suffix('\n').unwrap()).unwrap();
        let expected = json!({
            "time": "2023-11-14T22:13:20.007Z", "client": "192.0.2.1", "method": "GET", "target": "/a?b=1",
            "protocol": "HTTP/1.1", "host": null, "status": 200, "bytes_up": 0, "bytes_down": 5,
            "head_ms": 1.005, "total_ms": 12_000.0, "route": "shop", "variant": "canary", "why": "sticky",
            "upstream": "v2", "endpoint": "[::1]:9001", "rescue": null, "outcome": "truncated",
            "blame": "upstream", "request_id": null, "trace_id": null, "user_agent": "curl/8", "referer": null,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_combined_line_is_nginxs() {
        assert_eq!(
            shown(LogFormat::Combined, &served()),
            "192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b=1 HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n"
        );
    }

    #[test]
    fn no_byte_of_a_client_leaves_its_field_or_its_line() {
        let evil = "\" \\ \u{1b}[31m\r\n{\u{85}\u{2028}\u{202e}é😀}".as_bytes();
        let mut line = served();
        line.version = Version::HTTP_2;
        line.text.put(Field::Referer, evil);
        let json = shown(LogFormat::Json, &line);
        assert_eq!(json.matches('\n').count(), 1);
        assert!(json.is_ascii() && !json.contains('\u{1b}'), "{json}");
        let found: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(found["referer"].as_str().unwrap().as_bytes(), evil);
        assert_eq!(found["protocol"], "HTTP/2.0");
        let combined = shown(LogFormat::Combined, &line);
        assert!(combined.contains("\"\\x22 \\x5C \\x1B[31m\\x0D\\x0A{\\xC2\\x85"), "{combined}");

        line.text.put(Field::Referer, b"\xff\"\n");
        let json: Value = serde_json::from_str(&shown(LogFormat::Json, &line)).unwrap();
        assert!(json["referer"].as_str().unwrap().ends_with("\u{fffd}\"\n"));
        let combined = shown(LogFormat::Combined, &line);
        assert!(combined.ends_with("\\xFF\\x22\\x0A\" \"curl/8\"\n"), "{combined}");
    }

    #[test]
    fn dates_follow_the_clock_both_ways() {
        let mut dates = Dates::default();
        for (unix_ms, expected) in [
            (1_700_000_000_999, "2023-11-14T22:13:20"),
            (-1, "1969-12-31T23:59:59"),
            (0, "1970-01-01T00:00:00"),
        ] {
            dates.turn_to(unix_ms);
            assert_eq!(dates.rfc3339, expected);
        }
    }
}
