//! `check`: the configuration, offline.
use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;
use super::super::grid::grid;
use crate::api::pinned::Pinned;
use crate::api::words::counted;
use crate::config::Loaded;
use crate::model::fleet::{Fleet, Site};
use crate::model::rrset::RrKey;

/// Reads and validates every file; contacts nothing
///
/// Exits 2 where something is wrong, with the file, the line and the cure.
#[derive(Args, Debug)]
pub(crate) struct Check {}

pub(crate) fn run(desk: &Desk, _args: &Check) -> Outcome {
    let loaded = desk.load()?;
    let now = desk.clock.now().wall;
    if desk.output.is_json {
        desk.output.json(&summary(&loaded, now));
    } else {
        desk.output.result(&text(&loaded, now));
    }
    Ok(Exit::Done)
}

/// What was understood.
#[derive(Debug, Serialize)]
struct Summary {
    v: u8,
    fleet: String,
    sites: Vec<SiteSummary>,
    rrsets: Vec<RrsetSummary>,
    playbooks: BTreeMap<String, String>,
    warnings: usize,
}

#[derive(Debug, Serialize)]
struct SiteSummary {
    name: String,
    channel: String,
    hosts: Vec<String>,
    projects: Vec<String>,
    services: usize,
    /// At baseline.
    containers: u32,
    addresses: Vec<String>,
    in_floor: bool,
    /// When rotations visit it, `02:00-05:00 Asia/Singapore`; null: at any hour.
    quiet: Option<String>,
    /// What it is pinned to; null: nothing.
    pinned: Option<Pinned>,
}

#[derive(Debug, Serialize)]
struct RrsetSummary {
    name: String,
    r#type: String,
    members: Vec<String>,
    /// How many others must be in service when one leaves.
    floor: u32,
}

fn summary(loaded: &Loaded, now: Timestamp) -> Summary {
    let fleet = &loaded.fleet;
    Summary {
        v: 1,
        fleet: fleet.name.to_string(),
        sites: fleet
            .sites
            .values()
            .map(|site| of_site(fleet, site, now))
            .collect(),
        rrsets: fleet
            .rrsets()
            .filter_map(|key| of_rrset(fleet, &key))
            .collect(),
        playbooks: loaded
            .playbooks
            .values()
            .map(|playbook| (playbook.name.to_string(), playbook.description.clone()))
            .collect(),
        warnings: loaded.warnings.diagnostics().len(),
    }
}

fn of_site(fleet: &Fleet, site: &Site, now: Timestamp) -> SiteSummary {
    let services = || {
        let projects = site.hosts.iter().flat_map(|host| &host.projects);
        projects.flat_map(|project| &project.services)
    };
    SiteSummary {
        name: site.name.to_string(),
        channel: site.channel.to_string(),
        hosts: site
            .hosts
            .iter()
            .map(|host| format!("{} {}", host.name, host.engine))
            .collect(),
        projects: fleet
            .projects_of(&site.name)
            .iter()
            .map(ToString::to_string)
            .collect(),
        services: services().count(),
        containers: services().map(|service| service.replicas).sum(),
        addresses: fleet
            .all_addresses(&site.name)
            .iter()
            .map(ToString::to_string)
            .collect(),
        in_floor: site.in_floor,
        quiet: site.quiet.as_ref().map(|quiet| {
            let zone = quiet.zone().and_then(|zone| zone.iana_name());
            format!("{quiet} {}", zone.unwrap_or("in the schedule's time"))
        }),
        pinned: Pinned::of(site, now),
    }
}

fn of_rrset(fleet: &Fleet, key: &RrKey) -> Option<RrsetSummary> {
    let members = fleet.members(key);
    (!members.is_empty()).then(|| RrsetSummary {
        name: key.name.to_string(),
        r#type: key.family.to_string(),
        members: members.iter().map(ToString::to_string).collect(),
        floor: fleet.floor(key),
    })
}

fn text(loaded: &Loaded, now: Timestamp) -> String {
    let summary = summary(loaded, now);
    let pinned = summary.sites.iter();
    let pinned =
        pinned.filter_map(|site| Some(format!("{} {}\n\n", site.name, site.pinned.as_ref()?)));
    let pinned: String = pinned.collect();
    let site = |site: SiteSummary| {
        let floor = if site.in_floor {
            ""
        } else {
            " (not in floors)"
        };
        [
            format!("{}{floor}", site.name),
            site.channel,
            site.hosts.join(", "),
            counted(u64::from(site.containers), "container"),
            site.addresses.join(", "),
            site.quiet.unwrap_or_else(|| "any hour".to_owned()),
        ]
    };
    let headings = [
        "SITE",
        "CHANNEL",
        "HOSTS",
        "BASELINE",
        "ADDRESSES",
        "VISITED IN",
    ];
    let sites = grid(headings, summary.sites.into_iter().map(site).collect());
    let rrset = |rrset: RrsetSummary| {
        [
            format!("{} {}", rrset.name, rrset.r#type),
            rrset.floor.to_string(),
            rrset.members.join(", "),
        ]
    };
    let rrsets = grid(
        ["RECORD", "FLOOR", "SITES THAT COUNT"],
        summary.rrsets.into_iter().map(rrset).collect(),
    );
    let playbooks: Vec<String> = summary.playbooks.into_keys().collect();
    format!(
        "fleet {}: sound\n\n{sites}\n\n{pinned}{rrsets}\n\nplaybooks: {}",
        summary.fleet,
        playbooks.join(", ")
    )
}
