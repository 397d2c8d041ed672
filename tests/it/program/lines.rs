//! The lines of `--json`, and whether a rotation's are complete.

use std::collections::BTreeSet;

use serde_json::Value;

/// One line that holds an event.
#[derive(Clone, Debug)]
pub(crate) struct Event(pub(crate) Value);

/// Every name that a line may have.
const NAMES: [&str; 28] = [
    "rotation_planned",
    "visit_started",
    "images_pulled",
    "kept_drifted",
    "ready",
    "withdraw_refused",
    "withdrawn",
    "draining",
    "drained",
    "recreated",
    "verified",
    "restored",
    "soaked",
    "visit_completed",
    "put_back",
    "site_skipped",
    "site_quarantined",
    "rolling_back",
    "rolled_back",
    "retrying",
    "waiting",
    "tag_moved",
    "taken_over",
    "rotation_paused",
    "rotation_resumed",
    "rotation_halted",
    "rotation_aborted",
    "rotation_completed",
];

/// The names after which nothing follows.
const ENDS: [&str; 3] = ["rotation_halted", "rotation_aborted", "rotation_completed"];

impl Event {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.get("event")?.as_str()?;
        Some(Self(value))
    }

    pub(crate) fn name(&self) -> &str {
        self.text("event")
    }

    /// The value of a key that holds a text; empty where it is missing or something else.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    pub(crate) fn n(&self) -> u64 {
        self.0["n"].as_u64().unwrap_or_default()
    }

    /// Whether it is this event of this site.
    pub(crate) fn is(&self, name: &str, site: &str) -> bool {
        self.name() == name && self.text("site") == site
    }

    pub(crate) fn is_end(&self) -> bool {
        ENDS.contains(&self.name())
    }
}

/// Asserts that these are all lines of one rotation that one process ran: every line whole, `n`
/// counting from 1 without gaps, and one end, last.
#[track_caller]
pub(crate) fn check_complete(events: &[Event]) {
    let shown = || {
        events
            .iter()
            .map(|it| format!("{}\n", it.0))
            .collect::<String>()
    };
    assert_eq!(
        events.first().map(Event::name),
        Some("rotation_planned"),
        "{}",
        shown()
    );
    check_numbers(events, 0);
    let ends: Vec<_> = events
        .iter()
        .filter(|event| event.is_end())
        .map(Event::name)
        .collect();
    assert_eq!(ends.len(), 1, "one end: {}", shown());
    assert!(
        events.last().is_some_and(Event::is_end),
        "the end is last: {}",
        shown()
    );
    let rotations: BTreeSet<_> = events.iter().map(|event| event.text("rotation")).collect();
    assert_eq!(rotations.len(), 1, "one rotation: {rotations:?}");
}

/// Asserts that `n` goes on from `last` without gaps, and that every line is whole. Returns the
/// last number.
#[track_caller]
pub(crate) fn check_numbers(events: &[Event], mut last: u64) -> u64 {
    for event in events {
        let line = &event.0;
        assert_eq!(line["v"], 1, "{line}");
        assert!(NAMES.contains(&event.name()), "{line}");
        let at: Result<jiff::Timestamp, _> = event.text("at").parse();
        assert!(at.is_ok(), "a time in RFC 3339: {line}");
        assert!(
            line["epoch"].is_u64() && !event.text("rotation").is_empty(),
            "{line}"
        );
        for key in ["site", "step"] {
            let value = line.get(key);
            assert!(
                value.is_some_and(|it| it.is_string() || it.is_null()),
                "{key}: {line}"
            );
        }
        // Waiting is no fact of the journal: it repeats the number of the line before it.
        let expected = if event.name() == "waiting" {
            last
        } else {
            last + 1
        };
        assert_eq!(event.n(), expected, "{line}");
        last = expected;
    }
    last
}
