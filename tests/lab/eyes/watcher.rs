//! The watcher of a lab's name servers, and what its notes prove.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};

use super::users::next_number;
pub use super::watch::Change;
use crate::lab::Lab;
use crate::lab::ground::program::wait_until;
use crate::lab::inspect::Answer;
use crate::lab::spec::{PRIMARY, SECONDARY};

/// A watcher at work, in a process of its own; it ends when it is dropped.
pub struct Watcher {
    process: Child,
    output: PathBuf,
}

/// Every change that was seen, in order of time. [`History::check`] says whether all of it was as
/// it must be.
#[derive(Clone, Debug)]
pub struct History {
    pub changes: Vec<Change>,
}

impl Watcher {
    /// Watches every record of the spec on both servers, every 20 ms.
    pub fn start(lab: &Lab) -> Result<Self> {
        let output = lab.dir.join(format!("watch-{}.jsonl", next_number()));
        let exe = crate::lab::fleet::runner::lab_exe()?.display().to_string();
        let mut watch = lab.in_core(&["setsid", &exe, "watch"]);
        let records: Vec<_> = lab
            .spec
            .records
            .iter()
            .map(|record| record.name.as_str())
            .collect();
        watch.arg("--servers").arg(format!("{PRIMARY},{SECONDARY}"));
        watch.arg("--records").arg(records.join(","));
        let file = File::create(&output).context("failed to make the watcher's file")?;
        let process = watch
            .stdout(file)
            .spawn()
            .context("failed to start the watcher")?;
        let watcher = Self { process, output };
        let first = 2 * records.len();
        let begun = || watcher.history().changes.len() >= first;
        wait_until(
            "the watcher sees both servers",
            Duration::from_secs(10),
            begun,
        )?;
        Ok(watcher)
    }

    /// What was seen so far.
    pub fn history(&self) -> History {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let changes = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut changes: Vec<Change> = changes.collect();
        changes.sort_by_key(|change| change.at);
        History { changes }
    }

    /// Ends the watching.
    pub fn stop(self) -> History {
        self.history()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("failed to end the watcher: {error}");
        }
    }
}

impl History {
    /// What one server answered for one record, whenever that changed.
    pub fn of(&self, server: IpAddr, record: &str) -> Vec<(jiff::Timestamp, &Answer)> {
        let here = self
            .changes
            .iter()
            .filter(|it| it.server == server && it.record == record);
        here.filter_map(|it| Some((it.at, it.answer.as_ref()?)))
            .collect()
    }

    /// The smallest number of addresses of one family that any server ever showed in the record.
    pub fn min_size(&self, record: &str, ipv6: bool) -> usize {
        let answers = self.answers(record);
        let size = |answer: &Answer| {
            answer
                .addresses
                .iter()
                .filter(|it| it.is_ipv6() == ipv6)
                .count()
        };
        answers.map(size).min().unwrap_or(0)
    }

    /// Whether any server ever showed the record without an address.
    pub fn ever_empty(&self, record: &str) -> bool {
        self.answers(record)
            .any(|answer| answer.addresses.is_empty())
    }

    /// The sets that one server showed, one after another.
    pub fn sets(&self, server: IpAddr, record: &str) -> Vec<BTreeSet<IpAddr>> {
        let sets = self.of(server, record).into_iter();
        let mut sets: Vec<_> = sets
            .map(|(_, answer)| answer.addresses.iter().copied().collect())
            .collect();
        sets.dedup();
        sets
    }

    /// How often the marker became another one on this server.
    pub fn marker_changes(&self, server: IpAddr, record: &str) -> usize {
        let mut markers: Vec<_> = self
            .of(server, record)
            .into_iter()
            .map(|(_, answer)| &answer.marker)
            .collect();
        markers.dedup();
        markers.len().saturating_sub(1)
    }

    /// The TTLs that the record's addresses ever had, on any server.
    pub fn ttls(&self, record: &str) -> BTreeSet<u32> {
        self.answers(record)
            .filter_map(|answer| answer.ttl)
            .collect()
    }

    /// From when to when this server did not show the address; an end of `None` is still so.
    pub fn absences(
        &self,
        server: IpAddr,
        record: &str,
        address: IpAddr,
    ) -> Vec<(jiff::Timestamp, Option<jiff::Timestamp>)> {
        let mut absences: Vec<(jiff::Timestamp, Option<jiff::Timestamp>)> = Vec::new();
        for (at, answer) in self.of(server, record) {
            let open = absences.last().is_some_and(|(_, end)| end.is_none());
            match (answer.addresses.contains(&address), open) {
                (false, false) => absences.push((at, None)),
                (true, true) => absences.last_mut().expect("an absence is open").1 = Some(at),
                (true, false) | (false, true) => {}
            }
        }
        absences
    }

    fn answers(&self, record: &str) -> impl Iterator<Item = &Answer> {
        let changes = self
            .changes
            .iter()
            .filter(move |change| change.record == record);
        changes.filter_map(|change| change.answer.as_ref())
    }
}
