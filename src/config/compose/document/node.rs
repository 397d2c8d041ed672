//! A YAML document as a tree in which every node knows the bytes it stands at.
//!
//! Scalars keep the text that was written: `no` stays `no`, `0755` and `1.10` lose nothing.
//! Aliases and merge keys are expanded; what they bring points at where it was defined.
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, MessageFormatter, NonFiniteFloatPolicy, Spanned, Tagged};

/// One value of the document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Bytes of all files together.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
    pub(crate) merging: Merging,
}

/// What an override file says of the value that it stands over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Merging {
    #[default]
    Usual,
    /// `!reset`: it is as if it were not there.
    Reset,
    /// `!override`: this one replaces it whole.
    Override,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map and what it holds, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

/// Why a text is no YAML document.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) span: Option<Range<usize>>,
    pub(crate) message: String,
}

/// Parses one document, whose first byte is the `start`th of all files together. Keys given twice
/// are all kept: the reader names them.
pub(crate) fn parse(source: &str, start: usize) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_events: 2 * NODES_MAX,
            max_nodes: NODES_MAX,
            max_recorded_anchor_events: ALIASED_MAX,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: ALIASED_MAX },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: false,
        emit_comments: false,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Tree>(source, options) {
        Ok(tree) => tree.into_node(&Placing { source, start }),
        Err(error) => Err(SyntaxError {
            span: error
                .location()
                .and_then(|at| bytes_of(at, source).or_else(|| bytes_of_line(at, source))),
            message: message_of(&error),
        }),
    }
}

/// Far above any Compose file, and small enough that a file made to expand without end (a "YAML
/// bomb") is refused at once.
pub(crate) const NODES_MAX: usize = 50_000;
/// What aliases may bring in all.
const ALIASED_MAX: usize = 10_000;
/// Compose nests eight deep at most. Reading takes up to 64 KiB of stack for each level where nothing
/// is optimized, and threads have 2 MiB.
const DEPTH_MAX: usize = 24;

struct Tree(Spanned<Tagged<Value>>);

/// A node as serde hands it over. Inferred types are dropped again for the text at their span;
/// the text kept here stands in where there is none, as for `!!int "5"`.
enum Value {
    Null,
    Text(String),
    Inferred(String),
    List(Vec<Tree>),
    Map(Vec<(Spanned<String>, Tree)>),
}

/// Where a document's text stands.
struct Placing<'s> {
    source: &'s str,
    start: usize,
}

impl Placing<'_> {
    fn of(&self, span: &Range<usize>) -> Range<usize> {
        self.start + span.start..self.start + span.end
    }
}

impl Tree {
    fn into_node(self, placing: &Placing<'_>) -> Result<Node, SyntaxError> {
        let span = bytes_of(self.0.defined, placing.source).unwrap_or_default();
        let Tagged(value, tag) = self.0.value;
        let merging = merging(tag.as_deref()).map_err(|message| SyntaxError {
            span: Some(span.clone()),
            message,
        })?;
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Text(text) => Kind::Scalar(text),
            Value::Inferred(inferred) => Kind::Scalar(as_written(placing.source, &span, inferred)),
            Value::List(items) => {
                let items = items.into_iter().map(|item| item.into_node(placing));
                Kind::List(items.collect::<Result<_, _>>()?)
            }
            Value::Map(entries) => {
                let entry = |(key, value): (Spanned<String>, Tree)| {
                    let key_span = bytes_of(key.defined, placing.source).unwrap_or_default();
                    Ok(Entry {
                        key_span: placing.of(&key_span),
                        key: key.value,
                        value: value.into_node(placing)?,
                    })
                };
                Kind::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
        };
        Ok(Node {
            span: placing.of(&span),
            kind,
            merging,
        })
    }
}

