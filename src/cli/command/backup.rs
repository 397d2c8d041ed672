//! `backup`: all that a coordinator knows, in one file.
use std::path::PathBuf;

use clap::Args;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use crate::api::token::{Entry, TokenFile};
use crate::api::words::counted;
use crate::store::{About, Holds, Store};

/// Copies all that a coordinator knows into one file: to move house with, or to keep
///
/// Journal, history, evidence, audit and tokens, as they were at one moment. A coordinator that runs is
/// not disturbed. On another machine: cleanslate serve --from FILE.
#[derive(Args, Debug)]
#[command(after_help = "\
Keep it like a secret: it holds what tokens hash to, logs of containers, and the files that a running
rotation was planned from. site.toml, the files it names and its keys are not in it.")]
pub(crate) struct Backup {
    /// Where to; must not be there
    file: PathBuf,
    /// Writes over an earlier backup
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(desk: &Desk, args: &Backup) -> Outcome {
    let fleet = desk.load()?.fleet;
    let now = desk.clock.now().wall;
    let about = About::new(now, &desk.user()).map_err(|why| {
        let what = format!("the system gives no random numbers: {why}");
        Failure::new(Exit::Fault, what, "see its log (dmesg), then try again")
    })?;
    let reader = Store::open_read_only(&desk.state_dir(), &fleet.name)?;
    let tokens = TokenFile::of(&desk.folder(&fleet)).whole()?;
    let (text, tokens) = tokens.map_or((None, Vec::new()), |(text, tokens)| (Some(text), tokens));
    let carried: Vec<_> = text
        .into_iter()
        .map(|text| (TokenFile::NAME, text))
        .collect();
    let holds = reader.back_up(&args.file, &about, &carried, args.force)?;
    tell(desk, args, &holds, &tokens);
    Ok(Exit::Done)
}

fn tell(desk: &Desk, args: &Backup, holds: &Holds, tokens: &[Entry]) {
    let now = desk.clock.now().wall;
    let is_open = |entry: &&Entry| {
        entry.revoked.is_none() && entry.expires.is_none_or(|expires| expires > now)
    };
    let tokens = tokens.iter().filter(is_open).count() as u64;
    if desk.output.is_json {
        desk.output.json(&serde_json::json!({
            "v": 1,
            "file": args.file,
            "id": holds.about.id,
            "made": holds.about.made,
            "fleet": holds.fleet,
            "holder": holds.holder,
            "records": holds.records,
            "until": holds.until,
            "rotations": holds.rotations,
            "unfinished": holds.unfinished,
            "tokens": tokens,
            "audit": {
                "records": holds.audit.records,
                "head": holds.audit.head,
                "broken": holds.audit.broken.as_ref().map(|broken| broken.seq),
            },
            "bytes": holds.bytes,
        }));
        return;
    }
    let until = holds.until.map_or(String::new(), |at| {
        format!(", the last of {}", desk.when.ago(at, now))
    });
    let (file, fleet, kib) = (
        args.file.display(),
        &holds.fleet,
        holds.bytes.div_ceil(1024),
    );
    let (records, rotations) = (
        counted(holds.records, "record"),
        counted(holds.rotations as u64, "rotation"),
    );
    desk.output.result(&format!(
        "{file}: fleet {fleet}, {records}{until}; {rotations}, {}, {kib} KiB",
        counted(tokens, "token")
    ));
    for rotation in &holds.unfinished {
        let what =
            format!("{rotation} has not ended: who moves in with this does not go on with it");
        desk.output.progress(&what);
    }
    if let Some(broken) = &holds.audit.broken {
        let (seq, what) = (broken.seq, &broken.what);
        let what = format!("record {seq} of the audit is broken: {what}; it is copied as it is");
        desk.output.say(&what);
    }
}
