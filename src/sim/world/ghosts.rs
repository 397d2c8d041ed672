//! What only an all-seeing onlooker knows: who may still send users where, what was proven when,
//! what people did. No coordinator sees any of it; the invariants are told in it.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ttl_ms;
use crate::coordinator::effect::{HookCall, ProbeManner};
use crate::coordinator::event::Event;
use crate::coordinator::outcome::HookAnswer;
use crate::coordinator::state::State;
use crate::model::fleet::Fleet;
use crate::model::hook::{Gate, HookFailure, On};
use crate::model::id::{Epoch, HolderId, HookName, Nonce, RotationId, SiteName};
use crate::model::marker::Marker;
use crate::model::rrset::{RrKey, ZoneView};

#[derive(Clone, Debug, Default)]
pub(crate) struct Ghosts {
    /// Every declared address of a site.
    records: BTreeMap<SiteName, Vec<(RrKey, BTreeSet<IpAddr>)>>,
    /// Until when a resolver that honours TTLs may hold the site, in milliseconds.
    cached_until: BTreeMap<SiteName, u64>,
    /// Sites that a person put into DNS, and no UPDATE of ours has put in since.
    pub(crate) put_in_by_hand: BTreeSet<SiteName>,
    /// Sites that our own UPDATEs took out and nobody has put back.
    pub(crate) taken_out: BTreeSet<SiteName>,
    /// Sites that a person asked to have put in.
    pub(crate) asked_in: BTreeSet<SiteName>,
    pub(crate) nonces: BTreeSet<Nonce>,
    /// Epoch and sequence number of the highest marker that ever stood on the primary.
    pub(crate) highest: (Epoch, u64),
    /// The one that won each epoch.
    pub(crate) holders: BTreeMap<Epoch, HolderId>,
    /// When each holder last changed the marker.
    pub(crate) refreshed: BTreeMap<HolderId, u64>,
    /// Somebody said that the marker may be taken, for this rotation.
    pub(crate) may_take_over: BTreeSet<(HolderId, RotationId)>,
    /// When the primary last began to serve something new.
    pub(crate) published: u64,
    /// After the zone went backwards somebody acted who cannot know: what the zone forgot nobody
    /// remembers any more.
    pub(crate) is_memory_lost: bool,
    /// The zone was loaded from an older copy, once at least.
    pub(crate) is_restored: bool,
    /// The zone went backwards, and nobody has said since that it is well.
    pub(crate) is_zone_suspect: bool,
    /// When a site last answered the floor's look.
    pub(crate) answered: BTreeMap<SiteName, u64>,
    /// When a site last passed its probes with its present containers.
    pub(crate) verified: BTreeMap<SiteName, u64>,
    /// When something of the site was last removed or started.
    pub(crate) changed: BTreeMap<SiteName, u64>,
    /// When a marker last began to call the site dirty.
    pub(crate) dirtied: BTreeMap<SiteName, u64>,
    /// When something was last started there.
    pub(crate) started: BTreeMap<SiteName, u64>,
    /// When a person last said of a site that it may go in.
    pub(crate) said_in: BTreeMap<SiteName, u64>,
    /// Rotations that a person ended.
    pub(crate) ended_by_word: BTreeSet<RotationId>,
    /// Sites that were said to have broken in service, and the epoch of whoever was told.
    pub(crate) broken: BTreeMap<SiteName, Epoch>,
    /// Hooks that have agreed in a rotation to what is done to a site, or need not.
    hooked: BTreeSet<(RotationId, SiteName, HookName)>,
    /// The epoch of whoever's request is being carried out.
    pub(crate) acting: Epoch,
}

impl Ghosts {
    pub(crate) fn of(fleet: &Fleet) -> Ghosts {
        let records = fleet.sites.keys().map(|site| {
            let keys = fleet.rrsets_of(site).into_iter();
            let of_site = keys.map(|key| (key.clone(), fleet.addresses_of(site, &key)));
            (site.clone(), of_site.collect())
        });
        Ghosts {
            records: records.collect(),
            ..Ghosts::default()
        }
    }

    pub(crate) fn hook_said(&mut self, call: &HookCall, answer: &HookAnswer) {
        let HookCall { hook, occasion } = call;
        let may_object = match hook.on {
            On::Gate(_, terms) => terms.failure == HookFailure::Halt,
            On::Cue(_) => false,
        };
        if let Some(site) = &occasion.site
            && (*answer == HookAnswer::Agreed || !may_object)
        {
            let (rotation, hook) = (occasion.rotation.clone(), hook.name.clone());
            self.hooked.insert((rotation, site.clone(), hook));
        }
    }

