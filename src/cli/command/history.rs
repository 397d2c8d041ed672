//! `history`: every rotation there was.
use clap::Args;
use serde::Serialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;
use super::super::grid::grid;
use super::super::memory::Memory;
use crate::api::when::{between, span};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::daemon::past::planned;
use crate::model::time::Now;

/// Every rotation: when, by whom, how long, how it ended
#[derive(Args, Debug)]
pub(crate) struct History {
    /// How many, the latest first
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    last: usize,
}

#[derive(Debug, Serialize)]
struct Entry {
    v: u8,
    rotation: String,
    playbook: String,
    began: jiff::Timestamp,
    seconds: u64,
    /// `completed`, `halted`, `aborted`, `not_acquired`, `deposed`, `unfinished`.
    end: &'static str,
    visited: Vec<String>,
    skipped: Vec<String>,
    actor: String,
    reason: Option<String>,
}

pub(crate) fn run(desk: &Desk, args: &History) -> Outcome {
    let loaded = desk.load()?;
    let Some(memory) = Memory::open(desk, &loaded)? else {
        desk.output.progress("no rotation was ever begun here");
        return Ok(Exit::Done);
    };
    let mut entries = Vec::new();
    for span in memory.rotations()?.iter().rev().take(args.last) {
        entries.extend(entry(&memory.events(&span.rotation)?));
    }
    if desk.output.is_json {
        for entry in &entries {
            desk.output.json(entry);
        }
        return Ok(Exit::Done);
    }
    let now = desk.clock.now().wall;
    let row = |entry: Entry| {
        let lasted = std::time::Duration::from_secs(entry.seconds);
        [
            entry.rotation,
            desk.when.ago(entry.began, now),
            span(lasted),
            entry.end.replace('_', " "),
            entry.visited.join(", "),
            entry.skipped.join(", "),
            entry.reason.map_or(entry.actor.clone(), |reason| {
                format!("{}: {reason}", entry.actor)
            }),
        ]
    };
    let headings = [
        "ROTATION",
        "BEGAN",
        "LASTED",
        "END",
        "VISITED",
        "NOT AS PLANNED",
        "BY",
    ];
    let rows = entries.into_iter().map(row).collect();
    desk.output.result(&grid(headings, rows));
    Ok(Exit::Done)
}

fn entry(events: &[(Event, Now)]) -> Option<Entry> {
    let plan = events.iter().find_map(|(event, _)| planned(event))?;
    let (began, last) = (events.first()?.1.wall, events.last()?.1.wall);
    let (mut visited, mut skipped) = (Vec::new(), Vec::new());
    let mut end = "unfinished";
    for (event, _) in events {
        if let Event::VisitEnded { site, end, .. } = event {
            let list = match end {
                VisitEnd::Completed => &mut visited,
                VisitEnd::Skipped
                | VisitEnd::PutBack
                | VisitEnd::Quarantined
                | VisitEnd::LeftInService
                | VisitEnd::LeftOut => &mut skipped,
            };
            list.push(site.to_string());
        }
        if let Event::Ended { end: ended } = event {
            end = word(ended);
        }
    }
    Some(Entry {
        v: 1,
        rotation: plan.id.to_string(),
        playbook: plan.playbook.to_string(),
        began,
        seconds: between(began, last).as_secs(),
        end,
        visited,
        skipped,
        actor: plan.actor.clone(),
        reason: plan.reason.clone(),
    })
}

fn word(end: &RotationEnd) -> &'static str {
    match end {
        RotationEnd::Completed => "completed",
        RotationEnd::Halted => "halted",
        RotationEnd::Aborted { .. } => "aborted",
        RotationEnd::NotAcquired { .. } => "not_acquired",
        RotationEnd::Deposed { .. } => "deposed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, site};

    #[test]
    fn a_rotation_is_one_entry_with_its_end_and_its_length() {
        let mut world = World::new();
        world.faults.unready.insert(site("nyc"));
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        let half = world.journal.clone();
        world.run(&mut machine);
        let whole = entry(&world.journal).unwrap();
        assert_eq!(
            (whole.end, whole.visited.as_slice()),
            ("completed", &["fra".to_owned(), "sin".to_owned()][..])
        );
        assert_eq!(whole.skipped, ["nyc"]);
        assert_eq!(whole.seconds, world.now / 1000);
        assert_eq!(entry(&half).unwrap().end, "unfinished");
        assert!(entry(&[]).is_none());
    }
}
