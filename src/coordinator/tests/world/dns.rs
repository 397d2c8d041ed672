//! A primary that applies UPDATEs as RFC 2136 says, a secondary that follows it, and people.
use super::{Later, World, problem};
use crate::coordinator::effect::Follow;
use crate::coordinator::follow::has_followed;
use crate::coordinator::outcome::{Lagging, Outcome};
use crate::coordinator::safety::{Presence, presence};
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{MarkerSeen, RrKey, ServerAnswer, UpdateOutcome, ZoneChange, ZoneView};
use crate::model::time::Ttl;
use crate::sim::zone;

impl World {
    pub(crate) fn in_dns(&self) -> usize {
        let is_in = |site: &&SiteName| self.is_in(&self.view, site);
        self.fleet.sites.keys().filter(is_in).count()
    }

    pub(crate) fn serves(&self, site: &SiteName) -> bool {
        self.is_in(&self.view, site)
    }

    /// A person edits the zone, without a thought for the marker.
    pub(crate) fn by_hand(&mut self, site: &SiteName, is_in: bool) {
        for key in self.fleet.rrsets_of(site) {
            let addresses = self.fleet.addresses_of(site, &key);
            let set = self.view.rrsets.get_mut(&key).unwrap();
            if is_in {
                set.addresses.extend(addresses);
                set.ttl = Some(Ttl(30));
            } else {
                set.addresses.retain(|address| !addresses.contains(address));
            }
        }
        if is_in {
            self.put_in_by_hand.insert(site.clone());
        }
        self.view.serial += 1;
        self.follow();
    }

    /// A person writes the marker.
    pub(crate) fn write_marker(&mut self, marker: Option<&Marker>) {
        for seen in self.view.markers.values_mut() {
            *seen = marker.cloned().map_or(MarkerSeen::Absent, MarkerSeen::Here);
        }
        self.view.serial += 1;
        self.follow();
    }

    /// The secondary follows, unless it stands.
    pub(super) fn follow(&mut self) {
        let stands = self.now < self.faults.secondary_stands_until || self.faults.servers_lag;
        self.is_behind = stands;
        if !stands {
            self.secondary = self.view.clone();
        }
        for site in self.fleet.sites.keys() {
            let is_in = self.is_in(&self.view, site) || self.is_in(&self.secondary, site);
            if is_in {
                self.left.remove(site);
            } else {
                self.left.entry(site.clone()).or_insert(self.now);
            }
        }
    }

    /// How long a coordinator waits for the servers to follow.
    pub(super) fn follows_after(&self, within: u64) -> u64 {
        if self.faults.servers_lag {
            return within;
        }
        self.faults
            .secondary_stands_until
            .saturating_sub(self.now)
            .clamp(5, within)
    }

    pub(super) fn read_primary(&mut self) -> Outcome {
        self.serial += 1;
        let text = data_encoding::BASE32_NOPAD.encode(&self.serial.to_be_bytes());
        let view = if self.now < self.faults.primary_silent_until {
            Err(problem("the primary does not answer"))
        } else {
            Ok(self.view.clone())
        };
        Outcome::Primary {
            view,
            nonce: text.parse().unwrap(),
        }
    }

    pub(super) fn servers(&self) -> Vec<ServerAnswer> {
        [
            ("10.0.0.53:53", &self.view),
            ("10.0.1.53:53", &self.secondary),
        ]
        .map(|(server, view)| ServerAnswer {
            server: server.parse().unwrap(),
            view: Ok(view.clone()),
        })
        .into()
    }

    pub(super) fn followed(&self, follow: &Follow) -> Outcome {
        let behind = self.servers().into_iter().filter_map(|answer| {
            let why = has_followed(answer.view.as_ref().unwrap(), follow).err()?;
            Some(Lagging { answer, why })
        });
        let servers: Vec<Lagging> = behind.collect();
        if servers.is_empty() {
            Outcome::Followed { ttl: Ttl(30) }
        } else {
            Outcome::Behind { servers }
        }
    }

