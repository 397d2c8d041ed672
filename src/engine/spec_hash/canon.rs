//! Values as bytes, each preceded by its length.
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes that are the same for equal values, and for these only.
#[derive(Default)]
pub(super) struct Canon(pub(super) Vec<u8>);

impl Canon {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    pub(super) fn option<T>(&mut self, option: Option<T>, write: impl FnOnce(&mut Canon, T)) {
        self.flag(option.is_some());
        if let Some(value) = option {
            write(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Canon, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.list(texts, |canon, text| canon.text(text));
    }

    pub(super) fn map<V>(
        &mut self,
        map: &BTreeMap<String, V>,
        mut write: impl FnMut(&mut Canon, &V),
    ) {
        self.number(map.len() as u64);
        for (key, value) in map {
            self.text(key);
            write(self, value);
        }
    }

    pub(super) fn text_map(&mut self, map: &BTreeMap<String, String>) {
        self.map(map, |canon, value| canon.text(value));
    }

    pub(super) fn duration(&mut self, duration: Duration) {
        self.number(duration.as_secs());
        self.number(u64::from(duration.subsec_nanos()));
    }

    pub(super) fn shown(&mut self, value: impl std::fmt::Display) {
        self.text(&value.to_string());
    }

    /// A value of a key that may be absent, under its name: with a byte before it that no name of a
    /// network, a service or a path holds.
    pub(super) fn given<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        write: impl FnOnce(&mut Canon, T),
    ) {
        if let Some(value) = value {
            self.text(&format!("\0{name}"));
            write(self, value);
        }
    }

    pub(super) fn given_list<T>(
        &mut self,
        name: &str,
        items: &[T],
        write: impl FnMut(&mut Canon, &T),
    ) {
        let some = (!items.is_empty()).then_some(items);
        self.given(name, some, |canon, items| canon.list(items, write));
    }
}
