//! env files, as Compose reads them (compose-go's `dotenv`, format of godotenv).
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::interpolate::{Fault, Found, interpolate};

/// One variable of an env file. `None`: the file names the variable alone, its value comes from
/// elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// What is wrong in an env file. Never quotes a value: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DotenvError {
    /// Bytes of the file.
    pub(crate) span: Range<usize>,
    pub(crate) reason: DotenvReason,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DotenvReason {
    NoName,
    Unclosed,
    Variable(Fault),
}

/// Every variable of `source`, in its order. Values see `look_up` first, then what stands above
/// them; those in single quotes are taken as they are.
pub(crate) fn parse<'v>(
    source: &str,
    look_up: &dyn Fn(&str) -> Option<Found<'v>>,
) -> Result<Vec<Line>, Vec<DotenvError>> {
    let mut run = Run {
        look_up,
        above: BTreeMap::new(),
        lines: Vec::new(),
        errors: Vec::new(),
    };
    let mut rest = source.trim_start_matches('\u{feff}').trim_start();
    while !rest.is_empty() {
        rest = run.statement(rest, source.len() - rest.len()).trim_start();
    }
    if run.errors.is_empty() {
        Ok(run.lines)
    } else {
        Err(run.errors)
    }
}

/// The same where nothing in a value means anything: no quotes, no variables, no comments behind it
/// (`format: raw`, as `docker run --env-file` reads).
pub(crate) fn parse_raw(source: &str) -> Result<Vec<Line>, Vec<DotenvError>> {
    let mut lines = Vec::new();
    let mut errors = Vec::new();
    let mut start = 0;
    for whole in source.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let text = line.trim_start_matches('\u{feff}').trim_start();
        if !text.is_empty() && !text.starts_with('#') {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text.trim_end(), None),
            };
            if name.is_empty() || name.contains(char::is_whitespace) {
                let at = start + (line.len() - text.len());
                errors.push(DotenvError {
                    span: at..at + name.len(),
                    reason: DotenvReason::NoName,
                });
            } else {
                lines.push(Line {
                    name: name.to_owned(),
                    value,
                });
            }
        }
        start += whole.len();
    }
    if errors.is_empty() {
        Ok(lines)
    } else {
        Err(errors)
    }
}

struct Run<'r, 'v> {
    look_up: &'r dyn Fn(&str) -> Option<Found<'v>>,
    above: BTreeMap<String, String>,
    lines: Vec<Line>,
    errors: Vec<DotenvError>,
}

impl Run<'_, '_> {
    /// Takes the statement that `text` begins with, `start` bytes into the file; gives the rest.
    fn statement<'s>(&mut self, text: &'s str, start: usize) -> &'s str {
        let (line, after_line) = text.split_once('\n').unwrap_or((text, ""));
        let span = start..start + line.trim_end().len();
        match split_name(line) {
            Statement::Comment => after_line,
            Statement::Bad => {
                self.errors.push(DotenvError {
                    span,
                    reason: DotenvReason::NoName,
                });
                after_line
            }
            Statement::Alone(name) => {
                self.lines.push(Line {
                    name: name.to_owned(),
                    value: None,
                });
                after_line
            }
            Statement::Value { name, value_at } => match split_value(&text[value_at..]) {
                Some((raw, style, after)) => {
                    self.value(name, &raw, style, span);
                    after
                }
                None => {
                    self.errors.push(DotenvError {
                        span,
                        reason: DotenvReason::Unclosed,
                    });
                    after_line
                }
            },
        }
    }

    fn value(&mut self, name: &str, raw: &str, style: Style, span: Range<usize>) {
        let text = match style {
            Style::SingleQuoted => return self.add(name, raw.to_owned()),
            Style::DoubleQuoted => Cow::Owned(unescape(raw)),
            Style::Plain => Cow::Borrowed(raw),
        };
        let look_up = |name: &str| match (self.look_up)(name) {
            Some(Found { value, is_secret }) => Some(Found {
                value: Cow::Owned(value.into_owned()),
                is_secret,
            }),
            None => {
                let value = Cow::Owned(self.above.get(name)?.clone());
                Some(Found {
                    value,
                    is_secret: true,
                })
            }
        };
        match interpolate(&text, &look_up) {
            Ok(text) => self.add(name, text.value),
            Err(faults) => self
                .errors
                .extend(faults.into_iter().map(|fault| DotenvError {
                    span: span.clone(),
                    reason: DotenvReason::Variable(fault),
                })),
        }
    }

    fn add(&mut self, name: &str, value: String) {
        self.above.insert(name.to_owned(), value.clone());
        self.lines.push(Line {
            name: name.to_owned(),
            value: Some(value),
        });
    }
}

