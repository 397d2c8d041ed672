//! Puts the fleet together.
use std::collections::{BTreeMap, BTreeSet};

use serde_spanned::Spanned;

use super::super::diagnostic::Diagnostic;
use super::super::reading::Reading;
use super::super::site::SiteFile;
use super::super::site::hook::HookTable;
use super::super::site::notify::NotifyTable;
use super::super::site::probe::ProbeTable;
use super::hosts::Hosts;
use super::{pins, ports, records, rules};
use crate::model::fleet::{Dns, Fleet, Notify, OnPush, Probe};
use crate::model::hook::Hook;
use crate::model::id::{Channel, SiteName};
use crate::model::rrset::RecordName;

/// The fleet that `file` means, if its Compose files could be read; it is good only if nothing
/// was found. Findings in Compose files are added to `elsewhere`.
pub(crate) fn resolve(
    file: &SiteFile,
    reading: &mut Reading<'_>,
    elsewhere: &mut Vec<Diagnostic>,
) -> Option<Fleet> {
    let sites = Hosts::new(file, reading).resolve(reading, elsewhere);
    let probes = resolve_probes(file, reading);
    let notifies = resolve_notifies(file, reading);
    let hooks = resolve_hooks(file, reading);
    let api = file.api.as_ref().and_then(|api| api.resolve(reading));
    let registries = file.registries.0.iter();
    let registries = registries
        .map(|(host, table)| (host.get_ref().0.clone(), table.resolve(reading)))
        .collect();
    let fleet = Fleet {
        name: file.fleet.name.clone(),
        channels: file.fleet.channels.clone(),
        dns: resolve_dns(file, reading)?,
        sites,
        probes,
        measures_traffic: file.measures_traffic,
        freezes: file.freezes.clone(),
        notifies,
        hooks,
        release: file.release.clone(),
        traces: file.traces.clone(),
        api,
        on_push: resolve_on_push(file, reading),
        registries,
    };
    // Names that are names of nothing make the rest look wrong too: they come first.
    if !reading.findings.has_errors() {
        rules::check(&fleet, file, &mut reading.findings);
    }
    if !reading.findings.has_errors() && !elsewhere.iter().any(Diagnostic::is_error) {
        ports::check(&fleet, elsewhere);
        pins::check(&fleet, file, &mut reading.findings);
        rules::check_health(&fleet, file, &mut reading.findings);
    }
    Some(fleet)
}

fn resolve_dns(file: &SiteFile, reading: &mut Reading<'_>) -> Option<Dns> {
    let table = &file.dns;
    let records = records::resolve(file, &mut reading.findings);
    let ttl = *table.ttl.get_ref();
    Some(Dns {
        server: table.server,
        zone: table.zone.clone(),
        ttl,
        ttl_was: table.ttl_was.as_ref().map_or(ttl, |ttl| *ttl.get_ref()),
        key: table.read_key(reading)?,
        nameservers: table.nameservers.clone(),
        records,
    })
}

fn resolve_probes(file: &SiteFile, reading: &mut Reading<'_>) -> Vec<Probe> {
    let mut names = BTreeSet::new();
    for ProbeTable { name, sites, .. } in &file.probes {
        if !names.insert(name.get_ref()) {
            let message = format!("two probes are called {:?}", name.get_ref());
            reading.findings.error(name.span(), message);
        }
        for site in sites.iter().flatten() {
            known_site(site, file, reading);
        }
    }
    file.probes
        .iter()
        .map(|probe| probe.resolve(reading))
        .collect()
}

fn resolve_notifies(file: &SiteFile, reading: &mut Reading<'_>) -> Vec<Notify> {
    let mut names = BTreeSet::new();
    for NotifyTable {
        name,
        sites,
        channels,
        ..
    } in &file.notifies
    {
        if !names.insert(name.get_ref()) {
            let message = format!("two [[notify]] are called {:?}", name.get_ref());
            reading.findings.error(name.span(), message);
        }
        for site in sites.iter().flatten() {
            known_site(site, file, reading);
        }
        for channel in channels.iter().flatten() {
            known_channel(channel, file, reading);
        }
    }
    let notifies = file.notifies.iter();
    notifies
        .filter_map(|notify| notify.resolve(reading))
        .collect()
}

fn resolve_hooks(file: &SiteFile, reading: &mut Reading<'_>) -> Vec<Hook> {
    let mut names = BTreeSet::new();
    for HookTable { name, sites, .. } in &file.hooks {
        if !names.insert(name.get_ref()) {
            let message = format!("two [[hook]] are called {}", name.get_ref());
            reading.findings.error(name.span(), message);
        }
        for site in sites.iter().flatten() {
            known_site(site, file, reading);
        }
    }
    let hooks = file.hooks.iter();
    hooks.filter_map(|hook| hook.resolve(reading)).collect()
}

fn resolve_on_push(file: &SiteFile, reading: &mut Reading<'_>) -> BTreeMap<Channel, OnPush> {
    let mut on_push = BTreeMap::new();
    for (channel, table) in &file.channels.0 {
        known_channel(channel, file, reading);
        on_push.insert(channel.get_ref().clone(), table.on_push);
    }
    on_push
}

fn known_channel(channel: &Spanned<Channel>, file: &SiteFile, reading: &mut Reading<'_>) {
    if file.fleet.channels.contains(channel.get_ref()) {
        return;
    }
    let known: Vec<&str> = file.fleet.channels.iter().map(Channel::as_str).collect();
    let message = format!("no channel is called {}", channel.get_ref());
    let error = reading.findings.error(channel.span(), message);
    error.hint(format!("use one of: {}", known.join(", ")));
}

fn known_site(site: &Spanned<SiteName>, file: &SiteFile, reading: &mut Reading<'_>) {
    let known = file.sites.0.iter().map(|(name, _)| name.get_ref());
    super::names::check_site(site, known, &mut reading.findings);
}

/// Where a record is first named.
pub(super) fn record_span(file: &SiteFile, record: &RecordName) -> Option<std::ops::Range<usize>> {
    let listed = file.dns.records.iter();
    let tabled = file.dns.by_record.0.iter().map(|(name, _)| name);
    let mut all = listed.chain(tabled);
    all.find(|name| name.get_ref() == record).map(Spanned::span)
}

/// Where a site's table stands.
pub(super) fn site_span(file: &SiteFile, site: &SiteName) -> Option<std::ops::Range<usize>> {
    let mut names = file.sites.0.iter().map(|(name, _)| name);
    names.find(|name| name.get_ref() == site).map(Spanned::span)
}