    /// The first hook of a gate that has not agreed to what is done to a site, and must.
    pub(crate) fn objects<'f>(
        &self,
        fleet: &'f Fleet,
        (rotation, site): (&RotationId, &SiteName),
        gate: Gate,
    ) -> Option<&'f HookName> {
        let agreed = |hook: &HookName| {
            let agreed = (rotation.clone(), site.clone(), hook.clone());
            self.hooked.contains(&agreed)
        };
        let mut names = fleet.gate(gate, site).map(|hook| &hook.name);
        names.find(|name| !agreed(name))
    }

    /// Whether a view holds any address of the site.
    pub(crate) fn is_in(&self, view: &ZoneView, site: &SiteName) -> bool {
        let records = self.records.get(site).into_iter().flatten();
        records.into_iter().any(|(key, addresses)| {
            let served = view.rrsets.get(key);
            served.is_some_and(|set| !set.addresses.is_disjoint(addresses))
        })
    }

    /// Whether a view holds every address of the site.
    pub(crate) fn is_whole(&self, view: &ZoneView, site: &SiteName) -> bool {
        let records = self.records.get(site).into_iter().flatten();
        records.into_iter().all(|(key, addresses)| {
            let served = view.rrsets.get(key);
            served.is_some_and(|set| set.addresses.is_superset(addresses))
        })
    }

    /// Whose addresses these are.
    pub(crate) fn owner(&self, address: IpAddr) -> Option<&SiteName> {
        let mut sites = self.records.iter();
        let owns = |records: &Vec<(RrKey, BTreeSet<IpAddr>)>| {
            records.iter().any(|(_, own)| own.contains(&address))
        };
        sites
            .find(|(_, records)| owns(records))
            .map(|(site, _)| site)
    }

    /// A server stops serving `view` now: whoever asked a moment ago keeps the answer for a TTL.
    pub(crate) fn served(&mut self, view: &ZoneView, now: u64) {
        for (site, records) in &self.records {
            let ttls = records.iter().filter_map(|(key, addresses)| {
                let set = view.rrsets.get(key)?;
                (!set.addresses.is_disjoint(addresses)).then_some(set.ttl?)
            });
            if let Some(ttl) = ttls.max() {
                let until = self.cached_until.entry(site.clone()).or_insert(0);
                *until = (*until).max(now + ttl_ms(ttl));
            }
        }
    }

    /// Whether a resolver that honours TTLs may still hold the site.
    pub(crate) fn is_cached(&self, site: &SiteName, now: u64) -> bool {
        self.cached_until
            .get(site)
            .is_some_and(|until| now < *until)
    }

    /// Whether users of resolvers that keep answers too long are still seen.
    pub(crate) fn overstays(&self, site: &SiteName, now: u64, by: u64) -> bool {
        by > 0
            && self
                .cached_until
                .get(site)
                .is_some_and(|until| now < until + by)
    }

    /// Whether a person allowed whoever wrote this marker to take it.
    pub(crate) fn is_allowed(&self, marker: &Marker) -> bool {
        let (holder, rotation) = (marker.holder.clone(), marker.rotation.clone());
        let by = holder.zip(rotation);
        by.is_some_and(|by| self.may_take_over.contains(&by))
    }

    /// Somebody is told that a site broke in service.
    pub(crate) fn broke(&mut self, site: &SiteName) {
        self.broken.insert(site.clone(), self.acting);
    }

    /// Somebody is about to change the marker. Where it was only deleted, whoever makes one calls
    /// all dirty that is out: that needs no memory.
    pub(crate) fn acts(&mut self, state: &State, events: &[Event]) {
        let knows = state
            .marker
            .as_ref()
            .map(|marker| (marker.epoch, marker.seq));
        let changes = |event: &Event| matches!(event, Event::ChangeDecided { .. });
        if self.is_restored
            && self.is_zone_suspect
            && knows < Some(self.highest)
            && events.iter().any(changes)
        {
            self.is_memory_lost = true;
        }
    }

    /// By a person, who means it.
    pub(crate) fn put_in(&mut self, site: &SiteName) {
        self.put_in_by_hand.insert(site.clone());
        self.asked_in.insert(site.clone());
        self.taken_out.remove(site);
    }

    pub(crate) fn passed(&mut self, site: &SiteName, manner: ProbeManner, now: u64) {
        self.broken.remove(site);
        match manner {
            ProbeManner::Look => self.answered.insert(site.clone(), now),
            ProbeManner::Verify { .. } => self.verified.insert(site.clone(), now),
            ProbeManner::Watch => None,
        };
    }

    /// Whether the site passed its probes since anything of it was last removed or started.
    pub(crate) fn is_verified(&self, site: &SiteName) -> bool {
        match (self.changed.get(site), self.verified.get(site)) {
            (None, _) => true,
            (Some(changed), Some(verified)) => verified >= changed,
            (Some(_), None) => false,
        }
    }

    /// For how long a resolver that honours TTLs may still hold the site, in milliseconds.
    #[cfg(test)]
    pub(crate) fn cached_for(&self, site: &SiteName, now: u64) -> u64 {
        let until = self.cached_until.get(site);
        until.map_or(0, |until| until.saturating_sub(now))
    }

    /// Whether a person said so of what runs there now.
    pub(crate) fn is_said_in(&self, site: &SiteName) -> bool {
        let said = self.said_in.get(site);
        said.is_some() && said >= self.started.get(site)
    }

    /// Whether something was started at the site since a marker last began to call it dirty.
    #[cfg(test)]
    pub(crate) fn is_started_since_dirty(&self, site: &SiteName) -> bool {
        self.started.get(site) >= self.dirtied.get(site)
    }

    pub(crate) fn has_changed(&mut self, site: &SiteName, now: u64) {
        self.changed.insert(site.clone(), now);
    }
}
