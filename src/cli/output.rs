//! What goes where: data to stdout, all else to stderr, colour only where someone sees it.
//!
//! A reader that goes away early (`andon decisions | head`) is no failure.

use std::io::{self, ErrorKind, IsTerminal, Write};

use super::{Exit, Failure};
use crate::config::Color;

pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure { exit: Exit::Failure, message: format!("stdout cannot be written: {error}") })
        }
        _ => Ok(()),
    }
}

pub(super) fn complain(text: &str) {
    // If stderr is gone as well, the exit code has to say it alone.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

pub(super) fn stdout_color() -> Color {
    color(io::stdout().is_terminal())
}

pub(super) fn stderr_color() -> Color {
    color(io::stderr().is_terminal())
}

fn color(is_terminal: bool) -> Color {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if is_terminal && !no_color && !is_dumb { Color::Ansi } else { Color::Plain }
}
