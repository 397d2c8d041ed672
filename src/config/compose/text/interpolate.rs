//! `${VAR}` and its forms, as Compose reads them in the values of its files.
//!
//! Two differences, both on purpose: a variable that is not defined is a fault (Compose warns and
//! takes nothing), and it is known of every text whether a secret flowed into it.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

/// The value of a variable where it is used.
pub(crate) struct Found<'v> {
    pub(crate) value: Cow<'v, str>,
    pub(crate) is_secret: bool,
}

/// A text with every variable filled in.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Where in `value` the first secret begins.
    pub(crate) secret_at: Option<usize>,
    /// The variables whose values are part of it.
    pub(crate) uses: BTreeSet<String>,
}

/// What is wrong with a reference to a variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes of the text that was interpolated.
    pub(crate) at: Range<usize>,
    pub(crate) reason: Reason,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Undefined {
        name: String,
    },
    /// `${NAME:?text}`: what the file says about it.
    Required {
        name: String,
        text: String,
    },
    Malformed,
    Unclosed,
    /// Defaults within defaults, or a result, beyond any use.
    TooLarge,
}

/// Fills in every variable of `text`; every fault in it is told.
pub(crate) fn interpolate<'v>(
    text: &str,
    look_up: &dyn Fn(&str) -> Option<Found<'v>>,
) -> Result<Text, Vec<Fault>> {
    let mut run = Run {
        look_up,
        out: Text::default(),
        faults: Vec::new(),
    };
    run.expand(text, 0, 0);
    if run.faults.is_empty() {
        Ok(run.out)
    } else {
        Err(run.faults)
    }
}

const DEPTH_MAX: usize = 16;
const LENGTH_MAX: usize = 4 * 1024 * 1024;

struct Run<'r, 'v> {
    look_up: &'r dyn Fn(&str) -> Option<Found<'v>>,
    out: Text,
    faults: Vec<Fault>,
}

impl Run<'_, '_> {
    /// Expands `text`, which stands `base` bytes into the whole.
    fn expand(&mut self, text: &str, base: usize, depth: usize) {
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            self.out.value.push_str(&rest[..dollar]);
            let at = base + text.len() - rest.len() + dollar;
            let after = &rest[dollar + 1..];
            let taken = if self.out.value.len() > LENGTH_MAX || depth > DEPTH_MAX {
                self.fault(at..at + 1, Reason::TooLarge);
                return;
            } else if after.starts_with('$') {
                self.out.value.push('$');
                1
            } else if after.starts_with('{') {
                self.braced(after, at, depth)
            } else {
                self.named(after, at)
            };
            rest = &after[taken..];
        }
        self.out.value.push_str(rest);
    }

    /// `$NAME`; any other dollar sign stands for itself, as in Compose.
    fn named(&mut self, after: &str, at: usize) -> usize {
        let name = &after[..name_length(after)];
        if name.is_empty() {
            self.out.value.push('$');
        } else {
            self.value_of(name, at..at + 1 + name.len());
        }
        name.len()
    }

    /// `${NAME}` and `${NAME:-…}` and its like; `after` begins with the brace.
    fn braced(&mut self, after: &str, at: usize, depth: usize) -> usize {
        let Some(close) = closing_brace(after) else {
            self.fault(at..at + 1 + after.len(), Reason::Unclosed);
            return after.len();
        };
        let whole = at..at + close + 2;
        let inner = &after[1..close];
        let (name, operation) = inner.split_at(name_length(inner));
        let operand_at = |length: usize| at + 2 + name.len() + length;
        if name.is_empty() {
            self.fault(whole, Reason::Malformed);
        } else if operation.is_empty() {
            self.value_of(name, whole);
        } else if let Some((operator, operand)) = Operator::split(operation) {
            let operand_at = operand_at(operation.len() - operand.len());
            self.operate(name, operator, (operand, operand_at), whole, depth);
        } else {
            self.fault(whole, Reason::Malformed);
        }
        close + 1
    }

    fn operate(
        &mut self,
        name: &str,
        operator: Operator,
        (operand, operand_at): (&str, usize),
        whole: Range<usize>,
        depth: usize,
    ) {
        let is_there = (self.look_up)(name)
            .is_some_and(|found| !operator.empty_is_unset || !found.value.is_empty());
        match (operator.kind, is_there) {
            (OperatorKind::Default | OperatorKind::Require, true) => self.value_of(name, whole),
            (OperatorKind::Default, false) | (OperatorKind::Replace, true) => {
                self.expand(operand, operand_at, depth + 1);
            }
            (OperatorKind::Replace, false) => {}
            (OperatorKind::Require, false) => {
                let (name, text) = (name.to_owned(), operand.to_owned());
                self.fault(whole, Reason::Required { name, text });
            }
        }
    }

    fn value_of(&mut self, name: &str, at: Range<usize>) {
        match (self.look_up)(name) {
            Some(found) => {
                if found.is_secret && !found.value.is_empty() {
                    self.out.secret_at.get_or_insert(self.out.value.len());
                }
                self.out.value.push_str(&found.value);
                self.out.uses.insert(name.to_owned());
            }
            None => self.fault(
                at,
                Reason::Undefined {
                    name: name.to_owned(),
                },
            ),
        }
    }

    fn fault(&mut self, at: Range<usize>, reason: Reason) {
        self.faults.push(Fault { at, reason });
    }
}

