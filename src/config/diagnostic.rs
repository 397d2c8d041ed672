//! What is wrong in a configuration file, where, and what to write instead.
use std::ops::Range;
use std::path::PathBuf;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub path: PathBuf,
    /// Bytes of the file; `None`: the file as a whole.
    pub span: Option<Range<usize>>,
    /// A lowercase fragment: `unknown key "restrat"`.
    pub message: String,
    /// What stands under the marked text.
    pub label: Option<String>,
    /// The cure: `did you mean "restart"?`
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Diagnostic {
    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Diagnostic {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// The nearest known word as hint, if one is near.
    pub(crate) fn nearest<'a>(
        &mut self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> &mut Diagnostic {
        match nearest(word, known) {
            Some(known) => self.hint(format!("did you mean {known:?}?")),
            None => self,
        }
    }
}

/// More findings in one file than anyone reads; the rest is counted. Each is shown with lines of its
/// file, so that a file that is wrong everywhere would take time with the square of its length.
const SHOWN_MAX: usize = 100;

/// The findings of one file, in the order in which they were made.
#[derive(Debug)]
pub(crate) struct Findings {
    path: PathBuf,
    diagnostics: Vec<Diagnostic>,
    /// The last of those that are not shown, as grave as the gravest, and how many they are.
    unshown: Option<(Diagnostic, usize)>,
    /// Where secrets stand that should not: no excerpt may show them.
    secrets: Vec<Range<usize>>,
}

impl Findings {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Findings {
        Findings {
            path: path.into(),
            diagnostics: Vec::new(),
            unshown: None,
            secrets: Vec::new(),
        }
    }

    pub(crate) fn error(
        &mut self,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(Severity::Error, span.into(), message.into())
    }

    pub(crate) fn warning(
        &mut self,
        span: impl Into<Option<Range<usize>>>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(Severity::Warning, span.into(), message.into())
    }

    /// Keeps what stands at `span` out of every excerpt.
    pub(crate) fn hide(&mut self, span: Range<usize>) {
        self.secrets.push(span);
    }

    pub(crate) fn has_errors(&self) -> bool {
        let mut all = self.diagnostics.iter();
        let unshown = self.unshown.as_ref();
        all.any(Diagnostic::is_error) || unshown.is_some_and(|(last, _)| last.is_error())
    }

    pub(crate) fn into_parts(mut self) -> (PathBuf, Vec<Diagnostic>, Vec<Range<usize>>) {
        if let Some((mut last, count)) = self.unshown {
            last.span = None;
            last.label = None;
            last.hint = None;
            last.message = format!("{count} more findings are not shown");
            self.diagnostics.push(last);
        }
        (self.path, self.diagnostics, self.secrets)
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Option<Range<usize>>,
        message: String,
    ) -> &mut Diagnostic {
        let found = Diagnostic {
            severity,
            path: self.path.clone(),
            span,
            message,
            label: None,
            hint: None,
        };
        if self.diagnostics.len() < SHOWN_MAX {
            self.diagnostics.push(found);
            let last = self.diagnostics.len() - 1;
            return &mut self.diagnostics[last];
        }
        let (before, count) = self.unshown.take().unwrap_or_else(|| (found.clone(), 0));
        let severity = found.severity.min(before.severity);
        let (last, _) = self.unshown.insert((found, count + 1));
        last.severity = severity;
        last
    }
}

/// The known word that was probably meant: one or two slips away, fewer in short words.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).clamp(1, 3);
    let distance = |known: &str| {
        strsim::damerau_levenshtein(&word.to_ascii_lowercase(), &known.to_ascii_lowercase())
    };
    known
        .into_iter()
        .map(|known| (distance(known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_a_hundred_are_counted_and_an_error_among_them_is_one() {
        let mut findings = Findings::new("site.toml");
        for at in 0..150 {
            findings.warning(at..at + 1, "odd");
        }
        assert!(!findings.has_errors());
        findings.error(0..1, "wrong").hint("right");
        findings.warning(0..1, "odd");
        assert!(findings.has_errors());
        let (_, diagnostics, _) = findings.into_parts();
        assert_eq!(diagnostics.len(), 101);
        let last = Diagnostic {
            severity: Severity::Error,
            path: "site.toml".into(),
            span: None,
            message: "52 more findings are not shown".to_owned(),
            label: None,
            hint: None,
        };
        assert_eq!(diagnostics[100], last);
    }

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["fra", "nyc", "addresses", "Europe/Berlin"];
        assert_eq!(nearest("far", known), Some("fra"));
        assert_eq!(nearest("adresses", known), Some("addresses"));
        assert_eq!(nearest("europe/berln", known), Some("Europe/Berlin"));
        assert_eq!(nearest("sin", known), None);
        assert_eq!(nearest("hosts", known), None);
    }
}
