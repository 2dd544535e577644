//! `andon cord`: stop the line, let it go on.

use http::Method;

use super::client::segment;
use super::format::clean;
use super::remote::{Remote, Signature, name};
use super::{Exit, Failure};
use crate::admin::json::{CanaryJson, RouteJson, RoutesJson};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Every canary gets 0% until the cord is reset
    Pull(PullArgs),
    /// The canaries of a route get their share again
    Reset(ResetArgs),
}

#[derive(Debug, clap::Args)]
struct PullArgs {
    /// Only of this route; all routes without it
    #[arg(value_parser = name())]
    route: Option<String>,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
struct ResetArgs {
    #[arg(value_parser = name())]
    route: String,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Pull(args) => pull(args),
        Verb::Reset(args) => reset(args),
    }
}

fn pull(args: &PullArgs) -> Result<Exit, Failure> {
    let (admin, body) = (&args.remote.admin, args.signature.body());
    let Some(route) = &args.route else {
        let reply = admin.send(Method::POST, "/api/v1/cord", body)?;
        return args.remote.show(&reply, |all: RoutesJson| match all.routes.as_slice() {
            [] => "no route has a canary, so there is nothing to pull\n".to_owned(),
            routes => routes.iter().map(|route| told(route, "pulled")).collect(),
        });
    };
    let reply = admin.send(Method::POST, &path(route), body)?;
    args.remote.show(&reply, |route: RouteJson| told(&route, "pulled"))
}

fn reset(args: &ResetArgs) -> Result<Exit, Failure> {
    let reply = args.remote.admin.send(Method::DELETE, &path(&args.route), args.signature.body())?;
    args.remote.show(&reply, |route: RouteJson| told(&route, "reset"))
}

fn path(route: &str) -> String {
    format!("/api/v1/routes/{}/cord", segment(route))
}

/// `shop: cord reset; canary gets 5%`
fn told(route: &RouteJson, done: &str) -> String {
    let canaries: Vec<_> = route.canaries.iter().map(share).collect();
    let canaries = if canaries.is_empty() { "it has no canary".to_owned() } else { canaries.join(", ") };
    format!("{}: cord {done}; {canaries}\n", clean(&route.name))
}

fn share(canary: &CanaryJson) -> String {
    let gets = format!("{} gets {}", clean(&canary.name), canary.effective);
    if canary.effective_ppm == canary.aim_ppm {
        gets
    } else if canary.ceiling_ppm < canary.aim_ppm {
        format!("{gets} (aim {}, ceiling {})", canary.aim, canary.ceiling)
    } else {
        format!("{gets} (aim {})", canary.aim)
    }
}
