//! Asked when a coordinator has decided.
use super::requests::{last_good_is_kept, lost_is_silent, stale_is_silent, unknown_waits};
use super::{Invariant, ask};
use crate::coordinator::effect::Effect;
use crate::coordinator::event::{Event, VisitEnd, VisitKind};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::Mode;
use crate::coordinator::retry;
use crate::coordinator::state::{HostWork, Stage};
use crate::model::hook::Gate;
use crate::model::id::SiteName;
use crate::model::inventory::Role;
use crate::model::marker::Marker;
use crate::model::rrset::{Family, RrKey, ZoneChange};
use crate::model::time::millis;
use crate::sim::world::World;
use crate::sim::zone;

type OnDecision = fn(&World, &Decided<'_>) -> Option<String>;

pub(super) fn told() -> impl Iterator<Item = (&'static str, &'static str)> {
    DECIDED.iter().map(Invariant::told)
}

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
        name: "gates hold",
        reason: "whoever is asked before a site leaves, or is destroyed, has agreed to it",
        ask: gates_hold,
    },
    Invariant {
        name: "ending takes nothing out",
        reason: "after a halt or an abort no site is withdrawn any more",
        ask: ending_takes_nothing_out,
    },
    Invariant {
        name: "pause holds",
        reason: "while a rotation is paused no site leaves, and none that left is touched",
        ask: pause_holds,
    },
    Invariant {
        name: "tried by hand",
        reason: "where the playbook says so, a rebuilt site goes in when a person has said so",
        ask: tried_by_hand,
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
        name: "pinned is apart",
        reason: "a site that is pinned takes no tag, whatever the others take",
        ask: pinned_is_apart,
    },
    Invariant {
        name: "rolled back to what passed",
        reason: "whoever is told that a site serves what it served before is told the truth",
        ask: rolled_back_to_what_passed,
    },
    Invariant {
        name: "barred is not planned",
        reason: "what failed at one site is not tried at another before a person has looked",
        ask: barred_is_not_planned,
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
        name: "quiet hours",
        reason: "a rotation visits what serves in the hours in which few use it",
        ask: quiet_hours_are_kept,
    },
    Invariant {
        name: "cordoned is skipped",
        reason: "a person said that this site is not to be touched",
        ask: cordoned_is_skipped,
    },
];

/// What a coordinator decided, and how it stands now.
pub(crate) struct Decided<'a> {
    pub(super) machine: &'a Coordinator,
    events: &'a [Event],
    pub(super) effects: &'a [Effect],
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

/// A site that fails its probes leaves at once, and nobody is asked.
fn gates_hold(world: &World, decided: &Decided<'_>) -> Option<String> {
    let rotation = decided.machine.state().running()?;
    decided.events.iter().find_map(|event| {
        let (site, gate) = if let Event::WithdrawBegun {
            site,
            is_sick: false,
            ..
        } = event
        {
            let visit = rotation.visits.get(site)?;
            let is_asked = matches!(visit.stage, Stage::Withdrawing) && visit.can_go_back();
            (is_asked.then_some(site)?, Gate::BeforeWithdraw)
        } else if let Event::LastLookBegun { site } = event {
            let is_asked = !rotation.visits.get(site)?.is_touched;
            (is_asked.then_some(site)?, Gate::BeforeRecreate)
        } else {
            return None;
        };
        let of = (&rotation.plan_of(site).id, site);
        let hook = world.ghosts.objects(&world.fleet, of, gate)?;
        Some(format!("{site} goes on, and hook {hook} has not agreed"))
    })
}

fn ending_takes_nothing_out(_: &World, decided: &Decided<'_>) -> Option<String> {
    let is_ending = decided.machine.state().running()?.ending.is_some();
    let mut taken = withdrawals(decided).filter(|_| is_ending);
    taken.next().map(|site| format!("{site} leaves"))
}

fn pause_holds(_: &World, decided: &Decided<'_>) -> Option<String> {
    let rotation = decided.machine.state().running()?;
    if !rotation.is_paused() {
        return None;
    }
    // What a person asked for since they paused is their word, too.
    let is_held = |site: &SiteName| rotation.is_held(site);
    decided.events.iter().find_map(|event| {
        if let Event::VisitStarted { site, .. } = event {
            return is_held(site).then(|| format!("a visit of {site} starts"));
        }
        if let Event::WithdrawBegun { site, .. } = event {
            let is_whole = matches!(rotation.visits.get(site)?.stage, Stage::Withdrawing);
            return (is_whole && is_held(site)).then(|| format!("{site} wants to leave"));
        }
        if let Event::BeforeBegun { site } | Event::LastLookBegun { site } = event {
            let is_untouched = !rotation.visits.get(site)?.is_touched;
            return (is_untouched && rotation.holds_what_left(site))
                .then(|| format!("a last look at {site} begins"));
        }
        None
    })
}

