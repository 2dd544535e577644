//! `andon drill`: a canary fails on purpose, and the time until it is backed off is told. Then the cord is reset in the
//! name of whoever asked for the drill.

use std::thread;
use std::time::Duration;

use http::Method;

use super::client::segment;
use super::format::{clean, seconds};
use super::remote::{Output, Remote, Signature, name};
use super::{Exit, Failure, output};
use crate::admin::json::{DrillJson, RouteJson};
use crate::config::Weight;
use crate::config::units::parse_duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After the back-off, until the last request of the canary is known.
const LAST_REQUEST_LOOKS_MAX: u32 = 15;
/// After its time the drill must be over, whatever the clock of the other machine says.
const OVERTIME_LOOKS_MAX: u128 = 50;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_parser = name())]
    route: String,
    /// Of the canary's requests, so many fail; stable answers them
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = share)]
    share: Weight,
    /// Which canary, where the route has several
    #[arg(long, value_name = "NAME", value_parser = name())]
    canary: Option<String>,
    /// At most so long, up to 5m
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = span)]
    span: (String, Duration),
    /// Leave the cord pulled
    #[arg(long)]
    leave: bool,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let remote = &args.remote;
    let path = format!("/api/v1/routes/{}", segment(&args.route));
    let mut body = args.signature.body();
    body.insert("share".to_owned(), args.share.to_string().into());
    body.insert("for".to_owned(), args.span.0.as_str().into());
    if let Some(canary) = &args.canary {
        body.insert("canary".to_owned(), canary.as_str().into());
    }
    let started: RouteJson =
        remote.read(&remote.admin.send(Method::POST, &format!("{path}/drill"), body)?)?;
    let drill =
        started.drill.as_ref().ok_or_else(|| failure("the drill has gone as soon as it was started"))?;
    if remote.output == Output::Text {
        output::print(&begun(&started, drill, &args.span.0))?;
    }
    let route = wait(args, &path, drill)?;
    let drill = route.drill.as_ref().ok_or_else(lost)?;
    match remote.output {
        Output::Text => output::print(&ended(&route, drill, &args.span.0))?,
        Output::Json => output::print(&format!("{}\n", serde_json::to_string(drill).unwrap_or_default()))?,
    }
    match drill.ended.as_deref() {
        Some("back_off") if args.leave => Ok(Exit::Ok),
        Some("back_off") => reset(args, &path, &route),
        Some("time") => Ok(Exit::TimedOut),
        _ => Ok(Exit::Failure),
    }
}

/// Until the drill is over, and if that was by the back-off, until it is known when the canary had its last request.
fn wait(args: &Args, path: &str, started: &DrillJson) -> Result<RouteJson, Failure> {
    let mut overtime = args.span.1.as_millis() / LOOK_EVERY.as_millis() + OVERTIME_LOOKS_MAX;
    let mut last_request = LAST_REQUEST_LOOKS_MAX;
    loop {
        let route: RouteJson = args.remote.read(&args.remote.admin.get(path)?)?;
        let drill =
            route.drill.as_ref().filter(|drill| drill.decision == started.decision).ok_or_else(lost)?;
        match drill.ended.as_deref() {
            None => {
                overtime =
                    overtime.checked_sub(1).ok_or_else(|| failure("the drill goes on beyond its time"))?;
            }
            Some("back_off") if drill.last_request_seconds.is_none() && last_request > 0 => last_request -= 1,
            Some(_) => return Ok(route),
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Where a back-off pulls no cord there is none to reset: the canary rises again by itself.
fn reset(args: &Args, path: &str, route: &RouteJson) -> Result<Exit, Failure> {
    let text = if route.cord.is_some() {
        let mut body = args.signature.body();
        let why = format!("drill: {}", body.get("why").and_then(|why| why.as_str()).unwrap_or_default());
        body.insert("why".to_owned(), why.into());
        let reply = args.remote.admin.send(Method::DELETE, &format!("{path}/cord"), body)?;
        let after: RouteJson = args.remote.read(&reply)?;
        format!("{}: cord reset{}\n", clean(&after.name), gets(&after, route.drill.as_ref()))
    } else {
        format!("{}: no cord is pulled{}\n", clean(&route.name), gets(route, route.drill.as_ref()))
    };
    if args.remote.output == Output::Text {
        output::print(&text)?;
    }
    Ok(Exit::Ok)
}

fn gets(route: &RouteJson, drill: Option<&DrillJson>) -> String {
    let canary = drill.and_then(|drill| route.canaries.iter().find(|canary| canary.name == drill.canary));
    canary.map_or(String::new(), |canary| format!("; {} gets {}", clean(&canary.name), canary.effective))
}

fn begun(route: &RouteJson, drill: &DrillJson, span: &str) -> String {
    format!(
        "{} {}: drill for at most {span}: {} of its requests fail on purpose, and stable answers them\n",
        clean(&route.name),
        clean(&drill.canary),
        drill.share
    )
}

fn ended(route: &RouteJson, drill: &DrillJson, span: &str) -> String {
    let (who, injected) = (format!("{} {}", clean(&route.name), clean(&drill.canary)), drill.injected);
    match drill.ended.as_deref() {
        Some("back_off") => format!(
            "{who}: backed off {} after the first of {injected} injected failures; its last request came {} after the \
             deciding one\n",
            seconds(drill.back_off_seconds),
            seconds(drill.last_request_seconds)
        ),
        Some("time") => format!("{who}: NOT backed off within {span}, by {injected} injected failures\n"),
        other => format!(
            "{who}: the drill was {} before it was backed off, after {injected} injected failures\n",
            clean(other.unwrap_or("lost"))
        ),
    }
}

fn lost() -> Failure {
    failure("the drill has gone: andon was restarted, or another one was started")
}

fn failure(message: &str) -> Failure {
    Failure { exit: Exit::Failure, message: message.to_owned() }
}

fn share(text: &str) -> Result<Weight, String> {
    let share = Weight::parse(text).filter(|share| !share.is_zero());
    share.ok_or_else(|| "write a share above 0% and up to 100%, such as 10%".to_owned())
}

fn span(text: &str) -> Result<(String, Duration), String> {
    match parse_duration(text) {
        Some(span) => Ok((text.to_owned(), span)),
        None => Err("write a duration from 1s to 5m, such as 30s".to_owned()),
    }
}
