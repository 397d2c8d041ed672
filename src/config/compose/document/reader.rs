//! Walks the tree of a file and collects everything that is wrong with it.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::node::{self, Entry, Kind, Node};
use super::origins::Origins;
use crate::config::compose::Variable;
use crate::config::diagnostic::{Diagnostic, Severity};

/// A node and the key it stands under, which errors name.
#[derive(Clone, Copy)]
pub(crate) struct Value<'n> {
    pub(crate) name: &'n str,
    pub(crate) node: &'n Node,
}

/// The files of one project being read.
pub(crate) struct Reader<'a> {
    origins: Origins,
    pub(super) variables: &'a BTreeMap<String, Variable>,
    found: Vec<Diagnostic>,
}

/// More errors than anyone reads; the rest is counted.
const DIAGNOSTICS_MAX: usize = 100;

/// Characters: a message may quote the file, and the file may say anything.
const MESSAGE_MAX: usize = 300;

impl<'a> Reader<'a> {
    pub(crate) fn new(variables: &'a BTreeMap<String, Variable>) -> Reader<'a> {
        Reader {
            origins: Origins::default(),
            variables,
            found: Vec::new(),
        }
    }

    /// The tree of a file. `folder`: where relative paths in it begin. `None`: it is no YAML; that
    /// was reported.
    pub(crate) fn parse(&mut self, path: &Path, folder: &Path, text: String) -> Option<Node> {
        let start = self.origins.open(path, folder, text);
        let whole = start..start;
        let parsed = {
            let text = self.origins.text(&whole);
            node::parse(text, start)
        };
        match parsed {
            Ok(node) => Some(node),
            Err(error) => {
                self.found.push(Diagnostic {
                    span: error.span,
                    ..whole_file(path, error.message, None)
                });
                None
            }
        }
    }

    /// Where relative paths that stand there begin.
    pub(crate) fn folder_of(&self, span: &Range<usize>) -> &Path {
        self.origins.folder(span)
    }

    /// `FILE:LINE`, for what is told of another place.
    pub(crate) fn place_of(&self, span: &Range<usize>) -> String {
        let path = self.origins.path(span);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}:{}", self.origins.line(span))
    }

    pub(super) fn written(&self, span: &Range<usize>) -> &str {
        self.origins.written(span)
    }

    /// What is wrong, file by file and in the order of each, each thing once: what an alias repeats
    /// stands in one place.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let (mut found, origins) = (self.found, self.origins);
        found.sort_by_cached_key(|diagnostic| {
            let start = diagnostic.span.as_ref().map(|span| span.start);
            let path = &diagnostic.path;
            (origins.rank(path), path.clone(), start)
        });
        let mut seen = BTreeSet::new();
        let key = |diagnostic: &Diagnostic| {
            let span = diagnostic.span.clone().unwrap_or_default();
            (
                diagnostic.path.clone(),
                span.start,
                span.end,
                diagnostic.message.clone(),
            )
        };
        found.retain(|diagnostic| seen.insert(key(diagnostic)));
        let more = found.len().saturating_sub(DIAGNOSTICS_MAX);
        found.truncate(DIAGNOSTICS_MAX);
        if more > 0 {
            found.push(whole_file(
                origins.main(),
                format!("{more} more errors are not shown"),
                None,
            ));
        }
        found
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.found.is_empty()
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.report(span, message.into(), None);
    }

    pub(crate) fn error_with_hint(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report(span, message.into(), Some(hint.into()));
    }

    /// A name that is none of those there are; `otherwise` is the hint where none is near.
    pub(crate) fn unknown<'c>(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
        otherwise: &str,
    ) {
        // What will not be shown needs no hint: a hostile file has more mistakes than time.
        let is_shown = self.found.len() <= DIAGNOSTICS_MAX;
        let hint = match is_shown.then(|| nearest(name, candidates)).flatten() {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => otherwise.to_owned(),
        };
        self.report(span, message.into(), (!hint.is_empty()).then_some(hint));
    }

    pub(super) fn report(
        &mut self,
        span: &Range<usize>,
        mut message: String,
        hint: Option<String>,
    ) {
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_MAX) {
            message.truncate(end);
            message.push('…');
        }
        self.found.push(Diagnostic {
            severity: Severity::Error,
            path: self.origins.path(span).to_owned(),
            span: Some(self.origins.local(span)),
            message,
            label: None,
            hint,
        });
    }
}

/// A finding about a file as a whole.
pub(crate) fn whole_file(path: &Path, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        path: path.to_owned(),
        span: None,
        message,
        label: None,
        hint,
    }
}

impl Entry {
    pub(crate) fn value(&self) -> Value<'_> {
        Value {
            name: &self.key,
            node: &self.value,
        }
    }
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    pub(crate) fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "empty",
            Kind::Scalar(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// Longer than any key of Compose: comparing takes time by the product of both lengths.
const NAME_MAX: usize = 64;

/// The candidate that is meant most likely, if one is near enough.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let length = name.chars().count();
    if length > NAME_MAX {
        return None;
    }
    let allowed = (length / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}
