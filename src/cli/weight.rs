//! `andon weight`: set the share of a route that a canary should get.

use http::Method;

use super::client::segment;
use super::format::clean;
use super::remote::{Output, Remote, Signature, name};
use super::{Exit, Failure, forecast, output};
use crate::admin::json::{CanaryJson, RouteJson};
use crate::config::Weight;
use crate::config::units::WEIGHT_ACCEPTED;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_parser = name())]
    route: String,
    /// The share, such as 5% or 0.25%
    #[arg(value_parser = weight)]
    weight: Weight,
    /// Which canary, where the route has several
    #[arg(long, value_name = "NAME", value_parser = name())]
    canary: Option<String>,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let (admin, path) = (&args.remote.admin, format!("/api/v1/routes/{}", segment(&args.route)));
    // Only to show it. There is no condition on it: taking a canary back must not fail because something changed.
    let before: Option<RouteJson> = match args.remote.output {
        Output::Text => Some(args.remote.read(&admin.get(&path)?)?),
        Output::Json => None,
    };
    let mut body = args.signature.body();
    body.insert("weight".to_owned(), args.weight.to_string().into());
    if let Some(canary) = &args.canary {
        body.insert("canary".to_owned(), canary.as_str().into());
    }
    let reply = admin.send(Method::PUT, &format!("{path}/weight"), body)?;
    let shown =
        args.remote.show(&reply, |after: RouteJson| told(before.as_ref(), &after, args.canary.as_deref()))?;
    if let Some(note) = before.and_then(|before| blind_spot(args, &before)) {
        output::complain(&note);
    }
    Ok(shown)
}

/// After a raise: whether a grossly bad canary would go unseen. Silent where that cannot be told soon.
fn blind_spot(args: &Args, before: &RouteJson) -> Option<String> {
    let canary = chosen(before, args.canary.as_deref())?;
    let is_raise = args.weight.ppm() > canary.aim_ppm;
    is_raise.then(|| forecast::blind_spot(&args.remote, &args.route, &canary.name, args.weight))?
}

fn told(before: Option<&RouteJson>, after: &RouteJson, asked: Option<&str>) -> String {
    let Some(canary) = chosen(after, asked) else {
        return format!("{}: set\n", clean(&after.name));
    };
    let old = before.and_then(|before| chosen(before, Some(&canary.name))).map_or("?", |canary| &canary.aim);
    let but = if canary.effective_ppm == canary.aim_ppm {
        String::new()
    } else if after.cord.is_some() {
        ", because the cord is pulled".to_owned()
    } else {
        format!(", because its ceiling is {}", canary.ceiling)
    };
    let stable = after.stable.as_ref().map_or("-", |stable| &stable.effective);
    format!(
        "{} {}: aim {old} → {}; it gets {}{but}, stable gets {stable}\n",
        clean(&after.name),
        clean(&canary.name),
        canary.aim,
        canary.effective
    )
}

/// The canary that was asked for, or the only one.
fn chosen<'a>(route: &'a RouteJson, asked: Option<&str>) -> Option<&'a CanaryJson> {
    match (asked, route.canaries.as_slice()) {
        (Some(asked), canaries) => canaries.iter().find(|canary| canary.name == asked),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

fn weight(text: &str) -> Result<Weight, String> {
    Weight::parse(text).ok_or_else(|| format!("write {WEIGHT_ACCEPTED}"))
}
