//! Whole rotations, told by their ends.
use std::collections::BTreeSet;

use super::world::{Desk, World, digest, site};
use super::{end_of, everything_is_new, is_idle_without_debts, night, visit_end};
use crate::coordinator::event::{DrainReason, Event, RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::{Mode, Options};

#[test]
fn a_night_replaces_every_container_and_never_falls_below_the_floor() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world));
    assert!(is_idle_without_debts(&world));
    assert_eq!((world.fewest, world.in_dns()), (2, 3));
    assert_eq!(world.hurt, []);
}

#[test]
fn a_replay_of_the_journal_is_the_state() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let mut other = world.coordinator();
    other.replay(world.journal.clone());
    assert_eq!(other.state(), machine.state());
}

#[test]
fn killed_after_every_fact_it_ends_as_if_nothing_had_happened() {
    let mut at = 0;
    loop {
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        let mut heard = 0;
        while heard < at {
            let before = world.journal.len();
            if !world.step(&mut machine) {
                assert!(at > 80, "a night has more facts than {at}");
                return;
            }
            heard += usize::from(world.journal.len() > before);
        }
        let mut machine = world.crash();
        world.run(&mut machine);
        let killed = format!("killed after {at} answers");
        assert_eq!(end_of(machine.state()), RotationEnd::Completed, "{killed}");
        assert!(everything_is_new(&world), "{killed}: {:#?}", world.engines);
        assert!(
            is_idle_without_debts(&world),
            "{killed}: {:?}",
            world.marker()
        );
        assert_eq!((world.fewest, world.in_dns()), (2, 3), "{killed}");
        assert_eq!(world.hurt, [], "{killed}");
        at += 1;
    }
}

#[test]
fn lost_answers_and_lost_requests_are_settled_by_the_marker() {
    for lose_answers in [true, false] {
        let mut world = World::new();
        world.faults.lose_answers = lose_answers;
        world.faults.lose_requests = 3;
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Completed);
        assert!(everything_is_new(&world) && is_idle_without_debts(&world));
        assert_eq!((world.fewest, world.in_dns()), (2, 3));
    }
}

#[test]
fn an_abort_before_the_last_look_puts_the_site_back_as_it_was() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    while !world
        .journal
        .iter()
        .any(|(event, _)| matches!(event, Event::Followed { .. }))
    {
        assert!(world.step(&mut machine));
    }
    let abort = Command::Abort {
        actor: "ana".to_owned(),
        reason: None,
    };
    world.tells(&mut machine, &Input::Command(abort));
    world.run(&mut machine);
    assert!(matches!(
        end_of(machine.state()),
        RotationEnd::Aborted { .. }
    ));
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert!(is_idle_without_debts(&world));
    assert_eq!(world.in_dns(), 3);
    assert!(
        world
            .engines
            .values()
            .flatten()
            .all(|c| c.digests == vec![digest(1)])
    );
}

#[test]
fn an_abort_after_the_last_look_finishes_the_site() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    while !world
        .journal
        .iter()
        .any(|(event, _)| matches!(event, Event::ClearBegun { .. }))
    {
        assert!(world.step(&mut machine));
    }
    let abort = Command::Abort {
        actor: "ana".to_owned(),
        reason: None,
    };
    world.tells(&mut machine, &Input::Command(abort));
    world.run(&mut machine);
    assert!(matches!(
        end_of(machine.state()),
        RotationEnd::Aborted { .. }
    ));
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(is_idle_without_debts(&world));
    assert_eq!(world.in_dns(), 3);
    assert_eq!(machine.state().rotation.as_ref().unwrap().ended.len(), 1);
}

#[test]
fn a_site_that_does_not_start_is_quarantined_and_the_next_rotation_brings_it_back() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let marker = world.marker().unwrap();
    assert_eq!(marker.out, BTreeSet::from([site("fra")]));
    assert_eq!(marker.dirty, BTreeSet::from([site("fra")]));
    assert_eq!((world.fewest, world.in_dns()), (2, 2));

    world.faults.unhealthy.clear();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    assert_eq!(plan.sites().next(), Some(&site("fra")));
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    assert_eq!((world.fewest, world.in_dns()), (2, 3));
}

