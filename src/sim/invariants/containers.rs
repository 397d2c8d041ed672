//! Asked when containers go or start, and when the public server begins to send users to a site.
use std::collections::BTreeSet;

use super::{Invariant, ask};
use crate::model::id::{HostName, SiteName};
use crate::model::inventory::{Container, Role};
use crate::sim::world::World;
use crate::sim::zone;

type OnRemoval = fn(&World, &Removal<'_>) -> Option<String>;

type OnServing = fn(&World, &SiteName) -> Option<String>;

type OnStart = fn(&World, &Place<'_>) -> Option<String>;

pub(super) fn told() -> impl Iterator<Item = (&'static str, &'static str)> {
    let removing = REMOVING.iter().map(Invariant::told);
    let serving = SERVING.iter().map(Invariant::told);
    let started = STARTED.iter().map(Invariant::told);
    removing.chain(serving).chain(started)
}

/// When containers go.
const REMOVING: &[Invariant<OnRemoval>] = &[
    Invariant {
        name: "no users",
        reason: "no resolver that honours TTLs may still send users to what is stopped",
        ask: no_users,
    },
    Invariant {
        name: "dirty first",
        reason: "the last look is a write: nobody may put back what is about to be stopped",
        ask: dirty_first,
    },
    Invariant {
        name: "kept stays",
        reason: "a kept service is never stopped",
        ask: kept_stays,
    },
    Invariant {
        name: "unstarted only",
        reason: "what is thrown away unstarted never served anybody",
        ask: unstarted_only,
    },
    Invariant {
        name: "newer is left alone",
        reason: "a deposed coordinator removes nothing that a newer one made",
        ask: newer_is_left_alone,
    },
];

/// When the public server begins to serve a site that it did not.
const SERVING: &[Invariant<OnServing>] = &[Invariant {
    name: "served whole",
    reason: "a server that is behind must not send users to what is gone",
    ask: served_whole,
}];

/// When containers were started.
const STARTED: &[Invariant<OnStart>] = &[Invariant {
    name: "serves what is declared",
    reason: "a container too many in a site in service answers users from an old image",
    ask: serves_what_is_declared,
}];

/// Containers that go now. `may_run`: by a stop; else they were to be thrown away unstarted.
pub(crate) struct Removal<'a> {
    pub(crate) site: &'a SiteName,
    pub(crate) host: &'a HostName,
    pub(crate) gone: &'a [Container],
    pub(crate) may_run: bool,
}

pub(crate) struct Place<'a> {
    site: &'a SiteName,
    host: &'a HostName,
}

pub(crate) fn removing(world: &mut World, removal: &Removal<'_>) {
    ask(world, REMOVING, |world, ask| ask(world, removal));
}

pub(crate) fn serving(world: &mut World, site: &SiteName) {
    ask(world, SERVING, |world, ask| ask(world, site));
}

pub(crate) fn started(world: &mut World, site: &SiteName, host: &HostName) {
    let place = Place { site, host };
    ask(world, STARTED, |world, ask| ask(world, &place));
}

fn no_users(world: &World, removal: &Removal<'_>) -> Option<String> {
    let ran = removal.gone.iter().find(|c| c.is_running())?;
    (world.has_users(removal.site) && !world.ghosts.is_memory_lost).then(|| {
        format!(
            "{} has users, and {} lost {}",
            removal.site,
            removal.host,
            ran.id.as_str()
        )
    })
}

fn dirty_first(world: &World, removal: &Removal<'_>) -> Option<String> {
    let ran = removal.gone.iter().find(|c| c.is_running())?;
    let marker = zone::marker(&world.view)?;
    let is_forgotten = world.ghosts.is_zone_suspect || world.ghosts.is_memory_lost;
    let is_dirty = marker.dirty.contains(removal.site) || is_forgotten;
    (!is_dirty).then(|| format!("{} lost {} undirtied", removal.site, ran.id.as_str()))
}

fn kept_stays(_: &World, removal: &Removal<'_>) -> Option<String> {
    let kept = removal.gone.iter().find(|c| c.role == Role::Kept)?;
    Some(format!("{} lost {}", removal.host, kept.id.as_str()))
}

fn unstarted_only(_: &World, removal: &Removal<'_>) -> Option<String> {
    let ran = removal.gone.iter().find(|c| c.is_running())?;
    (!removal.may_run).then(|| format!("{} lost {}, which runs", removal.host, ran.id.as_str()))
}

fn newer_is_left_alone(world: &World, removal: &Removal<'_>) -> Option<String> {
    let by = world.ghosts.acting;
    let newer = removal.gone.iter().find(|container| {
        let mark = container.mark.as_ref();
        container.is_running() && mark.is_some_and(|mark| mark.epoch > by)
    })?;
    let mark = newer.mark.as_ref()?;
    Some(format!(
        "epoch {by} removed {} of epoch {}",
        newer.id.as_str(),
        mark.epoch
    ))
}

fn served_whole(world: &World, site: &SiteName) -> Option<String> {
    let is_ours = !world.ghosts.put_in_by_hand.contains(site) && !world.is_overridden;
    let is_known = !world.ghosts.is_zone_suspect && !world.ghosts.is_memory_lost;
    (is_ours && is_known && !world.answers(site, &BTreeSet::new()))
        .then(|| format!("{site} is served, and gone"))
}

fn serves_what_is_declared(world: &World, place: &Place<'_>) -> Option<String> {
    if !world.has_users(place.site) {
        return None;
    }
    let host = world.fleet.sites.get(place.site)?.host(place.host)?;
    let services = host.projects.iter().flat_map(|project| &project.services);
    let expected: u32 = services.map(|service| service.replicas).sum();
    let runs = world.engines.get(place.host)?.iter();
    let runs = runs.filter(|container| container.is_running()).count();
    (runs > expected as usize).then(|| {
        format!(
            "{} has users, and {} runs {runs} of {expected}",
            place.site, place.host
        )
    })
}
