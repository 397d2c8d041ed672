//! One pass of a playbook, as it stands.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::coordinator::event::{PauseEnd, RotationEnd, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Plan;
use crate::model::id::{HostName, SiteName, Token};
use crate::model::image::Pins;
use crate::model::marker::Marker;
use crate::model::time::{Mono, Ttl};

use super::{Visit, Wait};

/// One pass of a playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    pub plan: Arc<Plan>,
    pub began: Timestamp,
    /// When the last visit ended, or it began: since then it waits as a whole, if it does.
    pub alone_since: Timestamp,
    /// The largest TTL that any look at the primary has shown since it began: it may wait for a day
    /// between two visits.
    pub ttl_high: Ttl,
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
    /// The person who ended it: what is verified goes in, tried by hand or not.
    pub aborted_by: Option<String>,
    pub pause: Option<Pause>,
    /// The sites that are next wait for their quiet hours.
    pub window: Option<WindowWait>,
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
    /// Those of them that were asked for in a pause, and whose visits have not ended: the pause does
    /// not hold them, and whatever else is in hand waits for them.
    pub urgent: BTreeSet<SiteName>,
}

/// Who wants nothing further to begin, why, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    pub actor: String,
    pub reason: String,
    pub since: Timestamp,
    pub ends: PauseEnd,
    /// Where it ends at a time.
    pub wait: Option<Wait>,
}

/// The wait for the quiet hours of the sites that are next.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowWait {
    pub since: Timestamp,
    pub wait: Wait,
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

    /// The digests that `site` is visited with.
    pub fn pins_for(&self, site: &SiteName) -> &Pins {
        let plan = self.plan_of(site);
        let visit = self.visits.get(site);
        visit.map_or(plan.pins_for(site), |visit| visit.pins(plan))
    }

    /// The sites of the wave in hand whose visits have not begun.
    pub fn next_sites(&self) -> impl Iterator<Item = &SiteName> {
        let wave = self.plan.waves.get(self.wave).into_iter().flatten();
        wave.filter(|site| !self.ended.contains_key(*site) && !self.visits.contains_key(*site))
    }

    /// The site whose visit follows, in whichever wave; none once the rotation is ending.
    pub fn next_site(&self) -> Option<&SiteName> {
        let is_left =
            |site: &&SiteName| !self.ended.contains_key(*site) && !self.visits.contains_key(*site);
        let mut sites = self.plan.sites().filter(|_| !self.is_ending());
        sites.find(is_left)
    }

    /// The sites that wait for a person to try them by hand.
    pub fn on_trial(&self) -> impl Iterator<Item = &SiteName> {
        let visits = self.visits.values();
        let waits = visits.filter(|visit| visit.is_on_trial());
        waits.map(|visit| &visit.site)
    }

    /// Whether no further visit starts.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether what serves stays as it is for now: no visit starts, no site leaves, but for what a
    /// person has asked for since.
    pub fn is_paused(&self) -> bool {
        self.pause.is_some() && !self.is_ending()
    }

    /// Whether `site` stays as it is for now.
    pub fn is_held(&self, site: &SiteName) -> bool {
        if self.is_ending() {
            return false;
        }
        let by_pause = |pause: &Pause| pause.ends == PauseEnd::Start || !self.urgent.contains(site);
        self.pause.as_ref().is_some_and(by_pause) || self.gives_way_to(site).is_some()
    }

    /// The urgent visit in hand that `site` waits for.
    pub fn gives_way_to(&self, site: &SiteName) -> Option<&SiteName> {
        let mut urgent = self.urgent.iter();
        urgent.find(|other| *other != site && self.visits.contains_key(*other))
    }

    /// Whether a site that has left is not touched for now either. Whoever ends the process alone
    /// wants it finished first.
    pub fn holds_what_left(&self, site: &SiteName) -> bool {
        let by_person = |pause: &Pause| pause.ends != PauseEnd::Start;
        let is_held = self.pause.as_ref().is_some_and(by_person);
        is_held && !self.urgent.contains(site) && !self.is_ending()
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
