//! Leaving DNS: the floor's look, name servers, drains, evidence, the command before.
use std::time::Duration;

use super::world::{World, fleet_of, playbook, site};
use super::{
    ask, began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_old_on,
    is_unhurt, night, said, visit_end,
};
use crate::coordinator::event::{DrainReason, Event, RotationEnd, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::{Mode, Options};
use crate::model::playbook::{Before, Preflight, StillBusy};
use crate::model::time::Ttl;

fn drains(world: &World) -> Vec<(DrainReason, u64)> {
    let drains = world.journal.iter().filter_map(|(event, _)| {
        let Event::Drained {
            reason, seconds, ..
        } = event
        else {
            return None;
        };
        Some((*reason, *seconds))
    });
    drains.collect()
}

#[test]
fn what_is_left_of_the_traffic_is_told_where_a_drain_ends_busy() {
    for (then, end) in [
        (StillBusy::PutBack, VisitEnd::PutBack),
        (StillBusy::Proceed, VisitEnd::Completed),
    ] {
        let mut playbook = playbook();
        playbook.drain.then = then;
        let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 1), playbook);
        world.faults.busy = true;
        let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "fra"), end);
        match then {
            StillBusy::PutBack => {
                let (what, _) = said(machine.state(), "fra");
                assert!(
                    what.contains("traffic of 48.3 packets a second 300 s"),
                    "{what}"
                );
            }
            StillBusy::Proceed => assert!(world.journal.iter().any(|(event, _)| matches!(
                event,
                Event::Drained {
                    reason: DrainReason::AtMost,
                    packets: Some(48.3),
                    seconds: 300,
                    ..
                }
            ))),
        }
    }
}

#[test]
fn a_site_goes_back_as_it_was_when_somebody_took_all_others_out_meanwhile() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    for other in ["nyc", "sin"] {
        world.by_hand(&site(other), false);
    }
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    let (what, _) = said(machine.state(), "fra");
    assert!(
        what.contains("floor: somebody emptied the RRset")
            && what.contains("while the site was out"),
        "{what}"
    );
    assert!(world.serves(&site("fra")));
}

#[test]
fn a_drain_of_one_fixed_length_without_a_meter_goes_on() {
    let mut playbook = playbook();
    playbook.drain.at_least = playbook.drain.at_most;
    let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 1), playbook);
    world.faults.traffic_unknown = true;
    let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(drains(&world), [(DrainReason::Unknown, 300)]);
}

#[test]
fn a_cordoned_site_that_serves_counts_for_the_floor() {
    let mut world = World::new();
    let cordon = Mode::Cordon { cordoned: true };
    let mut machine = began(&mut world, cordon, Some(&["sin"]), Options::default());
    world.run(&mut machine);
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    is_unhurt(&world);
}

#[test]
fn a_cordoned_site_need_not_answer_but_does_not_count_then() {
    let mut world = World::new();
    let cordon = Mode::Cordon { cordoned: true };
    let mut machine = began(&mut world, cordon, Some(&["sin"]), Options::default());
    world.run(&mut machine);
    world.faults.failing_probes.insert(site("sin"));
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    let (what, _) = said(machine.state(), "fra");
    assert!(
        what.contains("floor: ") && what.contains("sin (does not answer its probes)"),
        "{what}"
    );
    assert_eq!(world.fewest, 3);
}

#[test]
fn a_look_that_is_too_old_is_had_again_before_a_site_leaves() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::WithdrawBegun { .. })
    });
    world.pass(world.now + 61_000);
    world.faults.failing_probes.insert(site("sin"));
    world.until(&mut machine, |event| {
        matches!(event, Event::VisitEnded { .. })
    });
    assert_eq!(
        count(&world, |event| matches!(event, Event::LookExpired { .. })),
        1
    );
    assert_eq!(world.fewest, 3);
}

#[test]
fn beside_a_name_server_left_out_a_quiet_drain_lasts_to_its_end() {
    let mut world = World::new();
    let options = Options {
        without_ns: ["10.0.1.53:53".parse().unwrap()].into(),
        ..Options::default()
    };
    let mut machine = began(&mut world, Mode::Rebuild, Some(&["fra"]), options);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(drains(&world), [(DrainReason::Quiet, 300)]);
}

