//! A store that was made from a backup of another: its coordinator is any other holder, and what it
//! remembers may be older than the world.
use std::collections::BTreeSet;

use super::world::{Desk, World, site};
use super::{
    ask, began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_old_on,
    is_unhurt, night, visit_end,
};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd, VisitKind};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::state::Hold;

#[test]
fn who_moves_in_sends_nothing_and_ends_what_ran_when_the_backup_was_made() {
    let mut world = World::new();
    let mut old = night(&mut world);
    // Interrupted at a change that is on its way.
    world.until(&mut old, |event| {
        matches!(event, Event::ChangeDecided { .. })
    });
    let mut copy = world.copied();
    let (before, zone) = (copy.journal.len(), world.view.clone());
    let new = world.moves_in(&mut copy);
    let RotationEnd::Deposed { why } = end_of(new.state()) else {
        panic!("{:?}", end_of(new.state()));
    };
    assert_eq!(why, "moved: from a backup");
    assert_eq!(new.state().hold, Hold::None);
    assert!(new.awaited_tokens().is_empty() && world.queue.is_empty());
    assert_eq!(world.view, zone);
    let told = &world.journal[before..];
    let is_ending = |event: &Event| matches!(event, Event::Deposed { .. } | Event::Ended { .. });
    assert!(told.iter().all(|(event, _)| is_ending(event)), "{told:?}");
    is_unhurt(&world);
}

#[test]
fn who_moves_in_after_a_night_that_ended_has_nothing_to_end() {
    let mut world = World::new();
    let mut old = night(&mut world);
    world.run(&mut old);
    let mut copy = world.copied();
    let before = copy.journal.clone();
    let new = world.moves_in(&mut copy);
    assert_eq!(world.journal, before);
    assert_eq!(end_of(new.state()), RotationEnd::Completed);
}

#[test]
fn a_copy_that_is_older_than_the_marker_goes_on_from_the_marker() {
    let mut world = World::new();
    let mut old = night(&mut world);
    world.run(&mut old);
    let mut copy = world.copied();
    // The old one went on: another night, a site held, another one cordoned.
    for (mode, sites) in [
        (Mode::Rotate, None),
        (Mode::Withdraw, Some(&["nyc"][..])),
        (Mode::Cordon { cordoned: true }, Some(&["sin"][..])),
    ] {
        ask(&mut world, &mut old, mode, sites, Options::default());
        world.run(&mut old);
    }
    let before = world.marker().unwrap();
    let engines = world.engines.clone();
    let mut new = world.moves_in(&mut copy);
    recover(&mut world, &mut new, Options::default());
    assert_eq!(end_of(new.state()), RotationEnd::Completed);
    let after = world.marker().unwrap();
    assert!(after.epoch > before.epoch, "{after:?}");
    assert_eq!((after.held, after.cordon), (before.held, before.cordon));
    assert_eq!(world.engines, engines, "nothing is rebuilt for it");
    assert_eq!(world.in_dns(), 2, "nyc is still held");
    is_unhurt(&world);
}

#[test]
fn a_site_that_was_dirty_when_its_coordinator_died_is_finished_by_who_moves_in() {
    for (is_told, takes_over) in [(true, "at once"), (false, "by patience")] {
        let mut world = World::new();
        let mut old = night(&mut world);
        world.until(&mut old, |event| matches!(event, Event::HostCleared { .. }));
        let mut copy = world.copied();
        let mut new = world.moves_in(&mut copy);
        let marker = world.marker().unwrap();
        assert_eq!(marker.dirty, BTreeSet::from([site("fra")]));
        let options = Options {
            take_over: is_told,
            wait_s: 2_100,
            ..Options::default()
        };
        let began = world.now;
        recover(&mut world, &mut new, options);
        assert_eq!(end_of(new.state()), RotationEnd::Completed, "{takes_over}");
        let waited = world.now - began >= 30 * 60_000;
        assert_eq!(waited, !is_told, "{takes_over}");
        assert_eq!(visit_end(new.state(), "fra"), VisitEnd::Completed);
        assert!(is_new_on(&world, "fra1") && is_idle_without_debts(&world));
        assert!(is_old_on(&world, "nyc1") && is_old_on(&world, "sin1"));
        assert_eq!((world.in_dns(), world.fewest), (3, 2));
        is_unhurt(&world);
    }
}

