//! That the audit is as it was written, from its first record to its head.
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::api::words::counted;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::model::id::FleetName;
use crate::store::{Broken, Store};

/// Checks every record from the first to the last, and names the first that is not as written
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// A hash that was sent out earlier: everything up to that record is then as it was
    #[arg(long, value_name = "HASH", value_parser = hash)]
    head: Option<String>,
}

pub(super) fn run(desk: &Desk, fleet: &FleetName, args: &Verify) -> Outcome {
    let reader = Store::open_read_only(&desk.state_dir(), fleet)?;
    let mut found: Option<(u64, Timestamp)> = None;
    let chain = reader.audited(|record| {
        if args.head.as_ref() == Some(&record.hash) && record.is_sound {
            found = Some((record.seq, record.entry.at));
        }
    })?;
    if desk.output.is_json {
        desk.output.json(&json!({
            "v": 1,
            "records": chain.records,
            "head": chain.head,
            "last_at": chain.last_at,
            "broken": chain.broken.as_ref().map(|broken| json!({ "n": broken.seq, "what": broken.what })),
            "asked": args.head,
            "found": found.map(|(seq, at)| json!({ "n": seq, "at": at })),
        }));
    }
    // What follows a broken record may have been written to fit it.
    let broken_at = chain.broken.as_ref().map_or(u64::MAX, |broken| broken.seq);
    let is_proven = found.filter(|(seq, _)| *seq < broken_at);
    let now = desk.clock.now().wall;
    let mut text = String::new();
    if let (Some(head), Some((seq, at))) = (&args.head, is_proven) {
        let at = desk.when.ago(at, now);
        text = format!("{head} is record {seq}, of {at}: all up to it is as it was then");
        if !desk.output.is_json {
            desk.output.result(&text);
        }
    }
    if let Some(broken) = &chain.broken {
        return Err(damaged(broken));
    }
    if let (Some(head), true) = (&args.head, text.is_empty()) {
        return Err(Failure::new(
            Exit::Fault,
            format!("no record of the audit has the hash {head}"),
            "it was sent out by another fleet or another coordinator, or the audit was rewritten \
             since: compare with a backup of that time",
        ));
    }
    if !desk.output.is_json {
        let records = counted(chain.records, "record");
        let last = chain.last_at.map_or(String::new(), |at| {
            format!(", the last of {}", desk.when.ago(at, now))
        });
        desk.output
            .result(&format!("the audit is as it was written: {records}{last}"));
        desk.output.result(&format!("head: {}", chain.head));
    }
    Ok(Exit::Done)
}

/// It is damaged or was tampered with.
pub(super) fn damaged(broken: &Broken) -> Failure {
    let Broken { seq, what } = broken;
    Failure::new(
        Exit::Fault,
        format!("record {seq} of the audit is broken: {what}"),
        "keep a copy of the state folder; all before that record is as it was written, and \
         nothing after it is proven. Rotations go on",
    )
}

fn hash(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err("a hash has 64 hexadecimal digits".to_owned())
}
