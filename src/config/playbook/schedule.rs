//! `[schedule]`: when a playbook runs by itself.
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::Table;
use crate::model::cron::{Cron, CronError};
use crate::model::playbook::Schedule;

/// A machine that is started again is back within this time, most often.
const CATCH_UP: Duration = Duration::from_secs(3600);

pub(super) fn read_schedule(mut table: Table<'_>, findings: &mut Findings) -> Option<Schedule> {
    let cron: Option<Spanned<String>> = table.required("cron", "\"0 3 * * *\"", findings);
    let zone: Option<TimeZone> = table.required("timezone", "\"Europe/Berlin\"", findings);
    let finish_by = table.optional("finish_by", findings);
    let catch_up = table.optional("catch_up", findings);
    let rehearse = table.optional("rehearse", findings);
    table.finish(findings);
    let cron = read_cron(&cron?, zone.clone().unwrap_or(TimeZone::UTC), findings);
    zone?;
    Some(Schedule {
        cron: cron?,
        finish_by,
        catch_up: catch_up.unwrap_or(CATCH_UP),
        rehearse,
    })
}

fn read_cron(cron: &Spanned<String>, zone: TimeZone, findings: &mut Findings) -> Option<Cron> {
    let text = cron.get_ref();
    let error = match Cron::parse(text, zone) {
        Ok(cron) => return Some(cron),
        Err(error) => error,
    };
    let fields = "minute, hour, day of month, month, day of week";
    let (what, label) = match &error {
        CronError::Fields => (format!("{text:?} does not have five fields"), fields),
        CronError::Field { why } => (format!("{text:?} is no cron expression: {why}"), fields),
        CronError::Never => (format!("{text:?} never fires"), "no such day comes"),
    };
    let finding = findings.error(cron.span(), what).label(label);
    if error == CronError::Fields {
        finding.hint("\"0 3 * * *\" is every day at 03:00");
    }
    None
}
