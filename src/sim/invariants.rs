//! What must hold at every step of every night, each rule by name with its reason. An all-seeing
//! onlooker asks them: before and after every UPDATE, at every removal and start of a container,
//! and at every decision of a coordinator.
use std::collections::BTreeSet;
use std::fmt;

use super::world::World;
use super::zone;
use crate::coordinator::effect::{Effect, EngineRequest, Request};
use crate::coordinator::event::{Event, VisitKind};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::Mode;
use crate::coordinator::retry;
use crate::coordinator::state::{HostWork, State};
use crate::model::id::{HostName, SiteName};
use crate::model::inventory::{Container, Role};
use crate::model::marker::Marker;
use crate::model::rrset::{Family, RrKey, ZoneChange, ZoneView};
use crate::model::time::millis;

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// A rule: its name, why it is one, and the question. `Some`: it is broken, so.
struct Invariant<Ask> {
    name: &'static str,
    reason: &'static str,
    ask: Ask,
}

type OnUpdate = fn(&World, &ZoneChange) -> Option<String>;
type OnChange = fn(&World, &Change<'_>) -> Option<String>;
type OnRemoval = fn(&World, &Removal<'_>) -> Option<String>;
type OnServing = fn(&World, &SiteName) -> Option<String>;
type OnStart = fn(&World, &Place<'_>) -> Option<String>;
type OnDecision = fn(&World, &Decided<'_>) -> Option<String>;

/// Every rule by name with its reason, for people.
pub fn all() -> Vec<(&'static str, &'static str)> {
    let updating = UPDATING.iter().map(|rule| (rule.name, rule.reason));
    let updated = UPDATED.iter().map(|rule| (rule.name, rule.reason));
    let removing = REMOVING.iter().map(|rule| (rule.name, rule.reason));
    let started = STARTED.iter().map(|rule| (rule.name, rule.reason));
    let serving = SERVING.iter().map(|rule| (rule.name, rule.reason));
    let decided = DECIDED.iter().map(|rule| (rule.name, rule.reason));
    let parts = updating.chain(updated).chain(removing);
    parts
        .chain(serving)
        .chain(started)
        .chain(decided)
        .chain(LIVENESS)
        .collect()
}

/// How a night must end once its faults have stopped; asked by whoever plays it.
pub(crate) const LIVENESS: [(&str, &str); 4] = [
    (
        "ends",
        "whatever happened, a rotation ends within a bound once the faults have stopped",
    ),
    (
        "says why",
        "whoever left a site otherwise than planned says why",
    ),
    (
        "comes back",
        "what we took out is in service again after one recovery and one night",
    ),
    (
        "owes nothing",
        "an idle marker with no site out or dirty is where a good night ends",
    ),
];

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

/// When a coordinator has decided.
const DECIDED: &[Invariant<OnDecision>] = &[
    Invariant {
        name: "others answer",
        reason: "a site leaves only while enough others have just answered their probes",
        ask: others_answer,
    },
    Invariant {
        name: "ttl as declared",
        reason: "a drain is as long as the TTL that was declared",
        ask: ttl_as_declared,
    },
    Invariant {
        name: "ttl is kept",
        reason: "an added record changes the TTL of its whole RRset",
        ask: ttl_is_kept,
    },
    Invariant {
        name: "suspect zone is left alone",
        reason: "in a zone that went backwards no list can be trusted until a person has looked",
        ask: suspect_zone_is_left_alone,
    },
    Invariant {
        name: "max_unavailable",
        reason: "a rotation takes no more sites out at once than its playbook says",
        ask: max_unavailable,
    },
    Invariant {
        name: "ready first",
        reason: "a healthy site leaves only when its new containers are made",
        ask: ready_first,
    },
    Invariant {
        name: "ending takes nothing out",
        reason: "after a halt or an abort no site is withdrawn any more",
        ask: ending_takes_nothing_out,
    },
    Invariant {
        name: "others are well",
        reason: "a site that can still go back goes back when another one fails",
        ask: others_are_well,
    },
    Invariant {
        name: "unknown waits",
        reason: "while an UPDATE is unknown nothing else is sent, to DNS or to an engine",
        ask: unknown_waits,
    },
    Invariant {
        name: "lost is silent",
        reason: "who lost the marker sends nothing that could hurt",
        ask: lost_is_silent,
    },
    Invariant {
        name: "stale is silent",
        reason: "who has not refreshed the marker for 20 minutes may be deposed at any moment",
        ask: stale_is_silent,
    },
    Invariant {
        name: "on its digests",
        reason: "what is verified is what was planned",
        ask: on_its_digests,
    },
    Invariant {
        name: "soaked unbroken",
        reason: "a site that broke in service was not rebuilt well",
        ask: soaked_unbroken,
    },
    Invariant {
        name: "last good is kept",
        reason: "the way back is the images that passed last",
        ask: last_good_is_kept,
    },
    Invariant {
        name: "cordoned is skipped",
        reason: "a person said that this site is not to be touched",
        ask: cordoned_is_skipped,
    },
];

/// An UPDATE that was applied.
pub(crate) struct Change<'a> {
    before: &'a ZoneView,
    change: &'a ZoneChange,
}

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

/// What a coordinator decided, and how it stands now.
pub(crate) struct Decided<'a> {
    machine: &'a Coordinator,
    events: &'a [Event],
    effects: &'a [Effect],
}

pub(crate) fn updating(world: &mut World, change: &ZoneChange) {
    ask(world, UPDATING, |world, ask| ask(world, change));
}

pub(crate) fn updated(world: &mut World, before: &ZoneView, change: &ZoneChange) {
    let change = Change { before, change };
    ask(world, UPDATED, |world, ask| ask(world, &change));
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

pub(crate) fn decided(
    world: &mut World,
    machine: &Coordinator,
    events: &[Event],
    effects: &[Effect],
) {
    let decided = Decided {
        machine,
        events,
        effects,
    };
    ask(world, DECIDED, |world, ask| ask(world, &decided));
}

fn ask<Ask: Copy>(
    world: &mut World,
    rules: &[Invariant<Ask>],
    put: impl Fn(&World, Ask) -> Option<String>,
) {
    for rule in rules {
        if let Some(what) = put(world, rule.ask) {
            let invariant = rule.name;
            world.note(Violation { invariant, what });
        }
    }
}

fn marker_rises(world: &World, change: &ZoneChange) -> Option<String> {
    let new = (change.marker.epoch, change.marker.seq);
    let old = zone::marker(&world.view)?;
    let old = (old.epoch, old.seq);
    (new <= old).then(|| format!("{new:?} after {old:?}"))
}

fn nonce_is_new(world: &World, change: &ZoneChange) -> Option<String> {
    let nonce = &change.marker.nonce;
    let is_old = world.ghosts.nonces.contains(nonce);
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

/// The withdrawals among what was decided.
fn withdrawals<'a>(decided: &'a Decided<'_>) -> impl Iterator<Item = &'a SiteName> {
    decided.events.iter().filter_map(|event| {
        let Event::ChangeDecided {
            intent: Intent::Withdraw { site },
            ..
        } = event
        else {
            return None;
        };
        Some(site)
    })
}

fn mode<'a>(decided: &'a Decided<'_>, site: &SiteName) -> Option<&'a Mode> {
    let rotation = decided.machine.state().running()?;
    Some(&rotation.plan_of(site).mode)
}

fn others_answer(world: &World, decided: &Decided<'_>) -> Option<String> {
    if world.is_overridden {
        return None;
    }
    let holds = millis(retry::LOOK_HOLDS) + 10_000;
    withdrawals(decided).find_map(|site| {
        let keys = world.fleet.rrsets_of(site).into_iter();
        keys.into_iter().find_map(|key| {
            let members = world.fleet.members(&key);
            let fresh = |other: &&SiteName| {
                let at = world.ghosts.answered.get(*other);
                *other != site && at.is_some_and(|at| world.now <= at + holds)
            };
            let answer = members.iter().filter(fresh).count();
            let need = world.fleet.floor(&key) as usize;
            (answer < need && members.contains(site))
                .then(|| format!("{site} leaves {key}, {answer} of {need} others answered"))
        })
    })
}

fn ttl_as_declared(world: &World, decided: &Decided<'_>) -> Option<String> {
    let declared = world.fleet.dns.ttl;
    decided.events.iter().find_map(|event| {
        let Event::ChangeDecided {
            intent: Intent::Withdraw { site },
            ttl,
            ..
        } = event
        else {
            return None;
        };
        (*ttl != declared).then(|| format!("{site} leaves with a TTL of {ttl}"))
    })
}

/// The UPDATEs among what was decided.
fn updates<'a>(decided: &'a Decided<'_>) -> impl Iterator<Item = &'a ZoneChange> {
    decided.events.iter().filter_map(|event| {
        if let Event::ChangeDecided { change, .. } | Event::FenceDecided { change } = event {
            return Some(&**change);
        }
        None
    })
}

fn ttl_is_kept(world: &World, decided: &Decided<'_>) -> Option<String> {
    updates(decided).find_map(|change| {
        change.add.iter().find_map(|(name, address)| {
            let key = RrKey {
                name: name.clone(),
                family: Family::of(*address),
            };
            let served = world.view.rrsets.get(&key)?.ttl?;
            (served != change.ttl).then(|| format!("{key}: {} instead of {served}", change.ttl))
        })
    })
}

fn suspect_zone_is_left_alone(world: &World, decided: &Decided<'_>) -> Option<String> {
    let change = updates(decided).next()?;
    let at = |marker: &Marker| (marker.epoch, marker.seq);
    let knows = decided.machine.state().marker.as_ref().map(at)?;
    let seen = zone::marker(&world.view).map(at);
    let is_asked = world.ghosts.is_allowed(&change.marker);
    (!is_asked && seen < Some(knows)).then(|| format!("{seen:?} stands, {knows:?} is known"))
}

fn max_unavailable(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    withdrawals(decided).find_map(|site| {
        if mode(decided, site) != Some(&Mode::Rotate) {
            return None;
        }
        let marker = state.marker.as_ref()?;
        let out = marker.out.iter().filter(|other| *other != site).count() + 1;
        let most = world.playbook.max_unavailable as usize;
        (out > most).then(|| format!("{site} makes {out} of {most}"))
    })
}

fn ready_first(_: &World, decided: &Decided<'_>) -> Option<String> {
    withdrawals(decided).find_map(|site| {
        let visit = decided.machine.state().running()?.visits.get(site)?;
        let is_ready = visit.hosts.values().all(HostWork::is_settled);
        let must = visit.kind == VisitKind::InService;
        (must && !is_ready).then(|| format!("{site} leaves unready"))
    })
}

fn ending_takes_nothing_out(_: &World, decided: &Decided<'_>) -> Option<String> {
    let is_ending = decided.machine.state().running()?.ending.is_some();
    let mut taken = withdrawals(decided).filter(|_| is_ending);
    taken.next().map(|site| format!("{site} leaves"))
}

fn others_are_well(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    let rotation = state.running()?;
    let dirtied = decided.events.iter().find_map(|event| {
        let Event::ChangeDecided {
            intent: Intent::Dirty { site },
            ..
        } = event
        else {
            return None;
        };
        Some(site)
    })?;
    let visit = rotation.visits.get(dirtied)?;
    if rotation.plan.mode != Mode::Rotate || !visit.can_go_back() {
        return None;
    }
    let marker = state.marker.as_ref()?;
    let mut told =
        world.ghosts.broken.keys().filter(|site| {
            world.serves(site) && *site != dirtied && !marker.cordon.contains(*site)
        });
    let other = told.next()?;
    Some(format!("{dirtied} is destroyed while {other} fails"))
}

/// Whether this request to an engine could hurt.
fn hurts(request: &EngineRequest) -> bool {
    match request {
        EngineRequest::Prepare(_)
        | EngineRequest::Discard { .. }
        | EngineRequest::Clear { .. }
        | EngineRequest::Start { .. }
        | EngineRequest::Prune { .. } => true,
        EngineRequest::TakeInventory
        | EngineRequest::Pull { .. }
        | EngineRequest::TakeEvidence { .. }
        | EngineRequest::Watch { .. } => false,
    }
}

fn hurting(effects: &[Effect]) -> impl Iterator<Item = &EngineRequest> {
    effects.iter().filter_map(|effect| {
        let Request::Engine { request, .. } = &effect.request else {
            return None;
        };
        hurts(request).then_some(request)
    })
}

fn unknown_waits(_: &World, decided: &Decided<'_>) -> Option<String> {
    let lane = &decided.machine.state().lane;
    if !lane.is_unknown() {
        return None;
    }
    let first = lane.changes().first()?;
    let other = decided.effects.iter().any(|effect| {
        let Request::Update(change) = &effect.request else {
            return false;
        };
        change.expect_marker != first.expect_marker
    });
    if other {
        return Some("another UPDATE is sent".to_owned());
    }
    let asked = hurting(decided.effects).next();
    asked.map(|request| format!("{request:?} is sent"))
}

fn lost_is_silent(_: &World, decided: &Decided<'_>) -> Option<String> {
    let rotation = decided.machine.state().running()?;
    if !rotation.has_lost() {
        return None;
    }
    let sends = |effect: &Effect| matches!(effect.request, Request::Update(_));
    let is_loud = decided.effects.iter().any(sends) || hurting(decided.effects).next().is_some();
    is_loud.then(|| format!("{:?}", decided.effects))
}

fn stale_is_silent(world: &World, decided: &Decided<'_>) -> Option<String> {
    let request = hurting(decided.effects).next()?;
    let holder = decided.machine.context().holder;
    let at = world.ghosts.refreshed.get(holder)?;
    let stood = world.now - at;
    (stood > millis(retry::STALE_AFTER) + 60_000)
        .then(|| format!("{request:?} after {stood} ms without a refresh"))
}

fn on_its_digests(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    let site = decided.events.iter().find_map(|event| {
        let Event::Verified { site } = event else {
            return None;
        };
        Some(site)
    })?;
    let visit = state.running()?.visits.get(site)?;
    if !visit.recreates() {
        return None;
    }
    let pins = &state.running()?.plan_of(site).pins;
    let declared = world.fleet.sites.get(site)?;
    declared.hosts.iter().find_map(|host| {
        if visit.hosts.get(&host.name)? == &HostWork::None {
            return None;
        }
        let there = world.engines.get(&host.name)?.iter();
        let mut wrong = there.filter(|container| {
            let project = host.projects.iter().find(|p| p.name == container.project);
            let service = project.and_then(|project| project.service(&container.service));
            let pin = service.and_then(|service| pins.get(&service.image));
            container.role == Role::Recreated
                && container.is_running()
                && pin.is_some_and(|pin| !container.digests.contains(pin))
        });
        let container = wrong.next()?;
        Some(format!(
            "{} of {site} runs another image",
            container.id.as_str()
        ))
    })
}

fn soaked_unbroken(world: &World, decided: &Decided<'_>) -> Option<String> {
    let soaked = decided.events.iter().find_map(|event| {
        let Event::Soaked { site } = event else {
            return None;
        };
        Some(site)
    })?;
    let told = world.ghosts.broken.get(soaked);
    let is_broken = told == Some(&decided.machine.state().epoch) && !world.is_overridden;
    is_broken.then(|| format!("{soaked} broke in service, and soaked"))
}

fn last_good_is_kept(_: &World, decided: &Decided<'_>) -> Option<String> {
    let state: &State = decided.machine.state();
    decided.effects.iter().find_map(|effect| {
        let Request::Engine {
            site,
            request: EngineRequest::Prune { keep },
            ..
        } = &effect.request
        else {
            return None;
        };
        let good = state.last_good.get(site)?;
        let lost = good.values().find(|digest| !keep.contains(*digest))?;
        Some(format!("{site} loses {}", lost.short()))
    })
}

fn cordoned_is_skipped(_: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    withdrawals(decided).find_map(|site| {
        let marker = state.marker.as_ref()?;
        let is_cordoned = marker.cordon.contains(site);
        (is_cordoned && mode(decided, site) == Some(&Mode::Rotate))
            .then(|| format!("{site} leaves"))
    })
}