/// What a tag says; YAML's own types say nothing new. Another one is refused: nobody knows what it
/// asks for.
fn merging(tag: Option<&str>) -> Result<Merging, String> {
    match tag {
        None | Some("!") => Ok(Merging::Usual),
        Some("!reset") => Ok(Merging::Reset),
        Some("!override") => Ok(Merging::Override),
        Some(tag) if tag.starts_with("tag:yaml.org,2002:") || tag.starts_with("!!") => {
            Ok(Merging::Usual)
        }
        Some(tag) => Err(format!("unsupported tag `{tag}`")),
    }
}

/// A scalar whose type was inferred is plain and stands on one line, so the source is its text.
fn as_written(source: &str, span: &Range<usize>, inferred: String) -> String {
    match source.get(span.clone()) {
        Some(text) if !text.is_empty() && !text.starts_with(['"', '\'', '!', '|', '>']) => {
            text.trim().to_owned()
        }
        Some(_) | None => inferred,
    }
}

fn bytes_of(location: Location, source: &str) -> Option<Range<usize>> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let end = start.checked_add(length)?.min(source.len());
    (start <= end).then_some(start..end)
}

/// Syntax errors carry a line and a column only: from there to the end of the line.
fn bytes_of_line(location: Location, source: &str) -> Option<Range<usize>> {
    let number = usize::try_from(location.line()).ok()?.checked_sub(1)?;
    let column = usize::try_from(location.column()).ok()?.checked_sub(1)?;
    let line = source.split_inclusive('\n').nth(number)?;
    let line_start = line.as_ptr() as usize - source.as_ptr() as usize;
    let text = line.trim_end();
    let offset = text
        .char_indices()
        .nth(column)
        .map_or(text.len(), |(at, _)| at);
    Some(line_start + offset..line_start + text.len())
}