#[test]
fn a_site_that_is_not_ready_keeps_serving_and_the_others_are_visited() {
    let mut world = World::new();
    world.faults.unready.insert(site("nyc"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Completed);
    assert!(is_idle_without_debts(&world));
}

#[test]
fn a_site_that_stays_busy_is_put_back() {
    let mut world = World::new();
    world.faults.busy = true;
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, Some(vec![site("fra")]), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert_eq!(world.in_dns(), 3);
    assert!(
        world
            .engines
            .values()
            .flatten()
            .all(|c| c.digests == vec![digest(1)])
    );
}

#[test]
fn unknown_traffic_lasts_at_most_and_goes_on() {
    let mut world = World::new();
    world.faults.traffic_unknown = true;
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, Some(vec![site("fra")]), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    let drained = world.journal.iter().find_map(|(event, _)| {
        let Event::Drained {
            seconds, reason, ..
        } = event
        else {
            return None;
        };
        Some((*seconds, *reason))
    });
    assert_eq!(drained, Some((300, DrainReason::Unknown)));
}

#[test]
fn a_site_that_fails_its_soak_leaves_again_and_stays_out() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    while !world
        .journal
        .iter()
        .any(|(event, _)| matches!(event, Event::Verified { .. }))
    {
        assert!(world.step(&mut machine));
    }
    world.faults.failing_probes.insert(site("fra"));
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let marker = world.marker().unwrap();
    assert_eq!(
        (marker.out, world.in_dns()),
        (BTreeSet::from([site("fra")]), 2)
    );
}

#[test]
fn a_secondary_that_does_not_follow_puts_the_site_back_and_halts() {
    let mut world = World::new();
    world.faults.servers_lag = true;
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert_eq!(world.in_dns(), 3);
}

