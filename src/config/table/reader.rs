//! Takes a table's keys one by one; those that nobody took are unknown.
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::diagnostic::{Findings, nearest};
use super::value::{FromToml, Value};

/// A table that is being read.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a> {
    /// `[dns]`; empty for the file itself.
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
    /// Keys that must be there and are not, each with a value that would do.
    missing: Vec<(&'static str, String)>,
}

/// Parses a file; every syntax error is reported.
pub(crate) fn parse<'a>(text: &'a str, findings: &mut Findings) -> Option<Spanned<DeTable<'a>>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        findings.error(error.span(), error.message());
    }
    if !errors.is_empty() {
        hide_likely_secrets(text, findings);
    }
    errors.is_empty().then_some(document)
}

/// A file that is no TOML cannot say which of its texts are secrets: what its keys call so is
/// kept out of excerpts.
fn hide_likely_secrets(text: &str, findings: &mut Findings) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some((key, _)) = line.split_once('=') {
            let key = key.to_ascii_lowercase();
            let words = ["password", "passwd", "secret", "token"];
            if words.iter().any(|word| key.contains(word)) {
                findings.hide(start + key.len() + 1..start + line.len());
            }
        }
        start += line.len();
    }
}

impl<'a> Table<'a> {
    /// The file itself.
    pub(crate) fn root(document: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table::new(String::new(), 0..0, document.get_ref())
    }

    pub(super) fn new(name: String, span: Range<usize>, entries: &'a DeTable<'a>) -> Table<'a> {
        Table {
            name,
            span,
            entries,
            known: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Whether the key is there, well-formed or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a key stands.
    pub(crate) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get_key_value(key).map(|(key, _)| key.span())
    }

    /// The value of a key, if it is there and can be read as `T`.
    pub(crate) fn optional<T: FromToml<'a>>(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        T::from_toml(self.value(key, value), findings)
    }

    /// The value of a key that must be there; `example` is a line that would do.
    pub(crate) fn required<T: FromToml<'a>>(
        &mut self,
        key: &'static str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.missing.push((key, example.to_owned()));
            return None;
        }
        self.optional(key, findings)
    }

    /// One of a few words; `default` where the key is missing.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
        findings: &mut Findings,
    ) -> T {
        let Some(found) = self.optional::<Spanned<String>>(key, findings) else {
            return default;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == found.get_ref()) {
            return *value;
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        findings
            .error(
                found.span(),
                format!("{:?} is no choice for {}", found.get_ref(), self.of(key)),
            )
            .label(format!("expected {}", all.join(" or ")))
            .nearest(found.get_ref(), words.iter().map(|(word, _)| *word));
        default
    }

    /// Refuses a key that is planned but not built, by its name.
    pub(crate) fn later(&mut self, key: &'static str, cure: &str, findings: &mut Findings) {
        self.known.push(key);
        if let Some(span) = self.span_of(key) {
            findings
                .error(span, format!("{} is not built yet", self.of(key)))
                .hint(cure);
        }
    }

    /// Every entry, for tables whose keys are names of the user's choice.
    pub(crate) fn named(self) -> Vec<(Spanned<&'a str>, Value<'a>)> {
        let entry = |(key, value): (&'a Spanned<toml::de::DeString<'a>>, _)| {
            let name: &'a str = key.get_ref();
            (Spanned::new(key.span(), name), self.value(name, value))
        };
        let mut entries: Vec<_> = self.entries.iter().map(entry).collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// Reports the keys that nobody took, and those that are missing: only once where the one is
    /// the other misspelt. Keys that begin with `x-` are the user's own.
    pub(crate) fn finish(self, findings: &mut Findings) {
        let mut misspelt = Vec::new();
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) && !name.starts_with("x-") {
                misspelt.extend(self.unknown(name, key.span(), findings));
            }
        }
        for (key, example) in &self.missing {
            if !misspelt.contains(key) {
                self.lacks(key, example, findings);
            }
        }
    }

    /// `[dns].server`, or `[dns]` for a table of the file itself.
    pub(crate) fn of(&self, key: &str) -> String {
        match self.name.is_empty() {
            true => format!("[{key}]"),
            false => format!("{}.{key}", self.name),
        }
    }

    fn value(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let name = match self.name.strip_suffix(']') {
            None => self.of(key),
            Some(_) if !value.get_ref().is_table() => self.of(key),
            Some(path) => format!("{path}.{key}]"),
        };
        Value {
            name,
            span: value.span(),
            toml: value.get_ref(),
        }
    }

    fn lacks(&self, key: &str, example: &str, findings: &mut Findings) {
        if self.name.is_empty() {
            findings
                .error(None, format!("[{key}] is missing"))
                .hint(format!("add {example}"));
        } else {
            findings
                .error(self.span.clone(), format!("{} lacks {key:?}", self.name))
                .hint(format!("add {key} = {example}"));
        }
    }

    /// Reports an unknown key; gives the known one that was probably meant.
    fn unknown(
        &self,
        key: &str,
        span: Range<usize>,
        findings: &mut Findings,
    ) -> Option<&'static str> {
        let finding = findings.error(span, format!("unknown key {key:?}"));
        if let Some(near) = nearest(key, self.known.iter().copied()) {
            finding.hint(format!("did you mean {near:?}?"));
            return Some(near);
        }
        let mut all = self.known.clone();
        all.sort_unstable();
        let place = match self.name.as_str() {
            "" => "the file",
            name => name,
        };
        finding.hint(format!("{place} knows {}", all.join(", ")));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_with_x_are_the_users_own_everywhere() {
        let text = "x-a = 1\n[t]\nname = \"n\"\nx-b = { c = 1 }\n";
        assert_eq!(messages(text), Vec::<String>::new());
    }

    #[test]
    fn a_missing_key_is_not_told_beside_its_misspelling() {
        assert_eq!(messages("[t]\nnmae = 1\n"), ["unknown key \"nmae\""]);
        assert_eq!(
            messages("[t]\nother = 1\n"),
            ["unknown key \"other\"", "[t] lacks \"name\""]
        );
    }

    /// Takes `[t].name` and nothing else.
    fn messages(text: &str) -> Vec<String> {
        let mut findings = Findings::new("x.toml");
        let document = parse(text, &mut findings).unwrap();
        let mut root = Table::root(&document);
        let mut table: Table<'_> = root.optional("t", &mut findings).unwrap();
        table.required::<String>("name", "\"x\"", &mut findings);
        table.finish(&mut findings);
        root.finish(&mut findings);
        let (_, diagnostics, _) = findings.into_parts();
        diagnostics.into_iter().map(|found| found.message).collect()
    }
}
