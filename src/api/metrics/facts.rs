//! Facts as they become true: what people are told is counted as it is told, the rest as it is.
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::exposition::{Metrics, seconds};
use super::labels;
use super::runs::{RotationResult, rolled_back};
use crate::api::public::{Line, Public};
use crate::api::status::Seen;
use crate::coordinator::event::Event;
use crate::coordinator::intent::Intent;
use crate::coordinator::state::State;
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::rrset::UpdateOutcome;
use crate::model::time::{Mono, Now};

/// One committed fact, with the states around it and the line that others hear of it.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    pub event: &'a Event,
    pub before: &'a State,
    pub after: &'a State,
    pub at: Timestamp,
    pub line: Option<&'a Line>,
}

/// What can become of an UPDATE.
pub(super) const OUTCOMES: [&str; 5] = ["applied", "not_applied", "refused", "unknown", "not_sent"];

/// How a visit can end.
pub(super) const VISIT_RESULTS: [&str; 5] = [
    "completed",
    "skipped",
    "put_back",
    "rolled_back",
    "quarantined",
];

impl Metrics {
    /// Takes a fact in. `fleet` is the one of its rotation.
    pub fn see(&self, fleet: &Fleet, fact: &Fact<'_>) {
        let ledger = &mut *self.ledger();
        ledger.facts += 1;
        self.changed(fact);
        self.timed(fact);
        if let Event::VisitEnded { site, end, .. } = fact.event
            && let Some(rotation) = &fact.before.rotation
        {
            match rolled_back(*end, &rotation.plan_of(site).mode) {
                Some(true) => drop(ledger.rolled_back.insert(site.clone())),
                Some(false) => drop(ledger.rolled_back.remove(site)),
                None => {}
            }
        }
        let nothing = (BTreeMap::new(), BTreeMap::new());
        let seen = Seen {
            fleet,
            state: Some(fact.after),
            view: fact.after.view.as_deref(),
            engines: &nothing.0,
            ends: &nothing.1,
            holder: Some(&self.holder),
            is_live: true,
            now: Now {
                mono: Mono(0),
                wall: fact.at,
            },
        };
        self.stand(ledger, &seen);
        if let Some(line) = fact.line {
            self.told(line, fact.after);
        }
    }

    fn changed(&self, fact: &Fact<'_>) {
        if let Event::ChangeAnswered { outcome } = fact.event {
            let outcome = match outcome {
                UpdateOutcome::Applied => "applied",
                UpdateOutcome::NotApplied { .. } => "not_applied",
                UpdateOutcome::Refused { .. } => "refused",
                UpdateOutcome::Unknown { .. } => "unknown",
                UpdateOutcome::NotSent { .. } => "not_sent",
            };
            let labels = labels::Outcome { outcome };
            self.families.dns_changes.get_or_create(&labels).inc();
        } else if let Event::Deposed { .. } = fact.event {
            self.families.marker_lost.inc();
        } else if let Event::ChangeProven {
            intent: Intent::Acquire,
            marker,
            ..
        } = fact.event
        {
            let mut sent = fact.before.lane.changes().iter();
            let change = sent.find(|change| change.marker == *marker);
            let former = change.and_then(|change| change.expect_marker.as_ref()?.holder.as_ref());
            if former.is_some_and(|former| *former != self.holder) {
                self.families.marker_taken_over.inc();
            }
        }
    }

    /// Steps that ended with this fact. What a process that died left is taken up somewhere else:
    /// that time is nobody's step.
    fn timed(&self, fact: &Fact<'_>) {
        let is_taken_up = matches!(
            fact.event,
            Event::Started
                | Event::ChangeProven {
                    intent: Intent::Acquire,
                    ..
                }
        );
        let before = fact.before.running().filter(|_| !is_taken_up);
        for (site, visit) in before.iter().flat_map(|rotation| &rotation.visits) {
            let step = visit.stage.step();
            let after = fact.after.running();
            let after = after.and_then(|rotation| rotation.visits.get(site));
            if after.is_none_or(|visit| visit.stage.step() != step) {
                self.took(site, step.as_str(), seconds(visit.step_since, fact.at));
            }
        }
    }

    fn took(&self, site: &SiteName, step: &'static str, seconds: f64) {
        let labels = labels::Step { step };
        self.families.step.get_or_create(&labels).observe(seconds);
        let site = site.clone();
        let last = labels::SiteStep { site, step };
        self.families.last_step.get_or_create(&last).set(seconds);
    }

    fn told(&self, line: &Line, after: &State) {
        if let Some(result) = RotationResult::of(&line.public) {
            self.ended(result, line.at, after);
        }
        let Some(site) = line.site.clone() else {
            return;
        };
        if let Public::Drained { traffic, .. } = &line.public {
            self.drained(site, *traffic);
        } else if let Public::Retrying { .. } = &line.public {
            let labels = labels::Site { site };
            self.families.retries.get_or_create(&labels).inc();
        } else if let Some(result) = visit_result(&line.public) {
            let labels = labels::SiteResult { site, result };
            self.families.visits.get_or_create(&labels).inc();
        }
    }

    /// What could not be measured has no number.
    fn drained(&self, site: SiteName, traffic: Option<f64>) {
        let labels = labels::Site { site };
        if let Some(traffic) = traffic {
            self.families.residue.get_or_create(&labels).set(traffic);
        } else {
            self.families.residue.remove(&labels);
        }
    }

    fn ended(&self, result: RotationResult, at: Timestamp, after: &State) {
        self.last_result_is(result);
        let Some(rotation) = &after.rotation else {
            return;
        };
        let playbook = rotation.plan.playbook.clone();
        if result == RotationResult::Completed {
            self.succeeded(playbook.clone(), at);
        }
        let result = result.as_str();
        let labels = labels::PlaybookResult { playbook, result };
        self.families.rotations.get_or_create(&labels).inc();
    }
}

fn visit_result(public: &Public) -> Option<&'static str> {
    match public {
        Public::VisitCompleted { .. } => Some("completed"),
        Public::SiteSkipped { .. } => Some("skipped"),
        Public::PutBack { .. } => Some("put_back"),
        Public::RolledBack { .. } => Some("rolled_back"),
        Public::SiteQuarantined { .. } => Some("quarantined"),
        Public::RotationPlanned { .. }
        | Public::VisitStarted { .. }
        | Public::ImagesPulled { .. }
        | Public::KeptDrifted { .. }
        | Public::Ready { .. }
        | Public::WithdrawRefused { .. }
        | Public::Withdrawn { .. }
        | Public::Draining { .. }
        | Public::Drained { .. }
        | Public::Recreated { .. }
        | Public::TrialBegun { .. }
        | Public::TrialAccepted { .. }
        | Public::Verified { .. }
        | Public::Restored { .. }
        | Public::Soaked
        | Public::RollingBack { .. }
        | Public::Retrying { .. }
        | Public::HookFailed { .. }
        | Public::Waiting { .. }
        | Public::TagMoved { .. }
        | Public::TakenOver { .. }
        | Public::RotationPaused { .. }
        | Public::RotationResumed { .. }
        | Public::RotationHalted { .. }
        | Public::RotationAborted { .. }
        | Public::RotationCompleted { .. } => None,
    }
}
