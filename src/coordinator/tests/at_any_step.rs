//! Whatever is asked at any step of a night: it is taken or rejected, no rule is broken, and all
//! ends well.
use std::time::Duration;

use super::trial::{holding, refuse, runs_and_is_liked};
use super::world::{World, site};
use super::{count, end_of, everything_is_new, is_idle_without_debts, is_unhurt, night};
use crate::coordinator::event::{Event, PauseEnd, RotationEnd, Then};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::state::Rotation;

/// How many steps a calm night has, about; each is tried.
const STEPS: usize = 400;

/// After so many steps somebody looks whether a site waits to be tried.
const PATIENCE: usize = 25;

fn pause(ends: PauseEnd) -> Input {
    Input::Command(Command::Pause {
        actor: "ana".to_owned(),
        reason: "a look at it".to_owned(),
        ends,
    })
}

fn resume() -> Input {
    Input::Command(Command::Resume {
        actor: "ana".to_owned(),
        reason: None,
        site: None,
    })
}

/// Says `ask` at every step of a night, each time in a night of its own; then `then` goes on.
fn at_every_step(
    ask: impl Fn(&mut World) -> Input,
    then: impl FnMut(&mut World, Coordinator, usize),
) -> usize {
    at_every_step_of(World::new, ask, then)
}

/// The same in a world of another kind. Where a site waits to be tried, it is liked after a while.
fn at_every_step_of(
    world: impl Fn() -> World,
    ask: impl Fn(&mut World) -> Input,
    mut then: impl FnMut(&mut World, Coordinator, usize),
) -> usize {
    let mut taken = 0;
    for step in 0..STEPS {
        let mut world = world();
        let mut machine = night(&mut world);
        let is_over = (0..step).any(|step| {
            let is_liked = step % PATIENCE == 0 && machine.state().running().is_some();
            if is_liked {
                // Rejected where nobody waits.
                drop(world.tell(&mut machine, &resume()));
            }
            !world.step(&mut machine)
        });
        if is_over {
            return taken;
        }
        let input = ask(&mut world);
        if machine.decide(&input, world.time()).is_ok() {
            world.tells(&mut machine, &input);
            taken += 1;
        }
        then(&mut world, machine, step);
        is_unhurt(&world);
    }
    panic!("a night has more than {STEPS} steps");
}

fn ends_well(world: &mut World, machine: &mut Coordinator, step: usize) {
    world.run(machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed, "{step}");
    assert!(everything_is_new(world), "asked at step {step}");
    assert!(is_idle_without_debts(world), "asked at step {step}");
}

#[test]
fn a_pause_at_any_step_holds_and_a_resumed_night_completes() {
    let taken = at_every_step(
        |_| pause(PauseEnd::Word),
        |world, mut machine, step| {
            // The marker goes on being refreshed: there is always something to do.
            for _ in 0..60 {
                world.step(&mut machine);
            }
            if machine.state().running().is_some() {
                let rotation = machine.state().running().unwrap();
                assert!(rotation.is_paused(), "asked at step {step}");
                // A refresh of the marker may be under way.
                let may_stop = |world: &mut World, machine: &mut Coordinator| {
                    machine.state().may_stop() || !world.step(machine)
                };
                let stops = (0..10).any(|_| may_stop(world, &mut machine));
                assert!(stops, "asked at step {step}");
                world.tells(&mut machine, &resume());
            }
            ends_well(world, &mut machine, step);
        },
    );
    assert!(taken > 50, "{taken}");
}

#[test]
fn a_pause_that_ends_by_itself_goes_on_or_aborts_as_it_was_told() {
    for then in [Then::Resume, Then::Abort] {
        let ask = |world: &mut World| {
            let at = world.time().wall.checked_add(Duration::from_secs(900));
            pause(PauseEnd::Time {
                at: at.unwrap(),
                then,
            })
        };
        at_every_step(ask, |world, mut machine, step| {
            let was_paused = machine.state().running().is_some_and(|it| it.is_paused());
            world.run(&mut machine);
            let end = end_of(machine.state());
            match (then, &end) {
                (Then::Abort, RotationEnd::Aborted { reason }) => {
                    assert!(reason.contains("a look at it"), "{reason}");
                }
                (_, RotationEnd::Completed) => {}
                (_, end) => panic!("asked at step {step}: {end:?}"),
            }
            // What was in its last visit already had nothing left that could be held.
            let may_complete = then == Then::Resume || !was_paused || step > 30;
            assert!(may_complete || end != RotationEnd::Completed, "{step}");
            assert!(is_idle_without_debts(world), "asked at step {step}");
        });
    }
}

#[test]
fn a_process_that_is_told_to_end_leaves_no_site_out_and_the_next_one_goes_on() {
    at_every_step(
        |_| pause(PauseEnd::Start),
        |world, mut machine, step| {
            for _ in 0..200 {
                if machine.state().may_stop() {
                    break;
                }
                world.step(&mut machine);
            }
            assert!(machine.state().may_stop(), "asked at step {step}");
            // Asked before there was a marker, nothing of it was written.
            let marker = world.marker();
            let owes = marker.is_some_and(|marker| !marker.unavailable().is_empty());
            assert!(!owes, "asked at step {step}");
            if machine.state().running().is_some() {
                machine = world.crash();
                let is_paused = |it: &Rotation| it.is_paused();
                assert!(!machine.state().running().is_some_and(is_paused));
            }
            ends_well(world, &mut machine, step);
        },
    );
}

