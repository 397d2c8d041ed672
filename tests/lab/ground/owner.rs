//! Whose a lab is: what its folder says, the reaper that outlives its owner, and stale labs.

use std::path::Path;
use std::process::Child;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{processes, program, teardown};
use crate::lab::spec::LabSpec;

/// What a lab's folder says about it, for those who find it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    pub spec: LabSpec,
    pub owner: Option<Owner>,
}

/// The process that laid a lab; its start time tells it from a later one with the same pid.
#[derive(Debug, Serialize, Deserialize)]
pub struct Owner {
    pid: u32,
    started: u64,
}

impl Owner {
    /// This very process.
    pub fn us() -> Result<Self> {
        let pid = std::process::id();
        let started = processes::started(pid).context("failed to read /proc/self/stat")?;
        Ok(Self { pid, started })
    }

    fn is_alive(&self) -> bool {
        processes::started(self.pid) == Some(self.started)
    }
}

/// Whether a living process holds the lab, or is about to.
pub fn is_held(id: &str) -> bool {
    let dir = teardown::dir_of(id);
    match read_record(&dir) {
        Ok(Record {
            owner: Some(owner), ..
        }) => owner.is_alive(),
        Ok(Record { owner: None, .. }) => false,
        // Between making the folder and writing the record; or namespaces without a folder.
        Err(_) => dir.exists(),
    }
}

/// Tears down the labs whose owner died and whose reaper did not get to it.
pub fn tear_down_stale() {
    for id in teardown::all_ids() {
        let detached = matches!(
            read_record(&teardown::dir_of(&id)),
            Ok(Record { owner: None, .. })
        );
        if !detached
            && !is_held(&id)
            && let Err(error) = teardown::tear_down(&id)
        {
            eprintln!("stale lab {id}: {error:#}");
        }
    }
}

/// A process of its own session that waits for the end of its standard input, which comes when
/// the owner drops the lab and when the owner dies, however it dies.
pub fn start_reaper(id: &str, dir: &Path) -> Result<Child> {
    let exe = crate::lab::fleet::runner::lab_exe()?;
    let mut reaper = program::command(&["setsid"]);
    reaper.arg(exe).args(["reap", id]);
    program::log_to(&mut reaper, &dir.join("reaper.log"))?;
    reaper.stdin(std::process::Stdio::piped());
    reaper.spawn().context("failed to start the reaper")
}

/// What the folder says; an error where it says nothing, or not yet.
pub fn read_record(dir: &Path) -> Result<Record> {
    let text = std::fs::read(dir.join("lab.json"))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Writes it so that nobody reads half of it.
pub fn write_record(dir: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_vec_pretty(record)?;
    let new = dir.join("lab.json.new");
    std::fs::write(&new, text).context("failed to write lab.json")?;
    std::fs::rename(new, dir.join("lab.json")).context("failed to write lab.json")
}
