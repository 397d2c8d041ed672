//! Gates: a visit goes on when the hooks there were heard.
use std::time::Duration;

use super::trial::resume;
use super::world::{World, fleet, playbook, site};
use super::{
    began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_old_on,
    is_unhurt, night, said, visit_end,
};
use crate::coordinator::event::{Event, PauseEnd, RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::plan::{Mode, Options};
use crate::model::hook::{Call, Gate, Hook, HookFailure, On, Terms};
use crate::sim::world::HooksSay;

const PATIENCE: Duration = Duration::from_secs(600);

fn hook(name: &str, gate: Gate, failure: HookFailure) -> Hook {
    let terms = Terms {
        failure,
        defer_at_most: PATIENCE,
    };
    Hook {
        name: name.parse().unwrap(),
        on: On::Gate(gate, terms),
        call: Call::Command(vec!["/hook".to_owned()]),
        within: Duration::from_secs(30),
        sites: None,
        peers: false,
    }
}

/// Three sites, and these hooks.
fn world(hooks: impl IntoIterator<Item = Hook>) -> World {
    let mut fleet = fleet();
    fleet.hooks.extend(hooks);
    World::of(fleet, playbook())
}

fn at(gate: Gate, failure: HookFailure) -> World {
    world([hook("ops", gate, failure)])
}

/// What a visit of fra passed, in order.
fn passed(world: &World) -> Vec<String> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what the gates stand between, and nothing else"
    )]
    let told = |event: &Event| {
        let (of, what) = match event {
            Event::HookAsked { site, hook } => (site, format!("asks {hook}")),
            Event::WithdrawBegun { site, .. } => (site, "leaves".to_owned()),
            Event::LastLookBegun { site } => (site, "last look".to_owned()),
            Event::SoakTimeOver { site } => (site, "soaks".to_owned()),
            Event::Soaked { site } => (site, "soaked".to_owned()),
            _ => return None,
        };
        (*of == site("fra")).then_some(what)
    };
    let events = world.journal.iter();
    events.filter_map(|(event, _)| told(event)).collect()
}

fn asked(world: &World) -> usize {
    count(world, |event| matches!(event, Event::HookAsked { .. }))
}

fn failures(world: &World) -> usize {
    count(world, |event| {
        matches!(
            event,
            Event::HookEnded {
                problem: Some(_),
                ..
            }
        )
    })
}

