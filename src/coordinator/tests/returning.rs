//! Back into DNS: verified only, soaked, or taken out again.
use std::collections::BTreeSet;

use super::world::{World, digest, site};
use super::{
    ask, began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_old_on,
    is_unhurt, night, said, visit_end,
};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::plan::{Mode, Options};

#[test]
fn a_site_that_fails_its_soak_leaves_again_only_if_the_floor_lets_it() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::SoakBegun { .. })
    });
    world.faults.crashing.insert(site("fra"));
    // Well before the visit, and ill now.
    world.faults.failing_probes.insert(site("nyc"));
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftInService);
    assert!(said(machine.state(), "fra").0.contains("floor"));
    assert_eq!((world.in_dns(), world.fewest), (3, 2));
    assert!(is_idle_without_debts(&world));
}

#[test]
fn a_broken_soak_takes_a_site_out_and_marks_it_dirty() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::SoakBegun { .. })
    });
    world.faults.no_traffic = true;
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let marker = world.marker().unwrap();
    let fra = BTreeSet::from([site("fra")]);
    assert_eq!((marker.out, marker.dirty), (fra.clone(), fra));
    assert_eq!(world.in_dns(), 2);
}

#[test]
fn when_nobody_answers_any_more_the_prober_is_suspected_and_nothing_leaves() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::SoakBegun { .. })
    });
    world
        .faults
        .failing_probes
        .extend(["fra", "nyc", "sin"].map(site));
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftInService);
    assert!(said(machine.state(), "fra").0.contains("is it the prober?"));
    assert_eq!(world.in_dns(), 3);
}

#[test]
fn a_broken_soak_is_remembered_over_a_crash() {
    for at in 0..6 {
        let mut world = World::new();
        let mut machine = night(&mut world);
        world.until(&mut machine, |event| {
            matches!(event, Event::SoakBegun { .. })
        });
        world.faults.crashing.insert(site("fra"));
        world.until(&mut machine, |event| {
            matches!(event, Event::SoakBroken { .. })
        });
        for _ in 0..at {
            world.step(&mut machine);
        }
        let mut machine = world.crash();
        world.run(&mut machine);
        assert_eq!(
            visit_end(machine.state(), "fra"),
            VisitEnd::Quarantined,
            "after {at}"
        );
        assert_eq!(world.in_dns(), 2, "after {at}");
    }
}

#[test]
fn images_that_a_site_last_passed_on_stay_until_the_new_ones_passed_their_soak() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.faults.crashing.insert(site("fra"));
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    assert_eq!(
        (world.kept_images.len(), machine.state().last_good.len()),
        (0, 0)
    );
    world.faults.crashing.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(world.kept_images.len(), 3);
    assert!(
        world
            .kept_images
            .iter()
            .all(|(_, kept)| kept.contains(&digest(2)))
    );
    assert_eq!(machine.state().last_good.len(), 3);
}

#[test]
fn images_that_cannot_be_removed_fail_no_visit() {
    let mut world = World::new();
    world.faults.prune_fails = true;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Completed);
}

#[test]
fn exactly_what_was_taken_out_goes_back() {
    let mut world = World::of(
        super::world::fleet_of(&["fra", "nyc", "sin"], 2),
        super::world::playbook(),
    );
    let gone = "192.0.3.1".parse().unwrap();
    for set in world.zone().rrsets.values_mut() {
        set.addresses.remove(&gone);
    }
    for crashes in [false, true] {
        let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
        if crashes {
            // Applied, and not proven when the process died.
            world.until(&mut machine, |event| {
                let site = site("fra");
                let withdraw = crate::coordinator::intent::Intent::Withdraw { site };
                matches!(event, Event::ChangeDecided { intent, .. } if *intent == withdraw)
            });
            world.carry_out_late(0);
            machine = world.crash();
        }
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
        assert!(is_new_on(&world, "fra1") && is_new_on(&world, "fra2"));
        assert!(
            !world
                .view
                .rrsets
                .values()
                .any(|set| set.addresses.contains(&gone))
        );
        world.journal.clear();
    }
}