#[test]
fn a_night_of_who_moves_in_brings_the_dirty_site_back_by_the_ordinary_way() {
    let mut world = World::new();
    let mut old = night(&mut world);
    world.until(&mut old, |event| matches!(event, Event::HostCleared { .. }));
    let mut copy = world.copied();
    let mut new = world.moves_in(&mut copy);
    let patient = Options {
        wait_s: 2_100,
        ..Options::default()
    };
    ask(&mut world, &mut new, Mode::Rotate, None, patient);
    world.run(&mut new);
    let is_brought_back = |event: &Event| {
        matches!(event, Event::VisitStarted { site, kind: VisitKind::Quarantined, .. }
            if site.as_str() == "fra")
    };
    assert_eq!(count(&world, is_brought_back), 1);
    assert_eq!(end_of(new.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    assert_eq!((world.in_dns(), world.fewest), (3, 2));
    is_unhurt(&world);
}

#[test]
fn while_the_old_one_lives_who_moves_in_waits_for_its_marker_like_anybody_else() {
    let mut world = World::new();
    let mut old = night(&mut world);
    world.until(&mut old, |event| matches!(event, Event::Drained { .. }));
    let mut desk = world.copied();
    let mut new = world.moves_in(&mut desk);
    let before = world.marker();
    ask(&mut world, &mut new, Mode::Rotate, None, Options::default());
    world.run(&mut new);
    let end = end_of(new.state());
    assert!(
        matches!(&end, RotationEnd::NotAcquired { why } if why.contains("held by holder-a")),
        "{end:?}"
    );
    assert_eq!(world.marker(), before);
    world.swap(&mut desk);
    world.run(&mut old);
    assert_eq!(end_of(old.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn copied_at_any_step_of_a_night_that_then_ends_well_nothing_is_left_to_be_done() {
    at_every_step(|world, mut old, step| {
        let mut copy = world.copied();
        world.run(&mut old);
        let engines = world.engines.clone();
        let mut new = world.moves_in(&mut copy);
        recover(world, &mut new, Options::default());
        assert_eq!(end_of(new.state()), RotationEnd::Completed, "step {step}");
        assert_eq!(world.engines, engines, "rebuilt for it, step {step}");
        assert!(is_idle_without_debts(world), "step {step}");
        assert_eq!((world.in_dns(), world.fewest), (3, 2), "step {step}");
    });
}

#[test]
fn copied_at_any_step_of_a_night_that_dies_there_only_what_is_dirty_is_made_anew() {
    at_every_step(|world, _, step| {
        let mut copy = world.copied();
        let mut new = world.moves_in(&mut copy);
        let dirty = world.marker().map(|marker| marker.dirty);
        let dirty = dirty.unwrap_or_default();
        let before = world.engines.clone();
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        recover(world, &mut new, options);
        assert_eq!(end_of(new.state()), RotationEnd::Completed, "step {step}");
        assert!(is_idle_without_debts(world), "step {step}");
        assert!(world.in_dns() == 3 && world.fewest >= 2, "step {step}");
        for (name, site) in &world.fleet.sites {
            for host in site.hosts.iter().filter(|_| !dirty.contains(name)) {
                let runs = |containers: &[crate::model::inventory::Container]| {
                    let healthy = containers.iter().filter(|it| it.is_healthy());
                    healthy.map(|it| it.id.clone()).collect::<BTreeSet<_>>()
                };
                let (then, now) = (&before[&host.name], &world.engines[&host.name]);
                assert_eq!(
                    runs(now),
                    runs(then),
                    "{name} is rebuilt for it, step {step}"
                );
            }
        }
    });
}

#[test]
fn an_address_that_was_put_back_or_given_up_meanwhile_is_left_out_no_more() {
    for is_given_up in [false, true] {
        let fleet = super::world::fleet_of(&["fra", "nyc", "sin"], 2);
        let mut world = World::of(fleet, super::world::playbook());
        let without = Options {
            without: BTreeSet::from(["nyc2".parse().unwrap()]),
            ..Options::default()
        };
        let nyc = Some(&["nyc"][..]);
        let mut old = began(&mut world, Mode::Rebuild, nyc, without);
        world.run(&mut old);
        let left_out = old.state().left_out[&site("nyc")].clone();
        assert_eq!(left_out.len(), 1);
        let mut copy = world.copied();
        ask(
            &mut world,
            &mut old,
            Mode::Rotate,
            Some(&["fra"]),
            Options::default(),
        );
        world.run(&mut old);
        if is_given_up {
            let mut fleet = crate::model::fleet::Fleet::clone(&world.fleet);
            let (name, address) = left_out.first().unwrap();
            let addresses = &mut fleet.dns.records.get_mut(name).unwrap().addresses;
            let of_nyc = addresses.get_mut(&site("nyc")).unwrap();
            of_nyc.retain(|other| other != address);
            world.fleet = fleet.into();
        } else {
            ask(&mut world, &mut old, Mode::Rotate, nyc, Options::default());
            world.run(&mut old);
            assert_eq!(old.state().left_out.len(), 0);
        }
        let mut new = world.moves_in(&mut copy);
        assert_eq!(new.state().left_out.len(), 1);
        recover(&mut world, &mut new, Options::default());
        assert_eq!(new.state().left_out.len(), 0, "given up: {is_given_up}");
        is_unhurt(&world);
    }
}

/// Each step of a night is where the backup is made.
fn at_every_step(then: impl Fn(&mut World, Coordinator, usize)) {
    for at in (0..2_000).step_by(3) {
        let mut world = World::new();
        let mut old = night(&mut world);
        if !(0..at).all(|_| world.step(&mut old)) {
            assert!(at > 100, "{at}");
            return;
        }
        then(&mut world, old, at);
        is_unhurt(&world);
    }
    panic!("a night has fewer steps");
}

/// Brings back what the marker calls out.
fn recover(world: &mut World, machine: &mut Coordinator, options: Options) {
    world.is_overridden |= options.take_over;
    ask(world, machine, Mode::Recover, None, options);
    world.run(machine);
}

#[test]
fn a_store_in_which_nothing_ever_ran_moves_too() {
    let mut world = World::new();
    let mut new = world.moves_in(&mut Desk::default());
    ask(&mut world, &mut new, Mode::Rotate, None, Options::default());
    world.run(&mut new);
    assert_eq!(end_of(new.state()), RotationEnd::Completed);
}
