//! One pass of a playbook, as it stands.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Plan;
use crate::model::id::{HostName, SiteName, Token};
use crate::model::marker::Marker;
use crate::model::time::Mono;

use super::Visit;

/// One pass of a playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    pub plan: Arc<Plan>,
    pub began: Timestamp,
    /// When the last visit ended, or it began: since then it waits as a whole, if it does.
    pub alone_since: Timestamp,
    /// Until when another holder's marker is waited for.
    pub patience: Mono,
    /// Another holder's marker, and since when every read has shown it unchanged.
    pub stood: Option<(Marker, Mono)>,
    /// A marker that may be taken over.
    pub take_over_from: Option<Marker>,
    pub wave: usize,
    /// Shared: a decision copies the one that it changes.
    pub visits: BTreeMap<SiteName, Arc<Visit>>,
    pub ended: BTreeMap<SiteName, (VisitEnd, Option<Problem>)>,
    pub ending: Option<Ending>,
    pub end: Option<RotationEnd>,
    /// In this process.
    pub has_acquired: bool,
    /// In any life of it; the marker has to be given back.
    pub has_held: bool,
    pub is_released: bool,
    /// Why the marker was not to be had, or not given back.
    pub refusal: Option<Problem>,
    pub prefetch: BTreeMap<(SiteName, HostName), Token>,
    /// Sites in service that are watched while another one is out and could still go back.
    pub others: BTreeMap<SiteName, Token>,
    pub writes: VecDeque<Intent>,
    /// Sites that a rebuild was asked for within this rotation, each on a plan of its own.
    pub asked: BTreeMap<SiteName, Arc<Plan>>,
}

/// Why no further visit starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Halted {
        cause: Problem,
        site: Option<SiteName>,
    },
    Aborted {
        reason: String,
    },
    Deposed {
        why: String,
    },
    NotAcquired {
        why: String,
    },
}

impl Rotation {
    /// The plan that the visit of `site` follows: the rotation's, or the one it was asked for with.
    pub fn plan_of(&self, site: &SiteName) -> &Plan {
        self.asked.get(site).unwrap_or(&self.plan)
    }

    /// Whether no further visit starts.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether nothing may be sent any more: the marker is not ours.
    pub fn has_lost(&self) -> bool {
        match self.ending {
            Some(Ending::Deposed { .. } | Ending::NotAcquired { .. }) => true,
            Some(Ending::Halted { .. } | Ending::Aborted { .. }) | None => false,
        }
    }

    /// Whether nothing is left to do but to give the marker back.
    pub fn is_over(&self) -> bool {
        let is_done = self.wave >= self.plan.waves.len() || self.is_ending();
        self.visits.is_empty() && self.writes.is_empty() && is_done
    }
}
