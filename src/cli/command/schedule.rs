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
use crate::api::when::{When, between, span};
use crate::config::Loaded;
use crate::coordinator::plan::{Course, outline};
use crate::daemon::schedule::{Run, Timetable, local, zone_name};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::playbook::Schedule;

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
    /// Waiting for quiet hours included.
    expected_seconds: u64,
    finish_by: Option<Timestamp>,
    /// `null` where nothing says by when it must end, or begin.
    fits: Option<bool>,
    /// Why it does not.
    why: Option<String>,
    /// Sites whose quiet hours would be over before their turn.
    carried_over: Vec<SiteName>,
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
    let typical = |site: &SiteName, step: &str| memory?.typical(site, step);
    let night = Night::new(&loaded.fleet, playbook, typical);
    let outline = outline(&loaded.fleet, playbook, run.planned);
    let course = night.course(&outline, run.planned);
    let finish_by = schedule.finish_by(run.planned);
    let why = obstacles(schedule, &run, &course);
    let is_bound = finish_by.is_some() || !outline.windows.is_empty() || !why.is_empty();
    Some(Entry {
        planned: run.planned,
        timezone: zone_name(schedule),
        local: local(schedule, run.planned),
        expected_seconds: between(run.planned, course.ends).as_secs(),
        finish_by,
        fits: is_bound.then_some(why.is_empty()),
        why: (!why.is_empty()).then(|| why.join("; ")),
        carried_over: course.carried,
        frozen: table
            .freeze(schedule, run.planned)
            .map(|freeze| freeze.reason.clone()),
        playbook: run.playbook,
    })
}

/// What keeps a run from going as it is planned, as if every site were visited.
fn obstacles(schedule: &Schedule, run: &Run, course: &Course) -> Vec<String> {
    let mut why = Vec::new();
    let by = schedule.finish_by(run.planned);
    if by.is_some_and(|by| course.ends > by) {
        why.push("it would end later".to_owned());
    }
    if !course.carried.is_empty() {
        let sites: Vec<&str> = course.carried.iter().map(SiteName::as_str).collect();
        let sites = sites.join(", ");
        why.push(format!("quiet hours are over before their turn: {sites}"));
    }
    let next = schedule.cron.next(run.planned);
    if next.is_some_and(|next| course.ends > next) {
        why.push("the next run is planned before it ends".to_owned());
    }
    why
}

fn told(runs: &[Entry], when: &When, now: Timestamp) -> String {
    let row = |run: &Entry| {
        let verdict = match (&run.frozen, run.fits) {
            (Some(reason), _) => format!("frozen: {reason}"),
            (None, None) => "-".to_owned(),
            (None, Some(fits)) => {
                let by = run.finish_by.map(|by| when.at(by, run.planned));
                let by = by.map_or(String::new(), |by| format!(", by {by}"));
                let why = run.why.as_deref().unwrap_or_default();
                match fits {
                    true => format!("yes{by}"),
                    false => format!("no{by}: {why}"),
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
            why: (fits == Some(false)).then(|| "it would end later".to_owned()),
            carried_over: Vec::new(),
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
        2026-11-22 02:00:00 UTC (in 4h)  2026-11-22 03:00:00 CET Europe/Berlin  nightly   42m 10s  no, by 05:00:00 UTC: it would end later
        2026-11-22 02:00:00 UTC (in 4h)  2026-11-22 03:00:00 CET Europe/Berlin  nightly   42m 10s  frozen: holidays
        ");
    }
}
