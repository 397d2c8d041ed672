//! `release history`: every move of a tag; and the picture of what ran where.
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::super::desk::Desk;
use super::super::super::exit::Exit;
use super::super::super::failure::{Failure, Outcome};
use super::super::super::file;
use super::super::super::grid::grid;
use super::super::super::memory::Memory;
use super::super::super::runs::{Asked, drawn, nothing};
use crate::api::release::{self, Entry};
use crate::api::wire::Command;
use crate::api::words;
use crate::daemon::release::{Ledger, history};
use crate::model::image::Digest;
use crate::model::release::Cause;

/// Every move of a tag: from what to what, by whom, why, and which sites passed with it
///
/// What others moved is there as far as it was seen: when a rotation was planned or ran, when a
/// push was told, and before a move of ours.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Only images whose reference holds this
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// How many, the latest first [default: 20; of --svg: 30 nights]
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<u16>,
    /// Draws which digest each site ran after each of the last nights, instead; - is stdout
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// So many moves are listed, and so many nights drawn, unless somebody says otherwise.
const MOVES: u16 = 20;
const NIGHTS: u16 = 30;

pub(super) async fn run(desk: &Desk, args: &History) -> Outcome {
    if let Some(file) = &args.svg {
        return picture(desk, args, file).await;
    }
    let last = usize::from(args.last.unwrap_or(MOVES));
    let Some(loaded) = desk.here()? else {
        let command = Command::ReleaseHistory {
            image: args.image.clone(),
            last,
        };
        let told: release::History = desk.answered(&command).await?;
        show(desk, &told);
        return Ok(Exit::Done);
    };
    let ledger = match Memory::open(desk, &loaded)? {
        Some(memory) => memory.ledger()?,
        None => Ledger::default(),
    };
    show(desk, &history(&ledger, args.image.as_deref(), last));
    Ok(Exit::Done)
}

async fn picture(desk: &Desk, args: &History, file: &Path) -> Outcome {
    if desk.output.is_json && file::is_stdout(file) {
        let what = "--json and --svg - both want stdout";
        return Err(Failure::new(
            Exit::Usage,
            what,
            "name a file for the picture",
        ));
    }
    let loaded = desk.here()?;
    let asked = Asked {
        image: args.image.as_deref(),
        nights: usize::from(args.last.unwrap_or(NIGHTS).max(1)),
        until: None,
    };
    let drawn = drawn(desk, loaded.as_ref(), &asked).await?;
    if drawn.runs.nights.is_empty() || drawn.runs.images.is_empty() {
        return Err(nothing(asked.image));
    }
    file::write(&desk.output, file, &drawn.svg)?;
    let (nights, images) = (drawn.runs.nights.len(), drawn.runs.images.len());
    if desk.output.is_json {
        let told = serde_json::json!({ "v": 1, "svg": file, "nights": nights, "images": images });
        desk.output.json(&told);
    } else if !file::is_stdout(file) {
        let (nights, images) = (counted(nights, "night"), counted(images, "image"));
        let text = format!("{}: {images}, {nights}", file.display());
        desk.output.progress(&text);
    }
    Ok(Exit::Done)
}

fn counted(count: usize, what: &str) -> String {
    words::counted(count as u64, what)
}

fn show(desk: &Desk, history: &release::History) {
    if desk.output.is_json {
        desk.output.json(history);
        return;
    }
    if history.moves.is_empty() {
        desk.output.progress("the ledger has no such move");
        return;
    }
    let now = desk.clock.now().wall;
    let row = |entry: &Entry| {
        let moved = &entry.moved;
        let passed: Vec<&str> = entry.passed.keys().map(|site| site.as_str()).collect();
        let old = moved.old.as_ref().map_or("-", Digest::short);
        let kept = match entry.kept.join(", ") {
            none if none.is_empty() => none,
            tags => format!(" (kept as {tags})"),
        };
        [
            desk.when.ago(moved.at, now),
            moved.image.to_string(),
            format!("{old} → {}{kept}", moved.new.short()),
            cause(moved.cause).to_owned(),
            match &moved.reason {
                Some(reason) => format!("{}: {}", moved.who, printable(reason)),
                None => moved.who.clone(),
            },
            passed.join(", "),
        ]
    };
    let rows = history.moves.iter().map(row).collect();
    let headings = ["MOVED", "TAG", "DIGEST", "BY", "WHO", "PASSED AT"];
    desk.output.result(&grid(headings, rows));
}

pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Promote => "promote",
        Cause::Rollback => "rollback",
        Cause::Undo => "taken back",
        Cause::Found => "others",
    }
}

/// Reasons are other people's: they must not steer the terminal.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{b7}' } else { c };
    text.chars().map(shown).collect()
}