enum Statement<'s> {
    Comment,
    Alone(&'s str),
    Value { name: &'s str, value_at: usize },
    Bad,
}

fn split_name(line: &str) -> Statement<'_> {
    if line.starts_with('#') {
        return Statement::Comment;
    }
    let statement = match line.strip_prefix("export") {
        Some(after) if after.starts_with([' ', '\t']) => after.trim_start(),
        Some(_) | None => line,
    };
    // Compose takes YAML's `KEY: VALUE` too.
    let sign = statement.find(['=', ':']);
    let name = statement[..sign.unwrap_or(statement.len())].trim_end();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    if name.is_empty() || !name.chars().all(is_part) {
        return Statement::Bad;
    }
    match sign {
        Some(sign) => Statement::Value {
            name,
            value_at: line.len() - statement.len() + sign + 1,
        },
        None => Statement::Alone(name),
    }
}

#[derive(Clone, Copy)]
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
}

/// The value as written, and what follows it. `None`: its quote is never closed.
fn split_value(text: &str) -> Option<(String, Style, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\r', '\u{b}', '\u{c}']);
    let (quote, style) = match text.chars().next() {
        Some('\'') => ('\'', Style::SingleQuoted),
        Some('"') => ('"', Style::DoubleQuoted),
        Some(_) | None => {
            let (line, after) = text.split_once('\n').unwrap_or((text, ""));
            let value = line.split_once(" #").map_or(line, |(value, _)| value);
            return Some((value.trim_end().to_owned(), Style::Plain, after));
        }
    };
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return Some((value, style, &text[at + 1..]));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        match characters.next() {
            Some((_, next)) if next == quote => value.push(quote),
            Some((_, next)) => value.extend(['\\', next]),
            None => break,
        }
    }
    None
}

/// The escapes of double quotes; `\$` becomes `$$`, which stands for a dollar sign.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('a') => text.push('\u{7}'),
            Some('f') => text.push('\u{c}'),
            Some('v') => text.push('\u{b}'),
            Some('$') => text.push_str("$$"),
            Some('\\') => text.push('\\'),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(name: &str) -> Option<Found<'static>> {
        (name == "SITE").then(|| Found {
            value: "fra".into(),
            is_secret: false,
        })
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        let source = "\u{feff}# comment\nA=1\n  export B = two words # comment\r\nC='si\\'ngle $SITE'\n\
                      D=\"a\\tb ${SITE} \\$x \\q\"\nE=${B}-$SITE\nF=\nG\nH: yaml\nI=a#b\n\n\
                      J=\"two\nlines\" # after\nexport K\nL=$$5\nM=\"q\\\"q\"\nlast.one=x";
        let lines = parse(source, &look_up).unwrap();
        let shown: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {:?}", line.name, line.value))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        A Some("1")
        B Some("two words")
        C Some("si'ngle $SITE")
        D Some("a\tb fra $x \\q")
        E Some("two words-fra")
        F Some("")
        G None
        H Some("yaml")
        I Some("a#b")
        J Some("two\nlines")
        K None
        L Some("$5")
        M Some("q\"q")
        last.one Some("x")
        "#);
    }

    #[test]
    fn every_error_has_its_line_and_no_value() {
        let source = "=x\nA B=hunter2\nC=$NONE hunter2\nD='hunter2\nE=1\n";
        let errors = parse(source, &look_up).unwrap_err();
        let shown: Vec<String> = errors
            .iter()
            .map(|error| format!("{:?} {:?}", error.span, error.reason))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        0..2 NoName
        3..14 NoName
        15..30 Variable(Fault { at: 0..5, reason: Undefined { name: "NONE" } })
        31..41 Unclosed
        "#);
    }
}
