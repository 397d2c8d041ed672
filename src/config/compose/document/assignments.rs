//! `KEY: VALUE` and `KEY=VALUE`: the two ways in which Compose writes environments and labels.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::node::{Entry, Kind};
use super::reader::{Reader, Value};
use crate::config::compose::text::interpolate::Text;

/// `KEY: VALUE` of a map, or `KEY=VALUE` of a list; `None`: the key alone.
pub(crate) struct Assignment<'n> {
    pub(crate) key: String,
    pub(crate) span: &'n Range<usize>,
    pub(crate) value: Option<Text>,
}

impl Reader<'_> {
    /// A map `KEY: VALUE` or a list `KEY=VALUE`; each key once.
    pub(crate) fn assignments<'n>(&mut self, value: Value<'n>) -> Vec<Assignment<'n>> {
        let found: Vec<Assignment<'n>> = match &value.node.kind {
            Kind::List(_) => {
                let items = self.list(value);
                items
                    .into_iter()
                    .filter_map(|item| self.list_assignment(item))
                    .collect()
            }
            Kind::Null | Kind::Scalar(_) | Kind::Map(_) => {
                let entries = self.entries(value);
                entries
                    .iter()
                    .filter_map(|entry| self.map_assignment(entry))
                    .collect()
            }
        };
        let mut keys = BTreeSet::new();
        for twice in found
            .iter()
            .filter(|assignment| !keys.insert(&assignment.key))
        {
            self.error(twice.span, format!("{:?} is given twice", twice.key));
        }
        found
    }

    fn map_assignment<'n>(&mut self, entry: &'n Entry) -> Option<Assignment<'n>> {
        let value = match &entry.value.kind {
            Kind::Null => None,
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => Some(self.secret(entry.value())?),
        };
        Some(Assignment {
            key: entry.key.clone(),
            span: &entry.key_span,
            value,
        })
    }

    fn list_assignment<'n>(&mut self, item: Value<'n>) -> Option<Assignment<'n>> {
        let text = self.secret(item)?;
        let key_length = text.value.find('=').unwrap_or(text.value.len());
        if text.secret_at.is_some_and(|at| at <= key_length) {
            self.refuse_secret(&item.node.span, item.name);
            return None;
        }
        let (key, value) = match text.value.split_once('=') {
            Some((key, value)) => {
                let secret_at = text.secret_at.map(|at| at - key.len() - 1);
                let value = Text {
                    value: value.to_owned(),
                    secret_at,
                    uses: text.uses,
                };
                (key.to_owned(), Some(value))
            }
            None => (text.value, None),
        };
        Some(Assignment {
            key,
            span: &item.node.span,
            value,
        })
    }

    /// Assignments that everyone can see; a key alone has an empty value.
    pub(crate) fn open_assignments(&mut self, value: Value<'_>) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for assignment in self.assignments(value) {
            let text = assignment.value.unwrap_or_default();
            if text.secret_at.is_some() {
                self.refuse_secret(assignment.span, value.name);
            } else if assignment.key.is_empty() {
                self.error(
                    assignment.span,
                    format!("a key of {:?} is empty", value.name),
                );
            } else {
                map.insert(assignment.key, text.value);
            }
        }
        map
    }
}
