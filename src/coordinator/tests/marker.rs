//! One holder at a time: taken, kept, fenced, given back.
use std::collections::BTreeSet;

use super::world::{Desk, World, site};
use super::{ask, began, count, end_of, is_idle_without_debts, is_unhurt, night, visit_end};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::Epoch;
use crate::model::rrset::MarkerSeen;

#[test]
fn an_abort_before_another_holders_marker_ends_at_once() {
    let mut world = World::new();
    let mut first = night(&mut world);
    world.until(&mut first, |event| matches!(event, Event::Drained { .. }));
    world.swap(&mut Desk::default());
    let options = Options {
        wait_s: 2_100,
        ..Options::default()
    };
    let mut other = world.coordinator_called("holder-b");
    ask(&mut world, &mut other, Mode::Rotate, None, options);
    world.until(&mut other, |event| {
        matches!(event, Event::MarkerHeld { .. })
    });
    let before = world.now;
    world.abort(&mut other);
    world.run(&mut other);
    assert!(matches!(end_of(other.state()), RotationEnd::Aborted { .. }));
    assert_eq!(world.now, before);
    assert_eq!(
        count(&world, |event| matches!(event, Event::ChangeDecided { .. })),
        0
    );
}

#[test]
fn who_does_not_want_to_wait_for_a_marker_is_told_at_once_that_later_may_do() {
    let mut world = World::new();
    let mut first = night(&mut world);
    world.until(&mut first, |event| matches!(event, Event::Drained { .. }));
    world.swap(&mut Desk::default());
    let before = world.now;
    let mut other = world.coordinator_called("holder-b");
    ask(
        &mut world,
        &mut other,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut other);
    assert!(matches!(
        end_of(other.state()),
        RotationEnd::NotAcquired { .. }
    ));
    assert!(
        other
            .state()
            .rotation
            .as_ref()
            .unwrap()
            .refusal
            .as_ref()
            .unwrap()
            .is_transient
    );
    assert!(world.now - before < 1_000);
}

#[test]
fn who_works_with_a_copy_of_the_store_waits_for_the_marker_like_anybody_else() {
    let mut world = World::new();
    let mut first = night(&mut world);
    world.run(&mut first);
    let mut copied = world.copied();
    ask(
        &mut world,
        &mut first,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.until(&mut first, |event| matches!(event, Event::Drained { .. }));
    world.swap(&mut copied);
    let mut copy = world.crash();
    let before = world.marker();
    ask(
        &mut world,
        &mut copy,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut copy);
    let end = end_of(copy.state());
    assert!(
        matches!(&end, RotationEnd::NotAcquired { why } if why.contains("the marker is held by")),
        "{end:?}"
    );
    assert_eq!(world.marker(), before);
}

#[test]
fn an_abort_while_the_acquisition_is_unknown_settles_it_and_gives_it_back() {
    let mut world = World::new();
    world.faults.lose_answers = true;
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::ChangeDecided { .. })
    });
    world.abort(&mut machine);
    world.run(&mut machine);
    assert!(matches!(
        end_of(machine.state()),
        RotationEnd::Aborted { .. }
    ));
    assert!(is_idle_without_debts(&world));
}

#[test]
fn a_marker_of_the_same_epoch_that_is_older_than_the_stores_is_a_zone_that_went_backwards() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    let copy = world.marker();
    world.run(&mut machine);
    assert!(machine.state().marker.as_ref().unwrap().epoch == copy.as_ref().unwrap().epoch);
    world.write_marker(copy.as_ref());
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    let end = end_of(machine.state());
    assert!(
        matches!(&end, RotationEnd::NotAcquired { why } if why.contains("backwards")),
        "{end:?}"
    );
    let refusal = machine
        .state()
        .rotation
        .as_ref()
        .unwrap()
        .refusal
        .clone()
        .unwrap();
    assert!(!refusal.is_transient && refusal.cure.contains("take-over"));
}

