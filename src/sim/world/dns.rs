//! A primary that applies UPDATEs as RFC 2136 says, a public server that follows it, and people
//! with an editor.
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Later, World, trouble};
use crate::coordinator::effect::Follow;
use crate::coordinator::follow::has_followed;
use crate::coordinator::outcome::{Lagging, Outcome};
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{
    MarkerSeen, RecordName, ServerAnswer, UpdateOutcome, ZoneChange, ZoneView,
};
use crate::model::time::Ttl;
use crate::sim::trace::Who;
use crate::sim::{invariants, zone};

impl World {
    /// What the primary serves, to be changed; whoever has read it keeps what was read.
    pub(crate) fn zone(&mut self) -> &mut ZoneView {
        Arc::make_mut(&mut self.view)
    }

    pub(crate) fn in_dns(&self) -> usize {
        let is_in = |site: &&SiteName| self.serves(site);
        self.fleet.sites.keys().filter(is_in).count()
    }

    pub(crate) fn serves(&self, site: &SiteName) -> bool {
        self.ghosts.is_in(&self.view, site)
    }

    /// A person edits the zone, without a thought for the marker.
    pub(crate) fn by_hand(&mut self, site: &SiteName, is_in: bool) {
        let before = Arc::clone(&self.view);
        let ttl = self.fleet.dns.ttl;
        for key in self.fleet.rrsets_of(site) {
            let addresses = self.fleet.addresses_of(site, &key);
            let set = self.zone().rrsets.entry(key).or_default();
            if is_in {
                set.addresses.extend(addresses);
                set.ttl = set.ttl.or(Some(ttl));
            } else {
                set.addresses.retain(|address| !addresses.contains(address));
            }
        }
        if is_in {
            self.ghosts.put_in(site);
        }
        self.edited(&before);
    }

    /// A person writes the marker.
    pub(crate) fn write_marker(&mut self, marker: Option<&Marker>) {
        let before = Arc::clone(&self.view);
        for seen in self.zone().markers.values_mut() {
            *seen = marker.cloned().map_or(MarkerSeen::Absent, MarkerSeen::Here);
        }
        self.edited(&before);
    }

    /// A person gives every RRset another TTL.
    pub(crate) fn set_ttl(&mut self, ttl: Ttl) {
        let before = Arc::clone(&self.view);
        self.ttl_high = self.ttl_high.max(ttl);
        for set in self.zone().rrsets.values_mut() {
            set.ttl = set.ttl.map(|_| ttl);
        }
        self.edited(&before);
    }

    /// The zone is loaded from a copy: whatever it brings back in was put there by hand.
    pub(crate) fn restore_zone(&mut self, copy: &Arc<ZoneView>) {
        let before = std::mem::replace(&mut self.view, Arc::clone(copy));
        self.zone().serial = before.serial;
        for site in self.fleet.sites.keys() {
            let was_in = self.ghosts.is_in(&before, site);
            if self.ghosts.is_in(&self.view, site) && !was_in {
                self.ghosts.put_in(site);
            }
        }
        self.ghosts.is_restored = true;
        self.edited(&before);
    }

    fn edited(&mut self, before: &ZoneView) {
        self.zone().serial += 1;
        let at = |marker: Option<&Marker>| marker.map(|marker| (marker.epoch, marker.seq));
        let (now, then) = (zone::marker(&self.view), zone::marker(before));
        if now != then {
            // Epochs may come again, also where a copy brings back more than what stood: engines
            // tell their holders apart by the hold.
            self.ghosts.holders.clear();
        }
        if at(now) < at(then) {
            self.ghosts.is_zone_suspect = true;
            self.ghosts.taken_out.clear();
        }
        self.published(before);
    }

    /// The primary serves something new.
    fn published(&mut self, before: &ZoneView) {
        self.tells_who_is_in("in DNS now", before, &self.view.clone());
        self.ghosts.served(before, self.now);
        self.ghosts.published = self.now;
        if self.faults.transfer_lag > 0 {
            let before = self.transfers.back().map_or(0, |(due, _)| *due);
            let due = before.max(self.now + self.faults.transfer_lag);
            self.transfers.push_back((due, Arc::clone(&self.view)));
        }
        self.follow();
    }