#[test]
fn restore_verifies_what_is_whole_and_recreates_what_is_dirty() {
    let mut world = World::new();
    let restore = Mode::Restore { unverified: false };
    let mut machine = began(
        &mut world,
        Mode::Withdraw,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    world.faults.failing_probes.insert(site("nyc"));
    ask(
        &mut world,
        &mut machine,
        restore.clone(),
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::LeftOut);
    world.faults.failing_probes.clear();
    ask(
        &mut world,
        &mut machine,
        restore.clone(),
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert!(is_old_on(&world, "nyc1") && world.serves(&site("nyc")));

    world.faults.unhealthy.insert(site("fra"));
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    world.faults.unhealthy.clear();
    ask(
        &mut world,
        &mut machine,
        restore,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(is_new_on(&world, "fra1") && is_idle_without_debts(&world));
    assert!(machine.state().last_good.contains_key(&site("fra")));
    is_unhurt(&world);
}

#[test]
fn restore_without_proof_asks_for_none_before_or_after() {
    let mut world = World::new();
    let mut machine = began(
        &mut world,
        Mode::Withdraw,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    world.faults.failing_probes.insert(site("nyc"));
    world.is_overridden = true;
    let restore = Mode::Restore { unverified: true };
    ask(
        &mut world,
        &mut machine,
        restore,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Completed);
    assert!(world.serves(&site("nyc")));
}

#[test]
fn recover_puts_back_what_is_whole_and_recreates_what_is_dirty() {
    for is_dirty in [false, true] {
        let mut world = World::new();
        let mut first = night(&mut world);
        world.until(&mut first, |event| {
            if is_dirty {
                matches!(event, Event::HostCleared { .. })
            } else {
                matches!(event, Event::Followed { .. })
            }
        });
        world.swap(&mut super::world::Desk::default());
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        let mut machine = world.coordinator_called("holder-b");
        ask(&mut world, &mut machine, Mode::Recover, None, options);
        assert_eq!(world.journal.len(), 2);
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
        assert_eq!(is_new_on(&world, "fra1"), is_dirty);
        assert!(is_idle_without_debts(&world));
        assert_eq!(world.in_dns(), 3);
        is_unhurt(&world);
    }
}

#[test]
fn recover_with_nothing_to_bring_back_ends_at_once() {
    let mut world = World::new();
    let mut machine = began(&mut world, Mode::Recover, None, Options::default());
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(
        count(&world, |event| matches!(event, Event::VisitStarted { .. })),
        0
    );
}

#[test]
fn a_site_is_found_dirty_in_dns_by_recover_and_leaves_before_it_is_recreated() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = night(&mut world);
    world.run(&mut machine);
    world.faults.unhealthy.clear();
    world.by_hand(&site("fra"), true);
    ask(
        &mut world,
        &mut machine,
        Mode::Recover,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(is_new_on(&world, "fra1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_drill_recreates_nothing_but_what_is_dirty() {
    let mut playbook = super::world::playbook();
    playbook.recreate.containers = false;
    let mut world = World::of(super::world::fleet(), playbook);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_old_on(&world, "fra1") && is_old_on(&world, "sin1"));
    let mut marker = world.marker().unwrap();
    marker.out.insert(site("fra"));
    marker.dirty.insert(site("fra"));
    marker.seq += 1;
    world.write_marker(Some(&marker));
    world.by_hand(&site("fra"), false);
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(is_new_on(&world, "fra1") && is_old_on(&world, "sin1"));
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_site_that_became_dirty_after_it_was_planned_is_not_recreated_without_pins() {
    let mut playbook = super::world::playbook();
    playbook.recreate.containers = false;
    let mut world = World::of(super::world::fleet(), playbook);
    let mut machine = began(&mut world, Mode::Rotate, Some(&["nyc"]), Options::default());
    world.run(&mut machine);
    let plan = world.plan(Mode::Rotate, Some(vec![site("fra")]), Options::default());
    let mut marker = world.marker().unwrap();
    marker.out.insert(site("fra"));
    marker.dirty.insert(site("fra"));
    marker.seq += 1;
    world.write_marker(Some(&marker));
    world.by_hand(&site("fra"), false);
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let (what, cure) = said(machine.state(), "fra");
    assert!(
        what.contains("was pinned") && cure.contains("rebuild fra"),
        "{what} {cure}"
    );
    assert!(is_old_on(&world, "fra1") && !everything_is_new(&world));
}
