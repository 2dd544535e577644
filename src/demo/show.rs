//! The two ways to show the story: a live picture, or one line after another.

use std::io;
use std::time::Duration;

use super::picture::{self, Scene};
use super::terminal::{self, Canvas};
use super::text;
use crate::control::view::WindowView;

pub(super) enum Show {
    Live(Canvas),
    Lines { status_every: Duration, next_status: Duration },
}

/// Plain lines: enough to follow, few enough to read. Never more often than once a second.
const STATUSES: u32 = 12;
const STATUS_EVERY_MIN: Duration = Duration::from_secs(1);

impl Show {
    pub(super) fn live() -> Option<Self> {
        Canvas::open(picture::HEIGHT).map(Self::Live)
    }

    pub(super) fn lines(length: Duration) -> Self {
        let status_every = (length / STATUSES).max(STATUS_EVERY_MIN);
        Self::Lines { status_every, next_status: status_every }
    }

    /// Before anything happens.
    pub(super) fn open(&self, opening: &str) -> io::Result<()> {
        match self {
            Self::Live(_) => Ok(()), // it is in the picture
            Self::Lines { .. } => terminal::put(opening),
        }
    }

    pub(super) fn step(&self, at: Duration, sentence: &str) -> io::Result<()> {
        match self {
            Self::Live(_) => Ok(()), // comes with the next look
            Self::Lines { .. } => terminal::put(&format!("{:>7}  > {sentence}\n", text::seconds(at))),
        }
    }

    pub(super) fn look(&mut self, scene: &Scene) -> io::Result<()> {
        match self {
            Self::Live(canvas) => {
                let width = canvas.width();
                canvas.draw(&picture::draw(scene, width, canvas.ink))
            }
            Self::Lines { status_every, next_status } => {
                if scene.elapsed < *next_status {
                    return Ok(());
                }
                while *next_status <= scene.elapsed {
                    *next_status += *status_every;
                }
                terminal::put(&status(scene))
            }
        }
    }
}

/// One line: weight, rate, errors and latency of both, and the verdict.
fn status(scene: &Scene) -> String {
    let window = |window: &WindowView| {
        format!(
            "{:.0} req/s, {} errors, p99 {}",
            window.requests_per_second(),
            text::share(window.error_ratio()),
            text::latency(window.p99_us)
        )
    };
    let stable = scene.route.stable.as_ref();
    let stable =
        stable.map_or_else(String::new, |one| format!("stable {}: {}", one.effective, window(&one.window)));
    let canary = scene.route.canaries.first().map_or_else(String::new, |one| {
        let verdict = format!("{}, odds {}", one.verdict.kind.label(), text::odds(one.verdict.odds));
        format!("canary {}: {}; {verdict}", one.effective, window(&one.window))
    });
    format!("{:>7}    {stable}; {canary}\n", text::seconds(scene.elapsed))
}