    pub(super) fn update(&mut self, change: &ZoneChange) -> UpdateOutcome {
        let unknown = || UpdateOutcome::Unknown {
            why: "no answer".to_owned(),
        };
        if let Some(after) = self.faults.late_updates.pop_front() {
            self.later
                .push((self.now + after, Later::Update(Box::new(change.clone()))));
            return unknown();
        }
        if self.now < self.faults.primary_silent_until {
            let why = "the primary does not answer".to_owned();
            return UpdateOutcome::NotSent { why };
        }
        if self.faults.lose_requests > 0 {
            self.faults.lose_requests -= 1;
            return unknown();
        }
        let is_applied = self.apply_update(change);
        if self.faults.lose_answers {
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
        self.look_at(change);
        zone::apply(&mut self.view, change);
        self.fewest = self.fewest.min(self.in_dns());
        self.look_after(change);
        self.follow();
        true
    }

    /// What must hold of an UPDATE before it is applied.
    fn look_at(&mut self, change: &ZoneChange) {
        let new = (change.marker.epoch, change.marker.seq);
        if self.marker().is_some_and(|old| new <= (old.epoch, old.seq)) {
            self.hurt.push(format!("the marker went back to {new:?}"));
        }
        if !self.nonces.insert(change.marker.nonce.clone()) {
            self.hurt
                .push(format!("nonce {} was seen twice", change.marker.nonce));
        }
        for site in self.sites_in(&change.add) {
            let why = self.why_unfit(&site);
            if let Some(why) = why.filter(|_| !self.is_overridden) {
                self.hurt.push(format!("{site} was put in: {why}"));
            }
        }
        for site in self.sites_in(change.delete.iter().chain(&change.add)) {
            self.put_in_by_hand.remove(&site);
        }
    }

    /// What must hold of an UPDATE after it was applied.
    fn look_after(&mut self, change: &ZoneChange) {
        let emptied = self.view.rrsets.iter().find(|(key, set)| {
            set.addresses.is_empty()
                && change.delete.iter().any(|(name, _)| *name == key.name)
                && !self.fleet.members(key).is_empty()
        });
        if let Some((key, _)) = emptied {
            self.hurt.push(format!("{key} is empty"));
        }
        let keys: Vec<RrKey> = self.fleet.rrsets().collect();
        for key in keys
            .into_iter()
            .filter(|_| !change.delete.is_empty() && !self.is_overridden)
        {
            let served = &self.view.rrsets[&key].addresses;
            let members = self.fleet.members(&key);
            let is_in = |site: &&SiteName| !self.fleet.addresses_of(site, &key).is_disjoint(served);
            let left = members.iter().filter(is_in).count();
            if left < self.fleet.floor(&key) as usize {
                self.hurt
                    .push(format!("{key} fell below its floor: {left}"));
            }
        }
    }

    fn sites_in<'a>(
        &self,
        records: impl IntoIterator<Item = &'a (crate::model::rrset::RecordName, std::net::IpAddr)>,
    ) -> std::collections::BTreeSet<SiteName> {
        let of = |address: &std::net::IpAddr| {
            let mut sites = self.fleet.sites.keys();
            sites
                .find(|site| self.fleet.all_addresses(site).contains(address))
                .cloned()
        };
        records
            .into_iter()
            .filter_map(|(_, address)| of(address))
            .collect()
    }

    pub(super) fn is_in(&self, view: &ZoneView, site: &SiteName) -> bool {
        presence(&self.fleet, view, site) != Presence::None
    }

    /// Whether an honest resolver may still send users to the site, by nobody's hand but ours.
    pub(super) fn has_users(&self, site: &SiteName) -> bool {
        let ttl = 30_000;
        let left = self.left.get(site);
        left.is_none_or(|left| self.now < left + ttl) && !self.put_in_by_hand.contains(site)
    }
}
