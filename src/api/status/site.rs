//! One site's part of the status.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::printed::{EngineStatus, HostStatus, InDns, SiteState, SiteStatus};
use super::seen::{Engine, Seen};
use crate::api::pinned::Pinned;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::safety::{Presence, presence};
use crate::coordinator::view::Step;
use crate::model::fleet::{Host, Site};
use crate::model::id::SiteName;
use crate::model::inventory::{Container, Role};
use crate::model::marker::Marker;
use crate::model::time::Mono;

impl Seen<'_> {
    pub(super) fn site(&self, site: &Site, marker: Option<&Marker>) -> SiteStatus {
        let name = &site.name;
        let visit = self
            .running()
            .and_then(|rotation| rotation.visits.get(name));
        let waiting = self.state.filter(|_| self.is_live);
        let waiting = waiting.and_then(|state| state.site_waits(name));
        let (state, in_dns) = self.stands(name, marker);
        SiteStatus {
            name: name.clone(),
            channel: site.channel.clone(),
            state,
            in_dns,
            cordoned: marker.is_some_and(|marker| marker.cordon.contains(name)),
            digests: self.digests(site),
            runs_since: self.runs_since(site),
            pinned: Pinned::of(site, self.now.wall),
            hosts: self.hosts(site),
            step: visit.map(|visit| visit.stage.step().as_str().to_owned()),
            since: visit.map_or_else(
                || self.out_since(name, state),
                |visit| Some(visit.step_since),
            ),
            until: waiting
                .as_ref()
                .and_then(|waiting| waiting.until)
                .and_then(|until| self.wall(until)),
            why: waiting
                .map(|waiting| format!("waiting for {}", waiting.why))
                .or_else(|| self.why_at_rest(name, state)),
            // Whoever measures knows it.
            traffic: None,
        }
    }

    /// How a site stands, where that can be told, and whether it is in DNS.
    pub(crate) fn stands(
        &self,
        site: &SiteName,
        marker: Option<&Marker>,
    ) -> (Option<SiteState>, InDns) {
        let in_dns = self.in_dns(site);
        let visit = self
            .running()
            .and_then(|rotation| rotation.visits.get(site));
        let state = match visit {
            Some(visit) => Some(state_of(visit.stage.step(), in_dns)),
            None => self.at_rest(site, in_dns, marker),
        };
        (state, in_dns)
    }

    pub(super) fn wall(&self, until: Mono) -> Option<Timestamp> {
        let left = self.now.mono.until(until);
        self.now.wall.checked_add(left).ok()
    }

    fn in_dns(&self, site: &SiteName) -> InDns {
        match self.view.map(|view| presence(self.fleet, view, site)) {
            Some(Presence::All) => InDns::Yes,
            Some(Presence::Partly) => InDns::Partly,
            Some(Presence::None) => InDns::No,
            None => InDns::Unknown,
        }
    }

    fn at_rest(
        &self,
        site: &SiteName,
        in_dns: InDns,
        marker: Option<&Marker>,
    ) -> Option<SiteState> {
        let remembered = self.state.and_then(|state| state.marker.as_ref());
        let marker = marker.or(remembered.filter(|_| self.view.is_none()));
        let is_in = |list: fn(&Marker) -> &BTreeSet<SiteName>| {
            marker.is_some_and(|marker| list(marker).contains(site))
        };
        if is_in(|marker| &marker.out) || is_in(|marker| &marker.dirty) {
            return Some(SiteState::Quarantined);
        }
        if is_in(|marker| &marker.held) {
            return Some(SiteState::Held);
        }
        match in_dns {
            InDns::Yes | InDns::Partly => Some(SiteState::InService),
            InDns::No => Some(SiteState::OutOfService),
            InDns::Unknown => None,
        }
    }

    /// Since when it has been out by our own hand.
    fn out_since(&self, site: &SiteName, state: Option<SiteState>) -> Option<Timestamp> {
        let is_ours = matches!(state, Some(SiteState::Quarantined | SiteState::Held));
        let last = self.ends.get(site).filter(|_| is_ours);
        last.map(|last| last.at)
    }

    fn why_at_rest(&self, site: &SiteName, state: Option<SiteState>) -> Option<String> {
        match state? {
            SiteState::Quarantined => Some(self.why_quarantined(site)),
            SiteState::Held => Some("taken out by `withdraw`".to_owned()),
            SiteState::OutOfService => Some("taken out by somebody else's hand".to_owned()),
            SiteState::InService
            | SiteState::Ready
            | SiteState::Withdrawing
            | SiteState::Draining
            | SiteState::Recreating
            | SiteState::Verifying
            | SiteState::Restoring
            | SiteState::Soaking => None,
        }
    }

    fn why_quarantined(&self, site: &SiteName) -> String {
        let earlier = self.ends.get(site);
        let earlier = earlier.map(|last| (last.end, last.problem.as_ref()));
        let rotation = self.state.and_then(|state| state.rotation.as_ref());
        let ended = rotation.and_then(|rotation| rotation.ended.get(site));
        let ended = ended.map(|(end, problem)| (*end, problem.as_ref()));
        match ended.or(earlier) {
            Some((VisitEnd::Quarantined, Some(problem))) => problem.what.clone(),
            Some(_) | None => "a visit took it out and did not bring it back".to_owned(),
        }
    }

    fn digests(&self, site: &Site) -> BTreeMap<String, String> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let is_one_project = self.fleet.projects_of(&site.name).len() < 2;
        let key = |project: &str, service: &str| {
            if is_one_project {
                service.to_owned()
            } else {
                format!("{project}/{service}")
            }
        };
        for host in &site.hosts {
            let engine = self.engines.get(&(site.name.clone(), host.name.clone()));
            let Some(Engine::Up(inventory)) = engine else {
                continue;
            };
            for container in inventory.containers.iter().filter(|c| c.is_running()) {
                let key = key(container.project.as_str(), container.service.as_str());
                let digest = container.digests.first();
                let digest = digest.map_or("unknown".to_owned(), ToString::to_string);
                found.entry(key).or_default().insert(digest);
            }
        }
        if !found.is_empty() {
            let joined =
                |digests: BTreeSet<String>| digests.into_iter().collect::<Vec<_>>().join(", ");
            return found.into_iter().map(|(k, v)| (k, joined(v))).collect();
        }
        let passed = self.state.and_then(|state| state.last_good.get(&site.name));
        let mut digests = BTreeMap::new();
        for project in site.hosts.iter().flat_map(|host| &host.projects) {
            for service in &project.services {
                let digest = passed.and_then(|pins| pins.get(&service.image));
                if let Some(digest) = digest {
                    let key = key(project.name.as_str(), service.name.as_str());
                    digests.insert(key, digest.to_string());
                }
            }
        }
        digests
    }

    fn runs_since(&self, site: &Site) -> Option<Timestamp> {
        let engines = site
            .hosts
            .iter()
            .filter_map(|host| self.engines.get(&(site.name.clone(), host.name.clone())));
        let inventories = engines.filter_map(|engine| match engine {
            Engine::Up(inventory) => Some(inventory),
            Engine::Down => None,
        });
        let containers = inventories.flat_map(|inventory| &inventory.containers);
        let recreated = containers.filter(|container| container.role == Role::Recreated);
        recreated.filter_map(Container::runs_since).min()
    }

    fn hosts(&self, site: &Site) -> Vec<HostStatus> {
        let status = |host: &Host| {
            let engine = self.engines.get(&(site.name.clone(), host.name.clone()));
            HostStatus {
                name: host.name.clone(),
                engine: match engine {
                    Some(Engine::Up(_)) => EngineStatus::Up,
                    Some(Engine::Down) => EngineStatus::Down,
                    None => EngineStatus::Unknown,
                },
            }
        };
        site.hosts.iter().map(status).collect()
    }
}

fn state_of(step: Step, in_dns: InDns) -> SiteState {
    match step {
        Step::Ready if in_dns == InDns::No => SiteState::OutOfService,
        Step::Ready => SiteState::Ready,
        Step::Withdraw => SiteState::Withdrawing,
        Step::Drain => SiteState::Draining,
        Step::Recreate => SiteState::Recreating,
        Step::Verify => SiteState::Verifying,
        Step::Restore | Step::PutBack => SiteState::Restoring,
        Step::Soak => SiteState::Soaking,
        Step::Signal | Step::Mark if in_dns == InDns::No => SiteState::OutOfService,
        Step::Signal | Step::Mark => SiteState::InService,
    }
}
