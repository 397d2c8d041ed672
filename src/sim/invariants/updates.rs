//! Asked before and after an UPDATE of ours is applied.
use std::collections::BTreeSet;

use super::{Invariant, ask};
use crate::coordinator::retry;
use crate::model::id::SiteName;
use crate::model::rrset::{ZoneChange, ZoneView};
use crate::model::time::millis;
use crate::sim::world::World;
use crate::sim::zone;

type OnUpdate = fn(&World, &ZoneChange) -> Option<String>;

type OnChange = fn(&World, &Change<'_>) -> Option<String>;

pub(super) fn told() -> impl Iterator<Item = (&'static str, &'static str)> {
    let updating = UPDATING.iter().map(Invariant::told);
    updating.chain(UPDATED.iter().map(Invariant::told))
}

/// Before an UPDATE of ours is applied.
const UPDATING: &[Invariant<OnUpdate>] = &[
    Invariant {
        name: "marker rises",
        reason: "a marker whose epoch or sequence goes back would make an old UPDATE good again",
        ask: marker_rises,
    },
    Invariant {
        name: "nonce is new",
        reason: "two markers alike would let a late UPDATE pass for another",
        ask: nonce_is_new,
    },
    Invariant {
        name: "one holder an epoch",
        reason: "two holders of one epoch could not be told apart on an engine",
        ask: one_holder_an_epoch,
    },
    Invariant {
        name: "taken over by right",
        reason: "who works must not lose the marker to another who only did not wait",
        ask: taken_over_by_right,
    },
    Invariant {
        name: "states what it saw",
        reason: "an RRset that is not stated may have been changed by anybody",
        ask: states_what_it_saw,
    },
    Invariant {
        name: "only its own records",
        reason: "what the fleet does not declare is somebody else's",
        ask: only_its_own_records,
    },
    Invariant {
        name: "returns verified",
        reason: "users come back at once: all containers run and passed since they last changed",
        ask: returns_verified,
    },
    Invariant {
        name: "dirty is recreated",
        reason: "a dirty site may lose containers that look well",
        ask: dirty_is_recreated,
    },
    Invariant {
        name: "dirty only outside",
        reason: "whoever may lose containers must have no users",
        ask: dirty_only_outside,
    },
    Invariant {
        name: "held stays out",
        reason: "what a person took out a person puts back",
        ask: held_stays_out,
    },
];

/// After an UPDATE of ours was applied.
const UPDATED: &[Invariant<OnChange>] = &[
    Invariant {
        name: "never empty",
        reason: "an empty RRset takes a company off the internet",
        ask: never_empty,
    },
    Invariant {
        name: "floor",
        reason: "those who stay carry the load of those who left",
        ask: floor,
    },
    Invariant {
        name: "all records together",
        reason: "a site is in or out: half of one gets users that nobody counts",
        ask: all_records_together,
    },
    Invariant {
        name: "debts stand in the marker",
        reason: "what is out and written nowhere stays out for ever",
        ask: debts_stand_in_the_marker,
    },
];

/// An UPDATE that was applied.
pub(crate) struct Change<'a> {
    before: &'a ZoneView,
    change: &'a ZoneChange,
}

pub(crate) fn updating(world: &mut World, change: &ZoneChange) {
    ask(world, UPDATING, |world, ask| ask(world, change));
}

pub(crate) fn updated(world: &mut World, before: &ZoneView, change: &ZoneChange) {
    let change = Change { before, change };
    ask(world, UPDATED, |world, ask| ask(world, &change));
}

fn marker_rises(world: &World, change: &ZoneChange) -> Option<String> {
    let new = (change.marker.epoch, change.marker.seq);
    let old = zone::marker(&world.view)?;
    let old = (old.epoch, old.seq);
    (new <= old).then(|| format!("{new:?} after {old:?}"))
}

/// A zone that went backwards takes an old UPDATE again, for as long as its signature is fresh.
fn nonce_is_new(world: &World, change: &ZoneChange) -> Option<String> {
    let nonce = &change.marker.nonce;
    let is_old = world.ghosts.nonces.contains(nonce) && !world.ghosts.is_zone_suspect;
    is_old.then(|| format!("{nonce} was seen before"))
}

fn one_holder_an_epoch(world: &World, change: &ZoneChange) -> Option<String> {
    let holder = change.marker.holder.as_ref()?;
    let first = world.ghosts.holders.get(&change.marker.epoch)?;
    (first != holder).then(|| format!("{holder} after {first} in epoch {}", change.marker.epoch))
}

fn taken_over_by_right(world: &World, change: &ZoneChange) -> Option<String> {
    let old = zone::marker(&world.view)?;
    let (from, by) = (old.holder.as_ref()?, change.marker.holder.as_ref()?);
    let stood = world.now - world.ghosts.refreshed.get(from).copied().unwrap_or(0);
    let is_right = from == by
        || world.ghosts.is_allowed(&change.marker)
        || stood >= millis(retry::TAKE_OVER_AFTER);
    (!is_right).then(|| format!("{by} took over from {from} after {stood} ms"))
}

fn states_what_it_saw(world: &World, change: &ZoneChange) -> Option<String> {
    let mut keys = world.fleet.rrsets();
    let left_out = keys.find(|key| !change.expect.contains_key(key))?;
    Some(format!("{left_out} is not stated"))
}

