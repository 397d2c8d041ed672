//! Rules that no table can check by itself.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::diagnostic::Findings;
use super::super::site::SiteFile;
use super::fleet::{record_span, site_span};
use crate::model::fleet::{EngineAddress, Fleet};
use crate::model::id::{Channel, ProjectName, SiteName};
use crate::model::image::{ImageRef, ImageVersion};
use crate::model::release::followed;
use crate::model::rrset::{Family, RrKey};
use crate::model::service::Service;

/// Checks the fleet's DNS and its engines against each other.
pub(super) fn check(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    check_members(fleet, file, findings);
    check_floors(fleet, file, findings);
    check_shared_addresses(fleet, file, findings);
    check_sites(fleet, file, findings);
    check_engines(fleet, file, findings);
    check_after(fleet, file, findings);
    check_keep_tags(fleet, file, findings);
}

/// A fleet must be able to tell whether a site is healthy.
pub(super) fn check_health(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    let mut services = hosts
        .flat_map(|host| &host.projects)
        .flat_map(|project| &project.services);
    if fleet.probes.is_empty() && !services.any(has_healthcheck) {
        findings
            .error(file.fleet.span.clone(), "nothing says what healthy means")
            .label("no [[probe]], and no service has a healthcheck")
            .hint("add [[probe]] with http = \"http://{address}/healthz\", or a healthcheck");
    }
}

fn has_healthcheck(service: &Service) -> bool {
    let check = service.container.healthcheck.as_ref();
    check.is_some_and(|check| check.test.first().is_none_or(|kind| kind != "NONE"))
}

/// A keep-tag is removed some day: it must never be a name that sites follow.
fn check_keep_tags(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    if fleet.release.keep == 0 {
        return;
    }
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    let mut channels: BTreeSet<&Channel> = hosts.map(|host| &host.channel).collect();
    channels.extend(&fleet.channels);
    let mut tags: BTreeSet<String> = channels.iter().map(ToString::to_string).collect();
    for followed in followed(fleet).unwrap_or_default().keys() {
        let images = channels.iter().filter_map(|channel| followed.at(channel));
        let tag = |image: ImageRef| match image.version {
            ImageVersion::Tag(tag) => Some(tag),
            ImageVersion::Digest(_) => None,
        };
        tags.extend(images.filter_map(tag));
    }
    let rule = &fleet.release.tag;
    for tag in tags.iter().filter(|tag| rule.read(tag).is_some()) {
        let message = format!("[release].tag can make {tag:?}, which sites follow");
        findings
            .error(file.release_span.clone(), message)
            .hint("begin the rule with a word that no channel begins with");
    }
}

/// Taking out the only member of an RRset would leave it empty, which nothing overrides.
fn check_members(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    for key in fleet.rrsets() {
        let with_address: Vec<&SiteName> = fleet
            .sites
            .keys()
            .filter(|site| !fleet.addresses_of(site, &key).is_empty())
            .collect();
        let members = fleet.members(&key);
        if with_address.is_empty() || members.len() > 1 {
            continue;
        }
        let message = match members.first() {
            Some(only) => format!("{key} has one member, {only}: it could never be withdrawn"),
            None => format!("{key} has no member: none of its sites counts for the floor"),
        };
        let outside: Vec<String> = with_address
            .iter()
            .filter(|site| !members.contains(**site))
            .map(|site| format!("{site} has in_floor = false"))
            .collect();
        let finding = findings.error(record_span(file, &key.name), message);
        if !outside.is_empty() {
            finding.label(outside.join(", "));
        }
        finding.hint(match key.family {
            Family::A => "give at least two sites an IPv4 address for it",
            Family::Aaaa => "give at least two sites an IPv6 address for it, or none",
        });
    }
}