#[test]
fn the_ttl_read_back_counts_and_above_at_most_the_site_is_put_back() {
    let mut world = World::new();
    let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
    world.until(&mut machine, |event| {
        matches!(
            event,
            Event::ChangeDecided {
                intent: Intent::Withdraw { .. },
                ..
            }
        )
    });
    // Between our look and our UPDATE: prerequisites see no TTLs.
    for set in world.zone().rrsets.values_mut() {
        set.ttl = set.ttl.map(|_| Ttl(3_600));
    }
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    let (what, _) = said(machine.state(), "fra");
    assert!(what.contains("3600s") && what.contains("300 s"), "{what}");
    let served: Vec<_> = world
        .view
        .rrsets
        .values()
        .filter_map(|set| set.ttl)
        .collect();
    assert_eq!(served, [Ttl(3_600)]);
    assert!(is_old_on(&world, "fra1") && is_idle_without_debts(&world));
}

#[test]
fn what_cannot_be_put_back_is_drained_for_the_whole_ttl_even_above_at_most() {
    let mut world = World::new();
    world.by_hand(&site("fra"), false);
    let fleet = world.fleet.clone();
    let (holder, ttl) = ("holder-a".parse().unwrap(), Ttl(900));
    let mut machine = crate::coordinator::machine::Coordinator::new(fleet, playbook(), holder, ttl);
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftOut);
    assert!(drains(&world)[0].1 >= 900, "{:?}", drains(&world));
}

#[test]
fn a_secondary_that_follows_late_starts_the_drain_late() {
    let mut world = World::new();
    let mut machine = began(&mut world, Mode::Rotate, Some(&["fra"]), Options::default());
    world.until(&mut machine, |event| {
        matches!(event, Event::WithdrawBegun { .. })
    });
    world.faults.secondary_stands_until = world.now + 45_000;
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    is_unhurt(&world);
}

#[test]
fn a_secondary_two_versions_behind_has_not_followed() {
    // Withdrawn and put back; the secondary stands where the site was out the first time.
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    world.faults.secondary_stands_until = u64::MAX;
    world.abort(&mut machine);
    world.run(&mut machine);
    assert!(world.serves(&site("fra")));
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert!(is_old_on(&world, "fra1"));
}

#[test]
fn a_secondary_newer_than_the_primary_stops_everything_before_anything_is_stopped() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| matches!(event, Event::Drained { .. }));
    let (view, marker) = (world.view.clone(), world.marker().unwrap());
    // Somebody took over, and then the primary came back from a copy: it shows our marker again.
    let newer = crate::model::marker::Marker {
        epoch: crate::model::id::Epoch(9),
        ..marker
    };
    world.write_marker(Some(&newer));
    world.faults.secondary_stands_until = u64::MAX;
    world.view = view;
    world.run(&mut machine);
    let end = end_of(machine.state());
    let RotationEnd::Deposed { why } = &end else {
        panic!("{end:?}")
    };
    assert!(
        why.contains("10.0.1.53:53 serves a marker of epoch 9"),
        "{why}"
    );
    assert!(
        world
            .engines
            .values()
            .flatten()
            .filter(|c| c.mark.is_none())
            .all(|c| c.is_running())
    );
}

#[test]
fn a_name_server_that_flaps_at_the_last_look_costs_drains_but_not_for_ever() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    let mut behind = 0;
    while end_is_open(&machine) {
        world.until(&mut machine, |event| {
            matches!(event, Event::Drained { .. } | Event::Ended { .. })
        });
        if end_is_open(&machine) {
            // It forgets what it transferred, for as long as the last look takes.
            let copy = std::sync::Arc::make_mut(&mut world.secondary);
            for seen in copy.markers.values_mut() {
                *seen = crate::model::rrset::MarkerSeen::Absent;
            }
            copy.serial = 0;
            world.faults.secondary_stands_until = world.now + 20;
            world.is_behind = true;
            behind += 1;
        }
        assert!(behind < 10);
    }
    assert_eq!(behind, 4);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert!(is_old_on(&world, "fra1"));
}

fn end_is_open(machine: &crate::coordinator::machine::Coordinator) -> bool {
    machine.state().running().is_some()
}

#[test]
fn a_quarantined_site_whose_drain_this_store_saw_is_not_drained_again() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = night(&mut world);
    world.run(&mut machine);
    world.faults.unhealthy.clear();
    let before = drains(&world).len();
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(drains(&world).len(), before);
    is_unhurt(&world);
}

