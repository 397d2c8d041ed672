//! What was seen and what is remembered, put together.
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::printed::{
    BarredStatus, MarkerStatus, ReleaseStatus, RotationState, RotationStatus, SiteStatus, Status,
};
use crate::api::public::VERSION;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{Ending, Rotation, State};
use crate::model::fleet::Fleet;
use crate::model::id::{HolderId, HostName, SiteName};
use crate::model::inventory::Inventory;
use crate::model::marker::Marker;
use crate::model::rrset::{MarkerSeen, ZoneView};
use crate::model::time::Now;

/// What was seen and what is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub fleet: &'a Fleet,
    /// What the journal says; `None`: there is no store here, or it cannot be read.
    pub state: Option<&'a State>,
    /// What the primary said just now; `None`: it did not answer.
    pub view: Option<&'a ZoneView>,
    /// What each engine said; those that were not asked are missing.
    pub engines: &'a BTreeMap<(SiteName, HostName), Engine>,
    /// How the last visit of each site ended, and when, as far as the journal goes back.
    pub ends: &'a BTreeMap<SiteName, LastEnd>,
    /// Who we are in markers, where a store says so.
    pub holder: Option<&'a HolderId>,
    /// Whether a process runs the machine: only then do its waits mean anything.
    pub is_live: bool,
    pub now: Now,
}

/// The end of a site's last visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEnd {
    pub at: Timestamp,
    pub end: VisitEnd,
    pub problem: Option<Problem>,
}

/// The answer of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    Up(Inventory),
    Down,
}

/// Puts together what was seen and what is remembered. The marker on the primary beats the store.
pub fn status(seen: &Seen<'_>) -> Status {
    let marker = seen.marker();
    let sites: Vec<SiteStatus> = seen
        .fleet
        .sites
        .values()
        .map(|site| seen.site(site, marker.as_ref()))
        .collect();
    let mut unknown = Vec::new();
    if seen.view.is_none() {
        unknown.push(format!(
            "the primary {} did not answer: what is in DNS is not known",
            seen.fleet.dns.server
        ));
    }
    if seen.state.is_none() {
        unknown.push("there is no store here: what rotations did is not known".to_owned());
    }
    Status {
        v: VERSION,
        fleet: seen.fleet.name.clone(),
        rotation: seen.rotation(),
        next: seen.next(marker.as_ref(), &sites),
        marker: marker.as_ref().map(marker_status),
        sites,
        unknown,
        barred: seen.barred(),
        next_run: None,
        release: ReleaseStatus::default(),
    }
}

impl Seen<'_> {
    /// As the primary serves it.
    pub(crate) fn marker(&self) -> Option<Marker> {
        let view = self.view?;
        view.markers.values().find_map(|seen| match seen {
            MarkerSeen::Here(marker) => Some(marker.clone()),
            MarkerSeen::Absent | MarkerSeen::Foreign { .. } => None,
        })
    }

    pub(super) fn barred(&self) -> Vec<BarredStatus> {
        let barred = self.state.into_iter().flat_map(|state| state.barred.iter());
        let told = barred.map(|(digest, barred)| BarredStatus {
            digest: digest.clone(),
            image: barred.image.to_string(),
            site: barred.site.clone(),
            rotation: barred.rotation.clone(),
            at: barred.at,
            why: barred.why.clone(),
        });
        told.collect()
    }

    pub(crate) fn running(&self) -> Option<&Rotation> {
        let rotation = self.state?.rotation.as_ref()?;
        rotation.end.is_none().then_some(rotation)
    }

    fn rotation(&self) -> Option<RotationStatus> {
        let rotation = self.running()?;
        let plan = &rotation.plan;
        let sites = |of: &dyn Fn(&SiteName) -> bool| {
            plan.sites().filter(|site| of(site)).cloned().collect()
        };
        let is_over = |site: &SiteName| rotation.ended.contains_key(site);
        let is_visited = |site: &SiteName| rotation.visits.contains_key(site);
        let waiting = self.state.filter(|_| self.is_live);
        let waiting = waiting.and_then(State::rotation_waits);
        Some(RotationStatus {
            id: plan.id.clone(),
            playbook: plan.playbook.clone(),
            state: RotationState::of(rotation),
            since: rotation.began,
            interrupted: !self.is_live,
            actor: plan.actor.clone(),
            reason: plan.reason.clone(),
            visited: sites(&is_over),
            left: sites(&|site| !is_over(site) && !is_visited(site)),
            until: waiting
                .as_ref()
                .and_then(|waiting| waiting.until)
                .and_then(|until| self.wall(until)),
            why: waiting.map(|waiting| waiting.why),
        })
    }
}

impl RotationState {
    /// Of a rotation that has not ended.
    pub(crate) fn of(rotation: &Rotation) -> RotationState {
        match &rotation.ending {
            None if rotation.is_paused() => RotationState::Paused,
            None => RotationState::Running,
            Some(Ending::Aborted { .. }) => RotationState::Aborting,
            Some(Ending::Halted { .. } | Ending::Deposed { .. } | Ending::NotAcquired { .. }) => {
                RotationState::Halting
            }
        }
    }
}

fn marker_status(marker: &Marker) -> MarkerStatus {
    MarkerStatus {
        epoch: marker.epoch.0,
        seq: marker.seq,
        holder: marker.holder.clone(),
        rotation: marker.rotation.clone(),
        out: marker.out.clone(),
        dirty: marker.dirty.clone(),
        held: marker.held.clone(),
        cordon: marker.cordon.clone(),
    }
}
