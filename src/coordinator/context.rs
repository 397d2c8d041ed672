//! What decisions are made with: the fleet and the playbook, fixed for one rotation.
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::plan::Options;
use crate::model::fleet::Fleet;
use crate::model::id::{HolderId, HostName, ProjectName, SiteName};
use crate::model::playbook::Playbook;
use crate::model::time::Ttl;

/// The configuration of the rotation in hand, and who we are.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub fleet: &'a Fleet,
    pub playbook: &'a Playbook,
    pub holder: &'a HolderId,
    /// The largest TTL served for any RRset of the fleet during the last day.
    pub ttl_high: Ttl,
}

impl Context<'_> {
    /// The hosts of a site that the visit touches.
    pub fn hosts(&self, site: &SiteName, options: &Options) -> Vec<HostName> {
        let hosts = self
            .fleet
            .sites
            .get(site)
            .into_iter()
            .flat_map(|site| &site.hosts);
        let names = hosts.map(|host| host.name.clone());
        names
            .filter(|name| !options.without.contains(name))
            .collect()
    }

    /// The addresses that leave with the hosts left out by name.
    pub fn left_out_addresses(&self, site: &SiteName, options: &Options) -> BTreeSet<IpAddr> {
        let hosts = self
            .fleet
            .sites
            .get(site)
            .into_iter()
            .flat_map(|site| &site.hosts);
        let absent = hosts.filter(|host| options.without.contains(&host.name));
        absent.filter_map(|host| host.address).collect()
    }

    /// The projects of a site in the order in which they start: each level waits for the one
    /// before it.
    pub fn levels(&self, site: &SiteName) -> Vec<BTreeSet<ProjectName>> {
        let mut waiting: Vec<(ProjectName, BTreeSet<ProjectName>)> = Vec::new();
        for host in self
            .fleet
            .sites
            .get(site)
            .into_iter()
            .flat_map(|site| &site.hosts)
        {
            for project in &host.projects {
                if !waiting.iter().any(|(name, _)| *name == project.name) {
                    waiting.push((project.name.clone(), project.after.clone()));
                }
            }
        }
        let known: BTreeSet<ProjectName> = waiting.iter().map(|(name, _)| name.clone()).collect();
        let mut started: BTreeSet<ProjectName> = BTreeSet::new();
        let mut levels = Vec::new();
        while !waiting.is_empty() {
            let is_next = |after: &BTreeSet<ProjectName>| {
                after
                    .iter()
                    .all(|name| started.contains(name) || !known.contains(name))
            };
            let mut level: BTreeSet<ProjectName> = waiting
                .iter()
                .filter(|(_, after)| is_next(after))
                .map(|(name, _)| name.clone())
                .collect();
            if level.is_empty() {
                // A circle is refused when the configuration is read; were there one, all that
                // is left starts together rather than never.
                level = waiting.iter().map(|(name, _)| name.clone()).collect();
            }
            waiting.retain(|(name, _)| !level.contains(name));
            started.extend(level.iter().cloned());
            levels.push(level);
        }
        levels
    }
}