#[test]
fn each_gate_is_passed_once_a_visit_and_its_hooks_are_asked_in_their_order() {
    let halt = HookFailure::Halt;
    let mut only_nyc = hook("nyc", Gate::BeforeWithdraw, halt);
    only_nyc.sites = Some([site("nyc")].into());
    let mut world = world([
        hook("emptied", Gate::BeforeRecreate, halt),
        hook("first", Gate::BeforeWithdraw, halt),
        only_nyc,
        hook("second", Gate::BeforeWithdraw, halt),
        hook("back", Gate::AfterRestore, halt),
    ]);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(
        passed(&world),
        [
            "asks first",
            "asks second",
            "leaves",
            "asks emptied",
            "last look",
            "soaks",
            "asks back",
            "soaked"
        ]
    );
    assert_eq!(asked(&world), 3 * 4 + 1);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_site_stays_in_service_while_a_hook_says_not_yet() {
    let mut world = at(Gate::BeforeWithdraw, HookFailure::Halt);
    world.faults.hooks = HooksSay::NotYet;
    let mut machine = night(&mut world);
    world.until(&mut machine, |e| matches!(e, Event::HookDeferred { .. }));
    let waits = machine.state().site_waits(&site("fra")).unwrap();
    assert_eq!(waits.why, "hook ops, which says not yet: not now");
    assert!(waits.until.is_some() && world.in_dns() == 3);
    world.until(&mut machine, |e| matches!(e, Event::HookDeferred { .. }));
    world.faults.hooks = HooksSay::Yes;
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(asked(&world), 3 + 2);
    assert!(everything_is_new(&world));
    is_unhurt(&world);
}

#[test]
fn whoever_says_not_yet_for_too_long_has_failed() {
    let mut world = at(Gate::BeforeWithdraw, HookFailure::Halt);
    world.faults.hooks = HooksSay::NotYet;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    let (what, cure) = said(machine.state(), "fra");
    assert!(
        what.starts_with("hook ops still says of fra, after 6"),
        "{what}"
    );
    assert!(what.ends_with(" s: not yet (not now)"), "{what}");
    assert!(cure.contains("defer_at_most of [[hook]] ops"), "{cure}");
    assert!(world.now >= 600_000, "{}", world.now);
    assert_eq!(world.in_dns(), 3);
    assert!(is_old_on(&world, "fra1") && is_idle_without_debts(&world));
}

#[test]
fn a_hook_that_fails_before_a_site_leaves_leaves_it_as_it_is_and_ends_the_rotation() {
    let mut world = at(Gate::BeforeWithdraw, HookFailure::Halt);
    world.faults.hooks = HooksSay::No;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
    assert_eq!((asked(&world), world.in_dns()), (1, 3));
    assert!(is_old_on(&world, "fra1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_hook_that_fails_before_anything_is_stopped_has_its_site_put_back() {
    let mut world = at(Gate::BeforeRecreate, HookFailure::Halt);
    world.faults.hooks = HooksSay::No;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::PutBack);
    assert_eq!(world.in_dns(), 3);
    assert!(is_old_on(&world, "fra1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_hook_that_fails_once_its_site_is_back_ends_the_rotation_there() {
    let mut world = at(Gate::AfterRestore, HookFailure::Halt);
    world.faults.hooks = HooksSay::No;
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Halted);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    // It has passed: its digests are its way back.
    assert!(machine.state().last_good.contains_key(&site("fra")));
    assert!(is_new_on(&world, "fra1") && is_old_on(&world, "nyc1"));
    assert!(is_idle_without_debts(&world) && world.in_dns() == 3);
    is_unhurt(&world);
}

#[test]
fn a_hook_that_need_not_agree_is_passed_over_and_told() {
    for gate in Gate::ALL {
        let mut world = at(gate, HookFailure::GoOn);
        world.faults.hooks = HooksSay::No;
        let mut machine = night(&mut world);
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Completed, "{gate:?}");
        assert_eq!((asked(&world), failures(&world)), (3, 3), "{gate:?}");
        assert!(everything_is_new(&world));
        is_unhurt(&world);
    }
}

#[test]
fn nobody_is_asked_whether_a_sick_site_may_leave() {
    let mut world = at(Gate::BeforeWithdraw, HookFailure::Halt);
    world.faults.hooks = HooksSay::No;
    world.faults.failing_probes.insert(site("fra"));
    let options = Options::default();
    let mut machine = began(&mut world, Mode::Rebuild, Some(&["fra"]), options);
    world.until(&mut machine, |e| matches!(e, Event::Followed { .. }));
    assert_eq!(asked(&world), 0);
    is_unhurt(&world);
}

#[test]
fn a_well_site_that_is_to_be_rebuilt_passes_the_gate_however_fast_its_hosts_are_ready() {
    // Its hosts are ready before the first look at the floor is over.
    for slow_look in [false, true] {
        let mut world = at(Gate::BeforeWithdraw, HookFailure::Halt);
        if slow_look {
            world.delays = vec![1, 1, 1, 2_000, 1, 1];
        }
        let options = Options::default();
        let mut machine = began(&mut world, Mode::Rebuild, Some(&["fra"]), options);
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Completed);
        assert_eq!(asked(&world), 1);
        is_unhurt(&world);
    }
}

#[test]
fn in_a_pause_nobody_is_asked() {
    let mut world = at(Gate::BeforeWithdraw, HookFailure::Halt);
    let mut machine = night(&mut world);
    let pause = Input::Command(Command::Pause {
        actor: "ana".to_owned(),
        reason: "look".to_owned(),
        ends: PauseEnd::Word,
    });
    world.tells(&mut machine, &pause);
    for _ in 0..50 {
        world.step(&mut machine);
    }
    assert_eq!(asked(&world), 0);
    world.tells(&mut machine, &resume(None));
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(asked(&world), 3);
    is_unhurt(&world);
}

#[test]
fn an_abort_does_not_wait_for_a_hook() {
    for gate in Gate::ALL {
        let mut world = at(gate, HookFailure::Halt);
        world.faults.hooks = HooksSay::NotYet;
        let mut machine = night(&mut world);
        world.until(&mut machine, |e| matches!(e, Event::HookDeferred { .. }));
        let before = world.now;
        world.abort(&mut machine);
        world.run(&mut machine);
        assert!(world.now - before < 60_000, "{gate:?}");
        assert_eq!(asked(&world), 1);
        assert_eq!(world.in_dns(), 3);
        assert!(is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}

#[test]
fn who_died_while_a_hook_was_asked_asks_it_again() {
    for gate in Gate::ALL {
        let mut world = at(gate, HookFailure::Halt);
        let mut machine = night(&mut world);
        world.until(&mut machine, |e| matches!(e, Event::HookAsked { .. }));
        drop(machine);
        let mut machine = world.crash();
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Completed, "{gate:?}");
        assert_eq!(asked(&world), 4, "{gate:?}");
        assert!(everything_is_new(&world) && is_idle_without_debts(&world));
        is_unhurt(&world);
    }
}
