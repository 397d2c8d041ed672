//! Whether a playbook fits the fleet: its sites exist, its drain can be found quiet.
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::diagnostic::Findings;
use super::super::resolve::names::check_site;
use super::super::table::show;
use super::read::PlaybookFile;
use crate::model::fleet::{Fleet, Site};
use crate::model::hours::QuietHours;
use crate::model::playbook::Schedule;

/// Reports what of `file` does not fit `fleet`.
pub(crate) fn check_fit(file: &PlaybookFile, fleet: &Fleet, findings: &mut Findings) {
    for site in &file.sites {
        check_site(site, fleet.sites.keys(), findings);
    }
    check_drain(file, fleet, findings);
    check_quiet_hours(file, fleet, findings);
}

/// So many runs in winter and as many in summer tell whether there is ever one. Fixed days make
/// the same files good every day.
const RUNS: usize = 28;
const WINTER: jiff::civil::DateTime = jiff::civil::datetime(2024, 1, 1, 0, 0, 0, 0);
const SUMMER: jiff::civil::DateTime = jiff::civil::datetime(2024, 7, 1, 0, 0, 0, 0);

/// What runs by itself must meet the quiet hours of its sites.
fn check_quiet_hours(file: &PlaybookFile, fleet: &Fleet, findings: &mut Findings) {
    let playbook = &file.playbook;
    let Some(schedule) = &playbook.schedule else {
        return;
    };
    let is_visited = |site: &&Site| {
        let sites = playbook.sites.as_ref();
        sites.is_none_or(|sites| sites.contains(&site.name))
    };
    let sites = fleet.sites.values().filter(is_visited);
    for (name, quiet) in sites.filter_map(|site| Some((&site.name, site.quiet.as_ref()?))) {
        if is_never_open(schedule, quiet) {
            let what = format!("{name} is never visited: its quiet hours ({quiet}) open too late");
            findings
                .warning(file.finish_span.clone(), what)
                .hint("write a later finish_by, or leave it out: quiet hours end a rotation too");
        }
        let at_most = playbook.drain.at_most;
        if Duration::try_from(quiet.length()).is_ok_and(|length| length < at_most) {
            let at_most = show(at_most);
            let what = format!("the quiet hours of {name} ({quiet}) are shorter than its drain");
            findings
                .warning(file.drain_span.clone(), what)
                .label(format!("a drain may last {at_most}"))
                .hint("a visit that begins in them ends after them: write longer ones");
        }
    }
}

fn is_never_open(schedule: &Schedule, quiet: &QuietHours) -> bool {
    let mut runs = [WINTER, SUMMER].into_iter().flat_map(|from| {
        let from = from.to_zoned(TimeZone::UTC).ok();
        let first = from.and_then(|from| schedule.cron.next(from.timestamp()));
        std::iter::successors(first, |planned| schedule.cron.next(*planned)).take(RUNS)
    });
    let is_late = |planned: Timestamp| {
        let window = quiet.window(schedule.cron.zone(), planned);
        let by = schedule.finish_by(planned);
        by.is_some_and(|by| window.is_none_or(|window| window.opens >= by))
    };
    runs.all(is_late)
}

/// A drain starts after the last server changed and lasts a TTL at least; then the meter must
/// have seen quiet traffic for a while.
fn check_drain(file: &PlaybookFile, fleet: &Fleet, findings: &mut Findings) {
    let drain = &file.playbook.drain;
    let ttl = fleet.dns.ttl.max(fleet.dns.ttl_was).duration();
    let watched = match fleet.measures_traffic {
        true => drain.quiet.for_at_least,
        false => Duration::ZERO,
    };
    let needs = ttl.max(drain.at_least) + watched;
    if needs <= drain.at_most {
        return;
    }
    let (needs, at_most) = (show(needs), show(drain.at_most));
    let span = file.drain_span.clone();
    if ttl > drain.at_most {
        findings
            .error(
                span,
                format!("a TTL of {} outlives the drain's {at_most}", show(ttl)),
            )
            .hint(format!(
                "lower the TTL in DNS, or write at_most = \"{needs}\" or more"
            ));
    } else {
        findings
            .error(
                span,
                format!("the drain could never be found quiet: {at_most} is all it has"),
            )
            .label(format!("TTL or at_least, and quiet.for, are {needs}"))
            .hint(format!(
                "write at_most = \"{needs}\" or more, or a shorter quiet.for"
            ));
    }
}
