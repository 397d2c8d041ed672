//! `[[freeze]]`: days on which nothing runs by itself.
use jiff::civil::Date;
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::Freeze;

impl<'a> FromToml<'a> for Freeze {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Freeze> {
        let mut table = Table::from_toml(value, findings)?;
        let from: Option<Date> = table.required("from", "\"2026-12-20\"", findings);
        let until: Option<Spanned<Date>> = table.required("until", "\"2027-01-02\"", findings);
        let reason = table.required("reason", "\"nobody is in the office\"", findings);
        table.finish(findings);
        let (from, until) = (from?, until?);
        if *until.get_ref() < from {
            findings
                .error(until.span(), "the freeze ends before it begins")
                .hint("until is its last day");
            return None;
        }
        Some(Freeze {
            from,
            until: until.into_inner(),
            reason: reason?,
        })
    }
}