/// The floor is at most members − 1; a larger one is taken down to that, and said where it is
/// larger than anything could be.
fn check_floors(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    let of_record = |key: &RrKey| {
        let mut tables = file.dns.by_record.0.iter();
        let (_, table) = tables.find(|(name, _)| *name.get_ref() == key.name)?;
        table.min_in_service.as_ref()
    };
    for key in fleet.rrsets() {
        let Some(written) = of_record(&key).or(file.fleet.min_in_service.as_ref()) else {
            continue;
        };
        let (floor, members) = (*written.get_ref(), fleet.members(&key).len());
        if members > 1 && usize::try_from(floor).unwrap_or(usize::MAX) > members {
            let message =
                format!("{key} has {members} members, fewer than min_in_service = {floor}");
            findings
                .warning(written.span(), message)
                .hint(format!("its floor is {}", fleet.floor(&key)));
        }
    }
    let tabled = file.dns.by_record.0.iter();
    let tabled = tabled.filter_map(|(_, table)| table.min_in_service.as_ref());
    for written in tabled.chain(&file.fleet.min_in_service) {
        if *written.get_ref() == 0 {
            findings
                .warning(
                    written.span(),
                    "a site may be withdrawn while no other one answers",
                )
                .hint("leave min_in_service out for the safest floor, or write 1");
        }
    }
}

/// An address belongs to one site: with two, taking out the one takes out the other.
fn check_shared_addresses(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    let mut owners: BTreeMap<IpAddr, &SiteName> = BTreeMap::new();
    for site in fleet.sites.values() {
        let mut addresses = fleet.all_addresses(&site.name);
        addresses.extend(&site.addresses);
        for address in addresses {
            let owner = *owners.entry(address).or_insert(&site.name);
            if *owner != site.name {
                let span = address_span(file, &site.name, address);
                let message = format!("{address} belongs to {owner} already");
                findings
                    .error(span.or(site_span(file, &site.name)), message)
                    .hint("an address is withdrawn with its site: give each site its own");
            }
        }
    }
}

fn address_span(
    file: &SiteFile,
    site: &SiteName,
    address: IpAddr,
) -> Option<std::ops::Range<usize>> {
    let of_site = file
        .sites
        .0
        .iter()
        .filter(|(name, _)| name.get_ref() == site);
    let of_site = of_site.flat_map(|(_, table)| &table.addresses);
    let tables = file
        .dns
        .by_record
        .0
        .iter()
        .flat_map(|(_, table)| &table.addresses.0);
    let of_records = tables.filter(|(name, _)| name.get_ref() == site);
    let of_records = of_records.flat_map(|(_, addresses)| addresses);
    let mut all = of_site.chain(of_records);
    all.find(|written| *written.get_ref() == address)
        .map(serde_spanned::Spanned::span)
}

/// A site has an address in DNS, and its hosts' addresses are among them.
fn check_sites(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    for (name, table) in &file.sites.0 {
        let addresses = fleet.all_addresses(name.get_ref());
        if addresses.is_empty() {
            findings
                .error(
                    name.span(),
                    format!("{} has no address in any record", name.get_ref()),
                )
                .hint("add addresses = [\"192.0.2.10\"]");
            continue;
        }
        for written in table.hosts.iter().filter_map(|host| host.address.as_ref()) {
            if !addresses.contains(written.get_ref()) {
                let message = format!("{} is no address of {}", written.get_ref(), name.get_ref());
                let all: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                findings
                    .error(written.span(), message)
                    .hint(format!("the site's addresses are {}", all.join(", ")));
            }
        }
    }
}

/// One engine cannot run a project for two hosts: each visit would remove the other's
/// containers.
fn check_engines(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    let mut seen: BTreeMap<(&EngineAddress, &ProjectName), &SiteName> = BTreeMap::new();
    for (site, table) in &file.sites.0 {
        let hosts = fleet
            .sites
            .get(site.get_ref())
            .map_or(&[][..], |site| &site.hosts);
        for (host, written) in hosts.iter().zip(&table.hosts) {
            for project in &host.projects {
                let key = (&host.engine, &project.name);
                let Some(other) = seen.insert(key, site.get_ref()) else {
                    continue;
                };
                let message = format!("{} already runs {} for {other}", host.engine, project.name);
                findings
                    .error(written.engine.span(), message)
                    .hint("an engine runs a project once: name another engine, or another project");
            }
        }
    }
}

/// Waiting for a project that a site does not run is waiting for nothing.
fn check_after(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    for site in fleet.sites.keys() {
        let runs: BTreeSet<ProjectName> = fleet.projects_of(site);
        for (name, table) in &file.projects.0 {
            let missing = table
                .after
                .iter()
                .filter(|after| !runs.contains(after.get_ref()));
            for after in missing.filter(|_| runs.contains(name.get_ref())) {
                let message = format!("{site} runs {} without {}", name.get_ref(), after.get_ref());
                findings
                    .warning(after.span(), message)
                    .hint("it starts there without waiting for anything");
            }
        }
    }
}