#[test]
fn the_floor_holds_when_another_site_is_down() {
    let mut world = World::new();
    world.faults.failing_probes.insert(site("sin"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, Some(vec![site("fra")]), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
    assert_eq!(world.fewest, 3);
}

#[test]
fn a_sick_site_is_withdrawn_first_and_below_the_floor_only_when_asked() {
    for below_floor in [false, true] {
        let mut world = World::new();
        world
            .faults
            .failing_probes
            .extend([site("sin"), site("nyc")]);
        let mut machine = world.coordinator();
        let options = Options {
            below_floor,
            ..Options::default()
        };
        let plan = world.plan(Mode::Rebuild, Some(vec![site("nyc")]), options);
        world.begin(&mut machine, plan);
        for _ in 0..40 {
            world.step(&mut machine);
        }
        let withdrawn = world.fewest == 2;
        assert_eq!(withdrawn, below_floor);
    }
}

#[test]
fn another_coordinators_marker_is_waited_for_and_taken_over_after_half_an_hour() {
    let mut world = World::new();
    let mut dead = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut dead, plan);
    while !world
        .journal
        .iter()
        .any(|(event, _)| matches!(event, Event::Drained { .. }))
    {
        assert!(world.step(&mut dead));
    }
    drop(dead);
    world.swap(&mut Desk::default());
    let before = world.now;
    let mut other = crate::coordinator::machine::Coordinator::new(
        super::world::fleet(),
        super::world::playbook(),
        "holder-b".parse().unwrap(),
        crate::model::time::Ttl(30),
    );
    let options = Options {
        wait_s: 35 * 60,
        ..Options::default()
    };
    let plan = world.plan(Mode::Rotate, None, options);
    world.begin(&mut other, plan);
    world.run(&mut other);
    assert!(world.now - before > 30 * 60 * 1000);
    assert_eq!(end_of(other.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    assert_eq!((world.fewest, world.in_dns()), (2, 3));
    assert_eq!(world.hurt, []);
}

#[test]
fn a_deposed_coordinator_does_nothing_more() {
    let mut world = World::new();
    let mut first = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut first, plan);
    while !world
        .journal
        .iter()
        .any(|(event, _)| matches!(event, Event::Drained { .. }))
    {
        assert!(world.step(&mut first));
    }
    // Somebody else takes the marker.
    let mut marker = world.marker().unwrap();
    marker.epoch.0 += 1;
    marker.seq += 1;
    marker.holder = Some("holder-b".parse().unwrap());
    for seen in world.zone().markers.values_mut() {
        *seen = crate::model::rrset::MarkerSeen::Here(marker.clone());
    }
    world.run(&mut first);
    assert!(matches!(end_of(first.state()), RotationEnd::Deposed { .. }));
    assert_eq!(world.marker().unwrap(), marker);
    let old = |c: &&crate::model::inventory::Container| c.digests == vec![digest(1)];
    assert_eq!(world.engines.values().flatten().filter(old).count(), 6);
}

#[test]
fn cordon_and_withdraw_change_the_markers_lists() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let sites = Some(vec![site("nyc")]);
    let plan = world.plan(
        Mode::Cordon { cordoned: true },
        sites.clone(),
        Options::default(),
    );
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(
        world.marker().unwrap().cordon,
        BTreeSet::from([site("nyc")])
    );
    let plan = world.plan(Mode::Rotate, None, Options::default());
    assert_eq!(plan.sites().count(), 2);
    let plan = world.plan(Mode::Withdraw, sites.clone(), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let marker = world.marker().unwrap();
    assert_eq!(
        (marker.held, marker.out.len()),
        (BTreeSet::from([site("nyc")]), 0)
    );
    assert_eq!(world.in_dns(), 2);
    let plan = world.plan(
        Mode::Restore { unverified: false },
        sites,
        Options::default(),
    );
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!((world.in_dns(), world.marker().unwrap().held.len()), (3, 0));
}

#[test]
fn a_write_asked_for_while_a_rotation_runs_is_made_between_its_own() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    while !world
        .journal
        .iter()
        .any(|(event, _)| matches!(event, Event::Followed { .. }))
    {
        assert!(world.step(&mut machine));
    }
    let intent = Intent::Cordon { site: site("sin") };
    world.tells(&mut machine, &Input::Command(Command::Write { intent }));
    world.run(&mut machine);
    assert_eq!(
        world.marker().unwrap().cordon,
        BTreeSet::from([site("sin")])
    );
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
}

#[test]
fn a_new_fleet_is_put_in_site_by_site() {
    let mut world = World::new();
    for set in world.zone().rrsets.values_mut() {
        set.addresses.clear();
        set.ttl = None;
    }
    let mut machine = world.coordinator();
    for name in ["fra", "nyc", "sin"] {
        let options = Options {
            restore: true,
            ..Options::default()
        };
        let plan = world.plan(Mode::Rebuild, Some(vec![site(name)]), options);
        world.begin(&mut machine, plan);
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), name), VisitEnd::Completed);
    }
    assert_eq!(world.in_dns(), 3);
    assert!(is_idle_without_debts(&world));
}

#[test]
fn a_zone_that_went_backwards_stops_everything() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    for seen in world.zone().markers.values_mut() {
        *seen = crate::model::rrset::MarkerSeen::Absent;
    }
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let end = end_of(machine.state());
    assert!(
        matches!(&end, RotationEnd::NotAcquired { why } if why.contains("backwards")),
        "{end:?}"
    );
    assert_eq!(world.marker(), None);
}

#[test]
fn a_dirty_site_is_restored_by_being_rebuilt() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("nyc"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, Some(vec![site("nyc")]), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Quarantined);
    world.faults.unhealthy.clear();
    let restore = Mode::Restore { unverified: false };
    let plan = world.plan(restore, Some(vec![site("nyc")]), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Completed);
    assert!(is_idle_without_debts(&world));
    assert_eq!(world.in_dns(), 3);
}

#[test]
fn a_rotation_between_visits_waits_since_the_last_one_ended() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    let waits = machine.state().rotation_waits().unwrap();
    assert_eq!(waits.since, world.time().wall);
    world.until(&mut machine, |event| {
        matches!(event, Event::WaveEnded { wave: 2 })
    });
    let waits = machine.state().rotation_waits().unwrap();
    assert_eq!(waits.since, world.time().wall);
    assert!(world.now > 60_000);
}
