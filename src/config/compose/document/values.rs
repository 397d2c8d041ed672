//! Values of a map or a list: variables filled in, understood, secrets kept where they may stand.
use std::collections::BTreeMap;
use std::ops::Range;

use super::node::{Kind, Node};
use super::reader::{Reader, Value, nearest};
use crate::config::compose::Variable;
use crate::config::compose::text::interpolate::{Fault, Found, Reason, Text, interpolate};
use crate::model::text::Secret;

impl Reader<'_> {
    /// The items of a list; of nothing at all, none.
    pub(crate) fn list<'n>(&mut self, value: Value<'n>) -> Vec<Value<'n>> {
        match &value.node.kind {
            Kind::List(items) => items
                .iter()
                .map(|node| Value {
                    name: value.name,
                    node,
                })
                .collect(),
            Kind::Null => Vec::new(),
            Kind::Scalar(_) | Kind::Map(_) => {
                let found = value.node.describe();
                let message = format!("{:?} must be a list, this is {found}", value.name);
                self.error(&value.node.span, message);
                Vec::new()
            }
        }
    }

    /// A text with its variables filled in, where a secret may stand.
    pub(crate) fn secret(&mut self, value: Value<'_>) -> Option<Text> {
        let Kind::Scalar(text) = &value.node.kind else {
            let found = value.node.describe();
            self.error(
                &value.node.span,
                format!("{:?} must be text, this is {found}", value.name),
            );
            return None;
        };
        let variables = self.variables;
        match interpolate(text, &|name| variables.get(name).map(Variable::found)) {
            Ok(text) => Some(text),
            Err(faults) => {
                for fault in faults {
                    self.fault(value.node, text, fault);
                }
                None
            }
        }
    }

    /// A text with its variables filled in, where everyone can see it.
    pub(crate) fn open_text(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.secret(value)?;
        if text.secret_at.is_none() {
            return Some(text);
        }
        self.refuse_secret(&value.node.span, value.name);
        None
    }

    /// As [`Reader::open_text`], the value alone.
    pub(crate) fn text(&mut self, value: Value<'_>) -> Option<String> {
        self.open_text(value).map(|text| text.value)
    }

    /// The text, or nothing where there is a fault: whoever takes the key reports it.
    pub(crate) fn plain(&self, value: Value<'_>) -> Option<String> {
        let Kind::Scalar(text) = &value.node.kind else {
            return None;
        };
        let look_up = |name: &str| self.variables.get(name).map(Variable::found);
        interpolate(text, &look_up).ok().map(|text| text.value)
    }

    /// The value of the variable that `value` names, where a secret may stand.
    pub(crate) fn variable(&mut self, value: Value<'_>) -> Option<Secret> {
        let name = self.text(value)?;
        if let Some(variable) = self.variables.get(&name) {
            return Some(variable.value.clone());
        }
        let (message, hint) = describe_fault(Reason::Undefined { name }, self.variables);
        self.error_with_hint(&value.node.span, message, hint);
        None
    }

    pub(super) fn refuse_secret(&mut self, span: &Range<usize>, name: &str) {
        self.error_with_hint(
            span,
            format!("a secret would be visible in {name:?}"),
            "secrets may stand in `environment`, in an env_file and in the `content` of a config",
        );
    }

    /// A text that `parse` understands; `expected` says what that is.
    pub(crate) fn parsed<T>(
        &mut self,
        value: Value<'_>,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(value)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            let message = format!("{:?} must be {expected}, not {text:?}", value.name);
            self.error(&value.node.span, message);
        }
        parsed
    }

    pub(crate) fn flag(&mut self, value: Value<'_>) -> Option<bool> {
        self.parsed(value, "true or false", |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
                "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
                _ => None,
            }
        })
    }

    /// One of some words; another one gets the nearest as its hint.
    pub(crate) fn word<T: Copy>(
        &mut self,
        value: Value<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(value)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let choice = all.join(" or ");
        let message = format!("{:?} must be {choice}, not {text:?}", value.name);
        self.unknown(&value.node.span, message, &text, all, "");
        None
    }

    pub(crate) fn texts(&mut self, value: Value<'_>) -> Vec<String> {
        let items = self.list(value);
        items
            .into_iter()
            .filter_map(|item| self.text(item))
            .collect()
    }

    /// A list, or one item of it alone.
    pub(crate) fn one_or_more<'n>(&mut self, value: Value<'n>) -> Vec<Value<'n>> {
        match value.node.kind {
            Kind::Scalar(_) => vec![value],
            Kind::Null | Kind::List(_) | Kind::Map(_) => self.list(value),
        }
    }

    fn fault(&mut self, node: &Node, text: &str, fault: Fault) {
        let variables = self.variables;
        // Only where the value stands in the file as it is (no escapes, no folding) can a part of
        // it be pointed at.
        let written = self.written(&node.span);
        let span = match written.find(text) {
            Some(at) => node.span.start + at + fault.at.start..node.span.start + at + fault.at.end,
            None => node.span.clone(),
        };
        let (message, hint) = describe_fault(fault.reason, variables);
        self.report(&span, message, Some(hint));
    }
}

/// What to tell about a reference to a variable, and the cure.
pub(crate) fn describe_fault(
    reason: Reason,
    variables: &BTreeMap<String, Variable>,
) -> (String, String) {
    match reason {
        Reason::Undefined { name } => {
            let hint = match nearest(&name, variables.keys().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!(
                    "define it in `vars` of the fleet, the site or the host in site.toml, or in \
                     the site's env_file; ${{{name}:-…}} gives a default; $$ is a dollar sign"
                ),
            };
            (format!("the variable {name:?} is not defined"), hint)
        }
        Reason::Required { name, text } => {
            let why = if text.is_empty() {
                String::new()
            } else {
                format!(": {text}")
            };
            let hint = "define it in `vars` of the fleet, the site or the host in site.toml, or in the \
                 site's env_file";
            (
                format!("the variable {name:?} is required{why}"),
                hint.to_owned(),
            )
        }
        Reason::Malformed => (
            "this is no reference to a variable".to_owned(),
            "the forms are ${NAME}, ${NAME:-default}, ${NAME:?error}, ${NAME:+other}; $$ is a \
             dollar sign"
                .to_owned(),
        ),
        Reason::Unclosed => (
            "a \"}\" is missing".to_owned(),
            "$$ is a dollar sign".to_owned(),
        ),
        Reason::TooLarge => (
            "defaults stand too deep in each other, or the text becomes too long".to_owned(),
            "define the variable".to_owned(),
        ),
    }
}

impl Variable {
    pub(crate) fn found(&self) -> Found<'_> {
        let value = String::from_utf8_lossy(self.value.reveal());
        Found {
            value,
            is_secret: self.is_secret,
        }
    }
}
