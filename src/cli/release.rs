//! `andon release`: start one, steer it, wait for its end.

use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::thread;
use std::time::{Duration, Instant};

use http::Method;

use super::client::segment;
use super::format::{ago, clean};
use super::remote::{Output, Remote, Signature, name};
use super::{Exit, Failure, output};
use crate::admin::json::{ReleaseJson, ReleasesJson, RouteJson};
use crate::config::units::parse_duration;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIMEOUT_DEFAULT: &str = "24h";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Begin to follow a plan
    Start(Box<StartArgs>),
    /// Nothing rises until it is resumed
    Hold(SteerArgs),
    /// Go on where it was held
    Resume(SteerArgs),
    /// Let it go on beyond a step that asks for it
    Approve(SteerArgs),
    /// Make the canary stable now, whatever steps are left
    Promote(SteerArgs),
    /// The canary gets 0%
    Abort(SteerArgs),
    /// The stable version of before the last promotion gets the whole route again
    RollBack(SteerArgs),
    /// Wait until it has ended: 0 promoted, 3 backed off or aborted, 4 not in time
    Wait(WaitArgs),
    /// The one under way, and those before
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
struct StartArgs {
    #[arg(value_parser = name())]
    route: String,
    /// A plan of the configuration file
    #[arg(long, value_name = "NAME", value_parser = name())]
    plan: String,
    /// The upstream that plays the canary from now on
    #[arg(long, value_name = "UPSTREAM", value_parser = name())]
    canary: Option<String>,
    /// Its endpoints from now on, such as 127.0.0.1:9003,127.0.0.1:9004, if nobody is on it yet
    #[arg(long, value_name = "ENDPOINTS", value_delimiter = ',', value_parser = name())]
    endpoints: Vec<String>,
    /// Which canary, where the route has several
    #[arg(long, value_name = "NAME", value_parser = name())]
    variant: Option<String>,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
    /// How long
    #[arg(long, value_name = "TIME", default_value = TIMEOUT_DEFAULT, value_parser = span, requires = "wait")]
    timeout: Duration,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
struct SteerArgs {
    #[arg(value_parser = name())]
    route: String,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
struct WaitArgs {
    #[arg(value_parser = name())]
    route: String,
    /// How long
    #[arg(long, value_name = "TIME", default_value = TIMEOUT_DEFAULT, value_parser = span)]
    timeout: Duration,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[arg(value_parser = name())]
    route: String,
    #[command(flatten)]
    remote: Remote,
}

fn span(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration, such as 30m or 24h".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Start(args) => start(args),
        Verb::Hold(args) => steer(args, "hold"),
        Verb::Resume(args) => steer(args, "resume"),
        Verb::Approve(args) => steer(args, "approve"),
        Verb::Promote(args) => steer(args, "promote"),
        Verb::Abort(args) => steer(args, "abort"),
        Verb::RollBack(args) => roll_back(args),
        Verb::Wait(args) => wait(&args.remote, &args.route, None, args.timeout),
        Verb::Show(args) => show(args),
    }
}

fn releases(route: &str) -> String {
    format!("/api/v1/routes/{}/releases", segment(route))
}

fn start(args: &StartArgs) -> Result<Exit, Failure> {
    let remote = &args.remote;
    let mut body = args.signature.body();
    body.insert("plan".to_owned(), args.plan.as_str().into());
    for (key, value) in [("upstream", &args.canary), ("canary", &args.variant)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.as_str().into());
        }
    }
    if !args.endpoints.is_empty() {
        body.insert("endpoints".to_owned(), args.endpoints.as_slice().into());
    }
    let reply = remote.admin.send(Method::POST, &releases(&args.route), body)?;
    let release: ReleaseJson = remote.read(&reply)?;
    if remote.output == Output::Text {
        output::print(&format!(
            "{}: release {} started; {}\n",
            clean(&args.route),
            release.id,
            line(&release)
        ))?;
        for warning in &release.warnings {
            output::complain(&format!("note: {}\n", clean(warning)));
        }
    } else if !args.wait {
        output::print_bytes(&reply.body)?;
    }
    if !args.wait {
        return Ok(Exit::Ok);
    }
    wait(remote, &args.route, Some(&release.id), args.timeout)
}

fn steer(args: &SteerArgs, verb: &str) -> Result<Exit, Failure> {
    let path = format!("{}/current/{verb}", releases(&args.route));
    let reply = args.remote.admin.send(Method::POST, &path, args.signature.body())?;
    args.remote.show(&reply, |route: RouteJson| told(&route))
}

