//! `history`: every rotation there was.
use clap::Args;
use serde::Deserialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;
use super::super::grid::grid;
use super::super::memory::Memory;
use crate::api::history::{Entry, entry};
use crate::api::when::span;
use crate::api::wire::Command;

/// Every rotation: when, by whom, how long, how it ended
#[derive(Args, Debug)]
pub(crate) struct History {
    /// How many, the latest first
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    last: usize,
}

pub(crate) async fn run(desk: &Desk, args: &History) -> Outcome {
    let Some(loaded) = desk.here()? else {
        let command = Command::History { last: args.last };
        let told: Told = desk.answered(&command).await?;
        show(desk, told.rotations);
        return Ok(Exit::Done);
    };
    let Some(memory) = Memory::open(desk, &loaded)? else {
        desk.output.progress("no rotation was ever begun here");
        return Ok(Exit::Done);
    };
    let mut entries = Vec::new();
    for span in memory.rotations()?.iter().rev().take(args.last) {
        entries.extend(entry(&memory.events(&span.rotation)?));
    }
    show(desk, entries);
    Ok(Exit::Done)
}

/// As a coordinator on another machine tells it.
#[derive(Deserialize)]
struct Told {
    rotations: Vec<Entry>,
}

fn show(desk: &Desk, entries: Vec<Entry>) {
    if desk.output.is_json {
        for entry in &entries {
            desk.output.json(entry);
        }
        return;
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
}