fn message_of(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let text = serde_saphyr::UserMessageFormatter.format_message(error);
    if matches!(error, serde_saphyr::Error::Budget { .. }) || text.contains("limits breached") {
        return "the file, or what its aliases expand to, is too large for a Compose file".into();
    }
    if text.contains("recursion limit") {
        return "the file is nested too deep for a Compose file".into();
    }
    text.chars().filter(|c| !c.is_control()).collect()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        Spanned::deserialize(deserializer).map(Tree)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Inferred(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Inferred(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Inferred(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Inferred(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_keeps_the_text_that_was_written() {
        let source = "a: no\nb: 0755\nc: 1.10\nd: \"0x1F\"\ne: ~\nf:\ng: 1_000\nh: .inf\ni: 22:22\n\
                      j: !!int \"5\"\nk: -07\nl: 'it''s'\nm: |\n  two\n  lines\nn: !!str 007\n";
        insta::assert_snapshot!(shown(&parse(source, 0).unwrap(), source), @r#"
        .a "no" at Some("no")
        .b "0755" at Some("0755")
        .c "1.10" at Some("1.10")
        .d "0x1F" at Some("\"0x1F\"")
        .e null
        .f null
        .g "1_000" at Some("1_000")
        .h ".inf" at Some(".inf")
        .i "22:22" at Some("22:22")
        .j "5" at Some("\"5\"")
        .k "-07" at Some("-07")
        .l "it's" at Some("'it''s'")
        .m "two\nlines\n" at Some("two\n  lines\n")
        .n "007" at Some("007")
        "#);
    }

    #[test]
    fn merges_and_aliases_point_at_their_definition() {
        let source = "base: &b { x: 1, y: é }\nuse:\n  <<: *b\n  x: 2\nagain: [*b]\n";
        insta::assert_snapshot!(shown(&parse(source, 0).unwrap(), source), @r#"
        .base.x "1" at Some("1")
        .base.y "é" at Some("é")
        .use.x "2" at Some("2")
        .use.y "é" at Some("é")
        .again[].x "1" at Some("1")
        .again[].y "é" at Some("é")
        "#);
    }

    #[test]
    fn a_key_given_twice_is_kept_twice() {
        let source = "\u{feff}a: 1\r\na: 2\r\n";
        insta::assert_snapshot!(shown(&parse(source, 0).unwrap(), source), @r#"
        .a "1" at Some("1")
        .a "2" at Some("2")
        "#);
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        let sources = [
            "a: [1, 2",
            "a: b: c",
            "a: 1\n---\nb: 2\n",
            "a: *nowhere",
            "a: !secret x",
            "a:\n\tb: 1",
            "a: &a [*a]",
            "? [x]\n: 1",
        ];
        let found: Vec<String> = sources
            .iter()
            .map(|source| {
                let error = parse(source, 0).unwrap_err();
                format!("{source:?}: {:?} {}", error.span, error.message)
            })
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        "a: [1, 2": Some(3..8) unclosed bracket '['
        "a: b: c": Some(4..7) mapping values are not allowed in this context
        "a: 1\n---\nb: 2\n": Some(9..9) only single YAML document expected but multiple found
        "a: *nowhere": Some(3..11) reference to unknown value
        "a: !secret x": Some(11..12) unsupported tag `!secret`
        "a:\n\tb: 1": Some(4..8) tabs disallowed within this context (block indentation)
        "a: &a [*a]": Some(7..9) Recursive reference not allowed here
        "? [x]\n: 1": Some(2..3) expected string scalar
        "#);
    }

    #[test]
    fn a_yaml_bomb_is_refused_at_once() {
        let mut source = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            let items = vec![below; 9].join(", ");
            source.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(parse(&source, 0).unwrap_err().message.contains("too large"));
        let deep = format!("{}x{}", "[".repeat(5000), "]".repeat(5000));
        assert!(parse(&deep, 0).is_err());
    }

    /// On a stack of 2 MiB, as threads have it; without the limit it overflows.
    #[test]
    fn lists_and_maps_too_deep_in_each_other_are_refused_before_the_stack_ends() {
        let read = |open: &str, close: &str, levels: usize| {
            let source = format!("{}x{}", open.repeat(levels), close.repeat(levels));
            let reading = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
            let reading = reading.spawn(move || parse(&source, 0).map(drop));
            reading.unwrap().join().unwrap()
        };
        assert!(read("[", "]", DEPTH_MAX - 1).is_ok());
        for (open, close) in [("[", "]"), ("{n: ", "}"), ("[n: ", "]"), ("[n: ", "")] {
            for levels in [DEPTH_MAX + 1, 100, 5000] {
                let error = read(open, close, levels).unwrap_err();
                assert!(!error.message.is_empty(), "{levels} times {open}");
            }
        }
    }

    #[test]
    fn what_a_tag_says_of_merging_is_kept_and_spans_count_from_the_start() {
        let source = "a: !reset null\nb: !override [x]\nc: !!str 5\n";
        let node = parse(source, 100).unwrap();
        let Kind::Map(entries) = &node.kind else {
            panic!("{node:?}");
        };
        let merging: Vec<Merging> = entries.iter().map(|entry| entry.value.merging).collect();
        assert_eq!(merging, [Merging::Reset, Merging::Override, Merging::Usual]);
        assert_eq!(entries[1].key_span, 115..116);
        assert_eq!(entries[2].value.span.end, 100 + source.len() - 1);
    }

    fn shown(node: &Node, source: &str) -> String {
        let mut lines = Vec::new();
        show(node, source, "", &mut lines);
        lines.join("\n")
    }

    fn show(node: &Node, source: &str, path: &str, lines: &mut Vec<String>) {
        let at = source.get(node.span.clone());
        match &node.kind {
            Kind::Null => lines.push(format!("{path} null")),
            Kind::Scalar(text) => lines.push(format!("{path} {text:?} at {at:?}")),
            Kind::List(items) => items
                .iter()
                .for_each(|item| show(item, source, &format!("{path}[]"), lines)),
            Kind::Map(entries) => entries.iter().for_each(|entry| {
                assert_eq!(source.get(entry.key_span.clone()), Some(entry.key.as_str()));
                show(
                    &entry.value,
                    source,
                    &format!("{path}.{}", entry.key),
                    lines,
                );
            }),
        }
    }
}
