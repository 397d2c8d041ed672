//! People edit the zone while we work.
use std::collections::BTreeSet;

use super::world::{World, site};
use super::{
    ask, began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_old_on,
    is_unhurt, night, said, visit_end,
};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::{Mode, Options};
use crate::model::time::Ttl;

#[test]
fn a_dirty_site_that_somebody_puts_in_is_withdrawn_again_and_drained_anew() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    // Quarantined dirty, then put in by hand.
    world.faults.unhealthy.insert(site("fra"));
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    world.by_hand(&site("fra"), true);
    world.faults.unhealthy.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    let from = world.journal.len();
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    let drains = world.journal.iter().skip(from);
    let drains = drains
        .filter(|(event, _)| matches!(event, Event::Drained { .. }))
        .count();
    assert_eq!(drains, 1);
    assert!(is_new_on(&world, "fra1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_dirty_site_put_in_while_it_is_rebuilt_leaves_again_at_any_step_and_after_a_crash() {
    for crashes in [false, true] {
        for at in 0..40 {
            let mut world = World::new();
            let mut machine = night(&mut world);
            world.until(&mut machine, |event| {
                matches!(event, Event::ClearBegun { .. })
            });
            for _ in 0..at {
                world.step(&mut machine);
            }
            if !machine.state().is_dirty(&site("fra")) {
                assert!(at > 5);
                break;
            }
            world.by_hand(&site("fra"), true);
            if crashes {
                machine = world.crash();
            }
            world.run(&mut machine);
            let told = format!("put in after {at} steps, {crashes}");
            assert_eq!(end_of(machine.state()), RotationEnd::Completed, "{told}");
            assert!(
                everything_is_new(&world) && is_idle_without_debts(&world),
                "{told}"
            );
            assert_eq!(world.hurt, [], "{told}");
        }
    }
}

#[test]
fn another_ttl_keeps_a_site_in_and_never_out() {
    let mut world = World::new();
    let serve = |world: &mut World, ttl: u32| {
        for set in world.zone().rrsets.values_mut() {
            set.ttl = set.ttl.map(|_| Ttl(ttl));
        }
    };
    serve(&mut world, 3_600);
    let by_hand = |world: &mut World, mode| {
        let mut machine = began(world, mode, Some(&["nyc"]), Options::default());
        world.run(&mut machine);
        machine
    };
    let machine = by_hand(&mut world, Mode::Withdraw);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    let (what, _) = said(machine.state(), "nyc");
    assert!(
        what.contains("a TTL of 3600s, site.toml says 30s"),
        "{what}"
    );
    assert!(world.serves(&site("nyc")) && is_idle_without_debts(&world));

    serve(&mut world, 30);
    by_hand(&mut world, Mode::Withdraw);
    assert!(!world.serves(&site("nyc")));
    serve(&mut world, 3_600);
    let machine = by_hand(&mut world, Mode::Restore { unverified: false });
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Completed);
    let served: Vec<_> = world.view.rrsets.values().collect();
    assert!(served.iter().any(|set| set.ttl == Some(Ttl(3_600))));
    assert!(served.iter().all(|set| set.ttl != Some(Ttl(30))));
    assert!(world.serves(&site("nyc")) && is_idle_without_debts(&world));
}

#[test]
fn a_refresh_that_finds_a_dirty_site_in_dns_makes_it_leave_before_anything_else() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.faults.slow_clears.push_back(700_000);
    world.until(&mut machine, |event| {
        matches!(event, Event::ClearBegun { .. })
    });
    world.by_hand(&site("fra"), true);
    world.until(&mut machine, |event| {
        matches!(event, Event::PutBackByHand { .. })
    });
    assert!(world.now > 600_000);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
}

#[test]
fn a_dirty_site_in_dns_stays_there_when_the_floor_does_not_let_it_go() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::ClearBegun { .. })
    });
    world.by_hand(&site("fra"), true);
    world.faults.failing_probes.insert(site("nyc"));
    let mut machine = world.crash();
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftInService);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!((world.in_dns(), world.fewest), (3, 2));
    assert_eq!(world.marker().unwrap().dirty, BTreeSet::from([site("fra")]));
}

#[test]
fn a_whole_site_that_somebody_puts_in_is_given_back_and_the_night_ends() {
    for at in 0..30 {
        let mut world = World::new();
        let mut machine = night(&mut world);
        world.until(&mut machine, |event| {
            matches!(event, Event::Followed { .. })
        });
        for _ in 0..at {
            world.step(&mut machine);
        }
        if world.marker().unwrap().dirty.contains(&site("fra")) {
            assert!(at > 3);
            return;
        }
        world.by_hand(&site("fra"), true);
        world.run(&mut machine);
        let told = format!("put in after {at} steps");
        assert_eq!(end_of(machine.state()), RotationEnd::Halted, "{told}");
        assert_eq!(
            visit_end(machine.state(), "fra"),
            VisitEnd::PutBack,
            "{told}"
        );
        assert!(
            is_old_on(&world, "fra1") && is_idle_without_debts(&world),
            "{told}"
        );
        assert_eq!((world.in_dns(), world.hurt.len()), (3, 0), "{told}");
    }
}

