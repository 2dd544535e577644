//! What a canary is judged by, in the words and units of `[route.guard]`: so that a decision can be judged again by whoever
//! reads its record.

use serde_json::{Map, Value, json};

use crate::config::units::duration_text;
use crate::config::{Ceiling, CeilingLimit, EventTerms, FastTrip, Judge, LatencyMax, Mode, Proof, Tolerate};

/// The keys of `[route.guard]` that are about evidence. An event has its terms only: what counts as one is not judged.
pub fn numbers(judge: &Judge) -> Value {
    let Judge { false_alarm, hold_at, tick, warm_up, tolerate, percentiles, .. } = judge;
    let Tolerate { errors, extra, latency, slack } = *tolerate;
    let fast_trip_mode = judge.fast_trip.map_or(Mode::Off, |trip| trip.mode);
    json!({
        "false_alarm": false_alarm,
        "hold_at": hold_at,
        "tick": duration_text(*tick),
        "warm_up": duration_text(*warm_up),
        "tolerate": {
            "errors": times(errors),
            "extra": percent(extra),
            "latency": times(latency),
            "slack": duration_text(slack),
        },
        "percentiles": percentiles.iter().map(|share| hundredfold(*share)).collect::<Vec<_>>(),
        "signals": {
            "errors": mode(judge.errors),
            "latency": mode(judge.latency),
            "harm": mode(judge.harm),
            "fast_trip": mode(fast_trip_mode),
        },
        "fast_trip": judge.fast_trip.map_or(Value::Bool(false), fast_trip),
        "ceilings": judge.ceilings.iter().map(ceiling).collect::<Vec<_>>(),
        "proof": proof(judge.proof),
        "event": judge.events.iter().map(event).collect::<Vec<_>>(),
    })
}

fn fast_trip(FastTrip { failures, span, connect_errors, .. }: FastTrip) -> Value {
    json!({ "failures": failures, "for": duration_text(span), "connect_errors": connect_errors })
}

fn ceiling(limits: &Ceiling) -> Value {
    let mut written = Map::new();
    let mut put = |key: &str, value: Value| drop(written.insert(key.to_owned(), value));
    match limits.limit {
        CeilingLimit::Errors(share) => put("error_rate", percent(share).into()),
        CeilingLimit::Latency { percentile, max } => {
            put("percentile", hundredfold(percentile).into());
            let max = match max {
                LatencyMax::Absolute(max) => duration_text(max),
                LatencyMax::Relative(factor) => times(factor),
            };
            put("latency", max.into());
        }
    }
    put("window", duration_text(limits.window).into());
    put("min_requests", limits.min_requests.into());
    put("mode", mode(limits.mode).into());
    written.into()
}

fn proof(Proof { odds, errors, extra }: Proof) -> Value {
    json!({ "odds": odds, "errors": times(errors), "extra": percent(extra) })
}

fn event(EventTerms { name, tolerate, mode: told }: &EventTerms) -> Value {
    json!({ "name": **name, "tolerate": times(*tolerate), "mode": mode(*told) })
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Watch => "watch",
        Mode::Act => "act",
    }
}

fn times(factor: f64) -> String {
    format!("{factor}x")
}

/// The text that is read back as the same share: the point is moved in the text, since a product would be rounded.
fn percent(share: f64) -> String {
    format!("{}%", shifted(share))
}

/// As a percentage, which reads back as the same share.
fn hundredfold(share: f64) -> f64 {
    shifted(share).parse().unwrap_or(share * 100.0)
}

/// A share as a decimal with the point two places to the right.
fn shifted(share: f64) -> String {
    let text = format!("{share}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = format!("{fraction:0<2}");
    let (percent, rest) = fraction.split_at(2);
    let number = format!("{whole}{percent}.{rest}");
    let number = number.trim_end_matches('0').trim_end_matches('.').trim_start_matches('0');
    match number {
        "" => "0".to_owned(),
        number if number.starts_with('.') => format!("0{number}"),
        number => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_judge;

    /// As the file would say it: what JSON and TOML write alike, and tables in braces.
    fn toml(value: &Value) -> String {
        match value {
            Value::Object(table) => {
                let pairs: Vec<_> =
                    table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
                format!("{{ {} }}", pairs.join(", "))
            }
            Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
            other => other.to_string(),
        }
    }

    #[test]
    fn the_numbers_of_a_record_read_back_as_the_same_judge() {
        let text = "false_alarm = 0.0003\nhold_at = 12.5\ntick = \"5s\"\nwarm_up = \"1500ms\"\n\
                    tolerate = { errors = \"1.1x\", extra = \"0.07%\", latency = \"1.3x\", slack = \"7ms\" }\n\
                    percentiles = [50, 99.9, 99.99]\nsignals = { errors = \"watch\", fast_trip = \"watch\" }\n\
                    fast_trip = { failures = 3, for = \"2s\", connect_errors = 2 }\n\
                    ceilings = [{ error_rate = \"0.3%\", mode = \"watch\" }, { percentile = 99, latency = \"500ms\" }, \
                    { percentile = 90, latency = \"1.7x\", window = \"5m\", min_requests = 7 }]\n\
                    proof = { odds = 30, errors = \"2x\", extra = \"0.9%\" }";
        for judge in
            [Judge::default(), parse_judge("f", text).unwrap_or_else(|problems| panic!("{problems}"))]
        {
            let Value::Object(mut table) = numbers(&judge) else { panic!("a table") };
            table.remove("event");
            let text: String =
                table.iter().map(|(key, value)| format!("{key} = {}\n", toml(value))).collect();
            let again = parse_judge("f", &text).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(again, judge, "\n{text}");
        }
    }

    #[test]
    fn shares_are_written_to_the_last_digit() {
        for (share, text) in [
            (0.0, "0"),
            (1.0, "100"),
            (0.5, "50"),
            (0.05, "5"),
            (0.9999, "99.99"),
            (0.000_2, "0.02"),
            (0.999, "99.9"),
            (0.000_000_1, "0.00001"),
        ] {
            assert_eq!(shifted(share), text);
        }
    }
}
