//! Dirty: what may go, what comes, and what is tried again.
use std::collections::BTreeSet;

use super::world::{World, fleet, fleet_of, playbook, project, service, site};
use super::{
    ask, began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_unhurt,
    night, said, visit_end,
};
use crate::coordinator::effect::ProbeManner;
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::HostName;

#[test]
fn what_may_still_be_removed_is_never_counted_as_good_and_is_removed_again() {
    for after in [1_000, 20_000, 90_000, 400_000] {
        let mut world = World::new();
        let mut machine = night(&mut world);
        world.faults.late_clears.push_back(after);
        world.run(&mut machine);
        assert_eq!(
            end_of(machine.state()),
            RotationEnd::Completed,
            "late by {after} ms"
        );
        assert!(everything_is_new(&world) && is_idle_without_debts(&world));
        assert_eq!(world.hurt, [], "late by {after} ms");
    }
}

#[test]
fn engines_that_answer_no_removal_leave_the_site_dirty_and_out() {
    let mut world = World::new();
    world.faults.late_clears.extend([600_000; 9]);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    assert_eq!(
        count(&world, |event| matches!(event, Event::AttemptFailed { .. })),
        2
    );
    assert_eq!(world.marker().unwrap().dirty, BTreeSet::from([site("fra")]));
    is_unhurt(&world);
    world.faults.late_clears.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn each_attempt_has_a_last_look_and_a_dirty_write_of_its_own() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let dirty = Intent::Dirty { site: site("fra") };
    let writes = count(
        &world,
        |event| matches!(event, Event::ChangeProven { intent, .. } if *intent == dirty),
    );
    assert_eq!(writes, 3);
}

#[test]
fn proofs_are_made_anew_once_the_old_containers_have_gone() {
    let mut world = World::new();
    world.faults.proofs = 1;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(
        count(&world, |event| matches!(event, Event::RemakeBegun { .. })),
        1
    );
    assert!(everything_is_new(&world));
    is_unhurt(&world);
}

#[test]
fn proofs_without_end_are_a_failure() {
    let mut world = World::new();
    world.faults.proofs = u32::MAX;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    assert_eq!(
        count(&world, |event| matches!(event, Event::RemakeBegun { .. })),
        3
    );
}

#[test]
fn projects_stop_in_reverse_and_start_in_order_and_a_kept_service_is_never_stopped() {
    let mut fleet = fleet();
    for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
        let mut db = service("db", 1);
        db.keep = crate::model::service::Keep::Yes;
        let mut web = project("edge", vec![service("web", 2)]);
        web.after = BTreeSet::from(["data".parse().unwrap()]);
        host.projects = vec![project("data", vec![db, service("cache", 1)]), web];
    }
    let mut world = World::of(fleet, playbook());
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world));
    is_unhurt(&world);
    let of_fra = world.journal.iter().filter_map(|(event, _)| {
        if let Event::ClearBegun {
            level, containers, ..
        } = event
        {
            return Some(("clear", *level, containers.values().flatten().count()));
        }
        let Event::StartBegun { level, .. } = event else {
            return None;
        };
        Some(("start", *level, 0))
    });
    let order: Vec<_> = of_fra.take(4).collect();
    assert_eq!(
        order,
        [
            ("clear", 1, 2),
            ("clear", 0, 1),
            ("start", 0, 0),
            ("start", 1, 0)
        ]
    );
}

#[test]
fn all_hosts_of_a_site_are_rebuilt_side_by_side() {
    let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 3), playbook());
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    assert_eq!(world.fewest, 2);
    is_unhurt(&world);
}

#[test]
fn a_dead_host_is_named_with_the_flag_that_goes_on_without_it() {
    let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 2), playbook());
    world.faults.down.insert("nyc2".parse().unwrap());
    let mut machine = began(
        &mut world,
        Mode::Rebuild,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    let (what, cure) = said(machine.state(), "nyc");
    assert!(what.contains("nyc2: no route"), "{what}");
    assert!(cure.contains("rebuild nyc --without nyc2"), "{cure}");
    assert_eq!(world.fewest, 3);
}

#[test]
fn a_host_left_out_is_not_touched_and_its_address_returns_with_the_visit_that_includes_it() {
    let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 2), playbook());
    let nyc2: HostName = "nyc2".parse().unwrap();
    world.faults.down.insert(nyc2.clone());
    let options = Options {
        without: [nyc2].into(),
        ..Options::default()
    };
    let mut machine = began(&mut world, Mode::Rebuild, Some(&["nyc"]), options);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Completed);
    assert!(is_new_on(&world, "nyc1") && !is_new_on(&world, "nyc2"));
    let address = "192.0.3.2".parse().unwrap();
    let serves = |world: &World| {
        world
            .view
            .rrsets
            .values()
            .any(|set| set.addresses.contains(&address))
    };
    assert!(!serves(&world) && world.serves(&site("nyc")));

    // Others are visited meanwhile: nyc answers where it serves.
    world.probed.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    let looks = world
        .probed
        .iter()
        .filter(|(probed, ..)| *probed == site("nyc"));
    assert!(
        looks.clone().count() > 0
            && looks
                .clone()
                .all(|(.., without)| without.contains(&address))
    );

    // It is repaired, and the next night takes it in.
    world.faults.down.clear();
    world.probed.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert!(is_new_on(&world, "nyc2") && serves(&world));
    let verified = world.probed.iter().filter(|(probed, manner, _)| {
        *probed == site("nyc") && matches!(manner, ProbeManner::Verify { .. })
    });
    assert!(
        verified.clone().count() > 0 && verified.clone().all(|(.., without)| without.is_empty())
    );
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_quarantined_site_rebuilt_without_a_host_remembers_what_stays_out() {
    let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 2), playbook());
    world.faults.unhealthy.insert(site("nyc"));
    let mut machine = began(&mut world, Mode::Rotate, Some(&["nyc"]), Options::default());
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Quarantined);
    world.faults.unhealthy.clear();
    let nyc2: HostName = "nyc2".parse().unwrap();
    world.faults.down.insert(nyc2.clone());
    let options = Options {
        without: [nyc2].into(),
        ..Options::default()
    };
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["nyc"]),
        options,
    );
    world.run(&mut machine);
    assert_eq!(machine.state().left_out[&site("nyc")].len(), 1);
    world.faults.down.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(machine.state().left_out.len(), 0);
    let served: usize = world
        .view
        .rrsets
        .values()
        .map(|set| set.addresses.len())
        .sum();
    assert_eq!(served, 6);
}

#[test]
fn a_container_of_our_own_that_was_never_started_is_not_what_was_planned() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::HostStarted { .. })
    });
    // A preparation that was given up comes late.
    let fra: HostName = "fra1".parse().unwrap();
    let mut late = world.engines[&fra][0].clone();
    late.id = "late".parse().unwrap();
    late.state = crate::model::inventory::ContainerState::Created;
    world.engines.get_mut(&fra).unwrap().push(late);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(
        count(&world, |event| matches!(event, Event::AttemptFailed { .. })),
        1
    );
    assert!(everything_is_new(&world));
}
