//! Shows findings with the lines they are about, as rustc does.
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use super::diagnostic::{Diagnostic, Findings, Severity};
use super::sources::Sources;

/// Findings, and the text of the files they are about. `Display` is the plain rendering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a finding that nobody sees helps nobody"]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    texts: BTreeMap<PathBuf, Text>,
    /// Paths below it are shown relative to it.
    base: PathBuf,
}

/// What may be shown of a file: secrets are starred out, control characters gone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Shown(String),
    /// An env file or the like, where every value may be a secret: good for line numbers only.
    Hidden(String),
}

impl Report {
    /// Every finding, errors and warnings, in the order of files and places.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// The text for people; with terminal colours if `color`.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let render = |diagnostic| self.render_one(diagnostic, &renderer);
        let mut text = self
            .diagnostics
            .iter()
            .map(render)
            .collect::<Vec<_>>()
            .join("\n\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    fn render_one(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let path = normalize_untrusted_str(&self.shown(&diagnostic.path));
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(printable(&diagnostic.message));
        let mut group = match (self.texts.get(&diagnostic.path), &diagnostic.span) {
            (Some(Text::Shown(text)), Some(span)) => {
                title.element(excerpt(text, span, path, diagnostic))
            }
            (Some(Text::Hidden(text)), Some(span)) => {
                let (line, column) = place(text, span.start);
                title.element(Origin::path(path).line(line).char_column(column))
            }
            (None, _) | (_, None) => title.element(Origin::path(path)),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(printable(hint)));
        }
        let groups: &[Group<'_>] = &[group];
        renderer.render(groups)
    }

    fn shown(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.base).unwrap_or(path);
        relative.display().to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// Collects what every file's reader found.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    diagnostics: Vec<Diagnostic>,
    /// Of the files that know their secrets.
    secrets: BTreeMap<PathBuf, Vec<Range<usize>>>,
}

impl Collected {
    pub(crate) fn add(&mut self, findings: Findings) {
        let (path, diagnostics, secrets) = findings.into_parts();
        self.extend(diagnostics);
        self.secrets.entry(path).or_default().extend(secrets);
    }

    /// Adds what is not there yet: a Compose file is read once a host, and says the same each
    /// time.
    pub(crate) fn extend(&mut self, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            if !self.diagnostics.contains(&diagnostic) {
                self.diagnostics.push(diagnostic);
            }
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The report, with the texts of `sources`; files stand in the order in which they were
    /// first spoken of, their findings in the order of their places.
    pub(crate) fn into_report(mut self, sources: &Sources, base: &Path) -> Report {
        let mut files: Vec<PathBuf> = Vec::new();
        for diagnostic in &self.diagnostics {
            if !files.contains(&diagnostic.path) {
                files.push(diagnostic.path.clone());
            }
        }
        self.diagnostics.sort_by_key(|diagnostic| {
            let file = files.iter().position(|path| *path == diagnostic.path);
            (file, diagnostic.span.as_ref().map(|span| span.start))
        });
        let text_of = |path: &PathBuf| {
            let text = sources.text_of(path)?;
            let text = match (self.secrets.get(path), is_yaml(path)) {
                (Some(secrets), _) => Text::Shown(presentable(text, secrets)),
                (None, true) => Text::Shown(presentable(text, &[])),
                (None, false) => Text::Hidden(starred(text)),
            };
            Some((path.clone(), text))
        };
        Report {
            texts: files.iter().filter_map(text_of).collect(),
            diagnostics: self.diagnostics,
            base: base.to_owned(),
        }
    }
}

fn excerpt<'a>(
    text: &'a str,
    span: &Range<usize>,
    path: String,
    diagnostic: &Diagnostic,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let annotation = AnnotationKind::Primary
        .span(within(text, span))
        .label(diagnostic.label.as_deref().map(printable));
    Snippet::source(text).path(path).annotation(annotation)
}

/// The span, moved to where the renderer can take it: inside the text, between characters.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let start = (0..=span.start.min(text.len())).rev().find(is_boundary);
    let start = start.unwrap_or(0);
    let end = (span.end.clamp(start, text.len())..=text.len()).find(is_boundary);
    let end = end.unwrap_or(text.len());
    start..end
}

