//! `schedule`: what runs by itself, when, and whether the night is long enough.
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;
use super::super::follow::Night;
use super::super::grid::grid;
use super::super::memory::Memory;
use crate::api::when::{When, span};
use crate::config::Loaded;
use crate::daemon::schedule::{Run, Timetable};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::playbook::{Playbook, Schedule};

/// The next runs: when, in whose time, and whether they end when they must
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate schedule                        the next seven runs
  cleanslate schedule --next 1 --json        for programs")]
pub(crate) struct Show {
    /// How many
    #[arg(
        long,
        short = 'n',
        value_name = "COUNT",
        default_value_t = 7,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    next: u16,
}

#[derive(Debug, Serialize)]
struct Entry {
    playbook: PlaybookName,
    planned: Timestamp,
    timezone: String,
    /// The same in the time of the schedule, `2026-11-22 03:00:00 CET`.
    local: String,
    expected_seconds: u64,
    finish_by: Option<Timestamp>,
    /// `null` where nothing says by when it must end.
    fits: Option<bool>,
    /// Why it does not begin.
    frozen: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    v: u8,
    runs: Vec<Entry>,
}

pub(crate) fn run(desk: &Desk, args: &Show) -> Outcome {
    let loaded = desk.load()?;
    let memory = Memory::open(desk, &loaded)?;
    let table = Timetable::of(&loaded.playbooks, &loaded.fleet.freezes);
    let now = desk.clock.now().wall;
    let runs = table.next(now, usize::from(args.next)).into_iter();
    let runs: Vec<Entry> = runs
        .filter_map(|run| entry(&loaded, &table, memory.as_ref(), run))
        .collect();
    if desk.output.is_json {
        desk.output.json(&Shown { v: 1, runs });
    } else if runs.is_empty() {
        desk.output
            .progress("nothing runs by itself: no playbook has a [schedule] (cron and timezone)");
    } else {
        desk.output.result(&told(&runs, &desk.when, now));
    }
    Ok(Exit::Done)
}

fn entry(loaded: &Loaded, table: &Timetable, memory: Option<&Memory>, run: Run) -> Option<Entry> {
    let playbook = loaded.playbooks.get(&run.playbook)?;
    let schedule = playbook.schedule.as_ref()?;
    let expected = expected(loaded, playbook, memory);
    let finish_by = schedule.finish_by(run.planned);
    let fits = |by: Timestamp| run.planned.checked_add(expected).is_ok_and(|end| end <= by);
    Some(Entry {
        planned: run.planned,
        timezone: zone_name(schedule),
        local: local(schedule, run.planned),
        expected_seconds: expected.as_secs(),
        finish_by,
        fits: finish_by.map(fits),
        frozen: table
            .freeze(schedule, run.planned)
            .map(|freeze| freeze.reason.clone()),
        playbook: run.playbook,
    })
}

/// As if every site were visited, in waves as large as they may be.
fn expected(loaded: &Loaded, playbook: &Playbook, memory: Option<&Memory>) -> Duration {
    let typical = |site: &SiteName, step: &str| memory?.typical(site, step);
    let night = Night::new(&loaded.fleet, playbook, typical);
    let all = || loaded.fleet.sites.keys().cloned().collect();
    let sites: Vec<SiteName> = playbook.sites.clone().unwrap_or_else(all);
    let size = usize::try_from(playbook.max_unavailable)
        .unwrap_or(1)
        .max(1);
    let waves: Vec<Vec<SiteName>> = sites.chunks(size).map(<[SiteName]>::to_vec).collect();
    night.waves(&waves)
}

fn zone_name(schedule: &Schedule) -> String {
    let zone = schedule.cron.zone();
    zone.iana_name().unwrap_or("UTC").to_owned()
}

fn local(schedule: &Schedule, at: Timestamp) -> String {
    let local = at.to_zoned(schedule.cron.zone().clone());
    local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn told(runs: &[Entry], when: &When, now: Timestamp) -> String {
    let row = |run: &Entry| {
        let verdict = match (&run.frozen, run.fits) {
            (Some(reason), _) => format!("frozen: {reason}"),
            (None, None) => "-".to_owned(),
            (None, Some(fits)) => {
                let by = run.finish_by.map(|by| when.at(by, run.planned));
                let by = by.unwrap_or_default();
                if fits {
                    format!("yes, by {by}")
                } else {
                    format!("no: it must end by {by}")
                }
            }
        };
        [
            when.ahead(run.planned, now),
            format!("{} {}", run.local, run.timezone),
            run.playbook.to_string(),
            span(Duration::from_secs(run.expected_seconds)),
            verdict,
        ]
    };
    let rows = runs.iter().map(row).collect();
    grid(
        ["NEXT RUN", "IN ITS OWN TIME", "PLAYBOOK", "TAKES", "FITS"],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn runs_are_told_in_the_time_of_whoever_asks_and_in_their_own() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let run = |finish_by: Option<&str>, fits, frozen: Option<&str>| Entry {
            playbook: "nightly".parse().unwrap(),
            planned: at("2026-11-22T02:00:00Z"),
            timezone: "Europe/Berlin".to_owned(),
            local: "2026-11-22 03:00:00 CET".to_owned(),
            expected_seconds: 2530,
            finish_by: finish_by.map(at),
            fits,
            frozen: frozen.map(str::to_owned),
        };
        let by = Some("2026-11-22T05:00:00Z");
        let runs = [
            run(None, None, None),
            run(by, Some(true), None),
            run(by, Some(false), None),
            run(by, Some(true), Some("holidays")),
        ];
        let when = When {
            zone: TimeZone::UTC,
        };
        insta::assert_snapshot!(told(&runs, &when, at("2026-11-21T22:00:00Z")), @r"
        NEXT RUN                         IN ITS OWN TIME                        PLAYBOOK  TAKES    FITS
        2026-11-22 02:00:00 UTC (in 4h)  2026-11-22 03:00:00 CET Europe/Berlin  nightly   42m 10s  -
        2026-11-22 02:00:00 UTC (in 4h)  2026-11-22 03:00:00 CET Europe/Berlin  nightly   42m 10s  yes, by 05:00:00 UTC
        2026-11-22 02:00:00 UTC (in 4h)  2026-11-22 03:00:00 CET Europe/Berlin  nightly   42m 10s  no: it must end by 05:00:00 UTC
        2026-11-22 02:00:00 UTC (in 4h)  2026-11-22 03:00:00 CET Europe/Berlin  nightly   42m 10s  frozen: holidays
        ");
    }
}
