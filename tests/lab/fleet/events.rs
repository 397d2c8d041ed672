//! The events that `cleanslate rotate --json` prints, as far as demo and tests read them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// One line of the journal. The fields that every event has; the others are in `more`.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    pub n: u64,
    pub at: jiff::Timestamp,
    pub rotation: String,
    pub site: Option<String>,
    pub event: String,
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// The events of a rotation, in order.
#[derive(Clone, Debug, Default)]
pub struct Events(pub Vec<Event>);

/// What the events say of one site's visit; `None` where they do not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visit {
    pub withdrawn: Option<jiff::Timestamp>,
    pub restored: Option<jiff::Timestamp>,
    pub drain_seconds: Option<f64>,
    /// `quiet`, `at_most` or `unknown`.
    pub drain_reason: Option<String>,
    pub rebuild_seconds: Option<f64>,
    pub scaled_from: Option<u64>,
    pub scaled_to: Option<u64>,
}

impl Events {
    /// Reads what a run printed. Lines that are no events fail: stdout is for nothing else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse(&text)
    }

    /// The same from text.
    pub fn parse(text: &str) -> Result<Self> {
        let event = |line: &str| {
            serde_json::from_str(line).with_context(|| format!("this is no event: {line}"))
        };
        Ok(Self(text.lines().map(event).collect::<Result<_>>()?))
    }

    /// The names of the events, in order; those of one site when it is given.
    pub fn names(&self, site: Option<&str>) -> Vec<&str> {
        let of = |event: &&Event| site.is_none_or(|site| event.site.as_deref() == Some(site));
        self.0
            .iter()
            .filter(of)
            .map(|event| event.event.as_str())
            .collect()
    }

    /// What happened at a site; `None` when nothing did. A later event of a name counts: a visit
    /// that was tried again tells of its last try.
    pub fn visit(&self, site: &str) -> Option<Visit> {
        let here = self
            .0
            .iter()
            .filter(|event| event.site.as_deref() == Some(site));
        let mut visit = None;
        for event in here {
            let visit = visit.get_or_insert_with(Visit::default);
            match event.event.as_str() {
                "withdrawn" => visit.withdrawn = Some(event.at),
                "drained" => {
                    visit.drain_seconds = event.number("seconds");
                    visit.drain_reason = event.text("reason");
                }
                "recreated" => {
                    visit.rebuild_seconds = event.number("seconds");
                    visit.scaled_from = event.more.get("scaled_from").and_then(Value::as_u64);
                    visit.scaled_to = event.more.get("scaled_to").and_then(Value::as_u64);
                }
                "restored" => visit.restored = Some(event.at),
                _ => {}
            }
        }
        visit
    }
}

impl Event {
    pub fn number(&self, field: &str) -> Option<f64> {
        self.more.get(field).and_then(Value::as_f64)
    }

    pub fn text(&self, field: &str) -> Option<String> {
        self.more
            .get(field)
            .and_then(Value::as_str)
            .map(str::to_owned)
    }
}
