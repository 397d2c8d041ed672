//! `[schedule]`: when a playbook runs by itself.
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil;
use serde_spanned::Spanned;

use super::super::diagnostic::{Findings, nearest};
use super::super::table::Table;
use crate::model::playbook::Schedule;

/// Where the search for a first run begins. Whether an expression fires at all does not depend
/// on the day it is asked; a fixed one makes the same file good every day.
const SEARCH_FROM: civil::DateTime = civil::datetime(2024, 1, 1, 0, 0, 0, 0);

pub(super) fn read_schedule(mut table: Table<'_>, findings: &mut Findings) -> Option<Schedule> {
    let cron: Option<Spanned<String>> = table.required("cron", "\"0 3 * * *\"", findings);
    let timezone: Option<Spanned<String>> =
        table.required("timezone", "\"Europe/Berlin\"", findings);
    let finish_by = table.optional("finish_by", findings);
    table.finish(findings);
    let (cron, timezone) = (cron?, timezone?);
    let zone = check_timezone(&timezone, findings);
    check_cron(&cron, zone.unwrap_or(jiff::tz::TimeZone::UTC), findings);
    Some(Schedule {
        cron: cron.into_inner(),
        timezone: timezone.into_inner(),
        finish_by,
    })
}

fn check_timezone(
    timezone: &Spanned<String>,
    findings: &mut Findings,
) -> Option<jiff::tz::TimeZone> {
    let name = timezone.get_ref();
    if let Ok(zone) = jiff::tz::db().get(name) {
        return Some(zone);
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|zone| zone.to_string())
        .collect();
    let finding = findings
        .error(timezone.span(), format!("there is no time zone {name:?}"))
        .hint("write a name of the IANA list, like \"Europe/Berlin\" or \"UTC\"");
    let all = known.iter().map(String::as_str);
    let cities = known.iter().filter_map(|zone| zone.rsplit_once('/'));
    let of_city = nearest(name, cities.map(|(_, city)| city));
    let of_city = of_city.and_then(|city| all.clone().find(|zone| zone.ends_with(city)));
    if let Some(zone) = nearest(name, all).or(of_city) {
        finding.hint(format!("did you mean {zone:?}?"));
    }
    None
}

fn check_cron(cron: &Spanned<String>, zone: jiff::tz::TimeZone, findings: &mut Findings) {
    let text = cron.get_ref();
    if text.split_whitespace().count() != 5 {
        findings
            .error(cron.span(), format!("{text:?} does not have five fields"))
            .label("expected minute, hour, day of month, month, day of week")
            .hint("\"0 3 * * *\" is every day at 03:00");
        return;
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let parsed = match parser.parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            findings
                .error(
                    cron.span(),
                    format!("{text:?} is no cron expression: {error}"),
                )
                .label("minute, hour, day of month, month, day of week");
            return;
        }
    };
    let Ok(from) = SEARCH_FROM.to_zoned(zone) else {
        return;
    };
    if parsed.find_next_occurrence(&from, true).is_err() {
        findings
            .error(cron.span(), format!("{text:?} never fires"))
            .label("no such day comes");
    }
}