#[test]
fn a_site_withdrawn_again_after_its_soak_is_drained_before_it_is_rebuilt() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Verified { .. })
    });
    world.faults.failing_probes.insert(site("fra"));
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    world.faults.failing_probes.clear();
    let before = drains(&world).len();
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(drains(&world).len(), before + 1);
    is_unhurt(&world);
}

#[test]
fn with_the_store_lost_a_site_that_another_took_out_is_drained_before_it_is_rebuilt() {
    let mut world = World::new();
    let mut first = night(&mut world);
    world.until(&mut first, |event| {
        matches!(
            event,
            Event::ChangeProven {
                intent: Intent::Withdraw { .. },
                ..
            }
        )
    });
    world.swap(&mut super::world::Desk::default());
    let options = Options {
        take_over: true,
        ..Options::default()
    };
    let mut machine = world.coordinator_called("holder-b");
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["fra"]),
        options,
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(drains(&world).len(), 1);
    is_unhurt(&world);
}

#[test]
fn evidence_that_does_not_come_is_done_without() {
    let mut world = World::new();
    world.faults.evidence_hangs = true;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world));
}

#[test]
fn a_command_before_that_fails_puts_the_site_back_and_counts_like_a_failure_in_ready() {
    for preflight in [Preflight::Skip, Preflight::Halt] {
        let mut playbook = playbook();
        let command = vec!["/backup".to_owned()];
        playbook.recreate.before = Some(Before {
            command,
            within: Duration::from_secs(1),
        });
        playbook.failure.preflight = preflight;
        let mut world = World::of(super::world::fleet(), playbook);
        world.faults.before_fails = true;
        let mut machine = night(&mut world);
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
        let ended = machine.state().rotation.as_ref().unwrap().ended.len();
        let (end, visits) = match preflight {
            Preflight::Skip => (RotationEnd::Completed, 3),
            Preflight::Halt => (RotationEnd::Halted, 1),
        };
        assert_eq!((end_of(machine.state()), ended), (end, visits));
        assert_eq!(
            count(&world, |event| matches!(event, Event::BeforeBegun { .. })),
            visits
        );
        assert!(is_old_on(&world, "fra1") && is_idle_without_debts(&world));
        assert_eq!(world.in_dns(), 3);
    }
}

#[test]
fn a_command_before_that_succeeds_runs_once_a_visit() {
    let mut playbook = playbook();
    let command = vec!["/backup".to_owned()];
    playbook.recreate.before = Some(Before {
        command,
        within: Duration::from_secs(1),
    });
    let mut world = World::of(super::world::fleet(), playbook);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(
        count(&world, |event| matches!(event, Event::BeforeBegun { .. })),
        3
    );
}

#[test]
fn a_sick_site_that_cannot_be_made_ready_stays_out_and_nothing_of_ours_behind() {
    let mut world = World::new();
    world.faults.failing_probes.insert(site("nyc"));
    world.faults.unready.insert(site("nyc"));
    world.is_overridden = true;
    let options = Options {
        below_floor: true,
        ..Options::default()
    };
    let mut machine = began(&mut world, Mode::Rebuild, Some(&["nyc"]), options);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Quarantined);
    assert_eq!(
        count(&world, |event| matches!(event, Event::AttemptFailed { .. })),
        2
    );
    assert!(is_old_on(&world, "nyc1") && !world.serves(&site("nyc")));
    let marker = world.marker().unwrap();
    assert_eq!(
        (marker.out.len(), marker.dirty.len(), marker.holder),
        (1, 0, None)
    );
    world.faults.failing_probes.clear();
    world.faults.unready.clear();
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert!(is_new_on(&world, "nyc1") && is_idle_without_debts(&world));
}

#[test]
fn a_site_that_turned_back_is_not_dirtied_by_an_update_that_never_left() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    let dirties = |event: &Event| {
        let intent = Intent::Dirty { site: site("fra") };
        matches!(event, Event::ChangeDecided { intent: decided, .. } if *decided == intent)
    };
    world.until(&mut machine, dirties);
    world.faults.primary_silent_until = world.now + 30_000;
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    let decided = world.journal.iter().filter(|(event, _)| dirties(event));
    assert_eq!(decided.count(), 1);
    assert!(is_old_on(&world, "fra1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}
