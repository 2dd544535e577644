//! `andon forecast`: how soon a bad canary would be seen, and how many of its requests would have failed by then.
//!
//! Of a route of a running andon, with its traffic of just now; or of numbers, worked out here.

use std::fmt::Write as _;
use std::time::Duration;

use super::client::segment;
use super::format::clean;
use super::remote::{Output, Remote, name};
use super::{Exit, Failure, output};
use crate::admin::json::{ForecastJson, HarmJson, SpreadJson, figure, share, would_do};
use crate::config::units::{WEIGHT_ACCEPTED, duration_text, parse_duration, parse_percent};
use crate::config::{Judge, Weight};
use crate::control::forecasts::{Setting, WITHIN, What};
use crate::immune::forecast::{Beside, RPS_MAX, Traffic};

/// A note beside a command must not make it slow.
const NOTE_WAIT_MAX: Duration = Duration::from_millis(1_500);

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("of").required(true).args(["route", "rps"])))]
pub(super) struct Args {
    /// With the traffic of this route, and what its guard is told
    #[arg(value_parser = name())]
    route: Option<String>,
    /// Which canary, where the route has several
    #[arg(long, value_name = "NAME", value_parser = name(), conflicts_with = "rps")]
    canary: Option<String>,
    /// Instead of a route: requests a second, of all variants; with the guard's defaults
    #[arg(long, value_name = "NUMBER", value_parser = rps, requires_all = ["base", "weight"])]
    rps: Option<f64>,
    /// The share of stable's requests that fail, such as 0.1%
    #[arg(long, value_name = "SHARE", value_parser = base, requires = "rps", conflicts_with = "route")]
    base: Option<f64>,
    /// The canary's share; of a route: its aim, where it is not said
    #[arg(long, value_name = "SHARE", value_parser = weight)]
    weight: Option<Weight>,
    /// The share of the canary's requests that fail; a few of them, where it is not said
    #[arg(long, value_name = "SHARE", value_parser = worse)]
    worse: Option<f64>,
    /// How far to look ahead: 10s to 24h
    #[arg(long, value_name = "TIME", value_parser = within, default_value = "1h")]
    within: Duration,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match (&args.route, args.rps, args.base, args.weight) {
        (Some(route), ..) => {
            let reply = args.remote.admin.get(&path(route, args))?;
            args.remote.show(&reply, |forecast: ForecastJson| text(&forecast))
        }
        (None, Some(rps), Some(base), Some(weight)) => {
            let (route, canary, judge, acts) = (None, None, Judge::default(), true);
            let traffic = Traffic { rps, base, beside: Beside::Rest { others: Weight::ZERO } };
            let what = What { worse: args.worse, within: args.within, blind_spot_only: false };
            let view = Setting { route, canary, judge, acts, weight, traffic }.tell(what);
            show(args, &ForecastJson::from(&view))
        }
        _ => Err(Failure { exit: Exit::Usage, message: "name a route, or give numbers".to_owned() }),
    }
}

fn path(route: &str, args: &Args) -> String {
    let mut path =
        format!("/api/v1/routes/{}/forecast?within={}", segment(route), duration_text(args.within));
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(path, "&{key}={}", segment(&value));
        }
    };
    add("weight", args.weight.map(|weight| weight.to_string()));
    add("worse", args.worse.map(|worse| format!("{:.8}%", worse * 100.0)));
    add("canary", args.canary.clone());
    path
}

fn show(args: &Args, forecast: &ForecastJson) -> Result<Exit, Failure> {
    match args.remote.output {
        Output::Text => output::print(&text(forecast))?,
        Output::Json => {
            let mut json =
                serde_json::to_string(forecast).expect("structs with string keys always serialise");
            json.push('\n');
            output::print(&json)?;
        }
    }
    Ok(Exit::Ok)
}

fn text(forecast: &ForecastJson) -> String {
    let whose = match (&forecast.route, &forecast.canary) {
        (Some(route), Some(canary)) => format!("{} {}: ", clean(route), clean(canary)),
        _ => String::new(),
    };
    let ForecastJson { weight, within, harms, .. } = forecast;
    let mut text = format!(
        "{whose}at {weight} of {} req/s ({}/s to the canary), stable failing {}:\n",
        figure(forecast.requests_per_second),
        figure(forecast.canary_requests_per_second),
        share(forecast.base_ratio)
    );
    if let Some(why) = &forecast.undecided {
        return text + &format!("  undecided: {}\n", clean(why));
    }
    harms.iter().for_each(|harm| text += &harm_line(harm, forecast));
    if let Some(smallest) = &forecast.smallest_seen {
        let rate = smallest.ratio.map_or("none".to_owned(), share);
        text += &format!("  smallest failure rate seen within {within} (9 of 10 times): {rate}\n");
    }
    if let Some(needed) = &forecast.weight_needed {
        let harm = share(needed.worse_ratio);
        text += &format!("  to see {harm} within {within}: {}\n", would_do(needed, " of the traffic"));
    }
    let runs = harms.iter().map(|harm| harm.runs);
    if let (Some(fewest), Some(most)) = (runs.clone().min(), runs.max()) {
        let runs = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
        let tries = forecast.smallest_seen.as_ref().map_or(0, |smallest| smallest.runs);
        text += &format!("  (from {runs} played releases a line, the last two from {tries} a step)\n");
    }
    text
}