    /// The secondary follows, unless it stands: at once, or version by version.
    pub(super) fn follow(&mut self) {
        let stands = self.now < self.faults.secondary_stands_until || self.faults.servers_lag;
        self.is_behind = stands;
        if stands {
            return;
        }
        let stood = self.faults.secondary_stands_until;
        while let Some((due, version)) = self.next_transfer() {
            self.secondary_serves(version, due.max(stood));
        }
        if self.transfers.is_empty() && self.secondary.serial != self.view.serial {
            let at = self.ghosts.published.max(stood);
            self.secondary_serves(Arc::clone(&self.view), at);
        }
    }

    /// Which sites a server sends users to, where that is another matter than before.
    fn tells_who_is_in(&mut self, what: &str, before: &ZoneView, now: &ZoneView) {
        if self.trace.is_none() {
            return;
        }
        let of = |view: &ZoneView| -> Vec<&str> {
            let sites = self.fleet.sites.keys();
            let is_in = |site: &&SiteName| self.ghosts.is_in(view, site);
            sites.filter(is_in).map(SiteName::as_str).collect()
        };
        if of(before) != of(now) {
            let words = match of(now).as_slice() {
                [] => format!("{what}: nobody"),
                sites => format!("{what}: {}", sites.join(", ")),
            };
            self.told(Who::World, words);
        }
    }

    fn next_transfer(&mut self) -> Option<(u64, Arc<ZoneView>)> {
        let (due, _) = self.transfers.front()?;
        if *due > self.now {
            return None;
        }
        self.transfers.pop_front()
    }

    fn secondary_serves(&mut self, version: Arc<ZoneView>, at: u64) {
        let before = std::mem::replace(&mut self.secondary, version);
        self.ghosts.served(&before, at);
        if at < self.now || self.faults.transfer_lag > 0 {
            let now = self.secondary.clone();
            self.tells_who_is_in("the secondary follows, and serves", &before, &now);
        }
        let comes = |site: &&SiteName| {
            self.ghosts.is_in(&self.secondary, site) && !self.ghosts.is_in(&before, site)
        };
        let coming: Vec<SiteName> = self.fleet.sites.keys().filter(comes).cloned().collect();
        for site in coming {
            invariants::serving(self, &site);
        }
    }

    /// The secondary comes back with the zone as it was on its disk.
    pub(crate) fn secondary_goes_back(&mut self, copy: &Arc<ZoneView>, until: u64) {
        self.transfers.clear();
        let before = std::mem::replace(&mut self.secondary, Arc::clone(copy));
        self.tells_who_is_in("the secondary serves", &before, copy);
        self.ghosts.served(&before, self.now);
        self.faults.secondary_stands_until = until;
        self.is_behind = true;
    }

    /// How long a coordinator waits for the servers to follow.
    pub(super) fn follows_after(&self, within: u64) -> u64 {
        if self.faults.servers_lag {
            return within;
        }
        let stands = self.faults.secondary_stands_until;
        let arrives = self.transfers.back().map_or(0, |(due, _)| *due);
        let ready = stands.max(arrives);
        ready.saturating_sub(self.now).clamp(5, within.max(5))
    }

    pub(super) fn read_primary(&mut self) -> Outcome {
        self.serial += 1;
        let text = data_encoding::BASE32_NOPAD.encode(&self.serial.to_be_bytes());
        let view = if self.now < self.faults.primary_silent_until {
            Err(trouble(
                "the primary does not answer",
                "bring it back: nothing else is done until it answers",
            ))
        } else {
            Ok(Arc::clone(&self.view))
        };
        Outcome::Primary {
            view,
            nonce: text.parse().expect("base32 without padding is a nonce"),
        }
    }

    pub(super) fn servers(&self) -> Vec<ServerAnswer> {
        [
            (self.fleet.dns.server, &self.view),
            (self.public_server(), &self.secondary),
        ]
        .map(|(server, view)| ServerAnswer {
            server,
            view: Ok(ZoneView::clone(view)),
        })
        .into()
    }

    /// Where the server that follows the primary answers.
    fn public_server(&self) -> SocketAddr {
        let declared = self.fleet.dns.nameservers.iter().flatten();
        let mut others = declared.filter(|server| **server != self.fleet.dns.server);
        let pretend = || SocketAddr::from(([10, 0, 1, 53], 53));
        others.next().copied().unwrap_or_else(pretend)
    }

    pub(super) fn followed(&self, follow: &Follow) -> Outcome {
        let behind = self.servers().into_iter().filter_map(|answer| {
            let view = answer.view.as_ref().ok()?;
            let why = has_followed(view, follow).err()?;
            Some(Lagging { answer, why })
        });
        let servers: Vec<Lagging> = behind.collect();
        if servers.is_empty() {
            let views = [&self.view, &self.secondary];
            let sets = views.into_iter().flat_map(|view| view.rrsets.values());
            let ttl = sets.filter_map(|set| set.ttl).max().unwrap_or(Ttl(0));
            Outcome::Followed { ttl }
        } else {
            Outcome::Behind { servers }
        }
    }