/// Line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..within(text, &(at..at)).start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// Compose files; what else a Compose file brings along may hold secrets.
fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml"))
}

/// One line without characters that steer a terminal.
fn printable(text: &str) -> String {
    let printed = |c: char| match c {
        '\n' => ' ',
        c if is_c1(c) => '\u{b7}',
        c => c,
    };
    normalize_untrusted_str(&text.chars().map(printed).collect::<String>())
}

/// The text with secrets starred out and C1 controls replaced, every other byte in its place:
/// spans still fit. The renderer itself shows C0 controls and bidirectional overrides as symbols.
fn presentable(text: &str, secrets: &[Range<usize>]) -> String {
    let mut is_secret = vec![false; text.len()];
    for span in secrets {
        let span = span.start.min(text.len())..span.end.min(text.len());
        is_secret[span.start.min(span.end)..span.end].fill(true);
    }
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if is_secret[at] && c != '\n' {
            shown.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else if is_c1(c) {
            shown.push('\u{b7}');
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The lines of a text, and nothing of what stands in them.
fn starred(text: &str) -> String {
    let star = |c: char| match c {
        '\n' => "\n".to_owned(),
        c => "*".repeat(c.len_utf8()),
    };
    text.chars().map(star).collect()
}

fn is_c1(c: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_place_the_label_and_the_cure() {
        let report = report_of("name = 1\n[dns]\nservr = \"x\"\n", |findings| {
            findings
                .error(15..20, "unknown key \"servr\"")
                .label("not a key of [dns]")
                .nearest("servr", ["server", "zone"]);
        });
        insta::assert_snapshot!(report, @r#"
        error: unknown key "servr"
         --> site.toml:3:1
          |
        3 | servr = "x"
          | ^^^^^ not a key of [dns]
          |
          = help: did you mean "server"?
        "#);
    }

    #[test]
    fn a_file_cannot_steer_the_terminal_and_secrets_are_starred_out() {
        let text = "a = \"\u{1b}[31m\u{9b}2J\"\nb = \"hunter2\"\n";
        let report = report_of(text, |findings| {
            findings.hide(21..28);
            findings.error(4..15, "bad \u{1b}[2J\u{9b}text");
            findings.error(20..29, "a secret stands here");
        });
        let shown = report.render(false);
        assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
        assert!(!format!("{report:?}").contains("hunter2"));
        insta::assert_snapshot!(report, @r#"
        error: bad ␛[2J·text
         --> site.toml:1:5
          |
        1 | a = "␛[31m·2J"
          |     ^^^^^^^^^^

        error: a secret stands here
         --> site.toml:2:5
          |
        2 | b = "*******"
          |     ^^^^^^^^^
        "#);
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let report = report_of("a = 1\n", |findings| {
            findings.error(0..1, "wrong");
        });
        assert!(report.render(true).contains("\u{1b}["));
        assert!(!report.render(false).contains('\u{1b}'));
    }

    #[test]
    fn what_is_said_twice_is_shown_once_and_places_are_in_order() {
        let mut collected = Collected::default();
        for span in [4..5, 0..1, 4..5] {
            let mut findings = Findings::new("/etc/site.toml");
            findings.error(span, "wrong");
            collected.add(findings);
        }
        let report = collected.into_report(&Sources::disk(), Path::new("/etc"));
        let spans: Vec<_> = report
            .diagnostics()
            .iter()
            .map(|d| d.span.clone())
            .collect();
        assert_eq!(spans, [Some(0..1), Some(4..5)]);
    }

    fn report_of(text: &str, find: impl FnOnce(&mut Findings)) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        std::fs::write(&path, text).unwrap();
        let mut sources = Sources::disk();
        sources.read(&path).unwrap();
        let mut findings = Findings::new(&path);
        find(&mut findings);
        let mut collected = Collected::default();
        collected.add(findings);
        collected.into_report(&sources, folder.path())
    }
}
