//! `quiet` and `timezone` of a site: the hours in which rotations visit it.
use jiff::tz::TimeZone;
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::Table;
use crate::model::hours::{HoursError, QuietHours};

pub(super) fn read_quiet(table: &mut Table<'_>, findings: &mut Findings) -> Option<QuietHours> {
    let written: Option<Spanned<String>> = table.optional("quiet", findings);
    let zone: Option<TimeZone> = table.optional("timezone", findings);
    if let (Some(span), false) = (table.span_of("timezone"), table.has("quiet")) {
        findings
            .warning(span, "a time zone says nothing without quiet hours")
            .hint("add quiet = \"02:00-05:00\", or leave timezone out");
    }
    let written = written?;
    let text = written.get_ref();
    match QuietHours::parse(text, zone) {
        Ok(quiet) => Some(quiet),
        Err(error) => {
            let finding = findings.error(written.span(), format!("{text:?} {error}"));
            finding.hint(match error {
                HoursError::Form => "write \"02:00-05:00\", or \"22:00-02:00\" over midnight",
                HoursError::Empty => "leave quiet out where every hour will do",
            });
            None
        }
    }
}