fn roll_back(args: &SteerArgs) -> Result<Exit, Failure> {
    let path = format!("/api/v1/routes/{}/rollback", segment(&args.route));
    let reply = args.remote.admin.send(Method::POST, &path, args.signature.body())?;
    args.remote.show(&reply, |route: RouteJson| {
        let stable = route.stable.as_ref().map_or("-", |stable| &stable.upstream);
        format!("{}: stable is upstream {}\n", clean(&route.name), clean(stable))
    })
}

fn told(route: &RouteJson) -> String {
    let release = route.release.as_ref().map_or_else(|| "no release".to_owned(), line);
    format!("{}: {release}\n", clean(&route.name))
}

/// `release by plan careful: step 2 of 4, holds 10% for 10 min`
pub(super) fn line(release: &ReleaseJson) -> String {
    let what = release.waits_for.as_deref().unwrap_or(&release.state);
    let (plan, steps) = (clean(&release.plan), release.steps.len());
    format!("release by plan {plan}: step {} of {steps}, {}", release.step, clean(what))
}

fn show(args: &ShowArgs) -> Result<Exit, Failure> {
    let reply = args.remote.admin.get(&releases(&args.route))?;
    args.remote.show(&reply, |all: ReleasesJson| {
        if all.releases.is_empty() {
            return "no releases\n".to_owned();
        }
        let mut text = String::new();
        for release in &all.releases {
            let when = ago(release.started_ms, release.started.as_deref(), reply.now_ms);
            let (by, why) = (clean(&release.by), clean(&release.why));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}  started {when} by {by}: {why}\n  {}", release.id, line(release));
            if let Some(ended) = &release.ended {
                let (how, by, why) = (clean(&ended.how), clean(&ended.by), clean(&ended.why));
                let _ = writeln!(text, "  {how} by {by}: {why}");
            }
        }
        text
    })
}

/// Of the release that is named, or the one under way when it begins. Who cannot be reached for a while may be restarting.
#[expect(clippy::disallowed_methods, reason = "nobody else tells the command line how long it has waited")]
fn wait(remote: &Remote, route: &str, id: Option<&str>, timeout: Duration) -> Result<Exit, Failure> {
    let mut id = id.map(str::to_owned);
    let mut told = Told::default();
    let begun = Instant::now();
    loop {
        match look(remote, route, id.as_deref()) {
            Ok(release) => {
                id.get_or_insert_with(|| release.id.clone());
                if remote.output == Output::Text {
                    told.tell(&line(&release));
                }
                if let Some(ended) = &release.ended {
                    let exit = if ended.how == "promoted" { Exit::Ok } else { Exit::BackedOff };
                    told.end();
                    print_end(remote, route, &release)?;
                    return Ok(exit);
                }
            }
            Err(failure) if failure.exit == Exit::Unreachable && id.is_some() => {
                told.tell(&failure.message);
            }
            Err(failure) => return Err(failure),
        }
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            told.end();
            let message = "the release has not ended in time; it goes on".to_owned();
            return Err(Failure { exit: Exit::TimedOut, message });
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}

fn look(remote: &Remote, route: &str, id: Option<&str>) -> Result<ReleaseJson, Failure> {
    if let Some(id) = id {
        return remote.read(&remote.admin.get(&format!("{}/{}", releases(route), segment(id)))?);
    }
    let all: ReleasesJson = remote.read(&remote.admin.get(&releases(route))?)?;
    all.releases.into_iter().next().ok_or_else(|| Failure {
        exit: Exit::Failure,
        message: format!(
            "route {route:?} never had a release; andon release start {route} --plan NAME --why TEXT"
        ),
    })
}

fn print_end(remote: &Remote, route: &str, release: &ReleaseJson) -> Result<(), Failure> {
    match remote.output {
        Output::Json => output::print(&format!("{}\n", serde_json::to_string(release).unwrap_or_default())),
        Output::Text => output::print(&format!("{}: {}\n", clean(route), line(release))),
    }
}

/// What was told last, on stderr: one line that changes in a terminal, a new line for each change elsewhere.
#[derive(Default)]
struct Told(String);

impl Told {
    fn tell(&mut self, line: &str) {
        if self.0 == line {
            return;
        }
        if stderr().is_terminal() {
            output::complain(&format!("\r\x1b[K{line}"));
        } else {
            output::complain(&format!("{line}\n"));
        }
        line.clone_into(&mut self.0);
    }

    fn end(&self) {
        if stderr().is_terminal() && !self.0.is_empty() {
            output::complain("\r\x1b[K");
        }
    }
}
