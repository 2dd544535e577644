//! What an answer says, if it says a number. Everything else has a reason, and is never a zero.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

use super::client::{Answer, Ask};
use crate::config::Web;

/// Why there is no number.
pub(super) type Untold = Arc<str>;

/// Of what somebody else says, as far as it is shown.
const QUOTED_CHARS_MAX: usize = 200;
/// Clocks may differ by so much.
const SKEW_MAX: Duration = Duration::from_mins(1);

pub(super) fn ask_http() -> Ask {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/plain"));
    Ask { method: Method::GET, headers, body: Bytes::new() }
}

/// An instant query, in a body: it may be long.
pub(super) fn ask_prometheus(server: &Web, query: &str, patience: Duration) -> (Web, Ask) {
    let path = server.path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let web = Web { path: format!("{path}/api/v1/query").into(), ..server.clone() };
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form);
    let body = format!("query={}&timeout={}ms", encoded(query), patience.as_millis());
    (web, Ask { method: Method::POST, headers, body: body.into() })
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Exactly one number, of just now.
pub(super) fn prometheus(answer: &Answer, now_ms: i64, every: Duration) -> Result<f64, Untold> {
    let body =
        whole(answer).and_then(|body| serde_json::from_slice::<Value>(body).map_err(|_| "no JSON".into()));
    if !answer.status.is_success() {
        let says = body.ok().and_then(|body| Some(format!(": {}", quoted(body["error"].as_str()?))));
        return Err(format!("answers {}{}", answer.status, says.unwrap_or_default()).into());
    }
    let body = body?;
    if body["status"] != "success" {
        return Err("answers without success".into());
    }
    let data = &body["data"];
    let sample = match data["resultType"].as_str() {
        Some("scalar") => &data["result"],
        Some("vector") => match data["result"].as_array().map(Vec::as_slice) {
            Some([]) => return Err("the answer is empty".into()),
            Some([one]) => &one["value"],
            Some(many) => {
                return Err(format!("the answer has {} series, and must have one", many.len()).into());
            }
            None => return Err("the answer cannot be read".into()),
        },
        Some(other) => {
            return Err(format!("the answer is a {}, and must be one number", quoted(other)).into());
        }
        None => return Err("the answer is none of Prometheus".into()),
    };
    let (Some(at_s), Some(text)) = (sample[0].as_f64(), sample[1].as_str()) else {
        return Err("the answer holds no number".into());
    };
    let age_s = (now_ms as f64 / 1e3 - at_s).abs();
    if age_s > (every * 3).max(SKEW_MAX).as_secs_f64() {
        return Err(format!("the answer is of {age_s:.0} s before or after now").into());
    }
    number(text)
}

/// The body itself, or what the pointer points at.
pub(super) fn http(answer: &Answer, field: Option<&str>) -> Result<f64, Untold> {
    if !answer.status.is_success() {
        return Err(format!("answers {}", answer.status).into());
    }
    let body = whole(answer)?;
    let Some(field) = field else {
        return number(std::str::from_utf8(body).unwrap_or_default().trim());
    };
    let body: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON")?;
    match body.pointer(field) {
        None => Err(format!("there is nothing at {field}").into()),
        Some(Value::Number(found)) => found.as_f64().ok_or_else(|| "the number cannot be read".into()),
        Some(_) => Err(format!("what is at {field} is no number").into()),
    }
}

fn whole(answer: &Answer) -> Result<&[u8], Untold> {
    if answer.whole { Ok(&answer.body) } else { Err("the answer broke off, or is too long".into()) }
}