#[test]
fn a_site_taken_out_by_hand_just_before_its_withdrawal_is_rebuilt_and_left_out() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::WithdrawBegun { .. })
    });
    world.by_hand(&site("fra"), false);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftOut);
    assert!(is_new_on(&world, "fra1") && !world.serves(&site("fra")));
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_site_found_out_gets_the_same_server_check_and_the_same_drain() {
    let mut world = World::new();
    world.by_hand(&site("fra"), false);
    world.pass(1_000);
    let mut machine = began(
        &mut world,
        Mode::Rebuild,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftOut);
    assert_eq!(
        count(&world, |event| matches!(
            event,
            Event::Drained { seconds: 40, .. }
        )),
        1
    );
    assert!(is_new_on(&world, "fra1") && !world.serves(&site("fra")));
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_site_that_is_held_is_rebuilt_if_asked_and_left_out_and_held() {
    for mode in [Mode::Rotate, Mode::Rebuild] {
        let mut world = World::new();
        let mut machine = began(
            &mut world,
            Mode::Withdraw,
            Some(&["nyc"]),
            Options::default(),
        );
        world.run(&mut machine);
        ask(
            &mut world,
            &mut machine,
            mode,
            Some(&["nyc"]),
            Options::default(),
        );
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::LeftOut);
        assert!(is_new_on(&world, "nyc1") && !world.serves(&site("nyc")));
        assert_eq!(world.marker().unwrap().held, BTreeSet::from([site("nyc")]));
        assert!(is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn a_site_found_out_that_somebody_puts_in_while_it_is_rebuilt_comes_back_though_we_took_it_out() {
    for crashes in [false, true] {
        let mut world = World::new();
        world.by_hand(&site("fra"), false);
        let mut machine = began(
            &mut world,
            Mode::Rebuild,
            Some(&["fra"]),
            Options::default(),
        );
        // So long that a refresh looks at the zone meanwhile.
        world.faults.slow_clears.push_back(700_000);
        world.until(&mut machine, |event| {
            matches!(event, Event::ClearBegun { .. })
        });
        world.by_hand(&site("fra"), true);
        world.until(&mut machine, |event| {
            matches!(
                event,
                Event::ChangeDecided {
                    intent: Intent::Expel { .. },
                    ..
                }
            )
        });
        world.until(&mut machine, |event| {
            matches!(event, Event::ChangeAnswered { .. })
        });
        let out = world.marker().unwrap().out;
        assert_eq!((out, world.in_dns()), (BTreeSet::from([site("fra")]), 2));
        if crashes {
            machine = world.crash();
        }
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
        assert!(is_new_on(&world, "fra1") && world.serves(&site("fra")));
        assert!(is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn a_site_that_a_person_took_out_while_its_visit_was_interrupted_is_left_out_and_held() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::ClearBegun { .. })
    });
    // Meanwhile somebody brought it back from elsewhere, and withdrew it.
    let mut marker = world.marker().unwrap();
    (marker.epoch.0, marker.holder, marker.rotation) = (marker.epoch.0 + 3, None, None);
    marker.out.clear();
    marker.held.insert(site("fra"));
    world.write_marker(Some(&marker));
    let mut machine = world.crash();
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftOut);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_new_on(&world, "fra1") && !world.serves(&site("fra")));
    assert_eq!(world.marker().unwrap().held, BTreeSet::from([site("fra")]));
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_held_site_that_a_person_puts_in_is_held_no_more_once_a_visit_takes_it_out() {
    for crashes in [false, true] {
        let mut world = World::new();
        let mut machine = began(
            &mut world,
            Mode::Withdraw,
            Some(&["nyc"]),
            Options::default(),
        );
        world.run(&mut machine);
        world.by_hand(&site("nyc"), true);
        ask(
            &mut world,
            &mut machine,
            Mode::Rotate,
            Some(&["nyc"]),
            Options::default(),
        );
        world.until(&mut machine, |event| matches!(event, Event::Drained { .. }));
        let marker = world.marker().unwrap();
        let out = (marker.out, marker.held);
        assert_eq!(out, (BTreeSet::from([site("nyc")]), BTreeSet::new()));
        if crashes {
            machine = world.crash();
        }
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Completed);
        assert!(world.serves(&site("nyc")) && is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn a_site_found_out_that_failed_stays_dirty_and_is_recovered_later() {
    let mut world = World::new();
    world.by_hand(&site("fra"), false);
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = began(
        &mut world,
        Mode::Rebuild,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let marker = world.marker().unwrap();
    assert_eq!(
        (marker.out.len(), marker.dirty),
        (0, BTreeSet::from([site("fra")]))
    );
    world.faults.unhealthy.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Recover,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(is_new_on(&world, "fra1") && world.serves(&site("fra")));
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn an_interrupted_visit_begins_where_the_world_now_is() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| matches!(event, Event::Ready { .. }));
    world.by_hand(&site("fra"), false);
    let mut machine = world.crash();
    world.run(&mut machine);
    let kinds = world.journal.iter().filter_map(|(event, _)| {
        let Event::VisitEnded { site, end, .. } = event else {
            return None;
        };
        Some((site.clone(), *end))
    });
    assert_eq!(
        kinds.take(1).collect::<Vec<_>>(),
        [(site("fra"), VisitEnd::LeftOut)]
    );
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
}

#[test]
fn a_site_found_out_where_no_marker_stands_is_made_again_and_restored() {
    let mut world = World::new();
    world.by_hand(&site("nyc"), false);
    world.pass(60_000);
    let restore = Mode::Restore { unverified: false };
    let mut machine = began(&mut world, restore, Some(&["nyc"]), Options::default());
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(world.in_dns(), 3);
    assert!(is_new_on(&world, "nyc1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}