    pub(super) fn update(&mut self, change: &Arc<ZoneChange>) -> UpdateOutcome {
        let unknown = || UpdateOutcome::Unknown {
            why: "no answer".to_owned(),
        };
        if let Some(after) = self.faults.late_updates.pop_front() {
            self.told(
                Who::World,
                "the UPDATE is on its way, nobody answers".to_owned(),
            );
            self.later
                .push((self.now + after, Later::Update(Arc::clone(change))));
            return unknown();
        }
        if self.now < self.faults.primary_silent_until {
            let why = "the primary does not answer".to_owned();
            return UpdateOutcome::NotSent { why };
        }
        if self.faults.lose_requests > 0 {
            self.faults.lose_requests -= 1;
            self.told(Who::World, "the UPDATE is lost on its way".to_owned());
            return unknown();
        }
        if let Some(after) = self.faults.doubled_updates.pop_front() {
            self.later
                .push((self.now + after, Later::Update(Arc::clone(change))));
        }
        let is_applied = self.apply_update(change);
        if self.faults.lose_answers {
            let what = if is_applied { "applied" } else { "refused" };
            self.told(
                Who::World,
                format!("the UPDATE is {what}, its answer is lost"),
            );
            return unknown();
        }
        if is_applied {
            UpdateOutcome::Applied
        } else {
            let why = "NXRRSET".to_owned();
            UpdateOutcome::NotApplied { why }
        }
    }

    pub(super) fn apply_update(&mut self, change: &ZoneChange) -> bool {
        if !zone::holds(&self.view, change) {
            return false;
        }
        invariants::updating(self, change);
        let before = Arc::clone(&self.view);
        zone::apply(self.zone(), change);
        self.fewest = self.fewest.min(self.in_dns());
        self.remember(change, &before);
        self.published(&before);
        invariants::updated(self, &before, change);
        true
    }

    /// What an onlooker keeps in mind of an UPDATE.
    fn remember(&mut self, change: &ZoneChange, before: &ZoneView) {
        let marker = &change.marker;
        let old = zone::marker(before);
        let ghosts = &mut self.ghosts;
        if ghosts.is_zone_suspect {
            let is_asked = ghosts.is_allowed(marker);
            let is_newest = (marker.epoch, marker.seq) > ghosts.highest;
            // Decided before the zone went backwards, on what it shows again now.
            ghosts.is_memory_lost |= ghosts.is_restored && !is_newest;
            ghosts.is_zone_suspect = !is_asked && !is_newest;
        }
        ghosts.nonces.insert(marker.nonce.clone());
        ghosts.highest = ghosts.highest.max((marker.epoch, marker.seq));
        if let Some(holder) = &marker.holder {
            ghosts.holders.entry(marker.epoch).or_insert(holder.clone());
            ghosts.refreshed.insert(holder.clone(), self.now);
        }
        for site in &marker.dirty {
            if old.is_none_or(|old| !old.dirty.contains(site)) {
                ghosts.dirtied.insert(site.clone(), self.now);
            }
        }
        for site in self.sites_in(change.delete.iter().chain(&change.add)) {
            if self.ghosts.is_in(&self.view, &site) {
                // Whoever comes from now on was sent by us.
                self.ghosts.put_in_by_hand.remove(&site);
                self.ghosts.taken_out.remove(&site);
                self.ghosts.broken.remove(&site);
            } else {
                self.ghosts.taken_out.insert(site);
            }
        }
    }

    /// The sites that these records belong to.
    pub(crate) fn sites_in<'a>(
        &self,
        records: impl IntoIterator<Item = &'a (RecordName, std::net::IpAddr)>,
    ) -> BTreeSet<SiteName> {
        let owners = records.into_iter();
        owners
            .filter_map(|(_, address)| self.ghosts.owner(*address).cloned())
            .collect()
    }

    /// Whether an honest resolver may still send users to the site, by nobody's hand but ours.
    pub(crate) fn has_users(&self, site: &SiteName) -> bool {
        let is_served = self.serves(site) || self.ghosts.is_in(&self.secondary, site);
        (is_served || self.ghosts.is_cached(site, self.now))
            && !self.ghosts.put_in_by_hand.contains(site)
    }
}