fn only_its_own_records(world: &World, change: &ZoneChange) -> Option<String> {
    let mut touched = change.delete.iter().chain(&change.add);
    let foreign = touched.find(|(name, address)| {
        world.ghosts.owner(*address).is_none() || !world.fleet.dns.records.contains_key(name)
    })?;
    Some(format!("{} {}", foreign.0, foreign.1))
}

fn returns_verified(world: &World, change: &ZoneChange) -> Option<String> {
    if world.is_overridden || world.ghosts.is_memory_lost {
        return None;
    }
    let coming = world.sites_in(&change.add).into_iter();
    coming.into_iter().find_map(|site| {
        let why = why_unfit(world, &site)?;
        Some(format!("{site} was put in: {why}"))
    })
}

/// Why a site is not fit to serve users, if it is not.
fn why_unfit(world: &World, site: &SiteName) -> Option<String> {
    let hosts = world.hosts_of(site).into_iter();
    let reached = hosts.filter(|host| !world.faults.down.contains(host));
    for host in reached {
        let containers = world.engines.get(&host)?;
        let going: BTreeSet<_> = world.may_still_go(&host).collect();
        let mut running = containers.iter().filter(|c| c.is_running());
        if let Some(container) = running.find(|c| going.contains(&c.id)) {
            return Some(format!("{} may still be removed", container.id.as_str()));
        }
        let declared = &world.fleet.sites.get(site)?.host(&host)?.projects;
        let services = declared.iter().flat_map(|project| &project.services);
        let expected: u32 = services.map(|service| service.replicas).sum();
        let healthy = containers.iter().filter(|c| c.is_healthy()).count();
        if healthy != expected as usize {
            return Some(format!("{host} has {healthy} of {expected} containers"));
        }
    }
    (!world.ghosts.is_verified(site)).then(|| "it was not verified since".to_owned())
}

fn dirty_is_recreated(world: &World, change: &ZoneChange) -> Option<String> {
    let old = zone::marker(&world.view)?;
    let coming = world.sites_in(&change.add).into_iter();
    coming
        .filter(|site| old.dirty.contains(site) && !world.is_overridden)
        .find_map(|site| {
            let since = world.ghosts.dirtied.get(&site)?;
            let started = world.ghosts.started.get(&site);
            let is_new = started.is_some_and(|started| started >= since);
            (!is_new).then(|| format!("{site} was put in, and nothing was started there since"))
        })
}

fn dirty_only_outside(world: &World, change: &ZoneChange) -> Option<String> {
    let old = zone::marker(&world.view);
    if old.is_none_or(|old| old.epoch < change.marker.epoch) {
        // By a person's word: what a newer copy of the marker called dirty still is.
        return None;
    }
    let old = old.map(|old| old.dirty.clone()).unwrap_or_default();
    let leaves = world.sites_in(&change.delete);
    let new = change.marker.dirty.difference(&old);
    let mut inside = new.filter(|site| world.serves(site) && !leaves.contains(*site));
    inside
        .next()
        .map(|site| format!("{site} is dirty and in DNS"))
}

fn held_stays_out(world: &World, change: &ZoneChange) -> Option<String> {
    let old = zone::marker(&world.view)?;
    let coming = world.sites_in(&change.add);
    let mut unasked = coming
        .iter()
        .filter(|site| old.held.contains(*site) && !world.ghosts.asked_in.contains(*site));
    unasked
        .next()
        .map(|site| format!("{site} was put in and nobody asked"))
}

fn never_empty(world: &World, change: &Change<'_>) -> Option<String> {
    let emptied = world.view.rrsets.iter().find(|(key, set)| {
        let had = change.before.rrsets.get(*key);
        set.addresses.is_empty() && had.is_some_and(|had| !had.addresses.is_empty())
    });
    emptied.map(|(key, _)| format!("{key} is empty"))
}

fn floor(world: &World, change: &Change<'_>) -> Option<String> {
    if change.change.delete.is_empty() || world.is_overridden {
        return None;
    }
    let leaves = world.sites_in(&change.change.delete);
    world.fleet.rrsets().find_map(|key| {
        let served = &world.view.rrsets.get(&key)?.addresses;
        let members = world.fleet.members(&key);
        if members.is_disjoint(&leaves) {
            return None;
        }
        let is_in = |site: &&SiteName| !world.fleet.addresses_of(site, &key).is_disjoint(served);
        let left = members.iter().filter(is_in).count();
        let need = world.fleet.floor(&key) as usize;
        (left < need).then(|| format!("{key} has {left} of {need}"))
    })
}

fn all_records_together(world: &World, change: &Change<'_>) -> Option<String> {
    let leaving = world.sites_in(&change.change.delete);
    let half = |site: &SiteName| world.serves(site);
    leaving
        .iter()
        .find(|site| half(site))
        .map(|site| format!("a part of {site} is still there"))
}

fn debts_stand_in_the_marker(world: &World, change: &Change<'_>) -> Option<String> {
    let marker = &change.change.marker;
    let is_owed = |site: &SiteName| {
        let lists = [&marker.out, &marker.dirty, &marker.held];
        lists.iter().any(|list| list.contains(site))
    };
    let knew = zone::marker(change.before).is_some();
    let mut forgotten = world.ghosts.taken_out.iter();
    forgotten
        .find(|site| knew && !world.ghosts.is_zone_suspect && !is_owed(site))
        .map(|site| format!("{site} was taken out and stands in no list"))
}
