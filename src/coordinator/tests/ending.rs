//! Halts and aborts: what is whole goes back, what is dirty is finished, nothing else leaves.
use super::world::{World, site};
use super::{
    count, end_of, everything_is_new, is_idle_without_debts, is_old_on, is_unhurt, night, said,
    visit_end,
};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::{Mode, Options};

#[test]
fn an_abort_at_any_step_withdraws_nothing_more_and_leaves_no_site_out() {
    let mut at = 0;
    loop {
        let mut world = World::new();
        let mut machine = night(&mut world);
        let mut heard = 0;
        while heard < at {
            let before = world.journal.len();
            world.step(&mut machine);
            if machine.state().running().is_none() {
                assert!(at > 80);
                return;
            }
            heard += usize::from(world.journal.len() > before);
        }
        // An UPDATE that has left may still be applied.
        let sent = machine.state().lane.changes().len();
        let was_in = world.in_dns() - sent;
        world.fewest = 3;
        world.abort(&mut machine);
        world.run(&mut machine);
        let told = format!("aborted after {at} answers");
        assert!(world.fewest >= was_in, "{told}: a site left");
        assert!(
            is_idle_without_debts(&world),
            "{told}: {:?}",
            world.marker()
        );
        assert_eq!(
            (world.in_dns(), world.hurt.len()),
            (3, 0),
            "{told}: {:?}",
            world.hurt
        );
        let is_whole = |host: &crate::model::id::HostName| {
            let host = host.as_str();
            super::is_new_on(&world, host) || is_old_on(&world, host)
        };
        assert!(
            world.engines.keys().all(is_whole),
            "{told}: {:#?}",
            world.engines
        );
        at += 1;
    }
}

#[test]
fn a_withdrawal_that_was_out_at_an_abort_and_was_not_applied_is_not_sent_again() {
    let is_withdrawal = |event: &Event| {
        let Event::ChangeDecided { intent, .. } = event else {
            return false;
        };
        matches!(intent, Intent::Withdraw { .. })
    };
    // Whichever answer comes late: what was made may be thrown away while the primary is read.
    for slow in 0..7 {
        let mut world = World::new();
        world.delays = (0..7).map(|turn| u64::from(turn == slow) * 3_000).collect();
        let mut machine = night(&mut world);
        world.until(&mut machine, is_withdrawal);
        // The records are others than the UPDATE states, until it was refused.
        world.by_hand(&site("sin"), false);
        world.abort(&mut machine);
        world.until(&mut machine, |event| {
            matches!(event, Event::ChangeDelayed { .. })
        });
        world.by_hand(&site("sin"), true);
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
        assert_eq!(count(&world, is_withdrawal), 1, "slow {slow}");
        assert!(world.serves(&site("fra")) && is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn an_abort_survives_a_crash() {
    for at in (0..60).step_by(3) {
        let mut world = World::new();
        let mut machine = night(&mut world);
        world.until(&mut machine, |event| {
            matches!(event, Event::VisitStarted { .. })
        });
        for _ in 0..at {
            world.step(&mut machine);
        }
        world.abort(&mut machine);
        let visits = count(&world, |event| matches!(event, Event::VisitStarted { .. }));
        let mut machine = world.crash();
        world.run(&mut machine);
        assert!(
            matches!(end_of(machine.state()), RotationEnd::Aborted { .. }),
            "{at}"
        );
        assert_eq!(
            count(&world, |event| matches!(event, Event::VisitStarted { .. })),
            visits
        );
        assert!(is_idle_without_debts(&world), "{at}: {:?}", world.marker());
        assert_eq!((world.in_dns(), world.hurt.len()), (3, 0), "{at}");
    }
}

#[test]
fn an_abort_of_a_pull_does_not_wait_for_it() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::HostLooked { .. })
    });
    let before = world.now;
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
    assert_eq!(
        count(&world, |event| matches!(event, Event::HostPulled { .. })),
        0
    );
    assert!(world.now - before < 100);
}

#[test]
fn what_is_being_made_when_the_visit_ends_is_removed_when_it_is_made() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::HostPulled { .. })
    });
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
    assert_eq!(
        count(&world, |event| matches!(event, Event::HostPrepared { .. })),
        1
    );
    assert!(is_old_on(&world, "fra1"));
}

#[test]
fn a_second_site_that_fails_puts_a_whole_site_back_and_lets_a_dirty_one_be_finished() {
    for is_dirty in [false, true] {
        let mut world = World::new();
        let mut machine = night(&mut world);
        world.until(&mut machine, |event| {
            if is_dirty {
                matches!(event, Event::ClearBegun { .. })
            } else {
                matches!(event, Event::Followed { .. })
            }
        });
        world.faults.failing_probes.insert(site("nyc"));
        world.run(&mut machine);
        let (end, is_new) = if is_dirty {
            // And the next one does not leave.
            assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
            (VisitEnd::Completed, super::is_new_on(&world, "fra1"))
        } else {
            assert_eq!(end_of(machine.state()), RotationEnd::Halted);
            let (_, cure) = said(machine.state(), "fra");
            assert!(cure.contains("suspect this machine"), "{cure}");
            (VisitEnd::PutBack, is_old_on(&world, "fra1"))
        };
        assert_eq!((visit_end(machine.state(), "fra"), is_new), (end, true));
        assert_eq!((world.in_dns(), world.fewest), (3, 2));
        assert!(is_idle_without_debts(&world));
    }
}

#[test]
fn when_all_other_sites_seem_to_fail_the_visited_one_is_put_back_and_none_is_taken_out() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    world
        .faults
        .failing_probes
        .extend(["fra", "nyc", "sin"].map(site));
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert_eq!((world.in_dns(), world.fewest), (3, 2));
}

#[test]
fn a_put_back_that_is_refused_ends_with_the_site_out_and_is_drained_anew_later() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| matches!(event, Event::Drained { .. }));
    // Its TTL and another's differ: nothing may be added without changing one of them.
    let keys: Vec<_> = world.view.rrsets.keys().cloned().collect();
    assert_eq!(keys.len(), 2);
    world.abort(&mut machine);
    world.until(&mut machine, |event| {
        matches!(
            event,
            Event::ChangeDecided {
                intent: Intent::PutBack { .. },
                ..
            }
        )
    });
    assert!(!machine.state().drained.contains(&site("fra")));
    let mut machine = world.crash();
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    is_unhurt(&world);
}

#[test]
fn a_put_back_is_gone_on_with_after_a_crash() {
    let mut world = World::new();
    world.faults.busy = true;
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::PutBackBegun { .. })
    });
    world.faults.busy = false;
    let mut machine = world.crash();
    world.until(&mut machine, |event| {
        matches!(event, Event::VisitEnded { .. })
    });
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert!(is_old_on(&world, "fra1"));
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
}

#[test]
fn a_withdrawal_by_hand_that_is_aborted_in_time_is_none() {
    let mut world = World::new();
    let mut machine = super::began(
        &mut world,
        Mode::Withdraw,
        Some(&["nyc"]),
        Options::default(),
    );
    world.until(&mut machine, |event| {
        matches!(event, Event::WithdrawBegun { .. })
    });
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    assert_eq!((world.in_dns(), world.marker().unwrap().held.len()), (3, 0));
}

#[test]
fn a_dirty_write_that_was_applied_unproven_is_never_put_back() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(
            event,
            Event::ChangeDecided {
                intent: Intent::Dirty { .. },
                ..
            }
        )
    });
    world.carry_out_late(0);
    let mut machine = world.crash();
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(super::is_new_on(&world, "fra1") && !everything_is_new(&world));
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}
