//! Times as pages show them: the clock's, and how long ago or ahead, which a script keeps true.
use std::time::Duration;

use jiff::Timestamp;

use crate::api::when::{When, between, span};

/// One instant.
pub(super) struct Moment {
    /// For the script and other programs: RFC 3339.
    pub(super) iso: String,
    /// `03:12:45 CET`.
    pub(super) clock: String,
    /// `4m 10s`, from then or until then.
    pub(super) span: String,
}

impl Moment {
    pub(super) fn past(at: Timestamp, now: Timestamp, when: &When) -> Moment {
        Moment::of(at, between(at, now), when.at(at, now))
    }

    pub(super) fn ahead(at: Timestamp, now: Timestamp, when: &When) -> Moment {
        Moment::of(at, between(now, at), when.at(at, now))
    }

    fn of(at: Timestamp, apart: Duration, clock: String) -> Moment {
        Moment {
            iso: iso(at),
            clock,
            span: span(apart),
        }
    }
}

/// As scripts read it: to the millisecond.
pub(super) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `4m 10s`.
pub(super) fn seconds(seconds: u64) -> String {
    span(Duration::from_secs(seconds))
}