#[test]
fn a_rebuild_asked_for_in_a_pause_at_any_step_takes_out_no_second_site() {
    let is_over = |it: &Rotation| it.ended.contains_key(&site("nyc"));
    let are_two = |it: &Rotation| it.visits.len() == 2;
    let (mut rebuilt, mut beside) = (0, 0);
    // Resumed while it is out, and long after.
    for steps in [12, 24, 200] {
        let taken = at_every_step(
            |_| pause(PauseEnd::Word),
            |world, mut machine, step| {
                let is_paused = machine.state().running().is_some_and(Rotation::is_paused);
                let plan = world.plan(Mode::Rebuild, Some(vec![site("nyc")]), Options::default());
                let plan = Box::new(plan);
                let input = Input::Command(Command::QueueRebuild { plan });
                if !is_paused || machine.decide(&input, world.time()).is_err() {
                    return;
                }
                world.tells(&mut machine, &input);
                for _ in 0..steps {
                    world.step(&mut machine);
                }
                let rotation = machine.state().running();
                rebuilt += u32::from(rotation.is_some_and(is_over));
                beside += u32::from(rotation.is_some_and(are_two));
                if rotation.is_some_and(Rotation::is_paused) {
                    world.tells(&mut machine, &resume());
                }
                ends_well(world, &mut machine, step);
                assert!(world.fewest >= 2, "asked at step {step}: {}", world.fewest);
            },
        );
        assert!(taken > 50, "{taken}");
    }
    assert!(rebuilt > 20, "{rebuilt} while it was paused");
    assert!(beside > 5, "{beside} beside a site that was about to leave");
}

#[test]
fn a_persons_pause_outlives_the_process() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    let at = world
        .time()
        .wall
        .checked_add(Duration::from_secs(900))
        .unwrap();
    let ends = PauseEnd::Time {
        at,
        then: Then::Resume,
    };
    let input = pause(ends);
    world.tells(&mut machine, &input);
    let mut machine = world.crash();
    for _ in 0..20 {
        world.step(&mut machine);
    }
    assert!(world.time().wall < at);
    assert!(machine.state().running().unwrap().is_paused());
    ends_well(&mut world, &mut machine, 0);
    assert!(world.time().wall >= at, "it waited for its time");
}

#[test]
fn an_abort_a_cordon_and_a_rebuild_are_taken_at_any_step_or_rejected() {
    let abort = |_: &mut World| {
        Input::Command(Command::Abort {
            actor: "ana".to_owned(),
            reason: None,
        })
    };
    at_every_step(abort, |world, mut machine, step| {
        world.run(&mut machine);
        assert!(is_idle_without_debts(world), "asked at step {step}");
    });
    let rebuild = |world: &mut World| {
        let plan = world.plan(Mode::Rebuild, Some(vec![site("nyc")]), Options::default());
        let plan = Box::new(plan);
        Input::Command(Command::QueueRebuild { plan })
    };
    at_every_step(rebuild, |world, mut machine, step| {
        ends_well(world, &mut machine, step);
    });
    let cordon = |_: &mut World| {
        let intent = Intent::Cordon { site: site("sin") };
        Input::Command(Command::Write { intent })
    };
    at_every_step(cordon, |world, mut machine, step| {
        world.run(&mut machine);
        let end = end_of(machine.state());
        assert_eq!(end, RotationEnd::Completed, "asked at step {step}");
        assert!(is_idle_without_debts(world), "asked at step {step}");
    });
}

/// A site that waits to be tried goes in by a person's word alone, whatever is asked and when.
#[test]
fn a_site_is_accepted_refused_or_left_waiting_at_any_step() {
    let refused = at_every_step_of(
        holding,
        |_| refuse("fra"),
        |world, mut machine, step| {
            let is_refusal = |event: &Event| matches!(event, Event::TrialRefused { .. });
            let was_refused = count(world, is_refusal) > 0;
            runs_and_is_liked(world, &mut machine);
            let end = end_of(machine.state());
            let marker = world.marker().unwrap();
            let is_held = marker.held.contains(&site("fra"));
            assert_eq!(is_held, was_refused, "asked at step {step}");
            assert_eq!(is_held, !world.serves(&site("fra")), "asked at step {step}");
            assert_eq!(is_held, end == RotationEnd::Halted, "asked at step {step}");
        },
    );
    assert!(refused > 5, "{refused}");
    let accepted = at_every_step_of(
        holding,
        |_| resume(),
        |world, mut machine, step| {
            runs_and_is_liked(world, &mut machine);
            let end = end_of(machine.state());
            assert_eq!(end, RotationEnd::Completed, "asked at step {step}");
            assert!(everything_is_new(world) && is_idle_without_debts(world));
        },
    );
    assert!(accepted > 5, "{accepted}");
    at_every_step_of(
        holding,
        |_| pause(PauseEnd::Start),
        |world, mut machine, step| {
            for _ in 0..200 {
                if machine.state().may_stop() {
                    break;
                }
                world.step(&mut machine);
            }
            assert!(machine.state().may_stop(), "asked at step {step}");
            if machine.state().running().is_some() {
                machine = world.crash();
            }
            runs_and_is_liked(world, &mut machine);
            let end = end_of(machine.state());
            assert_eq!(end, RotationEnd::Completed, "asked at step {step}");
            assert!(everything_is_new(world) && is_idle_without_debts(world));
        },
    );
}