fn number(text: &str) -> Result<f64, Untold> {
    match text.parse::<f64>() {
        Ok(found) if found.is_finite() => Ok(found),
        Ok(found) if found.is_nan() => Err("the answer is not a number (NaN)".into()),
        Ok(_) => Err("the answer is infinite".into()),
        Err(_) if text.is_empty() => Err("the answer is empty".into()),
        Err(_) => Err("the answer is no number".into()),
    }
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;
    const EVERY: Duration = Duration::from_secs(15);

    fn answer(status: u16, body: &str) -> Answer {
        let status = status.try_into().unwrap();
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            whole: true,
        }
    }

    fn vector(series: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
    }

    fn sample(at_s: f64, value: &str) -> String {
        format!(r#"{{"metric":{{}},"value":[{at_s},"{value}"]}}"#)
    }

    fn why(answer: &Answer) -> String {
        prometheus(answer, NOW_MS, EVERY).unwrap_err().to_string()
    }

    #[test]
    fn one_number_of_now_is_told() {
        let now = NOW_MS as f64 / 1e3;
        let ok = |body: &str| prometheus(&answer(200, body), NOW_MS, EVERY);
        assert_eq!(ok(&vector(&sample(now, "3.25"))), Ok(3.25));
        assert_eq!(ok(&vector(&sample(now - 59.0, "-1e3"))), Ok(-1_000.0));
        assert_eq!(
            ok(r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"0"]}}"#),
            Ok(0.0)
        );
    }

    #[test]
    fn everything_else_has_a_reason_and_is_no_zero() {
        let now = NOW_MS as f64 / 1e3;
        for (status, body, expected) in [
            (200, vector(""), "the answer is empty"),
            (
                200,
                vector(&[sample(now, "1"), sample(now, "2")].join(",")),
                "the answer has 2 series, and must have one",
            ),
            (200, vector(&sample(now, "NaN")), "the answer is not a number (NaN)"),
            (200, vector(&sample(now, "+Inf")), "the answer is infinite"),
            (200, vector(&sample(now, "many")), "the answer is no number"),
            (200, vector(&sample(now - 100.0, "1")), "the answer is of 100 s before or after now"),
            (200, vector(r#"{"metric":{},"histogram":[1,{}]}"#), "the answer holds no number"),
            (
                200,
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned(),
                "the answer is a matrix, and must be one number",
            ),
            (200, "<html>".to_owned(), "no JSON"),
            (200, "{}".to_owned(), "answers without success"),
            (200, r#"{"status":"success"}"#.to_owned(), "the answer is none of Prometheus"),
            (
                400,
                r#"{"status":"error","error":"parse error: x"}"#.to_owned(),
                "answers 400 Bad Request: parse error: x",
            ),
            (503, "down".to_owned(), "answers 503 Service Unavailable"),
            (302, vector(&sample(now, "1")), "answers 302 Found"),
        ] {
            assert_eq!(why(&answer(status, &body)), expected, "{body}");
        }
        let cut = Answer { whole: false, ..answer(200, &vector(&sample(now, "1"))) };
        assert_eq!(why(&cut), "the answer broke off, or is too long");
    }

    #[test]
    fn a_plain_body_or_a_field_of_json_may_be_the_number() {
        let json = r#"{"data":{"orders":12,"text":"12","none":null}}"#;
        assert_eq!(http(&answer(200, " 12.5\n"), None), Ok(12.5));
        assert_eq!(http(&answer(200, json), Some("/data/orders")), Ok(12.0));
        for (status, body, field) in [
            (200, "", None),
            (200, "NaN", None),
            (200, "inf", None),
            (200, "12 orders", None),
            (500, "12", None),
            (204, "", None),
            (200, json, Some("/data/text")),
            (200, json, Some("/data/none")),
            (200, json, Some("/data")),
            (200, json, Some("/orders")),
            (200, "12", Some("/orders")),
            (200, "{", Some("/orders")),
        ] {
            assert!(http(&answer(status, body), field).is_err(), "{status} {body} {field:?}");
        }
    }

    #[test]
    fn a_query_is_asked_behind_the_path_of_its_server() {
        let server =
            |path: &str| Web { host: "h".into(), port: 1, path: path.into(), tls: None, token: None };
        let asked = |path: &str| ask_prometheus(&server(path), "a{b=\"c d\"}+1", Duration::from_secs(5));
        assert_eq!(&*asked("/").0.path, "/api/v1/query");
        assert_eq!(&*asked("/prom/?x").0.path, "/prom/api/v1/query");
        let body = asked("/").1.body;
        assert_eq!(body, "query=a%7Bb%3D%22c%20d%22%7D%2B1&timeout=5000ms".as_bytes());
    }
}
