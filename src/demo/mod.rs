//! `andon demo`: the whole story in one process on loopback. `tell` is the script.
//!
//! Upstreams, load, proxy, controller and immune system are the real ones, on threads and sockets of their own. The
//! immune system is not told when the canary turns bad: it has to find out from what requests did. Leaves no file
//! and touches no network but loopback. Succeeds only if the bad canary was really backed off.

mod history;
mod load;
mod picture;
mod plan;
mod setup;
mod show;
mod stage;
mod steps;
mod summary;
mod terminal;
mod text;
mod upstreams;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use load::Load;
use plan::Plan;
use show::Show;
use stage::{Cast, Cut, Stage};
use steps::Step;
use summary::{Ending, Summary};
use upstreams::Upstreams;

pub use plan::LENGTHS;

/// What the command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of the whole show, one of [`LENGTHS`].
    pub length: Duration,
    /// Lines instead of a picture, also on a terminal.
    pub plain: bool,
}

/// 0: backed off. 1: not, and stderr says why. 2: an impossible length.
pub fn run(options: Options) -> ExitCode {
    if !LENGTHS.contains(&options.length) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        eprintln!("andon demo: the length is {:?}; write one from {least:?} to {most:?}", options.length);
        return ExitCode::from(2);
    }
    let failure = match play(options) {
        Ok(summary) => terminal::put(&summary.text(terminal::text_width()))
            .err()
            .map(unseen)
            .or_else(|| summary.failure()),
        Err(why) => Some(why),
    };
    match failure {
        None => ExitCode::SUCCESS,
        Some(why) => {
            eprintln!("andon demo: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The script.
async fn tell(stage: &mut Stage, plan: Plan) -> Result<(), Cut> {
    stage.begin(Step::StableAlone)?;
    stage.all_is_well_until(plan.first_weight).await?;

    stage.begin(Step::FirstWeight)?;
    stage.set_weight("5%", "its tests passed; a few users first").await?;
    stage.all_is_well_until(plan.second_weight).await?;

    stage.begin(Step::SecondWeight)?;
    stage.set_weight("25%", "5% went well").await?;
    stage.all_is_well_until(plan.bad).await?;

    stage.begin(Step::TurnsBad)?;
    stage.canary_turns_bad();
    if stage.is_backed_off_before(plan.end).await? {
        stage.begin(Step::BackedOff)?;
    }
    stage.look_on_until(plan.end).await
}

/// Builds everything, tells the story, and takes everything down again, users first.
fn play(options: Options) -> Result<Summary, String> {
    let plan = Plan::of(options.length);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let upstreams =
        Upstreams::start(Instant::now()).map_err(|error| format!("cannot start the upstreams: {error}"))?;
    let (mut andon, proxy) = setup::start(&upstreams)?;
    let load = Load::start(proxy).map_err(|error| format!("cannot start the load: {error}"))?;

    let show = if options.plain { None } else { Show::live() };
    let show = show.unwrap_or_else(|| Show::lines(options.length));
    show.open(&opening(options.length, proxy, andon.admin)).map_err(unseen)?;
    let cast = Cast {
        handle: andon.handle.clone(),
        admin: andon.admin,
        users: load.seen.clone(),
        canary: upstreams.log.clone(),
    };
    let told = runtime.block_on(async {
        let mut stage = Stage::open(cast, plan, show).await?;
        let ending = ending(tell(&mut stage, plan).await);
        Ok((stage, ending))
    });

    let users = load.stop();
    let canary = upstreams.log.account();
    let summary = told.map(|(stage, ending)| stage.close(ending, users, canary)).map_err(why);
    andon.drain();
    andon.cut(); // the users are gone, so nothing is in flight
    andon.finish();
    upstreams.stop();
    summary
}

fn ending(told: Result<(), Cut>) -> Ending {
    match told {
        Ok(()) => Ending::Told,
        Err(Cut::Interrupted) => Ending::Interrupted,
        Err(cut) => Ending::Failed(why(cut)),
    }
}

fn why(cut: Cut) -> String {
    match cut {
        Cut::Interrupted => "interrupted".to_owned(),
        Cut::Unseen(error) => unseen(error),
        Cut::Failed(why) => why,
    }
}

fn unseen(error: std::io::Error) -> String {
    format!("stdout cannot be written: {error}")
}

/// For those who read lines; the picture shows it all the time.
fn opening(length: Duration, proxy: std::net::SocketAddr, admin: std::net::SocketAddr) -> String {
    let [status, dashboard] = setup::suggestions(admin);
    format!(
        "Andon demo: {} on loopback, no file is written.\n\
         Users connect to http://{proxy}, the admin API is at http://{admin}. While it runs, try in another terminal:\n  \
         {status}\n  {dashboard}\n\n",
        text::seconds(length)
    )
}
