//! `andon top`: the table of `andon status`, live, with trouble first.
//!
//! A terminal gets a screen of its own, and its old one back whatever ends it. Where there is no terminal, or `-o json`, one
//! table follows the other. Who does not answer for a while may be restarting: what was seen last stays, and says so.

use std::cmp::Reverse;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use terminal_size::{Height, terminal_size};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::Reply;
use super::format::clean;
use super::remote::{Output, Remote};
use super::{Exit, Failure, output, status};
use crate::admin::json::{RouteJson, RoutesJson};
use crate::config::Color;
use crate::config::units::parse_duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often to look: 100ms to 1h
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = every)]
    every: Duration,
    /// How many times to look; until it is stopped, if it is not said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    times: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

const OPEN_SCREEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const CLOSE_SCREEN: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const TO_TOP: &str = "\x1b[H";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

fn every(text: &str) -> Result<Duration, String> {
    let accepted = Duration::from_millis(100)..=Duration::from_hours(1);
    let found = parse_duration(text).filter(|span| accepted.contains(span));
    found.ok_or_else(|| "write a duration from 100ms to 1h, such as 2s".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let is_live = stdout().is_terminal() && args.remote.output == Output::Text;
    let mut until = Until::new(args.times)?;
    let screen = is_live.then(Screen::open).transpose()?;
    let mut seen = String::new();
    loop {
        match look(args) {
            Ok(text) => seen = text,
            // At the first look it is no restart.
            Err(failure) if failure.exit != Exit::Unreachable || seen.is_empty() => return Err(failure),
            Err(failure) => seen = format!("{}\n{}", clean(&failure.message), beyond_first_line(&seen)),
        }
        match &screen {
            Some(screen) => screen.draw(&seen)?,
            None => output::print(&seen)?,
        }
        if until.is_over(args.every) {
            return Ok(Exit::Ok);
        }
    }
}

fn look(args: &Args) -> Result<String, Failure> {
    let reply = args.remote.admin.get("/api/v1/routes")?;
    if args.remote.output == Output::Json {
        return Ok(String::from_utf8_lossy(&reply.body).into_owned());
    }
    let all: RoutesJson = args.remote.read(&reply)?;
    Ok(drawn(all.routes, &args.remote.admin.to_string(), &reply, output::stdout_color()))
}

fn drawn(mut routes: Vec<RouteJson>, admin: &str, reply: &Reply, color: Color) -> String {
    // The order of the file among those that are alike.
    routes.sort_by_key(|route| Reverse(trouble(route)));
    let troubled = routes.iter().filter(|route| trouble(route) >= TROUBLE).count();
    let title = format!("andon top  {admin}  {} routes, {troubled} in trouble", routes.len());
    format!("{title}\n\n{}", status::overview(&routes, reply, color))
}

/// From here on somebody should look.
const TROUBLE: u8 = 2;

fn trouble(route: &RouteJson) -> u8 {
    let canaries = &route.canaries;
    if route.cord.is_some() {
        4
    } else if canaries.iter().any(|canary| canary.verdict.verdict == "unhealthy") {
        3
    } else if route.unsaved || canaries.iter().any(|canary| canary.verdict.holds) {
        TROUBLE
    } else {
        canaries.iter().any(|canary| canary.effective_ppm > 0).into()
    }
}

fn beyond_first_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// Its drop gives the old screen back.
struct Screen;

impl Screen {
    fn open() -> Result<Self, Failure> {
        output::print(OPEN_SCREEN)?;
        Ok(Self)
    }

    /// In one write, so that it does not flicker.
    #[expect(clippy::unused_self, reason = "only an open screen is drawn on")]
    fn draw(&self, text: &str) -> Result<(), Failure> {
        let height = terminal_size().map_or(24, |(_, Height(height))| usize::from(height)).max(2);
        let lines: Vec<&str> = text.lines().collect();
        let shown = if lines.len() > height { height - 1 } else { lines.len() };
        let mut frame = TO_TOP.to_owned();
        for (at, line) in lines[..shown].iter().enumerate() {
            frame += if at == 0 { "" } else { "\r\n" };
            frame += line;
            frame += CLEAR_LINE_END;
        }
        if shown < lines.len() {
            frame += &format!("\r\n{} more lines{CLEAR_LINE_END}", lines.len() - shown);
        }
        output::print(&(frame + CLEAR_BELOW))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, so is its screen.
        let _ = output::print(CLOSE_SCREEN);
    }
}

/// When to look no more.
struct Until {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
    left: Option<u64>,
}

impl Until {
    fn new(times: Option<u64>) -> Result<Self, Failure> {
        let failed =
            |error| Failure { exit: Exit::Failure, message: format!("cannot listen for signals: {error}") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt()).map_err(failed)?,
                signal(SignalKind::terminate()).map_err(failed)?,
            )
        };
        Ok(Self { runtime, interrupt, terminate, left: times })
    }

    /// Waits for the next look.
    fn is_over(&mut self, every: Duration) -> bool {
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                return true;
            }
        }
        self.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(every) => false,
                _ = self.interrupt.recv() => true,
                _ = self.terminate.recv() => true,
            }
        })
    }
}