#[test]
fn a_take_over_after_the_zone_went_backwards_trusts_no_list_and_loses_none() {
    let mut world = World::new();
    let cordon = Mode::Cordon { cordoned: true };
    let mut machine = began(&mut world, cordon, Some(&["sin"]), Options::default());
    world.run(&mut machine);
    ask(
        &mut world,
        &mut machine,
        Mode::Withdraw,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    let before = world.marker().unwrap();
    world.write_marker(None);
    let options = Options {
        take_over: true,
        ..Options::default()
    };
    ask(&mut world, &mut machine, Mode::TakeOver, None, options);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    let marker = world.marker().unwrap();
    assert!(marker.epoch > before.epoch);
    assert_eq!(marker.dirty, BTreeSet::from([site("nyc")]));
    assert_eq!((marker.held, marker.cordon), (before.held, before.cordon));
}

#[test]
fn the_first_marker_calls_every_site_dirty_that_is_out() {
    let mut world = World::new();
    world.by_hand(&site("nyc"), false);
    let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
    world.run(&mut machine);
    assert_eq!(world.marker().unwrap().dirty, BTreeSet::from([site("nyc")]));
    // And the floor does not count it.
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
}

#[test]
fn a_coordinator_that_froze_changes_nothing_after_another_took_over() {
    let mut at = 0;
    loop {
        let mut world = World::new();
        let mut first = night(&mut world);
        let mut steps = 0;
        while steps < at && world.step(&mut first) {
            steps += 1;
        }
        if steps < at {
            assert!(at > 100);
            return;
        }
        let mut desk = Desk::default();
        world.swap(&mut desk);
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        let mut other = world.coordinator_called("holder-b");
        ask(&mut world, &mut other, Mode::Rotate, None, options);
        for _ in 0..120 {
            world.step(&mut other);
        }
        // It wakes, and both go on side by side.
        let mut other_desk = Desk::default();
        world.swap(&mut other_desk);
        world.swap(&mut desk);
        world.run(&mut first);
        world.swap(&mut desk);
        world.swap(&mut other_desk);
        world.run(&mut other);
        assert_eq!(world.hurt, [], "frozen after {at} steps");
        assert_eq!(
            end_of(other.state()),
            RotationEnd::Completed,
            "frozen after {at} steps"
        );
        assert!(is_idle_without_debts(&world), "frozen after {at} steps");
        assert_eq!(
            (world.fewest, world.in_dns()),
            (2, 3),
            "frozen after {at} steps"
        );
        at += 3;
    }
}

#[test]
fn a_marker_that_could_not_be_given_back_is_said_and_the_next_rotation_takes_it_anew() {
    let mut world = World::new();
    let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
    world.until(&mut machine, |event| matches!(event, Event::Soaked { .. }));
    world.faults.primary_silent_until = world.now + 3_600_000;
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    let refusal = machine
        .state()
        .rotation
        .as_ref()
        .unwrap()
        .refusal
        .clone()
        .unwrap();
    assert!(refusal.what.contains("was not given back"), "{refusal:?}");
    assert!(world.marker().unwrap().holder.is_some());
    world.pass(world.faults.primary_silent_until);
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_idle_without_debts(&world));
    assert_eq!(world.marker().unwrap().epoch, Epoch(2));
}

#[test]
fn a_release_that_stays_unknown_does_not_keep_the_process_for_ever() {
    let mut world = World::new();
    let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
    let is_release = |event: &Event| {
        matches!(
            event,
            Event::ChangeDecided {
                intent: Intent::Release,
                ..
            }
        )
    };
    world.until(&mut machine, |event| matches!(event, Event::Soaked { .. }));
    world.faults.late_updates.push_back(7_200_000);
    world.until(&mut machine, is_release);
    world.until(&mut machine, |event| {
        matches!(event, Event::ChangeAnswered { .. })
    });
    world.faults.primary_silent_until = world.now + 3_600_000;
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(machine.state().rotation.as_ref().unwrap().refusal.is_some());
}

#[test]
fn after_a_crash_with_a_site_out_the_primary_is_waited_for() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::ClearBegun { .. })
    });
    world.faults.primary_silent_until = world.now + 3_600_000;
    let mut machine = world.crash();
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

/// Nothing has begun, so it is waited for as long as was asked, and no longer.
#[test]
fn a_primary_that_is_silent_at_the_start_is_waited_for_as_long_as_was_asked() {
    let patient = Options {
        wait_s: 2_100,
        ..Options::default()
    };
    for (options, is_aborted, has_waited) in [
        (patient.clone(), false, true),
        (patient, true, false),
        (Options::default(), false, false),
    ] {
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, options);
        world.faults.primary_silent_until = world.now + 600_000;
        world.begin(&mut machine, plan);
        world.until(&mut machine, |event| {
            matches!(event, Event::ChangeDelayed { .. })
        });
        if is_aborted {
            world.abort(&mut machine);
        }
        world.run(&mut machine);
        let is_done = end_of(machine.state()) == RotationEnd::Completed;
        assert_eq!(is_done, has_waited);
        assert!(has_waited || world.now < 60_000, "{}", world.now);
        is_unhurt(&world);
    }
}

