//! A night as one file: everything is in it, nothing is fetched, nothing runs.
use askama::Template;
use jiff::Timestamp;

use super::account::{Account, Logs};
use crate::api::report::Report;
use crate::api::when::When;

const STYLE: &str = include_str!("files/page.css");

#[derive(Template)]
#[template(path = "sheet.html")]
struct Sheet<'a> {
    style: &'static str,
    day: String,
    /// When this was written.
    made: String,
    account: Account,
    runs: Option<&'a str>,
}

/// Writes it. `runs` is the picture of what ran where, an SVG of ours.
///
/// # Errors
/// Where the template cannot be written, which is a fault of ours.
pub(crate) fn sheet(
    report: Report,
    runs: Option<&str>,
    has_logs: bool,
    when: &When,
    now: Timestamp,
) -> Result<String, askama::Error> {
    let began = report.began;
    let logs = match has_logs {
        true => Logs::Whole,
        false => Logs::None,
    };
    let day = began.to_zoned(when.zone.clone());
    let sheet = Sheet {
        style: STYLE,
        day: day.strftime("%Y-%m-%d").to_string(),
        made: now
            .to_zoned(when.zone.clone())
            .strftime("%Y-%m-%d %H:%M %Z")
            .to_string(),
        // Read some day or other: times of another day than the first have their date.
        account: Account::of(report, None, logs, when, began),
        runs,
    };
    sheet.render()
}
