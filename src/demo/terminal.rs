//! The one place of the demo that writes: a picture that is redrawn in place, or one line after another.
//!
//! A live terminal gets its cursor back whatever happens: on the way out, on Ctrl-C, on a panic. Refuses to draw where
//! that cannot look right: no terminal, a dumb one, or one that is too small gets plain lines.

use std::io::{self, IsTerminal, Write};

use terminal_size::{Height, Width, terminal_size};

/// Below this the table of the picture does not fit.
pub(super) const WIDTH_MIN: usize = 60;
/// Wider, the eye gets lost between the columns.
const WIDTH_MAX: usize = 100;

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_ALL: &str = "\x1b[2J\x1b[H";

/// Whether colours may be used. Nothing is ever said by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Color,
    Plain,
}

/// A terminal that is drawn on. Lines drawn are erased, and the cursor is shown again, when it is dropped.
#[derive(Debug)]
pub(super) struct Canvas {
    pub(super) ink: Ink,
    size: Size,
    lines_drawn: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    width: usize,
    height: usize,
}

impl Canvas {
    /// `None`: stdout is nothing that a picture of `height` lines can be drawn on.
    pub(super) fn open(height: usize) -> Option<Self> {
        // The environment says what a terminal can do, and only the demo draws on one.
        let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_dumb = said("TERM").is_none_or(|name| name == "dumb");
        if !io::stdout().is_terminal() || is_dumb {
            return None;
        }
        let size = size().filter(|size| fits(*size, height))?;
        let ink = if said("NO_COLOR").is_some() { Ink::Plain } else { Ink::Color };
        put(HIDE_CURSOR).ok()?;
        Some(Self { ink, size, lines_drawn: 0 })
    }

    /// The width to draw for. Looks again, for a window may have been resized since.
    pub(super) fn width(&mut self) -> usize {
        let size = size().unwrap_or(self.size);
        if size != self.size {
            // Old lines may be wrapped now, so nobody knows where they are.
            self.size = size;
            self.lines_drawn = 0;
            // What cannot be written now cannot be drawn later, and that is reported.
            let _ = put(CLEAR_ALL);
        }
        self.size.width.min(WIDTH_MAX)
    }

    /// In the place of what was drawn before, and in one write, so that it does not flicker.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = self.to_first_line();
        for line in lines {
            text.push_str(line);
            text.push_str(CLEAR_LINE_END);
            text.push_str("\r\n");
        }
        text.push_str(CLEAR_BELOW);
        self.lines_drawn = lines.len();
        put(&text)
    }

    fn to_first_line(&self) -> String {
        match self.lines_drawn {
            0 => "\r".to_owned(),
            lines => format!("\r\x1b[{lines}A"),
        }
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        // If the terminal is gone, so is its cursor.
        let _ = put(&format!("{}{CLEAR_BELOW}{SHOW_CURSOR}", self.to_first_line()));
    }
}

/// Writes to stdout at once.
pub(super) fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Columns for text that stays. Where there is no terminal, it may be read in any.
pub(super) fn text_width() -> usize {
    const USUAL: usize = 80;
    let size = if io::stdout().is_terminal() { size() } else { None };
    size.map_or(USUAL, |size| size.width.clamp(WIDTH_MIN, USUAL))
}

fn size() -> Option<Size> {
    let (Width(width), Height(height)) = terminal_size()?;
    Some(Size { width: usize::from(width), height: usize::from(height) })
}

/// One line more than the picture: the cursor stands below it.
fn fits(size: Size, height: usize) -> bool {
    size.width >= WIDTH_MIN && size.height > height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_needs_its_size_and_a_line_for_the_cursor() {
        let fits_in = |width, height| fits(Size { width, height }, 23);
        assert!(fits_in(80, 24) && fits_in(WIDTH_MIN, 24));
        assert!(!fits_in(80, 23) && !fits_in(WIDTH_MIN - 1, 24));
    }
}