#[test]
fn how_long_anothers_marker_stood_is_counted_on_one_process_clock_only() {
    let mut world = World::new();
    let mut dead = night(&mut world);
    world.until(&mut dead, |event| matches!(event, Event::Drained { .. }));
    world.swap(&mut Desk::default());
    let options = Options {
        wait_s: 7_200,
        ..Options::default()
    };
    let mut other = world.coordinator_called("holder-b");
    ask(&mut world, &mut other, Mode::Rotate, None, options);
    let began = world.now;
    while world.now - began < 20 * 60_000 {
        assert!(world.step(&mut other));
    }
    let mut machine = world.coordinator_called("holder-b");
    machine.replay(world.journal.clone());
    world.tells(&mut machine, &crate::coordinator::input::Input::Started);
    let again = world.now;
    world.until(&mut machine, |event| {
        matches!(event, Event::TakeOverAllowed { .. })
    });
    assert!(world.now - again >= 30 * 60_000);
}

#[test]
fn an_unanswered_update_is_fenced_at_a_pace_while_the_primary_takes_nothing() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| matches!(event, Event::Ready { .. }));
    world.faults.lose_requests = u32::MAX;
    let before = world.now;
    world.run(&mut machine);
    let RotationEnd::Deposed { why } = end_of(machine.state()) else {
        panic!("{:?}", end_of(machine.state()));
    };
    assert!(why.contains("three outcomes"), "{why}");
    let fences = count(&world, |event| matches!(event, Event::FenceDecided { .. }));
    assert!((10..100).contains(&fences), "{fences} fences");
    assert!(world.now - before > 300_000);
    assert_eq!(world.in_dns(), 3);
}

#[test]
fn an_update_that_comes_late_finds_its_fence() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| matches!(event, Event::Ready { .. }));
    world.faults.late_updates.push_back(400_000);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_idle_without_debts(&world));
    assert_eq!(world.fewest, 2);
    is_unhurt(&world);
}

#[test]
fn while_an_update_is_unknown_nothing_on_an_engine_is_changed() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.faults.slow_clears.push_back(700_000);
    world.until(&mut machine, |event| {
        let refresh = Intent::Refresh;
        matches!(event, Event::ChangeDecided { intent, .. } if *intent == refresh)
    });
    world.faults.late_updates.push_back(60_000);
    world.faults.primary_silent_until = world.now + 900_000;
    world.until(&mut machine, |event| {
        matches!(event, Event::HostStarted { .. })
    });
    assert!(world.now >= world.faults.primary_silent_until);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
}

/// A removal takes longer than a hold may go without a refresh, and the primary is silent for
/// longer still.
fn meanwhile_the_hold_goes_stale() -> (World, Coordinator) {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.faults.slow_clears.push_back(25 * 60_000);
    world.until(&mut machine, |event| {
        matches!(event, Event::ClearBegun { .. })
    });
    world.faults.primary_silent_until = world.now + 40 * 60_000;
    world.until(&mut machine, |event| {
        matches!(event, Event::HostStarted { .. })
    });
    (world, machine)
}

#[test]
fn after_twenty_minutes_without_a_refresh_no_engine_request_starts_until_it_heals() {
    let (mut world, mut machine) = meanwhile_the_hold_goes_stale();
    assert!(world.now >= world.faults.primary_silent_until);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
    let (without, _) = Guard::FreshHold.off(meanwhile_the_hold_goes_stale);
    assert!(without.now < without.faults.primary_silent_until);
    assert_eq!(without.hurt[0].invariant, "stale is silent");
}

#[test]
fn two_markers_that_differ_are_nobodys() {
    let mut world = World::new();
    let marker = {
        let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
        world.run(&mut machine);
        world.marker().unwrap()
    };
    let api = "api.example.com".parse().unwrap();
    let policy = world.fleet.dns.records.values().next().unwrap().clone();
    std::sync::Arc::make_mut(&mut world.fleet)
        .dns
        .records
        .insert(api, policy);
    let api: crate::model::rrset::RecordName = "api.example.com".parse().unwrap();
    world.zone().markers.insert(api, MarkerSeen::Absent);
    assert_eq!(
        world
            .view
            .markers
            .values()
            .filter(|seen| **seen == MarkerSeen::Here(marker.clone()))
            .count(),
        1
    );
    let mut machine = world.coordinator();
    let plan = world.wish(Mode::Rotate, None, Options::default());
    let survey = crate::coordinator::plan::Survey {
        marker: Some(marker),
        ..world.survey()
    };
    let plan =
        crate::coordinator::plan::plan(&world.fleet, &world.playbook, plan, &survey).unwrap();
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let RotationEnd::NotAcquired { why } = end_of(machine.state()) else {
        panic!("{:?}", end_of(machine.state()));
    };
    assert!(why.contains("differ"), "{why}");
}