fn tried_by_hand(world: &World, decided: &Decided<'_>) -> Option<String> {
    let rotation = decided.machine.state().running()?;
    let is_asked = world.playbook.verify.hold;
    let is_ended = world.ghosts.ended_by_word.contains(&rotation.plan.id);
    decided.events.iter().find_map(|event| {
        let Event::ChangeDecided {
            intent: Intent::Restore { site },
            ..
        } = event
        else {
            return None;
        };
        let is_rebuilt = rotation.visits.get(site)?.kind != VisitKind::AsItStands;
        let is_said = is_ended || world.ghosts.is_said_in(site);
        (is_asked && is_rebuilt && !is_said).then(|| format!("{site} goes in untried"))
    })
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

fn on_its_digests(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    let site = decided.events.iter().find_map(|event| {
        let Event::Verified { site } = event else {
            return None;
        };
        Some(site)
    })?;
    let visit = state.running()?.visits.get(site)?;
    // Who was deposed, and has not seen it yet, knows no better: no change of theirs is taken.
    let is_ours = zone::marker(&world.view)?.epoch == state.epoch;
    if !visit.recreates() || !is_ours {
        return None;
    }
    let plan = state.running()?.plan_of(site);
    let rollback = visit.rollback.as_ref();
    let pins = rollback.map_or(plan.pins_for(site), |rollback| &rollback.pins);
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

/// Asked of `site.toml`, not of the plan.
fn pinned_is_apart(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    let site = decided.events.iter().find_map(|event| {
        let Event::Verified { site } = event else {
            return None;
        };
        Some(site)
    })?;
    let visit = state.running()?.visits.get(site)?;
    if !visit.recreates() || visit.rollback.is_some() {
        return None;
    }
    let own = world.fleet.pinned(site, world.time().wall);
    let declared = world.fleet.sites.get(site)?;
    declared.hosts.iter().find_map(|host| {
        if visit.hosts.get(&host.name)? == &HostWork::None {
            return None;
        }
        let mut there = world.engines.get(&host.name)?.iter();
        let other = there.find(|container| {
            let project = host.projects.iter().find(|p| p.name == container.project);
            let service = project.and_then(|project| project.service(&container.service));
            let pin = service.and_then(|service| own.get(&service.image));
            container.role == Role::Recreated
                && container.is_running()
                && pin.is_some_and(|pin| !container.digests.contains(pin))
        })?;
        Some(format!(
            "{} of {site} is not what the site is pinned to",
            other.id.as_str()
        ))
    })
}

fn rolled_back_to_what_passed(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    let site = decided.events.iter().find_map(|event| {
        let Event::VisitEnded {
            site,
            end: VisitEnd::RolledBack,
            ..
        } = event
        else {
            return None;
        };
        Some(site)
    })?;
    // Who was deposed, and has not seen it yet, knows no better.
    let is_ours = zone::marker(&world.view)?.epoch == state.epoch;
    let passed = state.last_good.get(site)?;
    let there = world.hosts_of(site).into_iter();
    let there = there.filter_map(|host| world.engines.get(&host)).flatten();
    let mut running = there.filter(|c| c.is_running() && c.role == Role::Recreated);
    let other = running.find(|c| !passed.values().any(|digest| c.digests.contains(digest)))?;
    is_ours.then(|| format!("{} of {site} runs another image", other.id.as_str()))
}

fn barred_is_not_planned(_: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    decided.events.iter().find_map(|event| {
        let (Event::Planned { plan } | Event::RebuildQueued { plan }) = event else {
            return None;
        };
        let own = plan.site_pins.values();
        let mut digests = own.chain([&plan.pins]).flat_map(|pins| pins.values());
        let digest = digests.find(|digest| state.barred.contains_key(*digest))?;
        Some(format!("{} is planned with {}", plan.id, digest.short()))
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

fn quiet_hours_are_kept(world: &World, decided: &Decided<'_>) -> Option<String> {
    let state = decided.machine.state();
    let rotation = state.running()?;
    decided.events.iter().find_map(|event| {
        let Event::VisitStarted { site, .. } = event else {
            return None;
        };
        let window = rotation.plan_of(site).windows.get(site)?;
        let is_kept = window.is_open(world.time().wall) || state.is_owed(site);
        (!is_kept).then(|| format!("the visit of {site} starts outside {window}"))
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
