//! Which addresses each site gives each record.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::site::SiteFile;
use super::super::site::dns::RecordTable;
use super::super::site::sites::check_addresses;
use super::names::check_site;
use crate::model::fleet::RecordPolicy;
use crate::model::id::SiteName;
use crate::model::rrset::RecordName;

/// Every record of the fleet: those of `records`, of every site, and those with a table.
pub(super) fn resolve(
    file: &SiteFile,
    findings: &mut Findings,
) -> BTreeMap<RecordName, RecordPolicy> {
    check_names(file, findings);
    let listed = file.dns.records.iter();
    let tabled = file.dns.by_record.0.iter().map(|(name, _)| name);
    let names: BTreeSet<&RecordName> = listed.chain(tabled).map(Spanned::get_ref).collect();
    if names.is_empty() {
        findings
            .error(file.dns.span.clone(), "[dns] names no record")
            .hint(format!("add records = [\"www.{}\"]", file.dns.zone));
    }
    for (_, table) in &file.dns.by_record.0 {
        check_table(table, file, findings);
    }
    names
        .into_iter()
        .map(|name| (name.clone(), policy(name, file)))
        .collect()
}

fn policy(name: &RecordName, file: &SiteFile) -> RecordPolicy {
    let table = file
        .dns
        .by_record
        .0
        .iter()
        .find(|(record, _)| record.get_ref() == name);
    let table = table.map(|(_, table)| table);
    let addresses = file
        .sites
        .0
        .iter()
        .filter_map(|(site, written)| {
            let own = set_of(&written.addresses);
            let addresses = match table {
                Some(table) => addresses_in(table, site.get_ref(), own),
                None => own,
            };
            (!addresses.is_empty()).then(|| (site.get_ref().clone(), addresses))
        })
        .collect();
    let of_record = table.and_then(|table| table.min_in_service.as_ref());
    let min_in_service = of_record.or(file.fleet.min_in_service.as_ref());
    RecordPolicy {
        addresses,
        min_in_service: min_in_service.map(|floor| *floor.get_ref()),
    }
}

fn addresses_in(table: &RecordTable, site: &SiteName, own: BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    if let Some((_, elsewhere)) = table
        .addresses
        .0
        .iter()
        .find(|(at, _)| at.get_ref() == site)
    {
        return set_of(elsewhere);
    }
    let is_listed = |sites: &Vec<Spanned<SiteName>>| sites.iter().any(|at| at.get_ref() == site);
    match table.sites.as_ref().is_none_or(is_listed) {
        true => own,
        false => BTreeSet::new(),
    }
}

fn check_names(file: &SiteFile, findings: &mut Findings) {
    let zone = &file.dns.zone;
    let mut seen = BTreeSet::new();
    for name in &file.dns.records {
        if !seen.insert(name.get_ref()) {
            let message = format!("the record {} stands here twice", name.get_ref());
            findings.error(name.span(), message);
        }
    }
    let mut tabled = BTreeSet::new();
    for (name, _) in &file.dns.by_record.0 {
        if !tabled.insert(name.get_ref()) {
            let message = format!("the record {} has two tables", name.get_ref());
            findings.error(name.span(), message);
        }
    }
    let tables = file.dns.by_record.0.iter().map(|(name, _)| name);
    for name in file.dns.records.iter().chain(tables) {
        if !name.get_ref().is_in(zone) {
            let message = format!("{} does not lie in the zone {zone}", name.get_ref());
            let finding = findings.error(name.span(), message);
            if name.get_ref().as_str().matches('.').count() == 1 {
                finding.hint(format!(
                    "names are written in full: \"{}{zone}\"",
                    name.get_ref()
                ));
            } else {
                finding.hint("a fleet has one zone; another one needs a fleet of its own");
            }
        }
    }
}

fn check_table(table: &RecordTable, file: &SiteFile, findings: &mut Findings) {
    let known = || file.sites.0.iter().map(|(name, _)| name.get_ref());
    for site in table.sites.iter().flatten() {
        check_site(site, known(), findings);
        let elsewhere = table
            .addresses
            .0
            .iter()
            .any(|(at, _)| at.get_ref() == site.get_ref());
        let of_site = file
            .sites
            .0
            .iter()
            .find(|(name, _)| name.get_ref() == site.get_ref());
        if !elsewhere && of_site.is_some_and(|(_, written)| written.addresses.is_empty()) {
            let message = format!("{} has no address for this record", site.get_ref());
            findings.error(site.span(), message);
        }
    }
    for (site, addresses) in &table.addresses.0 {
        check_site(site, known(), findings);
        check_addresses(addresses, findings);
        let is_listed =
            |sites: &Vec<Spanned<SiteName>>| sites.iter().any(|at| at.get_ref() == site.get_ref());
        if !table.sites.as_ref().is_none_or(is_listed) {
            let message = format!("{} is not among the sites of this record", site.get_ref());
            findings.error(site.span(), message).hint("add it to sites");
        }
    }
}

fn set_of(written: &[Spanned<IpAddr>]) -> BTreeSet<IpAddr> {
    written.iter().map(|address| *address.get_ref()).collect()
}
