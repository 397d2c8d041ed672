//! `[verify] hold`: a rebuilt site waits for a person who tries it by hand.
use std::time::Duration;

use super::world::{World, fleet, fleet_of, playbook, site};
use super::{
    ask, began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_unhurt,
    night, said, visit_end,
};
use crate::coordinator::event::{Event, PauseEnd, RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::{Coordinator, Rejection};
use crate::coordinator::plan::{Mode, Options};

/// Three sites that are rotated by a playbook that says `hold`.
pub(crate) fn holding() -> World {
    let mut playbook = playbook();
    playbook.verify.hold = true;
    World::of(fleet(), playbook)
}

pub(super) fn resume(named: Option<&str>) -> Input {
    Input::Command(Command::Resume {
        actor: "ana".to_owned(),
        reason: None,
        site: named.map(site),
    })
}

pub(crate) fn refuse(name: &str) -> Input {
    Input::Command(Command::Refuse {
        site: site(name),
        actor: "ana".to_owned(),
        reason: "it shows last week's prices".to_owned(),
    })
}

/// Everybody who waits to be tried is tried, and liked, until the rotation has ended.
pub(super) fn runs_and_is_liked(world: &mut World, machine: &mut Coordinator) {
    for _ in 0..20_000 {
        while let Some(waits) = on_trial(machine).first() {
            world.tells(machine, &resume(Some(waits)));
        }
        if !world.step(machine) {
            return;
        }
    }
    panic!("it never ends");
}

fn on_trial(machine: &Coordinator) -> Vec<String> {
    let running = machine.state().running();
    let sites = running.into_iter().flat_map(|rotation| rotation.on_trial());
    sites.map(ToString::to_string).collect()
}

/// A night that has come to its first trial.
fn trying(world: &mut World) -> Coordinator {
    let mut machine = night(world);
    until_tried(world, &mut machine);
    machine
}

fn until_tried(world: &mut World, machine: &mut Coordinator) {
    world.until(machine, |event| matches!(event, Event::TrialBegun { .. }));
}

fn rejects(world: &mut World, machine: &mut Coordinator, input: &Input) -> (String, String) {
    let Rejection { problem } = world.tell(machine, input).unwrap_err();
    (problem.what, problem.cure)
}

#[test]
fn a_rebuilt_site_stays_out_until_a_person_has_tried_it() {
    let mut world = holding();
    let mut machine = trying(&mut world);
    let waits = machine.state().site_waits(&site("fra")).unwrap();
    assert_eq!(
        waits.why,
        "a person to try it at 192.0.2.1: `cleanslate resume fra` puts it in, `cleanslate \
         withdraw fra --reason TEXT` keeps it out"
    );
    // For hours, and the marker stays ours.
    for _ in 0..200 {
        world.step(&mut machine);
    }
    assert!(world.now > 6 * 3_600_000, "{}", world.now);
    assert_eq!(on_trial(&machine), ["fra"]);
    assert!(!world.serves(&site("fra")) && is_new_on(&world, "fra1"));
    assert_eq!(count(&world, |e| matches!(e, Event::Verified { .. })), 0);

    let probed = world.probed.len();
    world.tells(&mut machine, &resume(Some("fra")));
    world.until(&mut machine, |e| matches!(e, Event::Verified { .. }));
    assert!(world.probed.len() > probed, "it is verified once more");
    let visit = &machine.state().running().unwrap().visits[&site("fra")];
    assert!(visit.on_trial > Duration::from_secs(6 * 3600));
    runs_and_is_liked(&mut world, &mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    assert_eq!(count(&world, |e| matches!(e, Event::TrialBegun { .. })), 3);
    is_unhurt(&world);
}

#[test]
fn what_turns_red_while_it_waits_is_made_anew_and_tried_anew() {
    let mut world = holding();
    let mut machine = trying(&mut world);
    world.faults.failing_probes.insert(site("fra"));
    world.tells(&mut machine, &resume(Some("fra")));
    world.until(&mut machine, |e| matches!(e, Event::AttemptFailed { .. }));
    world.faults.failing_probes.clear();
    until_tried(&mut world, &mut machine);
    assert!(!world.serves(&site("fra")));
    assert_eq!(on_trial(&machine), ["fra"], "others were tried, not these");

    // The same of a container that somebody stopped.
    let host = "fra1".parse().unwrap();
    world.engines.get_mut(&host).unwrap().pop();
    world.tells(&mut machine, &resume(None));
    until_tried(&mut world, &mut machine);
    assert_eq!(on_trial(&machine), ["fra"]);
    runs_and_is_liked(&mut world, &mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
}

#[test]
fn a_site_that_is_not_good_is_held_until_somebody_restores_it() {
    let mut world = holding();
    let mut machine = trying(&mut world);
    world.tells(&mut machine, &refuse("fra"));
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Quarantined);
    let (what, cure) = said(machine.state(), "fra");
    assert_eq!(
        what,
        "ana tried fra, and it is not good: it shows last week's prices"
    );
    assert!(cure.contains("`cleanslate restore fra`"), "{cure}");
    let marker = world.marker().unwrap();
    assert_eq!(marker.held, [site("fra")].into());
    assert_eq!(marker.dirty, [site("fra")].into());
    assert!(marker.holder.is_none());

    // No night puts it in, whatever its playbook says.
    world.playbook = playbook().into();
    machine.configure(world.fleet.clone(), world.playbook.clone(), world.ttl_high);
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    assert!(!world.serves(&site("fra")));
    assert!(world.marker().unwrap().held.contains(&site("fra")));

    let restore = Mode::Restore { unverified: false };
    ask(
        &mut world,
        &mut machine,
        restore,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(world.serves(&site("fra")) && is_idle_without_debts(&world));
    assert!(world.marker().unwrap().held.is_empty());
    is_unhurt(&world);
}

#[test]
fn a_refusal_that_the_process_does_not_survive_is_written_by_the_next_one() {
    for ttl in [30, 120] {
        let mut world = holding();
        let mut machine = trying(&mut world);
        // Nobody's answers are waited for: another TTL is no reason not to hold it.
        world.set_ttl(crate::model::time::Ttl(ttl));
        world.tells(&mut machine, &refuse("fra"));
        let mut machine = world.crash();
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Halted);
        assert_eq!(world.marker().unwrap().held, [site("fra")].into());
        is_unhurt(&world);
    }
}

#[test]
fn resume_without_a_name_puts_in_nothing_that_is_not_meant() {
    let names = ["ams", "fra", "lon", "nyc", "sin"];
    let mut fleet = fleet_of(&names, 1);
    for record in fleet.dns.records.values_mut() {
        record.min_in_service = Some(3);
    }
    let mut playbook = playbook();
    playbook.max_unavailable = 2;
    playbook.verify.hold = true;
    let mut world = World::of(fleet, playbook);
    let mut machine = night(&mut world);
    while on_trial(&machine).len() < 2 {
        assert!(world.step(&mut machine));
    }
    let (what, cure) = rejects(&mut world, &mut machine, &resume(None));
    assert_eq!(what, "ams and fra wait to be tried by hand");
    assert_eq!(cure, "say which: `cleanslate resume ams`");
    let (what, _) = rejects(&mut world, &mut machine, &resume(Some("lon")));
    assert_eq!(what, "lon does not wait to be tried by hand");
    let (what, _) = rejects(&mut world, &mut machine, &refuse("lon"));
    assert_eq!(what, "lon does not wait to be tried by hand");

    // A pause is what it ends first.
    let (actor, reason) = ("bob".to_owned(), "a look at it".to_owned());
    let ends = PauseEnd::Word;
    world.tells(
        &mut machine,
        &Input::Command(Command::Pause {
            actor,
            reason,
            ends,
        }),
    );
    world.tells(&mut machine, &resume(Some("ams")));
    assert!(machine.state().running().unwrap().is_paused());
    world.tells(&mut machine, &resume(None));
    assert!(!machine.state().running().unwrap().is_paused());
    assert_eq!(on_trial(&machine), ["fra"]);
    world.tells(&mut machine, &resume(None));
    assert!(on_trial(&machine).is_empty());
    runs_and_is_liked(&mut world, &mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    let none = rejects(&mut world, &mut machine, &resume(None));
    assert_eq!(none.0, "no rotation is running");
    is_unhurt(&world);
}

#[test]
fn who_aborts_wants_the_site_in_and_a_rule_that_halts_does_not_speak_for_anybody() {
    let mut world = holding();
    let mut machine = trying(&mut world);
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(world.serves(&site("fra")) && is_idle_without_debts(&world));
    is_unhurt(&world);

    // Also where the abort came first.
    let mut world = holding();
    let mut machine = night(&mut world);
    world.until(&mut machine, |e| matches!(e, Event::ClearBegun { .. }));
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(count(&world, |e| matches!(e, Event::TrialBegun { .. })), 0);

    // Halted, or overtaken by something else: it waits all the same.
    let mut world = holding();
    let mut machine = trying(&mut world);
    world.tells(&mut machine, &Input::Command(Command::Supersede));
    for _ in 0..40 {
        world.step(&mut machine);
    }
    assert_eq!(on_trial(&machine), ["fra"]);
    world.abort(&mut machine);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    let RotationEnd::Aborted { reason } = end_of(machine.state()) else {
        panic!("{:?}", end_of(machine.state()));
    };
    assert_eq!(reason, "superseded", "the first reason counts");
    is_unhurt(&world);
}

#[test]
fn a_process_that_dies_while_a_site_waits_has_it_tried_anew() {
    let mut world = holding();
    trying(&mut world);
    let mut machine = world.crash();
    until_tried(&mut world, &mut machine);
    assert_eq!(on_trial(&machine), ["fra"]);
    // The word was said, and the process died before the site was in.
    world.tells(&mut machine, &resume(None));
    let mut machine = world.crash();
    until_tried(&mut world, &mut machine);
    assert!(!world.serves(&site("fra")));
    assert_eq!(on_trial(&machine), ["fra"], "made anew, it is untried");
    runs_and_is_liked(&mut world, &mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_process_that_is_told_to_end_waits_for_nobody_who_may_be_asleep() {
    let mut world = holding();
    let mut machine = trying(&mut world);
    assert!(!machine.state().may_stop());
    world.tells(
        &mut machine,
        &Input::Command(Command::Pause {
            actor: "cleanslate".to_owned(),
            reason: "the process was told to end".to_owned(),
            ends: PauseEnd::Start,
        }),
    );
    assert!(machine.state().may_stop());
}

#[test]
fn a_site_that_somebody_puts_in_while_it_waits_leaves_again() {
    let mut world = holding();
    let mut machine = trying(&mut world);
    world.by_hand(&site("fra"), true);
    world.until(&mut machine, |e| matches!(e, Event::PutBackByHand { .. }));
    until_tried(&mut world, &mut machine);
    assert!(!world.serves(&site("fra")));
    runs_and_is_liked(&mut world, &mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
}

#[test]
fn what_stays_out_or_is_put_in_as_it_stands_is_not_waited_with() {
    let mut world = holding();
    let mut machine = began(
        &mut world,
        Mode::Withdraw,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::LeftOut);
    let restore = Mode::Restore { unverified: false };
    ask(
        &mut world,
        &mut machine,
        restore,
        Some(&["fra"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(count(&world, |e| matches!(e, Event::TrialBegun { .. })), 0);

    // Asked in, a rebuilt one is.
    world.by_hand(&site("nyc"), false);
    let restore = Options {
        restore: true,
        ..Options::default()
    };
    ask(
        &mut world,
        &mut machine,
        Mode::Rebuild,
        Some(&["nyc"]),
        restore,
    );
    until_tried(&mut world, &mut machine);
    runs_and_is_liked(&mut world, &mut machine);
    assert!(world.serves(&site("nyc")));
    is_unhurt(&world);
}

#[test]
fn a_drill_waits_too_and_may_be_refused() {
    let mut world = holding();
    let mut playbook = (*world.playbook).clone();
    playbook.recreate.containers = false;
    world.playbook = playbook.into();
    let mut machine = trying(&mut world);
    world.tells(&mut machine, &resume(None));
    until_tried(&mut world, &mut machine);
    assert!(world.serves(&site("fra")));
    assert_eq!(on_trial(&machine), ["nyc"]);
    world.tells(&mut machine, &refuse("nyc"));
    world.run(&mut machine);
    let marker = world.marker().unwrap();
    assert_eq!((marker.held.len(), marker.dirty.len()), (1, 0));
    is_unhurt(&world);
}