#[derive(Clone, Copy)]
struct Operator {
    kind: OperatorKind,
    /// With a colon before it: an empty value counts as none.
    empty_is_unset: bool,
}

#[derive(Clone, Copy)]
enum OperatorKind {
    Default,
    Replace,
    Require,
}

impl Operator {
    fn split(text: &str) -> Option<(Operator, &str)> {
        let (empty_is_unset, sign) = match text.strip_prefix(':') {
            Some(sign) => (true, sign),
            None => (false, text),
        };
        let kind = match sign.chars().next()? {
            '-' => OperatorKind::Default,
            '+' => OperatorKind::Replace,
            '?' => OperatorKind::Require,
            _ => return None,
        };
        Some((
            Operator {
                kind,
                empty_is_unset,
            },
            &sign[1..],
        ))
    }
}

fn name_length(text: &str) -> usize {
    let is_part = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    text.char_indices()
        .take_while(|found| is_part(*found))
        .count()
}

/// The brace that closes the one `text` begins with; braces within count, as in Compose.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 1 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(name: &str) -> Option<Found<'static>> {
        let (value, is_secret) = match name {
            "A" => ("a", false),
            "EMPTY" => ("", false),
            "PASSWORD" => ("hunter2", true),
            "RAW" => ("$A ${A}", false),
            _ => return None,
        };
        Some(Found {
            value: Cow::Borrowed(value),
            is_secret,
        })
    }

    fn value(text: &str) -> String {
        match interpolate(text, &look_up) {
            Ok(text) => text.value,
            Err(faults) => format!("{faults:?}"),
        }
    }

    #[test]
    fn every_form_gives_what_compose_gives() {
        let forms = [
            ("$A ${A} x$A", "a a xa"),
            ("$$A $${A} $$$A", "$A ${A} $a"),
            ("${A:-x} ${EMPTY:-x} ${NONE:-x}", "a x x"),
            ("${A-x} ${EMPTY-x} ${NONE-x}", "a  x"),
            ("${A:+x} ${EMPTY:+x} ${NONE:+x}", "x  "),
            ("${A+x} ${EMPTY+x} ${NONE+x}", "x x "),
            ("${A:?x} ${A?x} ${EMPTY?x}", "a a "),
            ("${NONE:-${OTHER:-${A}-b}}c", "a-bc"),
            ("${NONE:-$A$$}", "a$"),
            ("${NONE:-{\"k\": \"${A}\"}}", "{\"k\": \"a\"}"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("^a$ $1 $- é$", "^a$ $1 $- é$"),
            ("$RAW", "$A ${A}"),
            ("$Aé", "aé"),
        ];
        for (text, expected) in forms {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn every_fault_of_a_text_is_told_with_its_place() {
        let text = "é$NONE ${B} ${1} ${A:=x} ${EMPTY:?set it} ${NO:-${C}} ${open";
        let faults = interpolate(text, &look_up).err().unwrap();
        let shown: Vec<String> = faults
            .iter()
            .map(|fault| format!("{} {:?}", &text[fault.at.clone()], fault.reason))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        $NONE Undefined { name: "NONE" }
        ${B} Undefined { name: "B" }
        ${1} Malformed
        ${A:=x} Malformed
        ${EMPTY:?set it} Required { name: "EMPTY", text: "set it" }
        ${C} Undefined { name: "C" }
        ${open Unclosed
        "#);
    }

    #[test]
    fn it_is_known_where_a_secret_begins_and_which_variables_flowed_in() {
        let text = interpolate("u=${PASSWORD}${NONE:-$A}${A:+y}", &look_up)
            .ok()
            .unwrap();
        assert_eq!(text.secret_at, Some(2));
        assert_eq!(
            text.uses,
            BTreeSet::from(["A".to_owned(), "PASSWORD".to_owned()])
        );
        assert_eq!(
            interpolate("${PASSWORD:+set}", &look_up)
                .ok()
                .unwrap()
                .secret_at,
            None
        );
    }

    #[test]
    fn defaults_within_defaults_have_an_end() {
        let text = format!("{}x{}", "${N:-".repeat(5000), "}".repeat(5000));
        let faults = interpolate(&text, &look_up).err().unwrap();
        assert_eq!(faults[0].reason, Reason::TooLarge);
    }
}
