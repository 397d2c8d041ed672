//! Runs of the schedule, how rotations ended, and what an earlier process knew of both.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::exposition::{Metrics, unix};
use super::labels;
use crate::api::public::Public;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::plan::Mode;
use crate::model::id::{PlaybookName, SiteName};

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationResult {
    Completed,
    /// Completed, but a site that was planned was left out.
    Skipped,
    Halted,
    Aborted,
}

/// The runs of a playbook around now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// When the last one that is behind us was planned; `None` where it was frozen, or never was.
    pub last: Option<Timestamp>,
    /// When the first one is planned that is not, frozen ones apart.
    pub next: Option<Timestamp>,
}

/// What the store knows of earlier processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    pub last_success: BTreeMap<PlaybookName, Timestamp>,
    pub last_result: Option<RotationResult>,
    /// When the visit of each site ended that left it out of DNS.
    pub out_since: BTreeMap<SiteName, Timestamp>,
    /// Sites whose last rebuild ended on their last good images.
    pub rolled_back: BTreeSet<SiteName>,
}

/// Whether a site serves its last good images after a visit that ended so; `None`: the visit has
/// not changed that.
pub fn rolled_back(end: VisitEnd, mode: &Mode) -> Option<bool> {
    match mode {
        Mode::Rotate | Mode::Rebuild => {}
        Mode::Restore { .. }
        | Mode::Recover
        | Mode::Withdraw
        | Mode::Cordon { .. }
        | Mode::TakeOver => return None,
    }
    match end {
        VisitEnd::RolledBack => Some(true),
        VisitEnd::Completed | VisitEnd::Quarantined | VisitEnd::LeftOut => Some(false),
        VisitEnd::Skipped | VisitEnd::PutBack | VisitEnd::LeftInService => None,
    }
}

impl RotationResult {
    pub const ALL: [RotationResult; 4] = [
        RotationResult::Completed,
        RotationResult::Skipped,
        RotationResult::Halted,
        RotationResult::Aborted,
    ];

    /// The word that programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            RotationResult::Completed => "completed",
            RotationResult::Skipped => "skipped",
            RotationResult::Halted => "halted",
            RotationResult::Aborted => "aborted",
        }
    }

    /// Where that is the end of a rotation.
    pub fn of(public: &Public) -> Option<RotationResult> {
        if let Public::RotationCompleted { skipped, .. } = public {
            let is_whole = skipped.is_empty();
            Some(if is_whole {
                RotationResult::Completed
            } else {
                RotationResult::Skipped
            })
        } else if let Public::RotationHalted { .. } = public {
            Some(RotationResult::Halted)
        } else if let Public::RotationAborted { .. } = public {
            Some(RotationResult::Aborted)
        } else {
            None
        }
    }
}

impl Metrics {
    /// What earlier processes knew, told once, before the first fact.
    pub fn remember(&self, past: Remembered) {
        for (playbook, at) in past.last_success {
            self.succeeded(playbook, at);
        }
        if let Some(result) = past.last_result {
            self.last_result_is(result);
        }
        let mut ledger = self.ledger();
        ledger.out_since = past.out_since;
        ledger.rolled_back = past.rolled_back;
    }

    /// Every playbook that runs by itself, and its runs.
    pub fn plan(&self, runs: &BTreeMap<PlaybookName, Runs>) {
        let _one_moment = self.ledger();
        self.families.last_run.clear();
        self.families.next_run.clear();
        for (playbook, runs) in runs {
            let labels = labels::Playbook {
                playbook: playbook.clone(),
            };
            if let Some(last) = runs.last {
                self.families
                    .last_run
                    .get_or_create(&labels)
                    .set(unix(last));
            }
            if let Some(next) = runs.next {
                self.families
                    .next_run
                    .get_or_create(&labels)
                    .set(unix(next));
            }
            // An increase can be seen only of what was there before.
            drop(self.families.runs_missed.get_or_create(&labels));
            for result in RotationResult::ALL.map(RotationResult::as_str) {
                let playbook = playbook.clone();
                let labels = labels::PlaybookResult { playbook, result };
                drop(self.families.rotations.get_or_create(&labels));
            }
        }
    }

    /// So many runs of a playbook are given up at that time.
    pub fn missed(&self, playbook: &PlaybookName, count: u64, at: Timestamp) {
        let playbook = playbook.clone();
        let labels = labels::Playbook { playbook };
        self.families
            .runs_missed
            .get_or_create(&labels)
            .inc_by(count);
        self.families
            .run_missed
            .get_or_create(&labels)
            .set(unix(at));
    }

    pub(super) fn succeeded(&self, playbook: PlaybookName, at: Timestamp) {
        let labels = labels::Playbook { playbook };
        self.families
            .last_success
            .get_or_create(&labels)
            .set(unix(at));
    }
}
