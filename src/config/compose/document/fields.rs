//! The keys of a map: each is carried out or refused by its name.
use std::collections::{BTreeMap, BTreeSet};

use super::node::{Entry, Kind};
use super::reader::{Reader, Value};
use crate::config::compose::not_carried::NotCarried;

/// The keys of one map. Every key that is read is taken; what is left in the end is an error, so
/// no key can be forgotten silently.
pub(crate) struct Fields<'n> {
    entries: Vec<&'n Entry>,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value<'n>> {
        self.asked.push(key);
        let entry = *self.entries.iter().find(|entry| entry.key == key)?;
        // One of two of the same key was reported; the first is read.
        self.entries.retain(|other| other.key != key);
        Some(entry.value())
    }

    /// As [`Fields::take`]; a key with nothing behind it counts as absent.
    pub(crate) fn take_given(&mut self, key: &'static str) -> Option<Value<'n>> {
        self.take(key).filter(|value| !value.node.is_null())
    }

    /// What `read` makes of the key, if it is given.
    pub(crate) fn read<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_>, Value<'n>) -> T,
    ) -> Option<T> {
        self.take_given(key).map(|value| read(reader, value))
    }

    pub(crate) fn text(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
        self.read(reader, key, |reader, value| reader.text(value))?
    }

    pub(crate) fn flag(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<bool> {
        self.read(reader, key, |reader, value| reader.flag(value))?
    }

    pub(crate) fn texts(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<String> {
        self.read(reader, key, |reader, value| reader.texts(value))
            .unwrap_or_default()
    }

    /// As [`Reader::open_assignments`]; of a key that is not given, none.
    pub(crate) fn assignments(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> BTreeMap<String, String> {
        self.read(reader, key, |reader, value| reader.open_assignments(value))
            .unwrap_or_default()
    }

    /// As [`Reader::parsed`].
    pub(crate) fn parsed<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(reader, key, |reader, value| {
            reader.parsed(value, expected, parse)
        })?
    }

    /// A key that is taken elsewhere.
    pub(crate) fn peek(&self, key: &str) -> Option<Value<'n>> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.peek(key).is_some()
    }

    /// How many keys were not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| !entry.key.starts_with("x-"))
            .count()
    }

    /// Refuses what was not taken. `x-` keys are the file's own business.
    pub(crate) fn finish(self, reader: &mut Reader<'_>, not_carried: &[NotCarried]) {
        for entry in self.entries {
            let key = entry.key.as_str();
            let known = not_carried.iter().find(|refused| refused.key == key);
            if key == "x-cleanslate" {
                let message = "\"x-cleanslate\" means nothing here";
                reader.error_with_hint(&entry.key_span, message, "it stands in a service");
            } else if key.starts_with("x-") {
                continue;
            } else if let Some(NotCarried { reason, cure, .. }) = known {
                let message = format!("{key:?} is a key of Compose that is not carried out here");
                let hint = match *cure {
                    "" => format!("remove it: {reason}"),
                    cure => cure.to_owned(),
                };
                reader.error_with_hint(&entry.key_span, message, hint);
            } else {
                let candidates = self.asked.iter().copied();
                let message = format!("unknown key {key:?}");
                reader.unknown(&entry.key_span, message, key, candidates, "");
            }
        }
    }
}

impl Reader<'_> {
    /// The keys of a map; of nothing at all, none.
    pub(crate) fn fields<'n>(&mut self, value: Value<'n>) -> Fields<'n> {
        let entries = self.entries(value);
        Fields {
            entries: entries.iter().collect(),
            asked: Vec::new(),
        }
    }

    /// The entries of a map, each key once. Where keys are names of the file's own, one that begins
    /// with `x-` is a name like any other, as in Compose: a service `x-web` must not vanish.
    pub(crate) fn entries<'n>(&mut self, value: Value<'n>) -> &'n [Entry] {
        let entries: &[Entry] = match &value.node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            Kind::Scalar(_) | Kind::List(_) => {
                let found = value.node.describe();
                let message = format!("{:?} must be a map, this is {found}", value.name);
                self.error(&value.node.span, message);
                &[]
            }
        };
        let mut keys = BTreeSet::new();
        for entry in entries.iter().filter(|entry| !keys.insert(&entry.key)) {
            self.error(&entry.key_span, format!("{:?} is given twice", entry.key));
        }
        entries
    }
}
