//! What a person is needed for, and the command that they type.
use super::printed::{BarredStatus, InDns, Next, SiteState, SiteStatus};
use super::seen::{Engine, Seen};
use crate::coordinator::safety::{drifted, rebuild_kept};
use crate::coordinator::view::accepted_by;
use crate::model::id::SiteName;
use crate::model::marker::Marker;

impl Seen<'_> {
    pub(super) fn next(&self, marker: Option<&Marker>, sites: &[SiteStatus]) -> Vec<Next> {
        let mut next = Vec::new();
        if let Some(rotation) = self.running().filter(|_| !self.is_live) {
            next.push(Next {
                site: None,
                why: format!("{} was interrupted", rotation.plan.id),
                command: format!("cleanslate rotate {}", rotation.plan.playbook),
            });
        }
        next.extend(self.foreign_holder(marker));
        next.extend(self.trials());
        next.extend(self.barred().into_iter().map(of_barred));
        let resting = sites.iter().filter(|site| site.step.is_none());
        for site in resting {
            next.extend(self.next_of(site, marker));
            next.extend(self.kept_drifted(&site.name));
        }
        next
    }

    /// Rebuilt sites that wait for whoever tries them by hand.
    fn trials(&self) -> Vec<Next> {
        let state = self.state.filter(|_| self.is_live);
        let rotation = self.running().filter(|_| self.is_live);
        let sites = rotation
            .into_iter()
            .flat_map(|rotation| rotation.on_trial());
        let next = |site: &SiteName| {
            Some(Next {
                site: Some(site.clone()),
                why: format!("it waits for {}", state?.site_waits(site)?.why),
                command: accepted_by(site),
            })
        };
        sites.filter_map(next).collect()
    }

    fn foreign_holder(&self, marker: Option<&Marker>) -> Option<Next> {
        let marker = marker?;
        let holder = marker.holder.as_ref()?;
        if self.holder == Some(holder) {
            return None;
        }
        let rotation = marker.rotation.as_ref();
        let doing = rotation.map_or(String::new(), |rotation| format!(" for {rotation}"));
        Some(Next {
            site: None,
            why: format!("{holder} holds the marker{doing}; if that coordinator is gone for good"),
            command: "cleanslate take-over --reason TEXT".to_owned(),
        })
    }

    /// Kept services that are not as declared, or not on what the site last passed on.
    fn kept_drifted(&self, name: &SiteName) -> Option<Next> {
        let passed = self.state.and_then(|state| state.last_good.get(name));
        let pins = passed.cloned().unwrap_or_default();
        let mut whys = Vec::new();
        for host in &self.fleet.sites.get(name)?.hosts {
            let key = (name.clone(), host.name.clone());
            if let Some(Engine::Up(inventory)) = self.engines.get(&key) {
                whys.extend(drifted(host, inventory, &pins));
            }
        }
        (!whys.is_empty()).then(|| Next {
            site: Some(name.clone()),
            why: whys.join("; "),
            command: rebuild_kept(name),
        })
    }

    fn next_of(&self, site: &SiteStatus, marker: Option<&Marker>) -> Option<Next> {
        let name = &site.name;
        let is_dirty = marker.is_some_and(|marker| marker.dirty.contains(name));
        let is_held = marker.is_some_and(|marker| marker.held.contains(name));
        let left_out = self.state.and_then(|state| state.left_out.get(name));
        let (why, command) = match (site.state?, site.in_dns) {
            // Only what is asked for by name is put in again.
            (SiteState::Quarantined, _) if is_dirty && is_held => (
                format!("{}; and it is held", site.why.clone()?),
                format!("cleanslate restore {name}"),
            ),
            (SiteState::Quarantined, _) if is_dirty => (
                site.why.clone()?,
                format!("cleanslate rebuild {name} --reason TEXT"),
            ),
            (SiteState::Quarantined | SiteState::Held, _) => {
                (site.why.clone()?, format!("cleanslate restore {name}"))
            }
            (SiteState::OutOfService, _) => (
                site.why.clone()?,
                format!("cleanslate rebuild {name} --restore --reason TEXT"),
            ),
            (_, InDns::Partly) => match left_out {
                Some(_) => (
                    "hosts were left out by name, and their addresses with them".to_owned(),
                    format!("cleanslate rebuild {name} --reason TEXT"),
                ),
                None => (
                    "somebody else took some of its addresses out".to_owned(),
                    format!("cleanslate rebuild {name} --reason TEXT"),
                ),
            },
            (
                SiteState::InService
                | SiteState::Ready
                | SiteState::Withdrawing
                | SiteState::Draining
                | SiteState::Recreating
                | SiteState::Verifying
                | SiteState::Restoring
                | SiteState::Soaking,
                InDns::Yes | InDns::No | InDns::Unknown,
            ) => return None,
        };
        Some(Next {
            site: Some(name.clone()),
            why,
            command,
        })
    }
}

fn of_barred(barred: BarredStatus) -> Next {
    let BarredStatus {
        digest,
        image,
        site,
        why,
        ..
    } = barred;
    Next {
        site: None,
        why: format!(
            "barred: {} of {image} failed at {site} ({why}); move the tag, or where it was not the \
             image",
            digest.short()
        ),
        command: format!("cleanslate release clear {digest} --reason TEXT"),
    }
}
