//! The only place that prints: results to stdout, everything else to stderr.
use std::io::{IsTerminal, Write};

use super::args::{Color, Global};
use super::failure::{Failure, Said};

/// What goes where, and how.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent answers about flags and terminals, not a state"
)]
pub(crate) struct Output {
    pub(crate) is_json: bool,
    is_quiet: bool,
    /// Whether a person sits at stderr.
    pub(crate) is_terminal: bool,
    pub(crate) is_stdout_terminal: bool,
    has_color: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Output {
        let is_terminal = std::io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Output {
            is_json: global.json,
            is_quiet: global.quiet,
            is_terminal,
            is_stdout_terminal: std::io::stdout().is_terminal(),
            has_color: match global.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => is_terminal && !no_color,
            },
        }
    }

    /// Whether progress is shown.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.is_quiet
    }

    pub(crate) fn has_color(&self) -> bool {
        self.has_color
    }

    /// A line of the result, to stdout. A reader that has gone is no fault of ours.
    pub(crate) fn result(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        drop(writeln!(out, "{text}").and_then(|()| out.flush()));
    }

    /// A value as one line of JSON, to stdout.
    pub(crate) fn json(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string(value);
        self.result(&text.expect("texts, numbers and string keys always serialize"));
    }

    /// A line of progress, to stderr.
    pub(crate) fn progress(&self, text: &str) {
        if !self.is_quiet {
            self.say(text);
        }
    }

    /// What must be read, quiet or not, to stderr.
    pub(crate) fn say(&self, text: &str) {
        drop(writeln!(std::io::stderr(), "{text}"));
    }

    /// Why the command did not do what it was asked.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json {
            self.json(&json(failure));
        }
        let text = match &failure.said {
            Said::Report(report) => report.render(self.has_color),
            Said::Problems(problems) => problems
                .iter()
                .map(|problem| {
                    let error = self.paint("31;1", "error:");
                    let cure = self.paint("36", "  cure:");
                    format!("{error} {}\n{cure} {}\n", problem.what, problem.cure)
                })
                .collect(),
            Said::Nothing => String::new(),
        };
        if !text.is_empty() {
            self.say(text.trim_end());
        }
    }

    /// The text in an ANSI style, where colour is wanted.
    pub(crate) fn paint(&self, style: &str, text: &str) -> String {
        if self.has_color {
            format!("\u{1b}[{style}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

fn json(failure: &Failure) -> serde_json::Value {
    let errors: Vec<serde_json::Value> = match &failure.said {
        Said::Problems(problems) => problems
            .iter()
            .map(|problem| serde_json::json!({ "what": problem.what, "cure": problem.cure }))
            .collect(),
        Said::Report(report) => report
            .diagnostics()
            .iter()
            .map(|found| {
                serde_json::json!({ "what": found.message, "cure": found.hint, "file": found.path })
            })
            .collect(),
        Said::Nothing => Vec::new(),
    };
    serde_json::json!({ "v": 1, "exit": failure.exit.code(), "errors": errors })
}
