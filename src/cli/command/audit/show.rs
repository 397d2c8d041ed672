//! The records of the audit, one a line.
use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::since::Since;
use super::verify::{self, Verify};
use crate::api::audit::{What, words};
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::failure::Outcome;
use crate::cli::grid::grid;
use crate::model::id::{RotationId, SiteName};
use crate::store::{Audited, Store, StoreError};

/// Who asked for what, what was done, and what became of it; kept for ever
///
/// Every command with its reason, those that were refused too, every change of DNS with the records
/// before and after, every container that was made, stopped and removed. Each record is bound to all
/// before it by a hash.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  cleanslate audit --since 24h                    the last night
  cleanslate audit --since 2026-11-01 --site nyc  what was done to one site
  cleanslate audit --json | jq .kind              for programs: one object a line
  cleanslate audit verify --head HASH             that nothing was altered since HASH was sent out"
)]
pub(in crate::cli) struct Show {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only from then on: 36h, 2d, 2026-11-01, 2026-11-01T03:00 (in the time of this machine)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only about this site
    #[arg(long, value_name = "SITE")]
    site: Option<SiteName>,
    /// Only of this rotation
    #[arg(long, value_name = "ROTATION")]
    rotation: Option<RotationId>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
}

pub(in crate::cli) fn run(desk: &Desk, args: &Show) -> Outcome {
    let fleet = desk.load()?.fleet.name;
    if let Some(Command::Verify(args)) = &args.command {
        return verify::run(desk, &fleet, args);
    }
    let now = desk.clock.now().wall;
    let since = args.since.map(|since| since.before(now, &desk.when.zone));
    let reader = match Store::open_read_only(&desk.state_dir(), &fleet) {
        Err(StoreError::Missing { .. }) => {
            desk.output.progress("nothing was ever done here");
            return Ok(Exit::Done);
        }
        opened => opened?,
    };
    let mut reasons = Reasons::default();
    let mut told = Vec::new();
    let chain = reader.audited(|record| {
        reasons.note(&record);
        if is_asked(args, since, &record) {
            told.push(record);
        }
    })?;
    if desk.output.is_json {
        for record in &told {
            desk.output.json(&reasons.json(record));
        }
    } else if !told.is_empty() {
        desk.output.result(&table(desk, told, now));
    }
    match chain.broken {
        None => Ok(Exit::Done),
        Some(broken) => Err(verify::damaged(&broken)),
    }
}

fn is_asked(args: &Show, since: Option<Timestamp>, record: &Audited) -> bool {
    let entry = &record.entry;
    since.is_none_or(|since| entry.at >= since)
        && args
            .site
            .as_ref()
            .is_none_or(|site| entry.site.as_ref() == Some(site))
        && args
            .rotation
            .as_ref()
            .is_none_or(|id| entry.rotation.as_ref() == Some(id))
}

fn table(desk: &Desk, records: Vec<Audited>, now: Timestamp) -> String {
    let dash = || "-".to_owned();
    let row = |record: Audited| {
        let entry = record.entry;
        // What is not as it was written is shown, and is not to be believed.
        let sound = if record.is_sound { "" } else { "!" };
        [
            format!("{}{sound}", record.seq),
            desk.when.at(entry.at, now),
            entry.by.to_string(),
            entry
                .rotation
                .map_or_else(dash, |rotation| rotation.to_string()),
            entry.site.map_or_else(dash, |site| site.to_string()),
            words(&entry.kind, &entry.body),
        ]
    };
    let headings = ["N", "WHEN", "BY", "ROTATION", "SITE", "WHAT"];
    grid(headings, records.into_iter().map(row).collect())
}

/// Why each rotation was begun: its effects are done for the same reason.
#[derive(Default)]
struct Reasons(BTreeMap<RotationId, String>);

impl Reasons {
    fn note(&mut self, record: &Audited) {
        let (Some(rotation), "rotation_planned") = (&record.entry.rotation, &*record.entry.kind)
        else {
            return;
        };
        let what = What::read(&record.entry.kind, &record.entry.body);
        if let Some(What::RotationPlanned(plan)) = what
            && let Some(reason) = plan.reason
        {
            self.0.insert(rotation.clone(), reason);
        }
    }

    fn json(&self, record: &Audited) -> Value {
        let entry = &record.entry;
        let reason = entry.rotation.as_ref().and_then(|id| self.0.get(id));
        // What a damaged body holds is shown as text.
        let body = serde_json::from_str(&entry.body);
        json!({
            "v": 1,
            "n": record.seq,
            "at": entry.at,
            "by": { "who": entry.by.who, "way": entry.by.way, "pid": entry.by.pid },
            "rotation": entry.rotation,
            "site": entry.site,
            "reason": reason,
            "kind": entry.kind,
            "body": body.unwrap_or_else(|_| Value::from(entry.body.as_str())),
            "hash": record.hash,
            "sound": record.is_sound,
        })
    }
}
