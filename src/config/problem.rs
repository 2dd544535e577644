//! What is wrong with a configuration file: every problem with its place, drawn as a compiler draws it.
//!
//! A problem says where, what was found, and what is accepted. The same list is drawn for people, printed one
//! line each for scripts, and serialised for machines, so the three cannot disagree. Knows nothing of TOML.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde::Serialize;

/// Kept of one file; the others are counted.
pub const PROBLEMS_MAX: usize = 100;

/// A longer line is not drawn: only its place is named.
const DRAWN_LINE_BYTES_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What was found.
    pub message: String,
    /// A few words at the place itself.
    pub label: String,
    /// What is accepted.
    pub help: Option<String>,
}

/// All problems of one file, in order of place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The name of the file as the operator wrote it.
    pub file: String,
    pub text: String,
    /// At least one, at most [`PROBLEMS_MAX`].
    pub list: Vec<Problem>,
    /// How many were found beyond those.
    pub more: usize,
    level: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// Whether to draw with terminal colour codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Plain,
    Ansi,
}

/// One problem without its text: a line for scripts, an object for JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

impl Problems {
    pub(super) fn new(file: &str, text: &str, mut list: Vec<Problem>, more: usize) -> Self {
        for problem in &mut list {
            let start = text.floor_char_boundary(problem.span.start);
            problem.span = start..text.ceil_char_boundary(problem.span.end).max(start);
            let texts = [&mut problem.message, &mut problem.label];
            texts.into_iter().chain(&mut problem.help).for_each(make_printable);
        }
        list.sort_by_key(|problem| problem.span.start);
        Self { file: file.to_owned(), text: text.to_owned(), list, more, level: Severity::Error }
    }

    /// A problem of the file as a whole, without a place in it.
    pub fn of_file(file: &str, message: String, help: &str) -> Self {
        let label = "here".to_owned();
        let list = vec![Problem { span: 0..0, message, label, help: Some(help.to_owned()) }];
        Self::new(file, "", list, 0)
    }

    /// The same, drawn as what does not keep the file from being used.
    pub(super) fn into_warnings(self) -> Self {
        Self { level: Severity::Warning, ..self }
    }

    /// The report for people. Each problem names its `file:line:column` and shows the line.
    pub fn drawn(&self, color: Color) -> String {
        let renderer = match color {
            Color::Plain => Renderer::plain(),
            Color::Ansi => Renderer::styled(),
        };
        let mut out = String::new();
        for (problem, line) in self.list.iter().zip(self.places()) {
            out.push_str(&self.draw(&renderer, problem, &line));
            out.push_str("\n\n");
        }
        if let Some(more) = self.more_line() {
            out.push_str(&more);
            out.push('\n');
        }
        out
    }

    /// One [`Placed`] for each kept problem, in order of place.
    pub fn lines(&self) -> Vec<Placed> {
        let placed = |(problem, line): (&Problem, Line)| Placed {
            file: self.file.clone(),
            line: line.number,
            column: self.column(problem, &line),
            found: problem.message.clone(),
            accepted: problem.help.clone(),
        };
        self.list.iter().zip(self.places()).map(placed).collect()
    }

    fn draw(&self, renderer: &Renderer, problem: &Problem, line: &Line) -> String {
        let level = match self.level {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&problem.message);
        let text = &self.text[line.span.clone()];
        let group = if text.is_empty() || text.len() > DRAWN_LINE_BYTES_MAX {
            let place = Origin::path(&self.file).line(line.number).char_column(self.column(problem, line));
            title.element(place)
        } else {
            // Of a value over several lines, the first is shown.
            let start = problem.span.start.clamp(line.span.start, line.span.end);
            let end = problem.span.end.clamp(start, line.span.end);
            let shown = start - line.span.start..end - line.span.start;
            let mark = AnnotationKind::Primary.span(shown).label(&problem.label);
            title.element(Snippet::source(text).path(&self.file).line_start(line.number).annotation(mark))
        };
        let group = match &problem.help {
            Some(help) => group.element(Level::HELP.message(help)),
            None => group,
        };
        renderer.render(&[group])
    }

    /// The line that each problem begins on. One pass over the text, since the list is in order of place.
    fn places(&self) -> Vec<Line> {
        let bytes = self.text.as_bytes();
        let (mut number, mut begin) = (1, 0);
        let place = |problem: &Problem| {
            let start = problem.span.start.clamp(begin, bytes.len());
            let passed = &bytes[begin..start];
            number += passed.iter().filter(|byte| **byte == b'\n').count();
            begin += passed.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let rest = &bytes[begin..];
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            Line { number, span: begin..begin + length }
        };
        self.list.iter().map(place).collect()
    }

    fn column(&self, problem: &Problem, line: &Line) -> usize {
        let start = problem.span.start.clamp(line.span.start, line.span.end);
        self.text[line.span.start..start].chars().count() + 1
    }

    fn more_line(&self) -> Option<String> {
        match self.more {
            0 => None,
            1 => Some(format!("{}: and 1 more problem", self.file)),
            more => Some(format!("{}: and {more} more problems", self.file)),
        }
    }
}

/// What a file says may reach a terminal: its control characters may not.
fn make_printable(text: &mut String) {
    text.retain(|c| !c.is_control());
}

/// One line of the text, without its end.
struct Line {
    /// Counted from 1.
    number: usize,
    span: Range<usize>,
}

impl fmt::Display for Placed {
    /// `file:line:column: found; accepted`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: {}", self.file, self.line, self.column, self.found)?;
        match &self.accepted {
            Some(accepted) => write!(out, "; {accepted}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    /// One line each, then one that says how many more there are.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines().into_iter().map(|line| line.to_string());
        out.write_str(&lines.chain(self.more_line()).collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for Problems {}