fn harm_line(harm: &HarmJson, forecast: &ForecastJson) -> String {
    let (worse, within) = (share(harm.worse_ratio), &forecast.within);
    let start = format!("  a canary that fails {worse:<5}");
    match (span(&harm.delay_seconds), counts(&harm.failed_requests)) {
        (Some(delay), Some(failed)) => {
            let done = if forecast.acts { "taken back" } else { "noticed" };
            format!("{start} is {done} after {delay} and {failed}\n")
        }
        _ if harm.seen_ratio == 0.0 => format!("{start} is not seen within {within}\n"),
        _ => format!("{start} is seen within {within} in {} of the releases only\n", share(harm.seen_ratio)),
    }
}

/// `4 s (2 to 7)`
fn span(seconds: &SpreadJson) -> Option<String> {
    let median = seconds.median?;
    let (unit, each) = match median {
        ..120.0 => ("s", 1.0),
        ..7_200.0 => ("min", 60.0),
        _ => ("h", 3_600.0),
    };
    Some(format!("{} {unit} {}", figure(median / each), between(seconds, each)))
}

/// `10 failed requests (6 to 17)`
fn counts(counts: &SpreadJson) -> Option<String> {
    let median = counts.median?;
    let requests = if median == 1.0 { "request" } else { "requests" };
    Some(format!("{} failed {requests} {}", figure(median), between(counts, 1.0)))
}

fn between(spread: &SpreadJson, each: f64) -> String {
    let low = spread.low.map_or("?".to_owned(), |low| figure(low / each));
    match spread.high {
        Some(high) => format!("({low} to {})", figure(high / each)),
        None => format!("({low} or more)"),
    }
}

/// A line for whoever has just raised a weight, if a grossly bad canary would go unseen. `None` also where that cannot be
/// told soon.
pub(super) fn blind_spot(remote: &Remote, route: &str, canary: &str, weight: Weight) -> Option<String> {
    let path = format!(
        "/api/v1/routes/{}/forecast?only=blind_spot&canary={}&weight={}",
        segment(route),
        segment(canary),
        segment(&weight.to_string())
    );
    let reply = remote.admin.get_within(NOTE_WAIT_MAX, &path).ok()?;
    let forecast: ForecastJson = remote.read(&reply).ok()?;
    forecast.blind_spot_sentence().map(|sentence| format!("note: {}\n", clean(&sentence)))
}

fn rps(text: &str) -> Result<f64, String> {
    let found: Option<f64> = text.parse().ok().filter(|rps| (0.0..=RPS_MAX).contains(rps));
    found.ok_or_else(|| format!("write a number from 0 to {RPS_MAX}, such as 1000"))
}

fn base(text: &str) -> Result<f64, String> {
    let found = parse_percent(text).filter(|base| *base <= 1.0);
    found.ok_or_else(|| "write a share from 0% to 100%, such as 0.1%".to_owned())
}

fn worse(text: &str) -> Result<f64, String> {
    let found = parse_percent(text).filter(|worse| *worse > 0.0 && *worse <= 1.0);
    found.ok_or_else(|| "write a share above 0% and up to 100%, such as 5%".to_owned())
}

fn weight(text: &str) -> Result<Weight, String> {
    let found = Weight::parse(text).ok_or_else(|| format!("write {WEIGHT_ACCEPTED}"))?;
    if found.is_zero() { Err("nothing is sent to the canary at 0%".to_owned()) } else { Ok(found) }
}

fn within(text: &str) -> Result<Duration, String> {
    let found = parse_duration(text).filter(|within| WITHIN.contains(within));
    found.ok_or_else(|| "write a duration from 10s to 24h, such as 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_time_looked_at_is_said_to() {
        let spread = |low, median, high| SpreadJson { low, median, high };
        assert_eq!(span(&spread(Some(2.0), Some(4.0), Some(7.0))).as_deref(), Some("4 s (2 to 7)"));
        assert_eq!(span(&spread(Some(90.0), Some(180.0), None)).as_deref(), Some("3 min (1.5 or more)"));
        assert_eq!(span(&spread(Some(90.0), None, None)), None);
        assert_eq!(
            counts(&spread(Some(6.0), Some(10.0), Some(17.0))).as_deref(),
            Some("10 failed requests (6 to 17)")
        );
    }
}
